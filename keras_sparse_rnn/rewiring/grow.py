"""Grow rules: where new connections come.

A grow rule is a function `grow(mask, count, rng)`: `mask` holds the survivors
of the drop, so that a place that was just dropped may be picked again. It
returns flat places of the mask.
"""

from keras_sparse_rnn.topology.random_places import random_places


def random_growth(mask, count, rng):
    """Grows connections at uniformly random empty places (SET, ST-RNN).

    Args:
        mask: Boolean array of shape `(inputs, outputs)`, the survivors.
        count: Integer, how many connections to grow.
        rng: `numpy.random.Generator`.

    Returns:
        Integer array of distinct flat places, `count` of them, or all empty
        ones if there are fewer.

    Reference:
        - Mocanu et al., Nature Communications 9:2383, 2018, algorithm 1
        - Liu et al., Neural Computing and Applications 33:9625–9636, 2021,
          section 3.2
    """
    return random_places(mask, count, rng)
