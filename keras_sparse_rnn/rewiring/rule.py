"""A rewiring rule: drop rule, grow rule, new values and schedule together."""

import dataclasses
from collections.abc import Callable

from keras_sparse_rnn.rewiring.drop import smallest_magnitude
from keras_sparse_rnn.rewiring.drop import smallest_magnitude_per_sign
from keras_sparse_rnn.rewiring.grow import random_growth
from keras_sparse_rnn.rewiring.new_values import NormalValues
from keras_sparse_rnn.rewiring.new_values import zero_values
from keras_sparse_rnn.rewiring.schedules import constant
from keras_sparse_rnn.rewiring.schedules import cosine


@dataclasses.dataclass(frozen=True)
class RewiringRule:
    """What a rewiring does, as four functions.

    Args:
        drop: Function `drop(weights, rate)` that returns the indices of the
            connections to drop; `weights` has the shape
            `(connections, tied)`.
        grow: Function `grow(mask, count, rng)` that returns flat empty places
            of the boolean `mask`.
        new_values: Function `new_values(shape, rng)` that returns the new
            connections' weights, of shape `(connections, tied)`.
        schedule: Function of the progress in `[0, 1]` that returns the factor
            by which the rewire rate is multiplied.

    Raises:
        ValueError: If one of the four is no function.

    Example:

    ```python
    rule = ksr.rewiring.RewiringRule(schedule=ksr.rewiring.constant)
    model.fit(x, y, callbacks=[ksr.SETCallback(0.3, rule=rule)])
    ```
    """

    drop: Callable = smallest_magnitude
    grow: Callable = random_growth
    new_values: Callable = zero_values
    schedule: Callable = cosine

    def __post_init__(self):
        for field in dataclasses.fields(self):
            function = getattr(self, field.name)
            if not callable(function):
                raise ValueError(
                    f"`{field.name}` must be a function. "
                    f"Received: {field.name}={function!r}"
                )


def st_rnn_rule():
    """ST-RNN: smallest |w|, random growth from 0, cosine decay."""
    return RewiringRule()


def set_rule(stddev=0.1):
    """The original SET: per-sign rule, normal new weights, constant ζ.

    Args:
        stddev: Float above 0, the new weights' standard deviation. Defaults
            to `0.1`.

    Returns:
        A `RewiringRule`.

    Raises:
        ValueError: If `stddev` is not a finite number above 0.

    Reference:
        - Mocanu et al., Nature Communications 9:2383, 2018, algorithm 1
    """
    return RewiringRule(
        drop=smallest_magnitude_per_sign,
        new_values=NormalValues(stddev),
        schedule=constant,
    )


_PRESETS = {"st_rnn": st_rnn_rule, "set": set_rule}


def get(identifier):
    """Retrieves a rewiring rule by its name.

    Args:
        identifier: `"st_rnn"`, `"set"`, or a `RewiringRule`.

    Returns:
        A `RewiringRule`.

    Raises:
        ValueError: If the name is unknown.
    """
    if isinstance(identifier, RewiringRule):
        return identifier
    preset = _PRESETS.get(identifier) if isinstance(identifier, str) else None
    if preset is None:
        raise ValueError(
            f"`rule` must be a `RewiringRule` or one of {[*_PRESETS]}. "
            f"Received: rule={identifier!r}"
        )
    return preset()
