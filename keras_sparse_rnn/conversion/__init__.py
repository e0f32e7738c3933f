"""From plain Keras models to sparse ones and back."""

from keras_sparse_rnn.conversion.dense_weights import load_dense_weights
from keras_sparse_rnn.conversion.sparsify import sparsify
from keras_sparse_rnn.conversion.strip import strip_sparsity

__all__ = ["load_dense_weights", "sparsify", "strip_sparsity"]
