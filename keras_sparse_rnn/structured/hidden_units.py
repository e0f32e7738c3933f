"""The hidden units of a recurrent layer, and what reads them."""

import dataclasses

import keras

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn.structured.unit_places import UnitPlaces


@dataclasses.dataclass(frozen=True)
class Weight:
    """A weight by its layer and name: masked for who computes with it.

    Args:
        layer: Layer or cell that owns it.
        name: String, the name of the attribute, such as `"kernel"`.
    """

    layer: keras.Layer
    name: str

    @property
    def variable(self):
        """`keras.Variable`, `None` if the layer has no such weight."""
        return keras_internals.weight_variable(self.layer, self.name)

    @property
    def effective(self):
        """Variable or tensor that the layer computes with."""
        return getattr(self.layer, self.name)


@dataclasses.dataclass(frozen=True)
class Consumer:
    """Rows of a kernel that read hidden units.

    Args:
        kernel: `Weight` of a `Dense` layer or of a cell.
        start: Integer, the row that reads the first unit.
    """

    kernel: Weight
    start: int


@dataclasses.dataclass(eq=False)
class HiddenUnits:
    """The units of one recurrent layer.

    Args:
        layer: Recurrent layer with a cell of a known class.
        places: `UnitPlaces` of the cell.
        outer: The layer that the model calls: the recurrent layer itself, or
            the `Bidirectional` around it.
        consumers: List of `Consumer`s.
        seen_by: String that says what reads the units otherwise, so that none
            can be removed, or `None`.
    """

    layer: keras.Layer
    places: UnitPlaces
    outer: keras.Layer
    consumers: list = dataclasses.field(default_factory=list)
    seen_by: str | None = None

    @property
    def count(self):
        return self.layer.cell.units

    @property
    def name(self):
        return self.layer.path or self.layer.name

    @property
    def kernels(self):
        return self._weights(self.places.kernels)

    @property
    def recurrent_kernels(self):
        return self._weights(self.places.recurrent_kernels)

    @property
    def biases(self):
        return self._weights(self.places.biases)

    def _weights(self, names):
        return [Weight(self.layer.cell, name) for name in names]
