"""Rewiring, one prune-and-regrow step: pure NumPy, no Keras.

A rewiring rule is a drop rule, a grow rule, the values of new connections, a
schedule for the rewire rate and perhaps a redistribution over groups. Pruning
is the drop alone, by a sparsity schedule.
"""

from keras_sparse_rnn.rewiring.connections import connection_magnitudes
from keras_sparse_rnn.rewiring.drop import below_threshold
from keras_sparse_rnn.rewiring.drop import changed_sign
from keras_sparse_rnn.rewiring.drop import random_drop
from keras_sparse_rnn.rewiring.drop import smallest_magnitude
from keras_sparse_rnn.rewiring.drop import smallest_magnitude_per_sign
from keras_sparse_rnn.rewiring.grow import largest_gradient
from keras_sparse_rnn.rewiring.grow import largest_momentum
from keras_sparse_rnn.rewiring.grow import random_growth
from keras_sparse_rnn.rewiring.grow import random_growth_elsewhere
from keras_sparse_rnn.rewiring.new_values import NormalValues
from keras_sparse_rnn.rewiring.new_values import zero_values
from keras_sparse_rnn.rewiring.pruning import pooled_pruned_counts
from keras_sparse_rnn.rewiring.pruning import prune
from keras_sparse_rnn.rewiring.pruning import pruned_counts
from keras_sparse_rnn.rewiring.random_walk import RandomWalk
from keras_sparse_rnn.rewiring.redistribution import by_momentum
from keras_sparse_rnn.rewiring.redistribution import by_size
from keras_sparse_rnn.rewiring.redistribution import by_survivors
from keras_sparse_rnn.rewiring.redistribution import growth_counts
from keras_sparse_rnn.rewiring.redistribution import shared_growth
from keras_sparse_rnn.rewiring.result import Rewiring
from keras_sparse_rnn.rewiring.rule import RewiringRule
from keras_sparse_rnn.rewiring.rule import deep_r_rule
from keras_sparse_rnn.rewiring.rule import dsr_rule
from keras_sparse_rnn.rewiring.rule import get
from keras_sparse_rnn.rewiring.rule import rigl_rule
from keras_sparse_rnn.rewiring.rule import set_rule
from keras_sparse_rnn.rewiring.rule import snfs_rule
from keras_sparse_rnn.rewiring.rule import st_rnn_rule
from keras_sparse_rnn.rewiring.schedules import Exponential
from keras_sparse_rnn.rewiring.schedules import InversePower
from keras_sparse_rnn.rewiring.schedules import constant
from keras_sparse_rnn.rewiring.schedules import cosine
from keras_sparse_rnn.rewiring.schedules import linear
from keras_sparse_rnn.rewiring.sparsity_schedules import ConstantSparsity
from keras_sparse_rnn.rewiring.sparsity_schedules import CubicSparsity
from keras_sparse_rnn.rewiring.sparsity_schedules import IterativeSparsity
from keras_sparse_rnn.rewiring.sparsity_schedules import OneShotSparsity
from keras_sparse_rnn.rewiring.sparsity_schedules import RampSparsity
from keras_sparse_rnn.rewiring.sparsity_schedules import ask
from keras_sparse_rnn.rewiring.step import Dropped
from keras_sparse_rnn.rewiring.step import drop_connections
from keras_sparse_rnn.rewiring.step import grow_connections
from keras_sparse_rnn.rewiring.step import rewire
from keras_sparse_rnn.rewiring.threshold import adapted_threshold
from keras_sparse_rnn.rewiring.threshold import first_threshold

__all__ = [
    "ConstantSparsity",
    "CubicSparsity",
    "Dropped",
    "Exponential",
    "InversePower",
    "IterativeSparsity",
    "NormalValues",
    "OneShotSparsity",
    "RampSparsity",
    "RandomWalk",
    "Rewiring",
    "RewiringRule",
    "adapted_threshold",
    "ask",
    "below_threshold",
    "by_momentum",
    "by_size",
    "by_survivors",
    "changed_sign",
    "connection_magnitudes",
    "constant",
    "cosine",
    "deep_r_rule",
    "drop_connections",
    "dsr_rule",
    "first_threshold",
    "get",
    "grow_connections",
    "growth_counts",
    "largest_gradient",
    "largest_momentum",
    "linear",
    "pooled_pruned_counts",
    "prune",
    "pruned_counts",
    "random_drop",
    "random_growth",
    "random_growth_elsewhere",
    "rewire",
    "rigl_rule",
    "set_rule",
    "shared_growth",
    "smallest_magnitude",
    "smallest_magnitude_per_sign",
    "snfs_rule",
    "st_rnn_rule",
    "zero_values",
]
