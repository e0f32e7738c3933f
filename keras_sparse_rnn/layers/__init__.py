"""Keras layers and cells, most of them with sparse matrices."""

from keras_sparse_rnn.layers.sparse_dense import SparseDense
from keras_sparse_rnn.layers.sparse_embedding import SparseEmbedding
from keras_sparse_rnn.layers.sparse_gru import SparseGRU
from keras_sparse_rnn.layers.sparse_gru import SparseGRUCell
from keras_sparse_rnn.layers.sparse_lstm import SparseLSTM
from keras_sparse_rnn.layers.sparse_lstm import SparseLSTMCell
from keras_sparse_rnn.layers.sparse_reversible_embedding import (
    SparseReversibleEmbedding,
)
from keras_sparse_rnn.layers.sparse_simple_rnn import SparseSimpleRNN
from keras_sparse_rnn.layers.sparse_simple_rnn import SparseSimpleRNNCell
from keras_sparse_rnn.layers.word_dropout import WordDropout

__all__ = [
    "SparseDense",
    "SparseEmbedding",
    "SparseGRU",
    "SparseGRUCell",
    "SparseLSTM",
    "SparseLSTMCell",
    "SparseReversibleEmbedding",
    "SparseSimpleRNN",
    "SparseSimpleRNNCell",
    "WordDropout",
]
