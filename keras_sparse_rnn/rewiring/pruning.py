"""Magnitude pruning: the smallest connections go, and nothing grows."""

import math
import numbers

import numpy as np

from keras_sparse_rnn.arguments import check_sparsity
from keras_sparse_rnn.rewiring.connections import connections_of
from keras_sparse_rnn.rewiring.drop import smallest
from keras_sparse_rnn.rewiring.result import Rewiring
from keras_sparse_rnn.topology.counted_topology import nearest_integer


def prune(weight, mask, groups, counts, keep_diagonal=False):
    """Drops each group's smallest magnitudes until it has so many left.

    Args:
        weight: Float array of shape `(inputs, columns)`.
        mask: Boolean array of the same shape.
        groups: Tuple of `Group`s that cover the columns.
        counts: Sequence of integers, how many connections each group keeps,
            see `pruned_counts` and `pooled_pruned_counts`.
        keep_diagonal: Boolean, whether connections from a unit to itself are
            never dropped. Defaults to `False`.

    Returns:
        A `Rewiring` in which nothing grows. Ties go by index. The arguments
        are not changed.

    Raises:
        ValueError: If a count is no integer between what must stay, at least
            one connection, and what there is; the mask of tied gates differs
            between them; or a connection's weight is NaN.
    """
    if len(counts) != len(groups):
        raise ValueError(
            f"`counts` must have one entry for each of the {len(groups)} "
            f"groups. Received: counts={counts}"
        )
    pruned = []
    for group, count in zip(groups, counts, strict=True):
        connections = connections_of(weight, mask, group, keep_diagonal)
        if not (
            isinstance(count, numbers.Integral)
            and connections.least <= count <= connections.count
        ):
            raise ValueError(
                "A pruned group must keep an integer number of connections, "
                f"from {connections.least} to {connections.count} for "
                f"group={group.name!r}. Received: counts={counts}"
            )
        gone = smallest(connections.magnitudes, connections.count - count)
        pruned.append(connections.places[gone])
    places = np.concatenate(
        [
            group.packed_places(of_group, *mask.shape)
            for group, of_group in zip(groups, pruned, strict=True)
        ]
    )
    return Rewiring(
        (weight, mask),
        dropped=places,
        emptied=places,
        grown=np.empty(0, np.int64),
        values=np.empty(0, weight.dtype),
        connections_moved=0,
        connections_dropped=sum(map(len, pruned)),
    )


def pruned_counts(mask, groups, sparsity, keep_diagonal=False):
    """Connections that each group keeps at the same sparsity of each.

    Args:
        mask: Boolean array of shape `(inputs, columns)`.
        groups: Tuple of `Group`s that cover the columns.
        sparsity: Float in `[0, 1)`, the target.
        keep_diagonal: As for `prune`.

    Returns:
        Integer array: the nearest integer to `(1 - sparsity) * places`, but at
        least one and the kept diagonal, and at most what the group has.

    Raises:
        ValueError: If `sparsity` is out of range, or the mask of tied gates
            differs between them.
    """
    check_sparsity(sparsity)
    weightless = np.broadcast_to(np.float32(0), mask.shape)
    counts = []
    for group in groups:
        there = connections_of(weightless, mask, group, keep_diagonal)
        target = nearest_integer((1 - sparsity) * there.mask.size)
        counts.append(min(max(target, there.least), there.count))
    return np.array(counts)


def pooled_pruned_counts(matrices, sparsity):
    """Connections that each group keeps when all compete by magnitude.

    The smallest sums of |w| of all matrices go, at one threshold for all, so
    that the matrices end with different sparsities.

    Args:
        matrices: List of tuples `(weight, mask, groups, keep_diagonal)`, as
            `prune` takes them.
        sparsity: Float in `[0, 1)`, the target of all matrices together.

    Returns:
        A list of integer arrays, for each matrix the `counts` of `prune`. The
        weights that are left are the nearest integer to
        `(1 - sparsity) * places`; or as near below it as connections allow
        that carry several weights. Each group keeps at least one connection
        and the kept diagonal, and none gains any. Ties go by index.

    Raises:
        ValueError: If `sparsity` is out of range, the mask of tied gates
            differs between them, or a connection's weight is NaN.

    Reference:
        - Han et al., Learning both Weights and Connections for Efficient
          Neural Networks, NeurIPS 2015: pruning by a threshold
    """
    check_sparsity(sparsity)
    groups = [group for _, _, of_matrix, _ in matrices for group in of_matrix]
    parts = [
        connections_of(weight, mask, group, keep_diagonal)
        for weight, mask, of_matrix, keep_diagonal in matrices
        for group in of_matrix
    ]
    tied = np.array([group.tied for group in groups])
    least = np.array([min(part.least, part.count) for part in parts])
    places = sum(
        part.mask.size * group.tied
        for part, group in zip(parts, groups, strict=True)
    )
    unit = math.gcd(*tied.tolist())
    budget = unit * nearest_integer((1 - sparsity) * places / unit)
    competing = [_competing(part) for part in parts]
    owner = np.repeat(np.arange(len(parts)), [len(each) for each in competing])
    # From the strongest down; of equals, those that go last come first.
    order = np.argsort(np.concatenate(competing), kind="stable")[::-1]
    owner = owner[order]
    kept = owner[_affordable(tied[owner], budget - int(least @ tied))]
    counts = least + np.bincount(kept, minlength=len(parts))
    ends = np.cumsum([len(of_matrix) for _, _, of_matrix, _ in matrices])
    return np.split(counts, ends[:-1])


def _competing(connections):
    """Magnitudes of the connections that stay only if they are strong."""
    magnitudes = connections.magnitudes
    if len(magnitudes) < connections.count or not len(magnitudes):
        return magnitudes
    return np.delete(magnitudes, np.argmax(magnitudes))


def _affordable(prices, budget):
    """Indices of what a budget buys in this order, skipping what is too dear.

    Args:
        prices: Integer array, above 0.
        budget: Integer, perhaps below 0.

    Returns:
        Integer array of indices.
    """
    spent = np.cumsum(prices)
    first_over = np.searchsorted(spent, budget, side="right")
    bought = np.arange(first_over)
    left = budget - (int(spent[first_over - 1]) if first_over else 0)
    place = first_over
    while left > 0:
        affordable = np.flatnonzero(prices[place:] <= left)
        if not len(affordable):
            break
        place += affordable[0]
        bought = np.append(bought, place)
        left -= int(prices[place])
        place += 1
    return bought
