"""Keras callbacks: when to rewire, and what makes a run repeatable."""

from keras_sparse_rnn.callbacks.epoch_seed import EpochSeed
from keras_sparse_rnn.callbacks.rewiring_callback import RewiringCallback
from keras_sparse_rnn.callbacks.set_callback import SETCallback
from keras_sparse_rnn.callbacks.topology_history import TopologyHistory

__all__ = ["EpochSeed", "RewiringCallback", "SETCallback", "TopologyHistory"]
