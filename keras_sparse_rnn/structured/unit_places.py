"""Where the units of a cell are in its weights: one entry a class of cell."""

import dataclasses

import keras
import numpy as np

from keras_sparse_rnn import layers as sparse

# Activations of one unit at a time. Any other, as softmax, reads all of them.
_ELEMENTWISE = frozenset(
    getattr(keras.activations, name)
    for name in (
        "celu",
        "elu",
        "exponential",
        "gelu",
        "hard_shrink",
        "hard_sigmoid",
        "hard_silu",
        "hard_tanh",
        "leaky_relu",
        "linear",
        "log_sigmoid",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "soft_shrink",
        "softplus",
        "softsign",
        "sparse_plus",
        "sparse_sigmoid",
        "squareplus",
        "tanh",
        "tanh_shrink",
        "threshold",
    )
)


@dataclasses.dataclass(frozen=True)
class UnitPlaces:
    """Where unit k of H is in the weights of a class of cell.

    Gates are packed on the last axis, in blocks of H: with g of them, unit k
    is made by the columns {k, k + H, …, k + (g − 1)H} of each matrix and entry
    of each bias, and read by row k of each recurrent one. Axes before the last
    two, as of matrices that are stacked, make no difference.

    Args:
        gates: Integer, the number g of blocks.
        kernels: Tuple of strings, the names of the matrices whose rows are
            inputs. The first one carries the regularizer.
        recurrent_kernels: Tuple of strings, the names of the matrices whose
            rows are units.
        biases: Tuple of strings, the names of the biases.
        activations: Tuple of strings, the names of the activations.
    """

    gates: int
    kernels: tuple = ("kernel",)
    recurrent_kernels: tuple = ("recurrent_kernel",)
    biases: tuple = ("bias",)
    activations: tuple = ("activation", "recurrent_activation")

    def columns(self, chosen):
        """Places on the last axis of what makes some of the units.

        Args:
            chosen: Boolean array of shape `(units,)`.

        Returns:
            Integer array.
        """
        return np.flatnonzero(np.tile(chosen, self.gates))


def _lstm(cell):
    return UnitPlaces(gates=4)


def _gru(cell):
    return UnitPlaces(gates=3)


def _simple_rnn(cell):
    return UnitPlaces(gates=1, activations=("activation",))


def _rhn(cell):
    return UnitPlaces(
        gates=len(cell.gates),
        recurrent_kernels=cell.recurrent_kernel_names,
        biases=cell.bias_names,
    )


_PLACES = {
    keras.layers.GRUCell: _gru,
    keras.layers.LSTMCell: _lstm,
    keras.layers.SimpleRNNCell: _simple_rnn,
    sparse.RHNCell: _rhn,
    sparse.SparseGRUCell: _gru,
    sparse.SparseLSTMCell: _lstm,
    sparse.SparseRHNCell: _rhn,
    sparse.SparseSimpleRNNCell: _simple_rnn,
}


_LAYERS = (
    keras.layers.GRU,
    keras.layers.LSTM,
    keras.layers.RNN,
    keras.layers.SimpleRNN,
    sparse.RHN,
    sparse.SparseGRU,
    sparse.SparseLSTM,
    sparse.SparseRHN,
    sparse.SparseSimpleRNN,
)


def places_in(layer):
    """The `UnitPlaces` of a recurrent layer's cell.

    `None` if it is no recurrent layer, or not one of a class that is known: a
    subclass may do anything with its units.
    """
    places = _PLACES.get(type(layer.cell)) if type(layer) in _LAYERS else None
    return places and places(layer.cell)


def is_elementwise(activation):
    """Whether an activation is known to take each unit on its own."""
    return activation is None or activation in _ELEMENTWISE
