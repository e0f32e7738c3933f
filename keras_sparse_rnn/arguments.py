"""Checks of arguments: what is wrong is a `ValueError`.

`True` and `False` are no numbers here, though Python counts them as integers.
"""

import math
import numbers

import numpy as np


def named(cls, name):
    """How errors call a layer: by its class, and its name if it has one."""
    return f"{cls.__name__} '{name}'" if name else cls.__name__


def is_number(value):
    """Whether a value is a real number, NaN and infinity included."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def plain_number(value):
    """A real number as Python's own `int` or `float`, which a file can hold."""
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value)


def check_boolean(name, value):
    """Raises `ValueError` unless a value is `True` or `False`."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(
            f"`{name}` must be True or False. Received: {name}={value!r}"
        )


def check_one_of(name, value, choices):
    """Raises `ValueError` unless a value is one of some strings."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(
            f"`{name}` must be one of {[*choices]}. Received: {name}={value!r}"
        )


def check_integer(name, value, least):
    """Raises `ValueError` unless a value is an integer of at least `least`."""
    if (
        not isinstance(value, numbers.Integral)
        or isinstance(value, bool)
        or value < least
    ):
        raise ValueError(
            f"`{name}` must be an integer of at least {least}. "
            f"Received: {name}={value!r}"
        )


def check_number(name, value):
    """Raises `ValueError` unless a value is a finite number."""
    if not (is_number(value) and math.isfinite(value)):
        raise ValueError(
            f"`{name}` must be a finite number. Received: {name}={value!r}"
        )


def check_rate(name, value):
    """Raises `ValueError` unless a value is a number in `[0, 1)`."""
    if not (is_number(value) and 0 <= value < 1):
        raise ValueError(
            f"`{name}` must be a number in [0, 1). Received: {name}={value!r}"
        )


def check_at_least_0(name, value):
    """Raises `ValueError` unless a value is a finite number, not below 0."""
    if not (is_number(value) and value >= 0 and math.isfinite(value)):
        raise ValueError(
            f"`{name}` must be a finite number of at least 0. "
            f"Received: {name}={value!r}"
        )


def check_above_0(name, value):
    """Raises `ValueError` unless a value is a finite number above 0."""
    if not (is_number(value) and value > 0 and math.isfinite(value)):
        raise ValueError(
            f"`{name}` must be a finite number above 0. "
            f"Received: {name}={value!r}"
        )


def check_between_0_and_1(name, value):
    """Raises `ValueError` unless a value is a number in `(0, 1)`."""
    if not (is_number(value) and 0 < value < 1):
        raise ValueError(
            f"`{name}` must be a number in (0, 1). Received: {name}={value!r}"
        )


def check_sparsity(sparsity, name="sparsity"):
    """Raises `ValueError` unless the sparsity is a number in `[0, 1)`."""
    if not (is_number(sparsity) and 0 <= sparsity < 1):
        raise ValueError(
            f"`{name}` must be in [0, 1). Received: {name}={sparsity!r}"
        )
