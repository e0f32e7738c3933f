"""Packed matrices with their masks and groups, for tests of whole steps."""

import dataclasses

import numpy as np

from keras_sparse_rnn.rewiring import get
from keras_sparse_rnn.rewiring import rewire
from keras_sparse_rnn.topology import random_mask
from keras_sparse_rnn.topology import with_diagonal
from keras_sparse_rnn.topology.groups import matrix_groups

GATES = {1: ("all",), 3: ("z", "r", "h"), 4: ("i", "f", "c", "o")}


@dataclasses.dataclass
class Case:
    """A packed matrix with its mask and groups."""

    weight: np.ndarray
    mask: np.ndarray
    groups: tuple

    def rewire(self, rate, rule="st_rnn", seed=0, **arguments):
        return rewire(
            self.weight,
            self.mask,
            self.groups,
            rate,
            get(rule),
            np.random.default_rng(seed),
            **arguments,
        )

    def counts(self, mask):
        return [np.count_nonzero(mask[g.columns]) for g in self.groups]

    def bundles(self):
        """For each group, the flat places that each connection would carry.

        Lists of one list of places for each place of the group, by index: a
        slow way to look at a packed matrix.
        """
        rows, columns = self.mask.shape
        found = []
        for group in self.groups:
            width = (group.stop - group.start) // group.tied
            found.append(
                [
                    [
                        row * columns + group.start + gate * width + output
                        for gate in range(group.tied)
                    ]
                    for row in range(rows)
                    for output in range(width)
                ]
            )
        return found


def make(rows, units, gates, granularity, density, seed, diagonal=False):
    """A matrix whose groups each have at least one connection."""
    rng = np.random.default_rng(seed)
    groups = matrix_groups(units * gates, GATES[gates], granularity)
    mask = np.zeros((rows, units * gates), bool)
    for group in groups:
        shape = group.shape(rows)
        size = shape[0] * shape[1]
        least = shape[1] if diagonal else 1
        count = min(max(round(density * size), least), size)
        drawn = random_mask(shape, count, rng)
        if diagonal:
            drawn = with_diagonal(drawn, rng)
        group.view(mask)[:] = drawn[:, None, :]
    weight = rng.normal(size=mask.shape).astype(np.float32)
    if seed % 2:
        # Ties, and connections that weigh nothing.
        weight = np.round(2 * weight) / 2
    return Case(np.where(mask, weight, 0).astype(np.float32), mask, groups)
