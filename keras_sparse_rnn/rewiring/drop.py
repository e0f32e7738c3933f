"""Drop rules: which connections go.

A drop rule is a function `drop(weights, rate)`: `weights` has the shape
`(connections, tied)` with the weights that each connection carries, `rate` is
the fraction to drop. It returns the dropped connections' indices. What else it
looks at it asks for by keyword-only parameters, see `sources.py`.
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


def random_drop(weights, rate, *, rng):
    """Drops uniformly random connections.

    Args:
        weights: Float array of shape `(connections, tied)`.
        rate: Float in `[0, 1]`, the fraction to drop.
        rng: `numpy.random.Generator`.

    Returns:
        Integer array of `rate * connections` indices, to the nearest integer,
        sorted.
    """
    count = nearest_integer(rate * len(weights))
    return np.sort(rng.choice(len(weights), count, replace=False))


def below_threshold(weights, rate, *, threshold):
    """Drops the connections whose sum of |w| is below a threshold (DSR).

    Of connections that are all below it the strongest is kept, the first one
    of several.

    Args:
        weights: Float array of shape `(connections, tied)`.
        rate: Float in `[0, 1]`. At 0 nothing goes; otherwise the threshold
            alone decides, see `adapted_threshold`.
        threshold: Float of at least 0.

    Returns:
        Integer array of indices, sorted.

    Reference:
        - Mostafa and Wang, Parameter Efficient Training of Deep Convolutional
          Neural Networks by Dynamic Sparse Reparameterization, ICML 2019,
          algorithm 1
    """
    # In the weights' own precision a small threshold would be rounded to 0.
    magnitude = np.abs(weights, dtype=np.float64).sum(axis=1)
    return _all_but_one_at_most(magnitude, magnitude < threshold, rate)


def changed_sign(weights, rate, *, signs):
    """Drops the connections whose weight has left its sign (DeepR).

    A connection goes when the sum of `weight * sign` over the weights that it
    carries is below 0; one of exactly 0 stays, as new ones are. Where all
    would go, the one nearest to its sign is kept, the first one of several.

    Args:
        weights: Float array of shape `(connections, tied)`.
        rate: Float in `[0, 1]`. At 0 nothing goes; otherwise it has no effect.
        signs: Array of the same shape, 1 or -1: the sign of each weight.

    Returns:
        Integer array of indices, sorted.

    Raises:
        ValueError: If a sign is neither 1 nor -1.

    Reference:
        - Bellec et al., Deep Rewiring: Training very sparse deep networks,
          ICLR 2018, algorithm 1
    """
    if not (np.abs(signs) == 1).all():
        raise ValueError(
            "`signs` must be 1 or -1 at each connection. Received: "
            f"signs={np.unique(signs).tolist()}"
        )
    along = (weights * signs).sum(axis=1)
    return _all_but_one_at_most(along, along < 0, rate)


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


def _all_but_one_at_most(scores, dropped, rate):
    if rate == 0:
        return np.empty(0, np.int64)
    if dropped.all() and len(dropped):
        dropped[np.argmax(scores)] = False
    return np.flatnonzero(dropped)
