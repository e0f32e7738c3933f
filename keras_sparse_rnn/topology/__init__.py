"""Where the connections are at the start: pure NumPy, no Keras.

A topology is anything that is called as `topology(shape, rng)` and returns a
boolean mask of that shape. The ones here hold an exact number of connections.
"""

from keras_sparse_rnn.topology.allocation import allocate
from keras_sparse_rnn.topology.diagonal import on_diagonal
from keras_sparse_rnn.topology.diagonal import with_diagonal
from keras_sparse_rnn.topology.erdos_renyi import ErdosRenyi
from keras_sparse_rnn.topology.fixed_count import FixedCount
from keras_sparse_rnn.topology.groups import GRANULARITIES
from keras_sparse_rnn.topology.groups import Group
from keras_sparse_rnn.topology.groups import matrix_groups
from keras_sparse_rnn.topology.random_places import random_mask
from keras_sparse_rnn.topology.random_places import random_places
from keras_sparse_rnn.topology.uniform import Uniform

__all__ = [
    "GRANULARITIES",
    "ErdosRenyi",
    "FixedCount",
    "Group",
    "Uniform",
    "allocate",
    "matrix_groups",
    "on_diagonal",
    "random_mask",
    "random_places",
    "with_diagonal",
]
