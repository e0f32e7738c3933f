"""Schedules: how the rewire rate ζ changes over training.

A schedule is a function of the progress, between 0 at the start and 1 at the
end of training, that returns the factor by which the initial rate is
multiplied.
"""

import math


def cosine(progress):
    """Falls from 1 to 0 along half a cosine (ST-RNN).

    Args:
        progress: Float in `[0, 1]`.

    Returns:
        Float in `[0, 1]`, `(1 + cos(π * progress)) / 2`.

    Reference:
        - Liu et al., Neural Computing and Applications 33:9625–9636, 2021,
          section 3.2
    """
    return (1 + math.cos(math.pi * progress)) / 2


def constant(progress):
    """Stays at 1 (SET)."""
    del progress
    return 1.0
