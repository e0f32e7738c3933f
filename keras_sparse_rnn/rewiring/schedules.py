"""Schedules: how the rewire rate ζ changes over training.

A schedule is a function of the progress, between 0 at the start and 1 at the
end of training, that returns the factor by which the initial rate is
multiplied.
"""

import dataclasses
import math

from keras_sparse_rnn.arguments import check_above_0


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


def linear(progress):
    """Falls from 1 to 0 along a straight line.

    Args:
        progress: Float in `[0, 1]`.

    Returns:
        Float in `[0, 1]`, `1 - progress`.
    """
    return 1.0 - progress


@dataclasses.dataclass(frozen=True)
class Exponential:
    """Falls from 1 by the same factor in equal spans of time.

    It does not reach 0. What RigL's authors call exponential, `(1 - τ)**k` of
    the progress τ, is `InversePower`.

    Args:
        rate: Float above 0: at the end the factor is `exp(-rate)`. Defaults
            to `5.0`, below one hundredth at the end.

    Raises:
        ValueError: If `rate` is not a finite number above 0.
    """

    rate: float = 5.0

    def __post_init__(self):
        check_above_0("rate", self.rate)

    def __call__(self, progress):
        return math.exp(-self.rate * progress)


@dataclasses.dataclass(frozen=True)
class InversePower:
    """Falls from 1 to 0 as `(1 - progress)**power`.

    Args:
        power: Float above 0. 1 is `linear`. Defaults to `3.0`.

    Raises:
        ValueError: If `power` is not a finite number above 0.

    Reference:
        - Evci et al., Rigging the Lottery, ICML 2020, appendix: "inverse
          power" decay; `exponential` in the authors' implementation
    """

    power: float = 3.0

    def __post_init__(self):
        check_above_0("power", self.power)

    def __call__(self, progress):
        return (1.0 - progress) ** self.power
