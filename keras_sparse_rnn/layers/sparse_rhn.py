"""Sparse recurrent highway network (RHN): cell and layer."""

import keras

from keras_sparse_rnn.layers.engine_arguments import EngineArguments
from keras_sparse_rnn.layers.rhn import RHN
from keras_sparse_rnn.layers.rhn_cell import RHNCell
from keras_sparse_rnn.layers.signatures import takes_arguments_of
from keras_sparse_rnn.layers.sparse_cell import SparseCell
from keras_sparse_rnn.layers.sparse_recurrent import SparseRecurrentLayer
from keras_sparse_rnn.layers.topology_arguments import TopologyArguments


@keras.saving.register_keras_serializable("keras_sparse_rnn")
@takes_arguments_of(RHNCell)
class SparseRHNCell(SparseCell, RHNCell):
    """Cell of a recurrent highway network with sparse matrices.

    Takes every argument of `RHNCell` and those of `SparseLSTM`, but for
    `engine` and `recompute_gates`: there are no native kernels for it. The
    kernel and the recurrent kernel of each micro-layer are sparse. See
    `SparseLSTMCell`.

    Example:

    >>> cell = ksr.SparseRHNCell(256, depth=5, sparsity=0.5)
    >>> keras.layers.RNN(cell)(keras.random.normal((32, 100, 64))).shape
    (32, 256)
    """

    # Those of `RHNCell`, which the mix-ins come before.
    gates = RHNCell.gates

    @property
    def sparse_names(self):
        return ("kernel", *self.recurrent_kernel_names)

    @property
    def recurrent_names(self):
        return self.recurrent_kernel_names

    @classmethod
    def names_and_gates(cls, plain):
        return ("kernel", *plain.recurrent_kernel_names), plain.gates


@keras.saving.register_keras_serializable("keras_sparse_rnn")
@takes_arguments_of(RHN)
class SparseRHN(SparseRecurrentLayer, RHN):
    """Recurrent highway network layer whose matrices are sparse.

    The kernel and the recurrent kernel of each micro-layer are matrices of
    their own: each gate's part of each has a fixed number of connections.
    Biases are dense. With `sparsity=0` it computes what `RHN` computes.

    Args:
        units: Integer of at least 1, dimensionality of the output space.
        depth: Integer of at least 1, the number of micro-layers. These and
            every other argument of `RHN` are as there.
        epsilon: Float above 0, see `SparseLSTM`.
        sparsity: Float in `[0, 1)`, see `SparseLSTM`.
        topology: As for `SparseLSTM`; a dict has one for `"kernel"` and one
            for each of `"recurrent_kernel_0"`, `"recurrent_kernel_1"`, ….
        topology_seed: Integer of at least 0, see `SparseLSTM`.
        granularity: `"gate"`, `"kernel"` or `"unit"`, see `SparseLSTM`.
        keep_diagonal: Boolean, of every recurrent kernel, see `SparseLSTM`.
        rescale: Boolean, see `SparseLSTM`.
        clipping: `"sparse"` or `"dense"`, see `SparseLSTM`.
        rewiring_state: List of strings, see `SparseLSTM`.
        engine: String. `"auto"` and `"masked"` are the same: there are no
            native kernels for recurrent highway networks. Defaults to
            `"auto"`.

    Call arguments:
        sequences: Float tensor of shape `(batch, timesteps, features)`.
        initial_state: State tensor of shape `(batch, units)`, or a list of it.
        mask: Boolean tensor of shape `(batch, timesteps)`: which time steps
            count. It has nothing to do with the masks of the weights.
        training: Boolean, whether to apply dropout.

    Returns:
        As `RHN`.

    Raises:
        ValueError: If an argument is out of range, or those of the topology
            contradict, naming the layer. When it is built, if
            `engine="native"`.

    Example:

    >>> layer = ksr.SparseRHN(830, depth=10, sparsity=0.528)
    >>> layer(keras.random.normal((32, 35, 830))).shape
    (32, 830)

    Reference:
        - Liu et al., Neural Computing and Applications 33:9625–9636, 2021
        - Zilly et al., Recurrent Highway Networks, ICML 2017
    """

    cell_class = SparseRHNCell
    argument_classes = (TopologyArguments, EngineArguments)
