"""Groups: the units of a weight matrix in which connections are counted."""

import dataclasses

import numpy as np

GRANULARITIES = ("gate", "kernel", "unit")


@dataclasses.dataclass(frozen=True)
class Group:
    """A range of columns of a packed matrix with its own count of connections.

    Keras packs the gates of a cell side by side on the last axis, so a gate is
    a range of columns. Where one connection carries the weights of several
    gates (`granularity="unit"`), the range holds `tied` blocks of the same
    width and a connection is the same place in each of them.

    Args:
        name: String, the gate's name, or `"all"`.
        start: Integer, the first column.
        stop: Integer, one past the last column.
        tied: Integer, the number of weights that one connection carries.
            Defaults to `1`.

    Example:

    >>> group = Group("i", 0, 4)
    >>> mask[group.columns].sum()  # connections of the input gate
    """

    name: str
    start: int
    stop: int
    tied: int = 1

    @property
    def columns(self):
        """Index of the group's part of a matrix: `matrix[group.columns]`."""
        return (slice(None), slice(self.start, self.stop))

    def shape(self, rows):
        """Shape `(inputs, outputs)` in which the connections are counted."""
        return (rows, (self.stop - self.start) // self.tied)

    def view(self, matrix):
        """The group's part of `matrix` as `(inputs, tied, outputs)`, no copy.

        Args:
            matrix: NumPy array of shape `(inputs, columns)`.

        Returns:
            A view of shape `(inputs, tied, outputs)`.
        """
        rows, outputs = self.shape(matrix.shape[0])
        return matrix[self.columns].reshape(rows, self.tied, outputs)

    def is_tied_in(self, mask):
        """Whether each connection of `mask` carries all of its weights.

        Args:
            mask: Boolean NumPy array of shape `(inputs, columns)`.

        Returns:
            A boolean, `True` for every mask unless `tied` is above 1.
        """
        gates = self.view(mask)
        return self.tied == 1 or bool((gates == gates[:, :1]).all())

    def packed_places(self, places, rows, columns):
        """Flat places in the packed matrix that these connections carry.

        Args:
            places: Integer array, flat places in `group.shape(rows)`.
            rows: Integer, the matrix's number of rows.
            columns: Integer, the packed matrix's number of columns.

        Returns:
            Integer array of `len(places) * tied` flat places.
        """
        _, outputs = self.shape(rows)
        row, output = places // outputs, places % outputs
        first = row * columns + self.start + output
        if self.tied == 1:
            return first
        blocks = outputs * np.arange(self.tied)
        return (first[:, None] + blocks).reshape(-1)


def matrix_groups(columns, gates=("all",), granularity="gate"):
    """Splits the columns of a packed matrix into groups.

    Args:
        columns: Integer, columns of the packed matrix, the same number for
            each gate.
        gates: Tuple of strings, the gates in Keras's order.
        granularity: String. `"gate"`: one group per gate; `"kernel"`: the
            packed matrix is one group; `"unit"`: one group whose connections
            each carry the weights of all gates. Defaults to `"gate"`.

    Returns:
        A tuple of `Group`s.

    Raises:
        ValueError: If `granularity` is unknown.
    """
    if granularity not in GRANULARITIES:
        raise ValueError(
            f"`granularity` must be one of {GRANULARITIES}. "
            f"Received: granularity={granularity!r}"
        )
    if granularity == "kernel" or len(gates) == 1:
        return (Group("all", 0, columns),)
    if granularity == "unit":
        return (Group("all", 0, columns, tied=len(gates)),)
    width = columns // len(gates)
    return tuple(
        Group(gate, index * width, (index + 1) * width)
        for index, gate in enumerate(gates)
    )
