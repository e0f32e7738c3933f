"""Random places without replacement, without a pass over empty places."""

import numpy as np

# Above this share of taken places a draw hits too often what it may not take,
# and listing the free places is cheaper.
_CROWDED = 0.5


def random_places(mask, count, rng):
    """Draws empty places of a mask, each set of them equally likely.

    Where most places are empty, indices are drawn and those that are taken are
    thrown away, so the cost grows with `count` and not with the mask's size.

    Args:
        mask: Boolean array of any shape, `True` where a place is taken.
        count: Integer, how many places to draw.
        rng: `numpy.random.Generator`.

    Returns:
        Integer array of distinct flat places, `count` of them, or all empty
        ones if there are fewer.
    """
    taken = mask.reshape(-1)
    if count <= 0:
        return np.empty(0, np.int64)
    empty = taken.size - np.count_nonzero(taken)
    if count >= empty:
        return np.flatnonzero(~taken)
    if taken.size - empty + count > _CROWDED * taken.size:
        return rng.choice(np.flatnonzero(~taken), count, replace=False)
    drawn = np.empty(0, np.int64)
    while drawn.size < count:
        missing = count - drawn.size
        more = rng.integers(taken.size, size=missing + missing // 2 + 16)
        drawn = _first_occurrences(np.concatenate([drawn, more[~taken[more]]]))
    return drawn[:count]


def random_mask(shape, count, rng):
    """Draws a mask with exactly `count` connections.

    Args:
        shape: Tuple of integers.
        count: Integer in `[0, size]`.
        rng: `numpy.random.Generator`.

    Returns:
        Boolean array of shape `shape`.
    """
    mask = np.zeros(shape, bool)
    if count > mask.size // 2:
        holes = random_places(mask, mask.size - count, rng)
        mask[:] = True
        mask.reshape(-1)[holes] = False
    else:
        mask.reshape(-1)[random_places(mask, count, rng)] = True
    return mask


def _first_occurrences(places):
    _, first = np.unique(places, return_index=True)
    first.sort()
    return places[first]
