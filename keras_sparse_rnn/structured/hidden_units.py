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
        input_axis: Integer, the axis of what it reads: its rows, or `-1`, as
            of a table that is transposed to decode. Defaults to `-2`.
    """

    layer: keras.Layer
    name: str
    input_axis: int = -2

    @property
    def variable(self):
        """`keras.Variable`, `None` if the layer has no such weight."""
        return keras_internals.weight_variable(self.layer, self.name)

    @property
    def effective(self):
        """Variable or tensor that the layer computes with."""
        return getattr(self.layer, self.name)

    def place(self, rows):
        """The index of a slice along `input_axis`, in an array of its shape."""
        return (
            (..., rows) if self.input_axis == -1 else (..., rows, slice(None))
        )


@dataclasses.dataclass(frozen=True)
class Consumer:
    """Rows of a kernel that read hidden units.

    Args:
        kernel: `Weight` of a `Dense` layer or of a cell, or of a table that
            decodes, whose columns are meant then.
        start: Integer, the row that reads the first unit.
    """

    kernel: Weight
    start: int


@dataclasses.dataclass(eq=False)
class TiedTable:
    """What an embedding looks up that decodes with the same table.

    Column k of the table both makes its feature k and reads unit k of what is
    decoded: without that unit the feature is nothing but zeros.

    Args:
        layer: `ReversibleEmbedding` or `SparseReversibleEmbedding`.
        consumers: List of `Consumer`s of its features.
        seen_by: As of `HiddenUnits`.
    """

    layer: keras.Layer
    consumers: list = dataclasses.field(default_factory=list)
    seen_by: str | None = None

    @property
    def count(self):
        return self.layer.output_dim

    @property
    def decoder(self):
        """`Weight`."""
        return Weight(self.layer, "embeddings", input_axis=-1)


@dataclasses.dataclass(eq=False)
class HiddenUnits:
    """The units of one recurrent layer.

    Args:
        layer: Recurrent layer with a cell of a known class.
        places: `UnitPlaces` of the cell.
        outer: The layer that the model calls: the recurrent layer itself, or
            the `Bidirectional` around it.
        consumers: List of `Consumer`s.
        lookup_consumers: List of `Consumer`s of the same features of a tied
            embedding: these go with the units.
        seen_by: String that says what reads the units otherwise, so that none
            can be removed, or `None`.
    """

    layer: keras.Layer
    places: UnitPlaces
    outer: keras.Layer
    consumers: list = dataclasses.field(default_factory=list)
    lookup_consumers: list = dataclasses.field(default_factory=list)
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
    def removed_rows(self):
        """Pairs of a `Weight` and a slice along its `input_axis`."""
        return [
            (each.kernel, slice(each.start, each.start + self.count))
            for each in (*self.consumers, *self.lookup_consumers)
        ]

    @property
    def biases(self):
        return self._weights(self.places.biases)

    def _weights(self, names):
        return [Weight(self.layer.cell, name) for name in names]
