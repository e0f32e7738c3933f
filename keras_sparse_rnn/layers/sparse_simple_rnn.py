"""Sparse simple recurrent cell and layer."""

import keras
from keras import ops

from keras_sparse_rnn.layers.engine_layer import EngineArgument
from keras_sparse_rnn.layers.signatures import takes_arguments_of
from keras_sparse_rnn.layers.sparse_cell import SparseCell
from keras_sparse_rnn.layers.sparse_recurrent import SparseRecurrentLayer


@keras.saving.register_keras_serializable("keras_sparse_rnn")
@takes_arguments_of(keras.layers.SimpleRNNCell)
class SparseSimpleRNNCell(SparseCell, keras.layers.SimpleRNNCell):
    """Simple recurrent cell with sparse kernels.

    Takes every argument of `keras.layers.SimpleRNNCell` and those of
    `SparseLSTM`. See `SparseLSTMCell`.

    Example:

    >>> cell = ksr.SparseSimpleRNNCell(64, activation="relu", sparsity=0.9)
    >>> keras.layers.RNN(cell)(keras.random.normal((32, 20, 16))).shape
    (32, 64)
    """

    has_kernels = True

    def call_on_product(self, product, states):
        [state] = states
        state = product + ops.matmul(state, self.recurrent_kernel)
        if self.activation is not None:
            state = self.activation(state)
        return state, [state]


@keras.saving.register_keras_serializable("keras_sparse_rnn")
@takes_arguments_of(keras.layers.SimpleRNN)
class SparseSimpleRNN(SparseRecurrentLayer, keras.layers.SimpleRNN):
    """Simple recurrent layer, of any activation, with sparse kernels.

    Args:
        units: Positive integer, dimensionality of the output space. This and
            every other argument of `keras.layers.SimpleRNN` is as there.
        epsilon: Float above 0, see `SparseLSTM`.
        sparsity: Float in `[0, 1)`, see `SparseLSTM`.
        topology: See `SparseLSTM`.
        topology_seed: Integer of at least 0, see `SparseLSTM`.
        granularity: As for `SparseLSTM`; with one matrix instead of gates the
            three values mean the same.
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
        As `keras.layers.SimpleRNN`.

    Raises:
        ValueError: If the topology's arguments are out of range or
            contradict, naming the layer. When it is built, if
            `engine="native"` cannot be had, with the reason. When it is
            exported as it is, if it runs on the native engine.

    Example:

    >>> layer = ksr.SparseSimpleRNN(64, activation="relu", sparsity=0.9)
    >>> layer(keras.random.normal((32, 20, 16))).shape
    (32, 64)
    """

    cell_class = SparseSimpleRNNCell
    recompute_gates = EngineArgument()
