"""Connections as lists, in the order in which kernels read them.

Pure NumPy.
"""

import dataclasses

import numpy as np

# As in `kernels/recurrence.h`.
PADDING = 16
GROUP = 16
# Keras's names of the matrices, of which a product has the first.
MATRIX_NAMES = ("kernel", "recurrent_kernel")
# Of both matrices together, which the kernels number by `int32`.
MOST_PLACES = np.iinfo(np.int32).max


@dataclasses.dataclass(frozen=True)
class CellKind:
    """How the gates of a packed matrix become rows of sums.

    Attributes:
        number: Integer by which the kernels know the cell.
        rows: Integer, sums of a unit.
        input_rows: Tuple, for each gate the row that its inputs go to.
        state_rows: Tuple, for each gate the row that its state goes to.
        states: Integer, how many state arrays a unit has; 0 for a product,
            which has no recurrent matrix either.
        resets_before: Boolean, whether the last gate sees the reset state.
        bias_parts: Integer, 2 where Keras has biases of inputs and state apart.
    """

    number: int
    rows: int
    input_rows: tuple
    state_rows: tuple
    states: int = 1
    resets_before: bool = False
    bias_parts: int = 1

    @property
    def gates(self):
        return len(self.input_rows)

    @property
    def can_be_tied(self):
        """Whether there are kernels for gates that share connections."""
        return self.gates > 1 and not self.resets_before


LSTM = CellKind(0, 4, (0, 1, 2, 3), (0, 1, 2, 3), states=2)
GRU_RESET_AFTER = CellKind(1, 4, (0, 1, 2), (0, 1, 3), bias_parts=2)
GRU_RESET_BEFORE = CellKind(2, 4, (0, 1, 2), (0, 1, 3), resets_before=True)
SIMPLE_RNN_TANH = CellKind(3, 1, (0,), (0,))
SIMPLE_RNN_RELU = CellKind(4, 1, (0,), (0,))
PRODUCT = CellKind(5, 1, (0,), (0,), states=0)


@dataclasses.dataclass(frozen=True)
class Lists:
    """Sums over connections, for each of several results.

    Attributes:
        starts: `int32` array of shape `(results + 1,)`.
        sources: `int32` array, padded by zeros: what each connection reads.
        order: `int32` array of shape `(results,)`: within groups, results with
            as many connections follow each other.
    """

    starts: np.ndarray
    sources: np.ndarray
    order: np.ndarray

    def ends(self):
        """Two arrays: the result and the source of each connection."""
        results = np.arange(len(self.starts) - 1)
        count = self.starts[-1]
        return np.repeat(results, np.diff(self.starts)), self.sources[:count]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the weights of a recurrent layer, or of a product, belong.

    Attributes:
        kind: `CellKind`.
        inputs: Integer, rows of the kernel.
        units: Integer.
        input_copies: Integer, dropout masks of the inputs, at least 1.
        state_copies: Integer, dropout masks of the state, at least 1.
        tied: Boolean, whether lists are shared by the gates of a unit.

    Raises:
        ValueError: If there are more than `MOST_PLACES`.
    """

    kind: CellKind
    inputs: int
    units: int
    input_copies: int
    state_copies: int
    tied: bool

    def __post_init__(self):
        if self.place_count > MOST_PLACES:
            raise ValueError(
                f"The native engine takes matrices of {MOST_PLACES:,} places "
                f"at most. Received: shapes={self.matrix_shapes}"
            )

    @property
    def columns(self):
        return self.kind.gates * self.units

    @property
    def matrix_shapes(self):
        """Shapes of the kernel and, but for a product, the recurrent kernel."""
        kernel, recurrent_kernel = (
            (rows, self.columns) for rows in (self.inputs, self.units)
        )
        return (kernel, recurrent_kernel) if self.kind.states else (kernel,)

    @property
    def place_count(self):
        """Places of all matrices."""
        return sum(rows * columns for rows, columns in self.matrix_shapes)

    def matrix_of(self, places):
        """For each flat place 0 if it is in the kernel, or 1."""
        return (places >= self.inputs * self.columns).astype(int)

    @property
    def weights_per_connection(self):
        return self.kind.gates if self.tied else 1

    @property
    def state_start(self):
        """The first feature of the state."""
        return self.input_copies * self.inputs

    @property
    def reset_start(self):
        """The first feature of the reset state, behind all others."""
        states = self.units if self.kind.states else 0
        return self.state_start + self.state_copies * states

    def ends(self, places):
        """What the connections at flat places connect.

        Args:
            places: `int64` array, where gates share lists of the first gate.

        Returns:
            Tuple of two arrays: the row of sums, and the feature.
        """
        kernel_size = self.inputs * self.columns
        of_state = places >= kernel_size
        source, column = np.divmod(
            places - of_state * kernel_size, self.columns
        )
        gate, unit = np.divmod(column, self.units)
        feature = source + of_state * self.state_start
        if self.input_copies > 1:
            feature += ~of_state * gate * self.inputs
        if self.state_copies > 1:
            feature += of_state * gate * self.units
        if self.kind.resets_before:
            resets = of_state & (gate == 2)
            feature = np.where(resets, self.reset_start + source, feature)
        if self.tied:
            return 2 * unit + of_state, feature
        row = np.where(
            of_state,
            np.take(self.kind.state_rows, gate),
            np.take(self.kind.input_rows, gate),
        )
        return unit * self.kind.rows + row, feature


@dataclasses.dataclass(frozen=True)
class Connections(Layout):
    """The connections of a recurrent layer, or of a product.

    Attributes:
        rows: `Lists`, of each row of sums, from which features.
        features: `Lists`, of each feature, to which rows, or units.
        places: `int32` array, for each weight of `rows`, in their order, the
            flat place in kernel and recurrent kernel, one after the other.
        turned: `int32` array, for each weight of `features` its number in
            `places`.
    """

    rows: Lists
    features: Lists
    places: np.ndarray
    turned: np.ndarray


def arrange(layout, places):
    """The lists of the connections at some places.

    Args:
        layout: `Layout`.
        places: `int64` array without repeats: flat places in kernel and
            recurrent kernel, one after the other; where gates share lists, of
            the first gate alone.

    Returns:
        `Connections`, whose arrays are read-only.
    """
    kind, tied, units = layout.kind, layout.tied, layout.units
    row, feature = layout.ends(places)
    forward = np.lexsort((feature, row))
    row, feature, places = row[forward], feature[forward], places[forward]

    if tied:
        row_order = np.arange(0)
        row_count, sink = 2 * units, row // 2
    else:
        row_count, sink = kind.rows * units, row
        last = np.arange(row_count) % kind.rows == 3
        row_order = _order(
            np.bincount(row, minlength=row_count),
            GROUP * kind.rows,
            last & kind.resets_before,
        )
    backward = np.lexsort((sink, feature))
    reset_start = layout.reset_start
    feature_count = reset_start + (units if kind.resets_before else 0)
    counts = np.bincount(feature, minlength=feature_count)
    return Connections(
        **vars(layout),
        rows=_lists(row, feature, row_count, row_order),
        features=_lists(
            feature[backward],
            sink[backward],
            feature_count,
            # The reset state is summed apart, before all others.
            np.concatenate(
                [
                    _order(counts[:reset_start], GROUP),
                    reset_start + _order(counts[reset_start:], GROUP),
                ]
            ),
        ),
        places=_of_gates(layout, places, units),
        turned=_of_gates(layout, backward * layout.weights_per_connection),
    )


def weights_fit(connections):
    """Whether `places` and `turned` are those of the lists' connections.

    Args:
        connections: `Connections`, of lists in range and in order.

    Returns:
        Boolean.
    """
    each = connections.weights_per_connection
    places = connections.places[::each].astype(np.int64)
    turned = connections.turned[::each] // each
    if not (
        _in_range(places, connections.place_count)
        and _in_range(turned, len(places))
    ):
        return False
    is_first = places % connections.columns < connections.units
    if connections.tied and not is_first.all():
        return False
    rows, features = connections.rows.ends()
    # No two connections are the same, so that each weight comes once.
    sinks = rows // 2 if connections.tied else rows
    for found, expected in (
        (connections.places, _of_gates(connections, places, connections.units)),
        (connections.turned, _of_gates(connections, turned * each)),
        (connections.ends(places), (rows, features)),
        (connections.features.ends(), (features[turned], sinks[turned])),
    ):
        if not np.array_equal(found, expected):
            return False
    return True


def row_bias(kind, bias, units):
    """A layer's bias, row by row of the kernels.

    Args:
        kind: `CellKind`.
        bias: Float array of shape `(gates * units,)`, `(2, gates * units)`
            for inputs and state apart, or `None`.
        units: Integer.

    Returns:
        Float array of shape `(units * rows,)`.
    """
    rows = np.zeros((units, kind.rows), np.float32)
    if bias is not None:
        parts = np.reshape(bias, (-1, kind.gates, units))
        for part, to_rows in zip(
            parts, (kind.input_rows, kind.state_rows), strict=False
        ):
            for gate, row in enumerate(to_rows):
                rows[:, row] += part[gate]
    return rows.ravel()


def bias_gradient(kind, gradient, shape):
    """The gradient of a bias from that of its rows.

    Args:
        kind: `CellKind`.
        gradient: Float array of shape `(units * rows,)`.
        shape: Tuple, the shape of the bias.

    Returns:
        Float array of shape `shape`.
    """
    rows = gradient.reshape(-1, kind.rows)
    parts = 2 if len(shape) == 2 else 1
    columns = [
        rows[:, row]
        for to_rows in (kind.input_rows, kind.state_rows)[:parts]
        for row in to_rows
    ]
    return np.concatenate(columns).reshape(shape)


def _of_gates(layout, first, step=1):
    """For each connection the numbers of its weights, one after the other."""
    gates = np.arange(layout.weights_per_connection)
    numbers = first[:, None] + gates * step
    return _read_only(np.array(numbers.ravel(), np.int32))


def _in_range(numbers, end):
    return ((numbers >= 0) & (numbers < end)).all()


def _lists(sinks, sources, count, order):
    starts = np.zeros(count + 1, np.int32)
    np.cumsum(np.bincount(sinks, minlength=count), out=starts[1:])
    padded = np.zeros(len(sources) + PADDING, np.int32)
    padded[: len(sources)] = sources
    order = np.array(order, np.int32)
    return Lists(*map(_read_only, (starts, padded, order)))


def _read_only(array):
    """The same array, which is checked once and must not change after that."""
    array.flags.writeable = False
    return array


def _order(counts, group, last=None):
    """Within groups by count, those that come `last` after all others."""
    index = np.arange(len(counts))
    last = np.zeros(len(counts), bool) if last is None else last
    return np.lexsort((index, counts, last, index // group))
