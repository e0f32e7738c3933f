"""Redistribution: how what was dropped is shared among the groups.

A redistribution is a function `redistribute(survivors, dropped, places)` of
integer arrays with one entry for each group, of one matrix or of a whole
model: how many weights are left, how many were dropped, how many there is room
for. It returns each group's share in what is grown, nonnegative numbers of any
scale. Weights are counted, and not connections, so that a connection which
carries the weights of four gates costs four times as much of the budget.
"""

import numpy as np

from keras_sparse_rnn.rewiring.sources import asked_by
from keras_sparse_rnn.rewiring.sources import check_sources
from keras_sparse_rnn.rewiring.sources import mean_magnitude_in
from keras_sparse_rnn.topology.shares import rounded_to
from keras_sparse_rnn.topology.shares import saturated_shares

# Below this fraction of the largest share a share is none.
_NEGLIGIBLE = 1e-12


def by_momentum(survivors, dropped, places, *, momentum):
    """Shares by the mean magnitude of the averaged gradient (SNFS).

    Args:
        survivors, dropped, places: Integer arrays, not used.
        momentum: Float array, for each group the mean over its weights, those
            that are about to go included.

    Returns:
        Float array.

    Reference:
        - Dettmers and Zettlemoyer, Sparse Networks from Scratch,
          arXiv:1907.04840, section 3
        - Liu et al., Neural Computing and Applications 33:9625–9636, 2021,
          Table 7
    """
    del survivors, dropped, places
    return np.asarray(momentum, np.float64)


def by_survivors(survivors, dropped, places):
    """Shares by how many weights are left (DSR).

    Args:
        survivors: Integer array, how many weights each group has left.
        dropped, places: Integer arrays, not used.

    Returns:
        Float array.

    Reference:
        - Mostafa and Wang, Parameter Efficient Training of Deep Convolutional
          Neural Networks by Dynamic Sparse Reparameterization, ICML 2019,
          algorithm 1
    """
    del dropped, places
    return np.asarray(survivors, np.float64)


def by_size(survivors, dropped, places):
    """Shares by how many weights there is room for (DeepR's global variant).

    Args:
        survivors, dropped: Integer arrays, not used.
        places: Integer array, the size of each group.

    Returns:
        Float array.

    Reference:
        - Bellec et al., Deep Rewiring: Training very sparse deep networks,
          ICLR 2018
    """
    del survivors, dropped
    return np.asarray(places, np.float64)


def shared_growth(dropped, rule, momentum=None):
    """How many connections each group grows, by a rule's redistribution.

    Args:
        dropped: List of `Dropped`, one for each matrix.
        rule: `RewiringRule`.
        momentum: List of arrays, the averaged gradient of each matrix, in its
            packed shape. Needed only if the redistribution asks for it.
            Defaults to `None`.

    Returns:
        A list of integer arrays, one for each matrix, with one entry for each
        of its groups. Together they grow as many weights as were dropped.

    Raises:
        ValueError: If the redistribution asks for a momentum that is missing
            or of another shape, or does not return shares.
    """
    own = [each.counts for each in dropped]
    if rule.redistribute is None or not dropped:
        return own
    asked = {}
    if "momentum" in asked_by(rule.redistribute):
        asked["momentum"] = _means(
            dropped, [None] * len(dropped) if momentum is None else momentum
        )
    survivors, counts, places, tied = (
        np.concatenate([getattr(each, name) for each in dropped])
        for name in ("survivors", "counts", "places", "tied")
    )
    shares = rule.redistribute(
        survivors * tied, counts * tied, places * tied, **asked
    )
    grown = growth_counts(shares, survivors, counts, places, tied)
    return np.split(grown, np.cumsum([len(each) for each in own])[:-1])


def growth_counts(shares, survivors, dropped, places, tied):
    """Connections that each group grows, together as many weights as went.

    A group gets its share of the weights, but never more connections than it
    has empty places, nor fewer than leave it with one. What a full group
    cannot take passes to the others in proportion to their shares, and in
    proportion to their empty places where those are all 0. Halves of
    connections go by largest remainders, ties by index. Where connections of
    different groups carry different numbers of weights, the sum of weights is
    exact all the same, at the price of a few connections more or less than the
    share. If all shares are 0, each group grows what it dropped.

    Args:
        shares: Array of nonnegative numbers of any scale, one for each group,
            in which the weights are shared.
        survivors: Integer array, how many connections each group has left.
        dropped: Integer array, how many connections each group dropped.
        places: Integer array, how many connections each group has room for.
        tied: Integer array, how many weights a connection of each group
            carries.

    Returns:
        Integer array, `sum(result * tied) == sum(dropped * tied)`.

    Raises:
        ValueError: If the shares are not finite, negative, or not one for each
            group, or a group dropped more than there is room for, or had no
            connection.

    Example:

    >>> growth_counts([1, 3], [2, 2], [4, 4], [10, 10], [1, 1])
    array([2, 6])
    """
    survivors, dropped, places, tied = (
        np.asarray(each, np.int64)
        for each in (survivors, dropped, places, tied)
    )
    shares = _checked_shares(shares, len(dropped))
    least = (survivors == 0).astype(np.int64)
    most = places - survivors
    if ((dropped < least) | (dropped > most)).any():
        raise ValueError(
            "Each group must have had a connection, and room for all that it "
            f"had. Received: survivors={survivors.tolist()}, "
            f"dropped={dropped.tolist()}, places={places.tolist()}"
        )
    if not shares.any():
        return dropped.copy()
    total = int(dropped @ tied)
    wanted = saturated_shares(shares, least * tied, most * tied, total) / tied
    kinds = np.unique(tied)
    members = [tied == kind for kind in kinds]
    totals = _totals_by_kind(
        kinds.tolist(),
        *([each[of].sum() for of in members] for each in (wanted, least, most)),
        total,
    )
    counts = np.empty_like(dropped)
    for of, number in zip(members, totals, strict=True):
        counts[of] = rounded_to(number, wanted[of], least[of], most[of])
    return counts


def _checked_shares(shares, groups):
    checked = np.asarray(shares, np.float64)
    if (
        checked.shape != (groups,)
        or not np.isfinite(checked).all()
        or (checked < 0).any()
    ):
        raise ValueError(
            "A redistribution must return a finite number of at least 0 for "
            f"each of the {groups} groups. Received: shares={shares}"
        )
    if checked.any():
        checked = checked / checked.max()
        checked[checked < _NEGLIGIBLE] = 0
    return checked


def _totals_by_kind(kinds, wanted, least, most, total):
    """How many connections of each kind, so that the weights sum up exactly.

    A kind are the groups whose connections carry the same number of weights.
    All combinations near to what is wanted are tried, then ever farther ones:
    what was dropped is a solution, so there is one.

    Args:
        kinds: List of integers, the weights that a connection carries.
        wanted: List of numbers of connections, with fractions.
        least, most: Lists of integers, the bounds of each kind.
        total: Integer, the weights of all kinds together.

    Returns:
        Tuple of integers.
    """
    reach = 1
    while True:
        # The nearest combination for each sum of weights.
        nearest = {0: (0.0, ())}
        for kind, near, low, high in zip(
            kinds, wanted, least, most, strict=True
        ):
            first = max(int(near) - reach, int(low))
            last = min(int(near) + 1 + reach, int(high))
            further = {}
            for weights, (distance, numbers) in nearest.items():
                for number in range(first, last + 1):
                    candidate = (
                        distance + kind * abs(number - near),
                        (*numbers, number),
                    )
                    reached = weights + kind * number
                    if reached not in further or candidate < further[reached]:
                        further[reached] = candidate
            nearest = further
        if total in nearest:
            return nearest[total][1]
        reach *= 2


def _means(dropped, momentum):
    """The mean magnitude of the momentum over each group's weights."""
    means = []
    for each, of_matrix in zip(dropped, momentum, strict=True):
        _, mask = each.before
        check_sources({"momentum"}, {"momentum": of_matrix}, mask.shape)
        means += [
            mean_magnitude_in(part.group, of_matrix, mask)
            for part in each.in_groups
        ]
    return np.array(means)
