"""Sparse LSTM cell and layer."""

import keras
from keras import ops

from keras_sparse_rnn.layers.engine_layer import EngineArgument
from keras_sparse_rnn.layers.signatures import takes_arguments_of
from keras_sparse_rnn.layers.sparse_cell import SparseCell
from keras_sparse_rnn.layers.sparse_recurrent import SparseRecurrentLayer


@keras.saving.register_keras_serializable("keras_sparse_rnn")
@takes_arguments_of(keras.layers.LSTMCell)
class SparseLSTMCell(SparseCell, keras.layers.LSTMCell):
    """LSTM cell with sparse kernels, for `keras.layers.RNN` and stacks.

    Takes every argument of `keras.layers.LSTMCell` and those of `SparseLSTM`.
    A cell that `Bidirectional` copies has the same topology in both
    directions, where `SparseLSTM` has two: a cell does not know its direction.

    `cell.set_weights()` takes the weights of a dense cell too; `set_weights()`
    of the `RNN` around it, or of a model, only those with masks.

    Example:

    ```python
    cells = [ksr.SparseLSTMCell(256, epsilon=10) for _ in range(2)]
    layer = keras.layers.RNN(cells, return_sequences=True)
    ```
    """

    gates = ("i", "f", "c", "o")
    has_kernels = True

    def call_on_product(self, product, states):
        state, carry = states
        sums = product + ops.matmul(state, self.recurrent_kernel)
        i, f, candidate, o = ops.split(sums, 4, axis=-1)
        carry = self.recurrent_activation(
            f
        ) * carry + self.recurrent_activation(i) * self.activation(candidate)
        state = self.recurrent_activation(o) * self.activation(carry)
        return state, [state, carry]


@keras.saving.register_keras_serializable("keras_sparse_rnn")
@takes_arguments_of(keras.layers.LSTM)
class SparseLSTM(SparseRecurrentLayer, keras.layers.LSTM):
    """LSTM layer whose kernel and recurrent kernel are sparse.

    Each gate's part of each matrix has a fixed number of connections. The
    layer computes with them alone, so that gradients, clipping, momentum and
    weight decay see exactly the sparse network. Biases are dense. With
    `sparsity=0` it computes what `keras.layers.LSTM` computes.

    Args:
        units: Positive integer, dimensionality of the output space. This and
            every other argument of `keras.layers.LSTM` is as there.
        epsilon: Float above 0, the sparsity level ε of an Erdős–Rényi
            topology: each group has `epsilon * (inputs + units)` connections.
            Give one of `epsilon`, `sparsity` and `topology`.
        sparsity: Float in `[0, 1)`, the share of places that are empty, the
            same in each group.
        topology: A topology object of `keras_sparse_rnn.topology`, or a
            registered function of `(shape, rng)` that returns a boolean mask
            of that shape for a group; or a dict with one for `"kernel"` and
            one for `"recurrent_kernel"`, in which a list gives one per gate.
        topology_seed: Integer of at least 0, the seed of the topology and of
            its rewiring. Defaults to one that
            `keras.utils.set_random_seed()` determines, which leaves Keras's
            own seeds, and so the initial weights, what they are without it.
            It is saved with the layer. `seed` remains the seed of dropout.
        granularity: String, where counts are exact. `"gate"`: in each gate of
            each matrix. `"kernel"`: in each packed matrix, so that gates may
            come to differ. `"unit"`: one connection between two units carries
            the weights of all gates, and is judged by the sum of their |w|.
            Defaults to `"gate"`.
        keep_diagonal: Boolean, whether each unit keeps its connection to
            itself in each gate of the recurrent kernel, at the start and when
            rewired. Defaults to `False`.
        rescale: Boolean, whether initial weights are multiplied by
            `sqrt(inputs / connections)` of their output, so that the variance
            of its input is that of the dense layer. Defaults to `False`, as in
            the papers.
        clipping: String, the gradient that optimizers see. `"sparse"`: that
            of the connections, 0 elsewhere. `"dense"`: that of every place,
            so that clipping by norm works as in the PyTorch code of the
            papers; empty places are set to 0 after each update, their slots
            are not, and the layer needs the masked engine. It does not go
            with an optimizer's `use_ema=True`. Defaults to `"sparse"`.
        rewiring_state: List of what is kept, and saved, with each matrix for
            a rewiring method: `"momentum"`, the averaged gradient of SNFS, or
            `"signs"`, those of DeepR. The callbacks of these methods see to
            it. Defaults to none.
        engine: String, how the recurrence is executed. `"masked"`: Keras's own
            loop, or cuDNN, on masked matrices. `"native"`: on a CPU, on the
            connections alone. `"auto"`: natively where that is faster, on a
            CPU, at low density and with many units. Outputs and gradients
            agree to float precision. A model saved with `"native"` is masked,
            with a warning, where its file is loaded and there are no kernels.
            Defaults to `"auto"`.
        recompute_gates: Boolean, whether the native engine computes the gates
            again in the backward pass instead of keeping them, which takes
            less memory and more time. Defaults to `False`.

    Call arguments:
        sequences: Float tensor of shape `(batch, timesteps, features)`.
        initial_state: List of two state tensors of shape `(batch, units)`.
        mask: Boolean tensor of shape `(batch, timesteps)`: which time steps
            count. It has nothing to do with the masks of the weights.
        training: Boolean, whether to apply dropout.

    Returns:
        As `keras.layers.LSTM`.

    Raises:
        ValueError: If the topology's arguments are out of range or
            contradict, naming the layer. When it is built, if
            `engine="native"` cannot be had, with the reason. When it is
            exported as it is, if it runs on the native engine.

    Example:

    >>> layer = ksr.SparseLSTM(256, epsilon=10)
    >>> layer(keras.random.normal((32, 100, 256))).shape
    (32, 256)
    >>> [weight.active for weight in layer.sparse_weights]
    [20480, 20480]

    Reference:
        - Liu et al., Neural Computing and Applications 33:9625–9636, 2021
    """

    cell_class = SparseLSTMCell
    recompute_gates = EngineArgument()
