"""Keras callbacks: when to rewire, and what makes a run repeatable."""

from keras_sparse_rnn.callbacks.deep_r_callback import DeepRCallback
from keras_sparse_rnn.callbacks.dsr_callback import DSRCallback
from keras_sparse_rnn.callbacks.epoch_seed import EpochSeed
from keras_sparse_rnn.callbacks.iss_callback import ISSCallback
from keras_sparse_rnn.callbacks.magnitude_pruning_callback import (
    MagnitudePruningCallback,
)
from keras_sparse_rnn.callbacks.non_monotone_averaging import (
    NonMonotoneAveraging,
)
from keras_sparse_rnn.callbacks.reset_states import ResetStates
from keras_sparse_rnn.callbacks.rewiring_callback import RewiringCallback
from keras_sparse_rnn.callbacks.rigl_callback import RigLCallback
from keras_sparse_rnn.callbacks.set_callback import SETCallback
from keras_sparse_rnn.callbacks.snfs_callback import SNFSCallback
from keras_sparse_rnn.callbacks.topology_history import TopologyHistory

__all__ = [
    "DSRCallback",
    "DeepRCallback",
    "EpochSeed",
    "ISSCallback",
    "MagnitudePruningCallback",
    "NonMonotoneAveraging",
    "ResetStates",
    "RewiringCallback",
    "RigLCallback",
    "SETCallback",
    "SNFSCallback",
    "TopologyHistory",
]
