"""Sparse recurrent networks for Keras 3, trained from scratch."""

import warnings

import keras

from keras_sparse_rnn import analysis
from keras_sparse_rnn import rewiring
from keras_sparse_rnn import topology
from keras_sparse_rnn.analysis.cost_meter import CostMeter
from keras_sparse_rnn.analysis.plots import plot_masks
from keras_sparse_rnn.analysis.training_cost import TrainingCost
from keras_sparse_rnn.analysis.training_cost import training_cost
from keras_sparse_rnn.analysis.training_cost import training_cost_of_matrices
from keras_sparse_rnn.callbacks import DeepRCallback
from keras_sparse_rnn.callbacks import DSRCallback
from keras_sparse_rnn.callbacks import EpochSeed
from keras_sparse_rnn.callbacks import ISSCallback
from keras_sparse_rnn.callbacks import MagnitudePruningCallback
from keras_sparse_rnn.callbacks import NonMonotoneAveraging
from keras_sparse_rnn.callbacks import ResetStates
from keras_sparse_rnn.callbacks import RewiringCallback
from keras_sparse_rnn.callbacks import RigLCallback
from keras_sparse_rnn.callbacks import SETCallback
from keras_sparse_rnn.callbacks import SNFSCallback
from keras_sparse_rnn.callbacks import TopologyHistory
from keras_sparse_rnn.conversion import load_dense_weights
from keras_sparse_rnn.conversion import sparsify
from keras_sparse_rnn.conversion import strip_sparsity
from keras_sparse_rnn.dense_gradients import DenseGradients
from keras_sparse_rnn.joint_rewiring import ModelRewiring
from keras_sparse_rnn.language import Perplexity
from keras_sparse_rnn.language import token_windows
from keras_sparse_rnn.layers import RHN
from keras_sparse_rnn.layers import RHNCell
from keras_sparse_rnn.layers import SparseDense
from keras_sparse_rnn.layers import SparseEmbedding
from keras_sparse_rnn.layers import SparseGRU
from keras_sparse_rnn.layers import SparseGRUCell
from keras_sparse_rnn.layers import SparseLSTM
from keras_sparse_rnn.layers import SparseLSTMCell
from keras_sparse_rnn.layers import SparseReversibleEmbedding
from keras_sparse_rnn.layers import SparseRHN
from keras_sparse_rnn.layers import SparseRHNCell
from keras_sparse_rnn.layers import SparseSimpleRNN
from keras_sparse_rnn.layers import SparseSimpleRNNCell
from keras_sparse_rnn.layers import WordDropout
from keras_sparse_rnn.model_rewiring import rewire
from keras_sparse_rnn.optimizers import AveragedSGD
from keras_sparse_rnn.report import SparsityReport
from keras_sparse_rnn.report import sparsity_report
from keras_sparse_rnn.sparse_layers import sparse_weights
from keras_sparse_rnn.sparse_weight import SparseWeight
from keras_sparse_rnn.structured import add_iss_regularizer
from keras_sparse_rnn.structured import alive_units
from keras_sparse_rnn.structured import remove_iss_regularizer
from keras_sparse_rnn.structured import shrink
from keras_sparse_rnn.structured import zero_small_weights
from keras_sparse_rnn.version import __version__
from keras_sparse_rnn.weight_matrix import WeightMatrix
from keras_sparse_rnn.weight_matrix import weight_matrices

__all__ = [
    "RHN",
    "AveragedSGD",
    "CostMeter",
    "DSRCallback",
    "DeepRCallback",
    "DenseGradients",
    "EpochSeed",
    "ISSCallback",
    "MagnitudePruningCallback",
    "ModelRewiring",
    "NonMonotoneAveraging",
    "Perplexity",
    "RHNCell",
    "ResetStates",
    "RewiringCallback",
    "RigLCallback",
    "SETCallback",
    "SNFSCallback",
    "SparseDense",
    "SparseEmbedding",
    "SparseGRU",
    "SparseGRUCell",
    "SparseLSTM",
    "SparseLSTMCell",
    "SparseRHN",
    "SparseRHNCell",
    "SparseReversibleEmbedding",
    "SparseSimpleRNN",
    "SparseSimpleRNNCell",
    "SparseWeight",
    "SparsityReport",
    "TopologyHistory",
    "TrainingCost",
    "WeightMatrix",
    "WordDropout",
    "__version__",
    "add_iss_regularizer",
    "alive_units",
    "analysis",
    "load_dense_weights",
    "plot_masks",
    "remove_iss_regularizer",
    "rewire",
    "rewiring",
    "shrink",
    "sparse_weights",
    "sparsify",
    "sparsity_report",
    "strip_sparsity",
    "token_windows",
    "topology",
    "training_cost",
    "training_cost_of_matrices",
    "weight_matrices",
    "zero_small_weights",
]

if keras.backend.backend() not in ("tensorflow", "jax"):
    warnings.warn(
        "keras_sparse_rnn is tested on Keras's TensorFlow and JAX backends "
        f"only. Received: KERAS_BACKEND={keras.backend.backend()}",
        stacklevel=2,
    )
