"""What one rewiring, or one pruning, decided for a weight matrix."""

import dataclasses
import functools

import numpy as np


@dataclasses.dataclass(frozen=True)
class Rewiring:
    """What one rewiring or pruning decided for a matrix.

    Places and not whole arrays, so that taking it over costs as much as there
    are connections that move.

    Args:
        before: Tuple of the weight and the mask that were rewired.
        dropped: Integer array, flat places in the matrix that lose their
            weight, those that are picked again included.
        emptied: Integer array, the dropped places that are not picked again.
        grown: Integer array, flat places in the matrix that are new.
        values: Float array, the weights at `grown`.
        connections_moved: Integer, the number of new connections. It is
            `len(grown)` unless a connection carries several weights.
        connections_dropped: Integer, the number of connections that lost
            their weight. It differs from `connections_moved` where the count
            changes: under redistribution and in pruning.
    """

    before: tuple
    dropped: np.ndarray
    emptied: np.ndarray
    grown: np.ndarray
    values: np.ndarray
    connections_moved: int
    connections_dropped: int

    @property
    def changed(self):
        """Flat places where weight and slots end or start anew, distinct."""
        return np.concatenate([self.emptied, self.grown])

    @property
    def changed_weights(self):
        """The weights at `changed`: 0, or those of new connections."""
        ended = np.zeros(len(self.emptied), self.values.dtype)
        return np.concatenate([ended, self.values])

    @property
    def changed_mask(self):
        """The mask at `changed`."""
        mask = np.zeros(len(self.emptied) + len(self.grown), bool)
        mask[len(self.emptied) :] = True
        return mask

    @functools.cached_property
    def weight(self):
        """The rewired weight, a new array."""
        weight = self.before[0].copy()
        weight.reshape(-1)[self.changed] = self.changed_weights
        return weight

    @functools.cached_property
    def mask(self):
        """The rewired mask, a new array."""
        mask = self.before[1].copy()
        mask.reshape(-1)[self.changed] = self.changed_mask
        return mask
