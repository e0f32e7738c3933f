"""One rewiring of one weight matrix: drop, then grow, group by group."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Rewiring:
    """What one rewiring did to a matrix.

    Args:
        weight: Float array of shape `(inputs, columns)`, 0 where there is no
            connection.
        mask: Boolean array of the same shape.
        dropped: Integer array, flat places in the matrix that lost their
            weight, those that were picked again included.
        grown: Integer array, flat places in the matrix that are new.
        connections_moved: Integer, the number of new connections. It is
            `len(grown)` unless a connection carries several weights.
    """

    weight: np.ndarray
    mask: np.ndarray
    dropped: np.ndarray
    grown: np.ndarray
    connections_moved: int

    @property
    def changed(self):
        """Flat places whose weight and slots start anew or end, distinct."""
        return np.union1d(self.dropped, self.grown)


def rewire(weight, mask, groups, rate, rule, rng, keep_diagonal=False):
    """Drops a fraction of the connections and grows as many, per group.

    The count of each group stays, at least one connection of each survives,
    and survivors keep their weight bit for bit. A place that was just dropped
    may be picked again and then counts as new.

    Args:
        weight: Float array of shape `(inputs, columns)`.
        mask: Boolean array of the same shape.
        groups: Tuple of `Group`s that cover the columns.
        rate: Float in `[0, 1]`, the rewire rate ζ.
        rule: `RewiringRule`. Its schedule is not used here: `rate` is the
            present one.
        rng: `numpy.random.Generator`.
        keep_diagonal: Boolean, whether connections from a unit to itself are
            never dropped. Defaults to `False`.

    Returns:
        A `Rewiring`. The arguments are not changed.

    Raises:
        ValueError: If `rate` is outside `[0, 1]`, or a connection's weight is
            NaN.
    """
    if not 0 <= rate <= 1:
        raise ValueError(
            f"The rewire rate must be in [0, 1]. Received: rate={rate}"
        )
    rows, columns = weight.shape
    weight, mask = weight.copy(), mask.copy()
    dropped, grown, moved = [], [], 0
    for group in groups:
        places, picked = _rewire_group(
            group.view(weight),
            group.view(mask),
            rate,
            rule,
            rng,
            keep_diagonal,
        )
        dropped.append(group.packed_places(places, rows, columns))
        grown.append(group.packed_places(picked, rows, columns))
        moved += len(picked)
    return Rewiring(
        weight, mask, np.concatenate(dropped), np.concatenate(grown), moved
    )


def _rewire_group(weight, mask, rate, rule, rng, keep_diagonal):
    """Rewires views of shape `(inputs, tied, outputs)` in place."""
    outputs = mask.shape[2]
    connected = np.ascontiguousarray(mask[:, 0, :])
    active = np.flatnonzero(connected)
    weights = _at(weight, active)
    if np.isnan(weights).any():
        raise ValueError(
            "The weights of all connections must be numbers. "
            f"Received: NaN in {np.isnan(weights).any(axis=1).sum()} of "
            f"{len(active)} connections"
        )
    if keep_diagonal:
        movable = active // outputs != active % outputs
        active, weights = active[movable], weights[movable]
    chosen = rule.drop(weights, rate)
    connections = np.count_nonzero(connected)
    if len(chosen) == connections:
        strongest = np.argmax(np.abs(weights[chosen]).sum(axis=1))
        chosen = np.delete(chosen, strongest)
    places = active[chosen]
    connected.reshape(-1)[places] = False
    picked = rule.grow(connected, len(places), rng)
    values = rule.new_values((len(picked), weight.shape[1]), rng)

    connected.reshape(-1)[picked] = True
    grown = np.count_nonzero(connected) - (connections - len(places))
    if grown != len(picked):
        raise ValueError(
            "A grow rule must return distinct empty places. Received: "
            f"{len(picked) - grown} of {len(picked)} places that are taken "
            f"or repeated, from grow={rule.grow}"
        )

    _set_at(weight, places, 0)
    _set_at(mask, places, False)
    _set_at(weight, picked, values)
    _set_at(mask, picked, True)
    return places, picked


def _at(view, places):
    outputs = view.shape[2]
    return view[places // outputs, :, places % outputs]


def _set_at(view, places, values):
    outputs = view.shape[2]
    view[places // outputs, :, places % outputs] = values
