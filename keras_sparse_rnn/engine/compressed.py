"""Masks compressed to lists of connections, in the order kernels read them.

Pure NumPy. The lists are made anew only when a mask has changed.
"""

import dataclasses

import numpy as np

# As in `kernels/recurrence.h`.
PADDING = 16
GROUP = 16


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
    """

    number: int
    rows: int
    input_rows: tuple
    state_rows: tuple
    states: int = 1
    resets_before: bool = False

    @property
    def gates(self):
        return len(self.input_rows)

    @property
    def can_be_tied(self):
        """Whether there are kernels for gates that share connections."""
        return self.gates > 1 and not self.resets_before


LSTM = CellKind(0, 4, (0, 1, 2, 3), (0, 1, 2, 3), states=2)
GRU_RESET_AFTER = CellKind(1, 4, (0, 1, 2), (0, 1, 3))
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


@dataclasses.dataclass(frozen=True)
class Connections:
    """The connections of a recurrent layer, or of a product.

    Attributes:
        kind: `CellKind`.
        inputs: Integer, rows of the kernel.
        units: Integer.
        input_copies: Integer, dropout masks of the inputs, at least 1.
        state_copies: Integer, dropout masks of the state, at least 1.
        tied: Boolean, whether lists are shared by the gates of a unit.
        rows: `Lists`, of each row of sums, from which features.
        features: `Lists`, of each feature, to which rows, or units.
        places: `int32` array, for each weight of `rows`, in their order, the
            flat place in kernel and recurrent kernel, one after the other.
        turned: `int32` array, for each weight of `features` its number in
            `places`.
    """

    kind: CellKind
    inputs: int
    units: int
    input_copies: int
    state_copies: int
    tied: bool
    rows: Lists
    features: Lists
    places: np.ndarray
    turned: np.ndarray


def compress(
    kind, kernel_mask, recurrent_mask=None, input_copies=1, state_copies=1
):
    """The connections of two masks, or of one.

    Args:
        kind: `CellKind`.
        kernel_mask: Boolean array of shape `(inputs, gates * units)`.
        recurrent_mask: Boolean array of shape `(units, gates * units)`, or
            `None` for a product.
        input_copies: Integer, 1 or the number of gates. Defaults to 1.
        state_copies: Integer, 1 or the number of gates. Defaults to 1.

    Returns:
        `Connections`.

    Raises:
        ValueError: If the masks are no boolean matrices that fit together.
    """
    if recurrent_mask is None:
        recurrent_mask = kernel_mask[:0]
    units = _checked_units(kind, kernel_mask, recurrent_mask)
    inputs = len(kernel_mask)
    matrices = [
        mask.reshape(len(mask), kind.gates, units)
        for mask in (kernel_mask, recurrent_mask)
    ]
    tied = (
        kind.can_be_tied
        and input_copies == state_copies == 1
        and all((each == each[:, :1]).all() for each in matrices)
    )
    state_start = input_copies * inputs
    reset_start = state_start + state_copies * len(recurrent_mask)
    feature_count = reset_start + (units if kind.resets_before else 0)
    place_starts = (0, kernel_mask.size)

    rows, features, places = [], [], []
    for matrix, place_start, start, copies, to_rows in zip(
        matrices,
        place_starts,
        (0, state_start),
        (input_copies, state_copies),
        (kind.input_rows, kind.state_rows),
        strict=True,
    ):
        source, gate, unit = np.nonzero(matrix[:, :1] if tied else matrix)
        size = len(matrix)
        place = place_start + (source * kind.gates + gate) * units + unit
        feature = start + source + (gate * size if copies > 1 else 0)
        if kind.resets_before and start:
            feature = np.where(gate == 2, reset_start + source, feature)
        if tied:
            row = 2 * unit + (start > 0)
            place = place[:, None] + np.arange(kind.gates) * units
        else:
            row = unit * kind.rows + np.take(to_rows, gate)
        rows.append(row)
        features.append(feature)
        places.append(place)
    row, feature = np.concatenate(rows), np.concatenate(features)
    forward = np.lexsort((feature, row))
    row, feature = row[forward], feature[forward]
    places = np.concatenate(places)[forward]

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
    counts = np.bincount(feature, minlength=feature_count)
    weights_per_connection = kind.gates if tied else 1
    turned = backward[:, None] * weights_per_connection + np.arange(
        weights_per_connection
    )
    return Connections(
        kind,
        inputs,
        units,
        input_copies,
        state_copies,
        tied,
        _lists(row, feature, row_count, row_order),
        _lists(
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
        np.ascontiguousarray(places.ravel(), np.int32),
        np.ascontiguousarray(turned.ravel(), np.int32),
    )


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


def _checked_units(kind, kernel_mask, recurrent_mask):
    """How many units there are, if the masks fit together."""
    for name, mask in (
        ("kernel_mask", kernel_mask),
        ("recurrent_mask", recurrent_mask),
    ):
        if mask.dtype != bool or mask.ndim != 2:
            raise ValueError(
                f"`{name}` must be a boolean matrix. Received: "
                f"{name}.dtype={mask.dtype}, {name}.shape={mask.shape}"
            )
    units = len(recurrent_mask) if kind.states else kernel_mask.shape[1]
    columns = kind.gates * units
    if not kernel_mask.shape[1] == recurrent_mask.shape[1] == columns:
        raise ValueError(
            f"Both masks must have {columns} columns, {kind.gates} gates of "
            f"{units} units. Received: "
            f"kernel_mask.shape={kernel_mask.shape}, "
            f"recurrent_mask.shape={recurrent_mask.shape}"
        )
    if kernel_mask.size + recurrent_mask.size > np.iinfo(np.int32).max:
        raise ValueError(
            "The native engine takes matrices of 2³¹ places at most. Received: "
            f"kernel_mask.shape={kernel_mask.shape}, "
            f"recurrent_mask.shape={recurrent_mask.shape}"
        )
    return units


def _lists(sinks, sources, count, order):
    starts = np.zeros(count + 1, np.int32)
    np.cumsum(np.bincount(sinks, minlength=count), out=starts[1:])
    padded = np.zeros(len(sources) + PADDING, np.int32)
    padded[: len(sources)] = sources
    return Lists(starts, padded, np.ascontiguousarray(order, np.int32))


def _order(counts, group, last=None):
    """Within groups by count, those that come `last` after all others."""
    index = np.arange(len(counts))
    last = np.zeros(len(counts), bool) if last is None else last
    return np.lexsort((index, counts, last, index // group))
