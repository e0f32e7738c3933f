"""Intrinsic sparse structures: hidden units that are learnt to be removed."""

from keras_sparse_rnn.structured.alive_units import alive_units
from keras_sparse_rnn.structured.iss_regularizer import add_iss_regularizer
from keras_sparse_rnn.structured.iss_regularizer import remove_iss_regularizer
from keras_sparse_rnn.structured.shrink import shrink
from keras_sparse_rnn.structured.small_weights import zero_small_weights

__all__ = [
    "add_iss_regularizer",
    "alive_units",
    "remove_iss_regularizer",
    "shrink",
    "zero_small_weights",
]
