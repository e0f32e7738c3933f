"""The threshold of dynamic sparse reparameterization (DSR)."""

import numpy as np

from keras_sparse_rnn.arguments import is_number
from keras_sparse_rnn.topology.counted_topology import nearest_integer

# The authors' tolerance: how far from the wanted number is near enough.
_TOO_MANY, _TOO_FEW = 1.1, 0.9


def first_threshold(magnitudes, rate):
    """The threshold below which a fraction of all connections lies.

    Args:
        magnitudes: Float array of shape `(connections,)`, those of all groups
            together, see `connection_magnitudes`.
        rate: Float in `[0, 1]`, the rewire rate ζ.

    Returns:
        Float above 0. The connections below it are `rate * connections`, to
        the nearest integer, or fewer if several are just as strong. Where the
        quantile is 0, which no doubling would move, it is the smallest
        magnitude above 0.

    Raises:
        ValueError: If `rate` is no number in `[0, 1]`, or no magnitude is
            above 0.
    """
    if not (is_number(rate) and 0 <= rate <= 1):
        raise ValueError(
            "The rewire rate must be a number in [0, 1]. "
            f"Received: rate={rate!r}"
        )
    magnitudes = np.asarray(magnitudes)
    above_0 = magnitudes[magnitudes > 0]
    if not len(above_0):
        raise ValueError(
            "A threshold needs a connection whose weight is not 0. Received: "
            f"magnitudes of {len(magnitudes)} connections, all 0"
        )
    below = min(nearest_integer(rate * len(magnitudes)), len(magnitudes) - 1)
    quantile = np.partition(magnitudes, below)[below]
    return float(quantile if quantile > 0 else above_0.min())


def adapted_threshold(threshold, removed, wanted):
    """The next threshold, after so many connections were below this one.

    Args:
        threshold: Float, the threshold that was used.
        removed: Number of connections that went.
        wanted: Number of connections that should have gone.

    Returns:
        Float: half the threshold if more than 1.1 times as many went as
        wanted, twice the threshold if fewer than 0.9 times, else the same.

    Reference:
        - Mostafa and Wang, Parameter Efficient Training of Deep Convolutional
          Neural Networks by Dynamic Sparse Reparameterization, ICML 2019,
          algorithm 1
    """
    if removed > _TOO_MANY * wanted:
        return threshold / 2
    if removed < _TOO_FEW * wanted:
        return threshold * 2
    return threshold
