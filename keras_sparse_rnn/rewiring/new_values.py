"""Values of new connections.

A function `new_values(shape, rng)` of the shape `(connections, tied)`.
"""

import numpy as np

from keras_sparse_rnn.arguments import check_above_0


def zero_values(shape, rng):
    """New weights are 0: the network's output does not jump (ST-RNN)."""
    del rng
    return np.zeros(shape, np.float32)


class NormalValues:
    """New weights are drawn from a normal distribution around 0 (SET).

    Args:
        stddev: Float above 0, the standard deviation. Defaults to `0.1`, the
            spread in the authors' sparse implementation of SET.

    Raises:
        ValueError: If `stddev` is not a finite number above 0.
    """

    def __init__(self, stddev=0.1):
        check_above_0("stddev", stddev)
        self.stddev = stddev

    def __call__(self, shape, rng):
        return rng.normal(0.0, self.stddev, shape).astype(np.float32)

    def __repr__(self):
        return f"NormalValues(stddev={self.stddev})"
