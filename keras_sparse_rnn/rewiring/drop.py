"""Drop rules: which connections go.

A drop rule is a function `drop(weights, rate)`: `weights` has the shape
`(connections, tied)` with the weights that each connection carries, `rate` is
the fraction to drop. It returns the dropped connections' indices.
"""

import numpy as np

from keras_sparse_rnn.topology.counted_topology import nearest_integer


def smallest_magnitude(weights, rate):
    """Drops the connections with the smallest sum of |w| (ST-RNN).

    Args:
        weights: Float array of shape `(connections, tied)`.
        rate: Float in `[0, 1]`, the fraction to drop.

    Returns:
        Integer array of `rate * connections` indices, to the nearest integer.
        Ties go by index.

    Reference:
        - Liu et al., Neural Computing and Applications 33:9625–9636, 2021,
          section 3.2
    """
    magnitude = np.abs(weights).sum(axis=1)
    return smallest(magnitude, nearest_integer(rate * len(magnitude)))


def smallest_magnitude_per_sign(weights, rate):
    """Drops the fraction nearest to zero of either sign (SET).

    The sign of a connection that carries several weights is that of their
    sum. A weight of exactly zero counts as positive.

    Args:
        weights: Float array of shape `(connections, tied)`.
        rate: Float in `[0, 1]`, the fraction of each sign to drop.

    Returns:
        Integer array of indices, sorted. Ties go by index.

    Reference:
        - Mocanu et al., Nature Communications 9:2383, 2018, algorithm 1
    """
    magnitude = np.abs(weights).sum(axis=1)
    negative = weights.sum(axis=1) < 0
    dropped = []
    for of_sign in (np.flatnonzero(~negative), np.flatnonzero(negative)):
        count = nearest_integer(rate * len(of_sign))
        dropped.append(of_sign[smallest(magnitude[of_sign], count)])
    return np.sort(np.concatenate(dropped))


def smallest(scores, count):
    """Indices of the `count` smallest scores, ties by index, sorted.

    Args:
        scores: Array of shape `(n,)` without NaN.
        count: Integer in `[0, n]`.

    Returns:
        Integer array of `count` indices.
    """
    if count <= 0:
        return np.empty(0, np.int64)
    if count >= len(scores):
        return np.arange(len(scores))
    threshold = np.partition(scores, count - 1)[count - 1]
    chosen = scores < threshold
    ties = np.flatnonzero(scores == threshold)
    chosen[ties[: count - np.count_nonzero(chosen)]] = True
    return np.flatnonzero(chosen)
