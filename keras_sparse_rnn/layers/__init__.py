"""Keras layers and cells, most of them with sparse matrices."""

from keras_sparse_rnn.layers.rhn import RHN
from keras_sparse_rnn.layers.rhn_cell import RHNCell
from keras_sparse_rnn.layers.sparse_dense import SparseDense
from keras_sparse_rnn.layers.sparse_embedding import SparseEmbedding
from keras_sparse_rnn.layers.sparse_gru import SparseGRU
from keras_sparse_rnn.layers.sparse_gru import SparseGRUCell
from keras_sparse_rnn.layers.sparse_lstm import SparseLSTM
from keras_sparse_rnn.layers.sparse_lstm import SparseLSTMCell
from keras_sparse_rnn.layers.sparse_reversible_embedding import (
    SparseReversibleEmbedding,
)
from keras_sparse_rnn.layers.sparse_rhn import SparseRHN
from keras_sparse_rnn.layers.sparse_rhn import SparseRHNCell
from keras_sparse_rnn.layers.sparse_simple_rnn import SparseSimpleRNN
from keras_sparse_rnn.layers.sparse_simple_rnn import SparseSimpleRNNCell
from keras_sparse_rnn.layers.word_dropout import WordDropout

__all__ = [
    "RHN",
    "RHNCell",
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
    "WordDropout",
]
