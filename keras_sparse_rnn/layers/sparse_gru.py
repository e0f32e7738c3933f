"""Sparse GRU cell and layer."""

import keras
from keras import ops

from keras_sparse_rnn.layers.engine_layer import EngineArgument
from keras_sparse_rnn.layers.signatures import takes_arguments_of
from keras_sparse_rnn.layers.sparse_cell import SparseCell
from keras_sparse_rnn.layers.sparse_recurrent import SparseRecurrentLayer


@keras.saving.register_keras_serializable("keras_sparse_rnn")
@takes_arguments_of(keras.layers.GRUCell)
class SparseGRUCell(SparseCell, keras.layers.GRUCell):
    """GRU cell with sparse kernels, for `keras.layers.RNN` and stacks.

    Takes every argument of `keras.layers.GRUCell` and those of `SparseLSTM`.
    See `SparseLSTMCell`.

    Example:

    >>> layer = keras.layers.RNN(ksr.SparseGRUCell(256, sparsity=0.9))
    >>> layer(keras.random.normal((32, 100, 256))).shape
    (32, 256)
    """

    gates = ("z", "r", "h")
    has_kernels = True

    def call_on_product(self, product, states):
        [state] = states
        recurrent_kernel = self.recurrent_kernel
        of_gates = 2 * self.units
        if self.reset_after:
            recurrent = ops.matmul(state, recurrent_kernel)
            if self.bias is not None:
                recurrent = recurrent + ops.convert_to_tensor(self.bias)[1]
        else:
            recurrent = ops.matmul(state, recurrent_kernel[:, :of_gates])
        z, r = ops.split(
            self.recurrent_activation(
                product[:, :of_gates] + recurrent[:, :of_gates]
            ),
            2,
            axis=-1,
        )
        if self.reset_after:
            candidate = r * recurrent[:, of_gates:]
        else:
            candidate = ops.matmul(r * state, recurrent_kernel[:, of_gates:])
        candidate = self.activation(product[:, of_gates:] + candidate)
        state = z * state + (1 - z) * candidate
        return state, [state]


@keras.saving.register_keras_serializable("keras_sparse_rnn")
@takes_arguments_of(keras.layers.GRU)
class SparseGRU(SparseRecurrentLayer, keras.layers.GRU):
    """GRU layer whose kernel and recurrent kernel are sparse.

    Args:
        units: Positive integer, dimensionality of the output space. This and
            every other argument of `keras.layers.GRU` is as there.
        epsilon: Float above 0, see `SparseLSTM`.
        sparsity: Float in `[0, 1)`, see `SparseLSTM`.
        topology: See `SparseLSTM`.
        topology_seed: Integer of at least 0, see `SparseLSTM`.
        granularity: `"gate"`, `"kernel"` or `"unit"`, see `SparseLSTM`.
        keep_diagonal: Boolean, see `SparseLSTM`.
        rescale: Boolean, see `SparseLSTM`.
        clipping: `"sparse"` or `"dense"`, see `SparseLSTM`.
        rewiring_state: List of strings, see `SparseLSTM`.
        engine: `"auto"`, `"masked"` or `"native"`, see `SparseLSTM`.
        recompute_gates: Boolean, see `SparseLSTM`.

    Call arguments:
        sequences: Float tensor of shape `(batch, timesteps, features)`.
        initial_state: State tensor of shape `(batch, units)`.
        mask: Boolean tensor of shape `(batch, timesteps)`: which time steps
            count. It has nothing to do with the masks of the weights.
        training: Boolean, whether to apply dropout.

    Returns:
        As `keras.layers.GRU`.

    Raises:
        ValueError: If the topology's arguments are out of range or
            contradict, naming the layer. When it is built, if
            `engine="native"` cannot be had, with the reason. When it is
            exported as it is, if it runs on the native engine.

    Example:

    >>> layer = ksr.SparseGRU(256, sparsity=0.9)
    >>> layer(keras.random.normal((32, 100, 256))).shape
    (32, 256)
    """

    cell_class = SparseGRUCell
    recompute_gates = EngineArgument()
