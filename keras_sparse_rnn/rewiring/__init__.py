"""Rewiring, one prune-and-regrow step: pure NumPy, no Keras.

A rewiring rule is a drop rule, a grow rule, the values of new connections and
a schedule for the rewire rate.
"""

from keras_sparse_rnn.rewiring.drop import smallest_magnitude
from keras_sparse_rnn.rewiring.drop import smallest_magnitude_per_sign
from keras_sparse_rnn.rewiring.grow import random_growth
from keras_sparse_rnn.rewiring.new_values import NormalValues
from keras_sparse_rnn.rewiring.new_values import zero_values
from keras_sparse_rnn.rewiring.rule import RewiringRule
from keras_sparse_rnn.rewiring.rule import get
from keras_sparse_rnn.rewiring.rule import set_rule
from keras_sparse_rnn.rewiring.rule import st_rnn_rule
from keras_sparse_rnn.rewiring.schedules import constant
from keras_sparse_rnn.rewiring.schedules import cosine
from keras_sparse_rnn.rewiring.step import Rewiring
from keras_sparse_rnn.rewiring.step import rewire

__all__ = [
    "NormalValues",
    "Rewiring",
    "RewiringRule",
    "constant",
    "cosine",
    "get",
    "random_growth",
    "rewire",
    "set_rule",
    "smallest_magnitude",
    "smallest_magnitude_per_sign",
    "st_rnn_rule",
    "zero_values",
]
