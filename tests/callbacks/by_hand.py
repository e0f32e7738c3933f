"""Rewirings by magnitude and by a score, in slow and plain NumPy."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass
class State:
    """Copies of what belongs to one sparse weight."""

    value: np.ndarray
    mask: np.ndarray
    groups: tuple


def states(weights):
    """What sparse weights are now."""
    return [
        State(np.array(each.value), np.array(each.mask), each.groups)
        for each in weights
    ]


def to_nearest(number):
    return math.floor(number + 0.5)


def mask_by(score, state, rate):
    """The mask after the weakest have gone and the highest scores have come.

    Of weights whose groups carry one weight a connection.
    """
    mask = state.mask.copy()
    for group in state.groups:
        count = drop_from(mask, state, group, rate)
        grow_in(mask, score, group, count)
    return mask


def drop_from(mask, state, group, rate):
    """Takes the smallest magnitudes of a group out of a mask; their number."""
    connections = [
        (abs(state.value[row, column]), row, column)
        for row in range(len(mask))
        for column in range(group.start, group.stop)
        if mask[row, column]
    ]
    count = min(to_nearest(rate * len(connections)), len(connections) - 1)
    for _, row, column in sorted(connections)[:count]:
        mask[row, column] = False
    return count


def grow_in(mask, score, group, count):
    """Adds the empty places of a group with the highest scores to a mask."""
    empty = [
        (-abs(score[row, column]), row, column)
        for row in range(len(mask))
        for column in range(group.start, group.stop)
        if not mask[row, column]
    ]
    for _, row, column in sorted(empty)[:count]:
        mask[row, column] = True
