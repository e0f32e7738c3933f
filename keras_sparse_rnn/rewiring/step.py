"""One rewiring of one weight matrix: drop, then grow, group by group."""

import dataclasses
import functools

import numpy as np

from keras_sparse_rnn.arguments import is_number
from keras_sparse_rnn.rewiring.rule import get


@dataclasses.dataclass(frozen=True)
class Rewiring:
    """What one rewiring decided for a matrix.

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
    """

    before: tuple
    dropped: np.ndarray
    emptied: np.ndarray
    grown: np.ndarray
    values: np.ndarray
    connections_moved: int

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


def rewire(weight, mask, groups, rate, rule, rng, keep_diagonal=False):
    """Drops a fraction of the connections and grows as many, per group.

    The count of each group stays, at least one connection of each survives,
    and survivors keep their weight bit for bit. A place that was just dropped
    may be picked again and then counts as new. In a group without an empty
    place nothing moves.

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

    Returns:
        A `Rewiring`. The arguments are not changed.

    Raises:
        ValueError: If `rate` is no number in `[0, 1]`, `rule` is no rule, the
            mask of tied gates differs between them, a connection's weight is
            NaN, or one of the rule's functions returns what it must not.
    """
    if not (is_number(rate) and 0 <= rate <= 1):
        raise ValueError(
            "The rewire rate must be a number in [0, 1]. "
            f"Received: rate={rate!r}"
        )
    rule = get(rule)
    parts = [
        _rewire_group(weight, mask, group, rate, rule, rng, keep_diagonal)
        for group in groups
    ]
    dropped, emptied, grown, values = (
        np.concatenate(arrays) for arrays in zip(*parts, strict=True)
    )
    moved = sum(
        len(grown_in_group) // group.tied
        for group, (_, _, grown_in_group, _) in zip(groups, parts, strict=True)
    )
    return Rewiring(
        (weight, mask),
        dropped,
        emptied,
        grown,
        values.astype(weight.dtype),
        moved,
    )


def _described(array):
    """An array in an error: it may have as many entries as there are weights.

    The extremes tell which are out of range, and whether there is a NaN.
    """
    text = f"dtype={array.dtype}, shape={array.shape}"
    if array.size and np.issubdtype(array.dtype, np.number):
        text += f", min={array.min()}, max={array.max()}"
    return text


def _rewire_group(weight, mask, group, rate, rule, rng, keep_diagonal):
    """Places in the packed matrix: dropped, emptied, grown; and new values."""
    if not group.is_tied_in(mask):
        raise ValueError(
            f"A connection of a group must carry all of its {group.tied} "
            "weights. Received: a mask that differs between the gates of "
            f"group={group.name!r}"
        )
    _, outputs = group.shape(len(mask))
    connected = group.view(mask)[:, 0, :].copy()
    taken = connected.reshape(-1)
    active = np.flatnonzero(taken)
    weights = group.view(weight)[active // outputs, :, active % outputs]
    invalid = np.isnan(weights).any(axis=1)
    if invalid.any():
        raise ValueError(
            "The weights of all connections must be numbers: training has "
            "diverged, or the data hold NaN. "
            f"Received: weights=NaN in {np.count_nonzero(invalid)} of "
            f"{len(active)} connections"
        )
    connections = len(active)
    if connected.all():
        # What is dropped could only come back where it was, at 0.
        nowhere = np.empty(0, np.int64)
        return nowhere, nowhere, nowhere, np.empty(0, weight.dtype)
    if keep_diagonal:
        # Of each gate where several lie side by side.
        movable = active // outputs != active % outputs % len(mask)
        active, weights = active[movable], weights[movable]
    chosen = np.asarray(rule.drop(weights, rate))
    if chosen.dtype == bool:
        raise ValueError(
            "A drop rule must return integer indices of connections: use "
            "`np.flatnonzero` for those of a boolean array. Received: "
            f"{_described(chosen)} from drop={rule.drop}"
        )
    if chosen.size and (
        not np.issubdtype(chosen.dtype, np.integer)
        or chosen.min() < 0
        or chosen.max() >= len(weights)
    ):
        raise ValueError(
            "A drop rule must return integer indices of connections, from 0 "
            f"to {len(weights) - 1} here. Received: {_described(chosen)} "
            f"from drop={rule.drop}"
        )
    chosen = chosen.astype(np.int64)
    if len(chosen) == connections:
        strongest = np.argmax(np.abs(weights[chosen]).sum(axis=1))
        chosen = np.delete(chosen, strongest)
    dropped = active[chosen]
    taken[dropped] = False
    survivors = np.count_nonzero(taken)
    if connections - survivors != len(dropped):
        raise ValueError(
            "A drop rule must return distinct indices. Received: "
            f"{connections - survivors} distinct ones among {len(dropped)}, "
            f"from drop={rule.drop}"
        )
    grown = np.asarray(rule.grow(connected, len(dropped), rng), np.int64)
    taken[grown[(grown >= 0) & (grown < taken.size)]] = True
    fitting = np.count_nonzero(taken) - survivors
    if not fitting == len(grown) == len(dropped):
        raise ValueError(
            "A grow rule must return as many distinct empty places as it is "
            f"asked for, {len(dropped)} here. Received: {fitting} of them "
            f"among {len(grown)} places, from grow={rule.grow}"
        )
    values = np.asarray(rule.new_values((len(grown), group.tied), rng))
    if values.shape != (len(grown), group.tied):
        raise ValueError(
            "`new_values` must return an array of the shape it is given, "
            f"{(len(grown), group.tied)} here. Received: "
            f"shape={values.shape} from new_values={rule.new_values}"
        )
    if not np.isfinite(values).all():
        raise ValueError(
            "`new_values` must return finite numbers. Received: "
            f"{_described(values)} from new_values={rule.new_values}"
        )
    emptied = dropped[~taken[dropped]]
    return (
        *(
            group.packed_places(places, *mask.shape)
            for places in (dropped, emptied, grown)
        ),
        values.reshape(-1),
    )
