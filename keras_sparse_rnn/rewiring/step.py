"""One rewiring, in two phases: drop, then grow, group by group.

Two, so that several matrices can drop, share out what they dropped, and only
then grow. `rewire` does it for one matrix.
"""

import dataclasses

import numpy as np

from keras_sparse_rnn.arguments import is_number
from keras_sparse_rnn.rewiring.connections import connections_of
from keras_sparse_rnn.rewiring.redistribution import shared_growth
from keras_sparse_rnn.rewiring.result import Rewiring
from keras_sparse_rnn.rewiring.rule import get
from keras_sparse_rnn.rewiring.sources import asked_by
from keras_sparse_rnn.rewiring.sources import check_sources
from keras_sparse_rnn.rewiring.sources import magnitude_in
from keras_sparse_rnn.topology.groups import Group


@dataclasses.dataclass(frozen=True)
class DroppedFromGroup:
    """What a group lost.

    Args:
        group: `Group`.
        survivors: Boolean array of shape `(inputs, outputs)`.
        places: Integer array, flat places in `survivors` that were dropped.
    """

    group: Group
    survivors: np.ndarray
    places: np.ndarray


@dataclasses.dataclass(frozen=True)
class Dropped:
    """What a matrix lost in the first phase of a rewiring.

    Args:
        before: Tuple of the weight and the mask that are rewired.
        in_groups: Tuple of `DroppedFromGroup`, one for each group.
    """

    before: tuple
    in_groups: tuple

    @property
    def counts(self):
        """Integer array, how many connections each group lost."""
        return np.array([len(each.places) for each in self.in_groups])

    @property
    def survivors(self):
        """Integer array, how many connections each group still has."""
        return np.array(
            [np.count_nonzero(each.survivors) for each in self.in_groups]
        )

    @property
    def places(self):
        """Integer array, how many connections each group has room for."""
        return np.array([each.survivors.size for each in self.in_groups])

    @property
    def tied(self):
        """Integer array, how many weights a connection of each carries."""
        return np.array([each.group.tied for each in self.in_groups])


def drop_connections(
    weight, mask, groups, rate, rule, rng, keep_diagonal=False, **sources
):
    """The first phase of a rewiring: each group drops connections.

    At least one connection of each group survives. A group without an empty
    place is left alone, since what it drops could only come back where it was,
    at 0; under a rule that redistributes it drops as any other.

    Args:
        weight: Float array of shape `(inputs, columns)`.
        mask: Boolean array of the same shape.
        groups: Tuple of `Group`s that cover the columns.
        rate: Float in `[0, 1]`, the rewire rate ζ.
        rule: `RewiringRule`, or the name of one. Its schedule is not used
            here: `rate` is the present one.
        rng: `numpy.random.Generator`.
        keep_diagonal: Boolean, whether connections from a unit to itself are
            never dropped. Defaults to `False`.
        **sources: What the rule looks at besides, see `RewiringRule.needs`:
            `threshold`, a float, and `signs`, `gradient` and `momentum`,
            arrays of the weight's shape. Those that the rule does not need do
            no harm.

    Returns:
        A `Dropped`. The arguments are not changed.

    Raises:
        ValueError: If `rate` is no number in `[0, 1]`, `rule` is no rule, a
            source is missing or of another shape, the mask of tied gates
            differs between them, a connection's weight is NaN, or the rule's
            function returns what it must not.
    """
    if not (is_number(rate) and 0 <= rate <= 1):
        raise ValueError(
            "The rewire rate must be a number in [0, 1]. "
            f"Received: rate={rate!r}"
        )
    rule = get(rule)
    asked = asked_by(rule.drop)
    check_sources(asked - {"rng"}, sources, mask.shape)
    in_groups = []
    for group in groups:
        connections = connections_of(weight, mask, group, keep_diagonal)
        if connections.mask.all() and rule.redistribute is None:
            chosen = np.empty(0, np.int64)
        else:
            extra = {"rng": rng} | sources
            if "signs" in asked:
                signs = np.asarray(sources["signs"])
                extra["signs"] = connections.cut(signs, group)
            extra = {name: extra[name] for name in asked}
            chosen = _chosen(connections, rate, rule.drop, extra)
        survivors = connections.mask
        survivors.reshape(-1)[connections.places[chosen]] = False
        in_groups.append(
            DroppedFromGroup(group, survivors, connections.places[chosen])
        )
    return Dropped((weight, mask), tuple(in_groups))


def grow_connections(dropped, counts, rule, rng, **sources):
    """The second phase of a rewiring: each group grows connections.

    Args:
        dropped: `Dropped`.
        counts: Integer array, how many connections each group grows:
            `dropped.counts` for as many as it lost, or what `shared_growth`
            gives.
        rule: As for `drop_connections`.
        rng: `numpy.random.Generator`, the same that dropped.
        **sources: As for `drop_connections`.

    Returns:
        A `Rewiring`.

    Raises:
        ValueError: If a count is out of range, `rule` is no rule, a source is
            missing or of another shape, or one of the rule's functions returns
            what it must not.
    """
    rule = get(rule)
    weight, mask = dropped.before
    check_sources(asked_by(rule.grow) - {"dropped"}, sources, mask.shape)
    counts = _checked_counts(counts, dropped)
    parts = [
        _grow_in_group(each, count, rule, rng, sources, mask.shape)
        for each, count in zip(dropped.in_groups, counts, strict=True)
    ]
    places, emptied, grown, values = (
        np.concatenate(arrays) for arrays in zip(*parts, strict=True)
    )
    return Rewiring(
        dropped.before,
        places,
        emptied,
        grown,
        values.astype(weight.dtype),
        sum(counts),
        int(dropped.counts.sum()),
    )


def rewire(
    weight, mask, groups, rate, rule, rng, keep_diagonal=False, **sources
):
    """Drops a fraction of the connections and grows as many.

    The count of each group stays, or that of the whole matrix under a rule
    that redistributes. At least one connection of each group survives, and
    survivors keep their weight bit for bit. A place that was just dropped may
    be picked again, where the rule allows it, and then counts as new. In a
    group without an empty place nothing moves, unless connections are
    redistributed and another group has one.

    Args:
        weight, mask, groups, rate, rule, rng, keep_diagonal, **sources: As
            for `drop_connections`.

    Returns:
        A `Rewiring`. The arguments are not changed.

    Raises:
        ValueError: As `drop_connections` and `grow_connections`.
    """
    rule = get(rule)
    check_sources(rule.needs, sources, mask.shape)
    if np.all(mask):
        rule = dataclasses.replace(rule, redistribute=None)
    dropped = drop_connections(
        weight, mask, groups, rate, rule, rng, keep_diagonal, **sources
    )
    (counts,) = shared_growth([dropped], rule, [sources.get("momentum")])
    return grow_connections(dropped, counts, rule, rng, **sources)


def _described(array):
    """An array in an error: it may have as many entries as there are weights.

    The extremes tell which are out of range, and whether there is a NaN.
    """
    text = f"dtype={array.dtype}, shape={array.shape}"
    if array.size and np.issubdtype(array.dtype, np.number):
        text += f", min={array.min()}, max={array.max()}"
    return text


def _chosen(connections, rate, drop, extra):
    """Indices of the connections that a drop rule chooses, checked."""
    weights = connections.weights
    chosen = np.asarray(drop(weights, rate, **extra))
    if chosen.dtype == bool:
        raise ValueError(
            "A drop rule must return integer indices of connections: use "
            "`np.flatnonzero` for those of a boolean array. Received: "
            f"{_described(chosen)} from drop={drop}"
        )
    if chosen.size and (
        not np.issubdtype(chosen.dtype, np.integer)
        or chosen.min() < 0
        or chosen.max() >= len(weights)
    ):
        raise ValueError(
            "A drop rule must return integer indices of connections, from 0 "
            f"to {len(weights) - 1} here. Received: {_described(chosen)} "
            f"from drop={drop}"
        )
    chosen = chosen.astype(np.int64)
    if 0 < len(chosen) == connections.count:
        strongest = np.argmax(np.abs(weights[chosen]).sum(axis=1))
        chosen = np.delete(chosen, strongest)
    taken = np.zeros(len(weights), bool)
    taken[chosen] = True
    distinct = np.count_nonzero(taken)
    if distinct != len(chosen):
        raise ValueError(
            "A drop rule must return distinct indices. Received: "
            f"{distinct} distinct ones among {len(chosen)}, from drop={drop}"
        )
    return chosen


def _places(chosen, grow):
    """The places that a grow rule chooses, as a line of integers."""
    chosen = np.asarray(chosen)
    if chosen.ndim != 1 or not (
        np.issubdtype(chosen.dtype, np.integer) or not chosen.size
    ):
        raise ValueError(
            "A grow rule must return a line of integers, flat places as those "
            "of `np.flatnonzero(~mask)`. "
            f"Received: {_described(chosen)} from grow={grow}"
        )
    return chosen.astype(np.int64)


def _checked_counts(counts, dropped):
    counts = np.asarray(counts)
    room = dropped.places - dropped.survivors
    if (
        counts.shape != room.shape
        or not np.issubdtype(counts.dtype, np.integer)
        or (counts < 0).any()
        or (counts > room).any()
    ):
        raise ValueError(
            "Each group must grow an integer number of connections, from 0 to "
            f"its empty places, {room.tolist()} here. "
            f"Received: counts={counts.tolist()}"
        )
    return counts.tolist()


def _grow_in_group(dropped, count, rule, rng, sources, shape):
    """Places in the packed matrix: dropped, emptied, grown; and new values."""
    group = dropped.group
    connected = dropped.survivors.copy()
    taken = connected.reshape(-1)
    survivors = np.count_nonzero(taken)
    if survivors == taken.size:
        nowhere = np.empty(0, np.int64)
        return nowhere, nowhere, nowhere, np.empty(0)
    extra = {
        name: dropped.places
        if name == "dropped"
        else magnitude_in(group, sources[name])
        for name in asked_by(rule.grow)
    }
    grown = _places(rule.grow(connected, count, rng, **extra), rule.grow)
    taken[grown[(grown >= 0) & (grown < taken.size)]] = True
    fitting = np.count_nonzero(taken) - survivors
    if not fitting == len(grown) == count:
        raise ValueError(
            "A grow rule must return as many distinct empty places as it is "
            f"asked for, {count} here. Received: {fitting} of them "
            f"among {len(grown)} places, from grow={rule.grow}"
        )
    values = np.asarray(rule.new_values((count, group.tied), rng))
    if values.shape != (count, group.tied):
        raise ValueError(
            "`new_values` must return an array of the shape it is given, "
            f"{(count, group.tied)} here. Received: "
            f"shape={values.shape} from new_values={rule.new_values}"
        )
    if not np.isfinite(values).all():
        raise ValueError(
            "`new_values` must return finite numbers. Received: "
            f"{_described(values)} from new_values={rule.new_values}"
        )
    emptied = dropped.places[~taken[dropped.places]]
    return (
        *(
            group.packed_places(places, *shape)
            for places in (dropped.places, emptied, grown)
        ),
        values.reshape(-1),
    )
