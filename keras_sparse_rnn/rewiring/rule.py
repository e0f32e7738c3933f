"""A rewiring rule: drop rule, grow rule, new values and schedule together."""

import dataclasses
from collections.abc import Callable

from keras_sparse_rnn.rewiring.drop import below_threshold
from keras_sparse_rnn.rewiring.drop import changed_sign
from keras_sparse_rnn.rewiring.drop import smallest_magnitude
from keras_sparse_rnn.rewiring.drop import smallest_magnitude_per_sign
from keras_sparse_rnn.rewiring.grow import largest_gradient
from keras_sparse_rnn.rewiring.grow import largest_momentum
from keras_sparse_rnn.rewiring.grow import random_growth
from keras_sparse_rnn.rewiring.grow import random_growth_elsewhere
from keras_sparse_rnn.rewiring.new_values import NormalValues
from keras_sparse_rnn.rewiring.new_values import zero_values
from keras_sparse_rnn.rewiring.random_walk import RandomWalk
from keras_sparse_rnn.rewiring.redistribution import by_momentum
from keras_sparse_rnn.rewiring.redistribution import by_survivors
from keras_sparse_rnn.rewiring.schedules import constant
from keras_sparse_rnn.rewiring.schedules import cosine
from keras_sparse_rnn.rewiring.sources import SOURCES
from keras_sparse_rnn.rewiring.sources import asked_by
from keras_sparse_rnn.rewiring.sources import check_asked


@dataclasses.dataclass(frozen=True)
class RewiringRule:
    """What a rewiring does, as a handful of functions.

    A function that looks at more than its arguments by place asks for it by
    the name of a keyword-only parameter without a default. A drop rule may ask
    for `rng`; `threshold`, a float; `signs`, an integer array of the weights'
    shape. A grow rule may ask for `dropped`, the integer array of the flat
    places of `mask` that were just dropped; `gradient` or `momentum`, float
    arrays of the mask's shape: the magnitude of the dense gradient, or of its
    running average, summed over the weights that a connection there would
    carry. A redistribution may ask for `momentum`, a float array with the
    running average's mean magnitude over the weights of each group.

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
        redistribute: Function `redistribute(survivors, dropped, places)` that
            returns the share of each group in what is grown, nonnegative
            numbers of any scale; its arguments are integer arrays with one
            entry for each group, counted in weights. `None` lets each group
            grow as many connections as it dropped. Defaults to `None`.
        walk: Function `walk(weights, rng)` that returns what the weights of
            all connections become before any is dropped, both arrays of shape
            `(connections,)`, or `None`. It may ask for `signs`, an integer
            array of the same shape; `learning_rate`, the optimizer's; `steps`,
            how many it made since the last rewiring. Defaults to `None`.

    Raises:
        ValueError: If one of them is no function, or asks for what it cannot
            have.

    Example:

    ```python
    def strongest_input(mask, count, rng, *, gradient):
        scores = np.where(mask, -1, gradient.sum(axis=1, keepdims=True))
        return np.argsort(-scores, axis=None, kind="stable")[:count]

    rule = ksr.rewiring.RewiringRule(
        grow=strongest_input, schedule=ksr.rewiring.constant
    )
    rule.needs  # frozenset({"gradient"})
    ```
    """

    drop: Callable = smallest_magnitude
    grow: Callable = random_growth
    new_values: Callable = zero_values
    schedule: Callable = cosine
    redistribute: Callable | None = None
    walk: Callable | None = None

    def __post_init__(self):
        for field in dataclasses.fields(self):
            function = getattr(self, field.name)
            if function is None and field.default is None:
                continue
            if not callable(function):
                raise ValueError(
                    f"`{field.name}` must be a function. "
                    f"Received: {field.name}={function!r}"
                )
            check_asked(field.name, function)

    @property
    def needs(self):
        """Frozenset of what must be supplied for a rewiring by this rule.

        Names among `"threshold"`, `"signs"`, `"gradient"` and `"momentum"`.
        """
        functions = (self.drop, self.grow, self.redistribute, self.walk)
        return SOURCES & frozenset().union(*map(asked_by, functions))

    def rate_at(self, progress, rewire_rate):
        """The rewire rate at some point of the schedule.

        Args:
            progress: Float, 1 at the schedule's end.
            rewire_rate: Float in `[0, 1]`, the initial rate ζ₀.

        Returns:
            Float in `[0, 1]`.

        Raises:
            ValueError: If the schedule does not give one.
        """
        factor = self.schedule(progress)
        try:
            rate = rewire_rate * float(factor)
        except (TypeError, ValueError):
            rate = None
        if rate is None or not 0 <= rate <= 1:
            raise ValueError(
                "A schedule must return a number by which "
                f"rewire_rate={rewire_rate} stays in [0, 1]. Received: "
                f"{factor!r} from schedule={self.schedule}"
            )
        return rate


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


def rigl_rule():
    """RigL: smallest |w|, largest dense gradient, from 0, cosine decay.

    A place that was just dropped may be picked again and then counts as new,
    with a weight of 0, where RigL's authors keep its weight.

    Reference:
        - Evci et al., Rigging the Lottery, ICML 2020, section 3 and
          algorithm 1
    """
    return RewiringRule(grow=largest_gradient)


def snfs_rule():
    """SNFS: smallest |w|, largest averaged gradient, shares by it too.

    New weights are 0 and the rate decays along a cosine. What was dropped goes
    to the groups in proportion to the mean magnitude of the averaged gradient
    over their connections. The authors' lower rate for layers that are nearly
    full is left out: what such a layer drops goes elsewhere or comes back at 0.

    Reference:
        - Dettmers and Zettlemoyer, Sparse Networks from Scratch,
          arXiv:1907.04840, section 3
    """
    return RewiringRule(grow=largest_momentum, redistribute=by_momentum)


def dsr_rule():
    """DSR: one threshold for all, growth by what is left, constant.

    Connections below the threshold go; new ones come at random places that
    were not just dropped, at 0, in proportion to each group's survivors.
    `first_threshold` and `adapted_threshold` hold the fraction that goes near
    to the rewire rate.

    Reference:
        - Mostafa and Wang, Parameter Efficient Training of Deep Convolutional
          Neural Networks by Dynamic Sparse Reparameterization, ICML 2019,
          algorithm 1
    """
    return RewiringRule(
        drop=below_threshold,
        grow=random_growth_elsewhere,
        schedule=constant,
        redistribute=by_survivors,
    )


def deep_r_rule(l1=1e-5, temperature=1e-10):
    """DeepR: what changed its sign goes, as many come at random places.

    Before that all weights take a `RandomWalk`. Each group keeps its count. The
    variant of a budget for the whole network is
    `dataclasses.replace(deep_r_rule(), redistribute=by_size)`.

    Args:
        l1: Float of at least 0, the decay of the walk. Defaults to `1e-5`.
        temperature: Float of at least 0, that of the walk. Defaults to
            `1e-10`.

    Returns:
        A `RewiringRule`.

    Raises:
        ValueError: If an argument is no finite number of at least 0.

    Reference:
        - Bellec et al., Deep Rewiring: Training very sparse deep networks,
          ICLR 2018, algorithms 1 and 2
    """
    return RewiringRule(
        drop=changed_sign,
        grow=random_growth_elsewhere,
        schedule=constant,
        walk=RandomWalk(l1, temperature),
    )


_PRESETS = {
    "st_rnn": st_rnn_rule,
    "set": set_rule,
    "rigl": rigl_rule,
    "snfs": snfs_rule,
    "dsr": dsr_rule,
    "deep_r": deep_r_rule,
}


def get(identifier):
    """Retrieves a rewiring rule by its name.

    Args:
        identifier: `"st_rnn"`, `"set"`, `"rigl"`, `"snfs"`, `"dsr"`,
            `"deep_r"`, or a `RewiringRule`.

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
