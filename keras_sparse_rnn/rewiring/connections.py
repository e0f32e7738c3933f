"""The connections of one group of a weight matrix, cut out of it."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Connections:
    """The connections of a group, and those among them that may go.

    Args:
        mask: Boolean array of shape `(inputs, outputs)`, a copy.
        places: Integer array, flat places in `mask` of those that may go.
        weights: Float array of shape `(connections, tied)`, their weights.
        count: Integer, how many connections the group has altogether.
    """

    mask: np.ndarray
    places: np.ndarray
    weights: np.ndarray
    count: int

    @property
    def magnitudes(self):
        """The sum of |w| over the weights of each that may go."""
        return np.abs(self.weights).sum(axis=1)

    @property
    def least(self):
        """How many connections stay in any case: at least one."""
        return max(self.count - len(self.places), 1)

    def cut(self, matrix, group):
        """What a matrix holds at the connections that may go.

        Args:
            matrix: Array of the packed matrix's shape.
            group: The `Group` that these connections are of.

        Returns:
            Array of shape `(connections, tied)`.
        """
        return _cut(matrix, group, self.places)


def connections_of(weight, mask, group, keep_diagonal=False):
    """Cuts a group's connections out of a matrix.

    Args:
        weight: Float array of shape `(inputs, columns)`.
        mask: Boolean array of the same shape.
        group: `Group`.
        keep_diagonal: Boolean, whether connections from a unit to itself must
            stay. Defaults to `False`.

    Returns:
        `Connections`.

    Raises:
        ValueError: If the mask of tied gates differs between them, or a
            connection's weight is NaN.
    """
    if not group.is_tied_in(mask):
        raise ValueError(
            f"A connection of a group must carry all of its {group.tied} "
            "weights. Received: a mask that differs between the gates of "
            f"group={group.name!r}"
        )
    _, outputs = group.shape(len(mask))
    connected = group.view(mask)[:, 0, :].copy()
    active = np.flatnonzero(connected)
    weights = _cut(weight, group, active)
    invalid = np.isnan(weights).any(axis=1)
    if invalid.any():
        raise ValueError(
            "The weights of all connections must be numbers: training has "
            "diverged, or the data hold NaN. "
            f"Received: weights=NaN in {np.count_nonzero(invalid)} of "
            f"{len(active)} connections"
        )
    count = len(active)
    if keep_diagonal:
        # Of each gate where several lie side by side.
        movable = active // outputs != active % outputs % len(mask)
        active, weights = active[movable], weights[movable]
    return Connections(connected, active, weights, count)


def connection_magnitudes(matrices):
    """How strong the connections of several matrices are, all together.

    Args:
        matrices: List of tuples `(weight, mask, groups, keep_diagonal)`, as
            `drop_connections` takes them.

    Returns:
        Float array, the sum of |w| over the weights that a connection carries,
        for each connection that may go.

    Raises:
        ValueError: As `connections_of`.
    """
    return np.concatenate(
        [
            connections_of(weight, mask, group, keep_diagonal).magnitudes
            for weight, mask, groups, keep_diagonal in matrices
            for group in groups
        ]
    )


def _cut(matrix, group, places):
    _, outputs = group.shape(len(matrix))
    return group.view(matrix)[places // outputs, :, places % outputs]
