"""Sparsity schedules: the targets of pruning over training.

A sparsity schedule is any object called as `schedule(step)` that returns a
pair: whether to prune at this step, and the sparsity to prune to. Those of
tensorflow-model-optimization are. A step is whatever the caller counts in,
optimizer steps or epochs.
"""

import dataclasses

from keras_sparse_rnn.arguments import check_integer
from keras_sparse_rnn.arguments import check_sparsity
from keras_sparse_rnn.arguments import is_number


def ask(schedule, first, last):
    """Asks a schedule about each of some steps.

    Each, because a schedule may say yes only at every hundredth, and the
    caller may not come by at that one.

    Args:
        schedule: A sparsity schedule.
        first: Integer, the first step to ask about.
        last: Integer, the last one. Below `first` nothing is asked.

    Returns:
        Float, the sparsity of the last step at which to prune, or `None` if
        there is none.

    Raises:
        ValueError: If the schedule does not return a pair, or at a step at
            which to prune a sparsity outside of `[0, 1)`.
    """
    target = None
    for step in range(first, last + 1):
        answer = schedule(step)
        try:
            should_prune, sparsity = answer
            should_prune = bool(should_prune)
            if should_prune:
                sparsity = float(sparsity)
        except (TypeError, ValueError):
            raise ValueError(
                "A sparsity schedule must return a pair: whether to prune at "
                f"this step, and a sparsity. Received: {answer!r} at step "
                f"{step} from schedule={schedule}"
            ) from None
        if not should_prune:
            continue
        if not 0 <= sparsity < 1:
            raise ValueError(
                "A sparsity schedule must return a sparsity in [0, 1). "
                f"Received: {sparsity} at step {step} from "
                f"schedule={schedule}"
            )
        target = sparsity
    return target


@dataclasses.dataclass(frozen=True)
class CubicSparsity:
    """Rises fast at first and ever slower (gradual magnitude pruning).

    `final + (initial - final) * (1 - (step - begin) / (end - begin))**3`
    from `begin` to `end`. It prunes at `begin`, at every further `frequency`
    steps, and at `end`, so that the final sparsity is reached in any case.

    Args:
        final_sparsity: Float in `[0, 1)`.
        end: Integer above `begin`, the last step at which to prune.
        initial_sparsity: Float in `[0, final_sparsity]`. Defaults to `0.0`.
        begin: Integer of at least 0, the first one. Defaults to `0`.
        frequency: Integer of at least 1, the steps from one pruning to the
            next. Defaults to `1`.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - Zhu and Gupta, To prune, or not to prune, arXiv:1710.01878,
          equation 1
    """

    final_sparsity: float
    end: int
    initial_sparsity: float = 0.0
    begin: int = 0
    frequency: int = 1

    def __post_init__(self):
        check_sparsity(self.final_sparsity, "final_sparsity")
        _check_times(self.begin, self.frequency, self.end)
        if not (
            is_number(self.initial_sparsity)
            and 0 <= self.initial_sparsity <= self.final_sparsity
        ):
            raise ValueError(
                "`initial_sparsity` must be between 0 and "
                f"final_sparsity={self.final_sparsity}. Received: "
                f"initial_sparsity={self.initial_sparsity!r}"
            )

    def __call__(self, step):
        passed = _share(step - self.begin, self.end - self.begin)
        missing = (self.initial_sparsity - self.final_sparsity) * (
            1 - passed
        ) ** 3
        return _is_due(step, self), self.final_sparsity + missing


@dataclasses.dataclass(frozen=True)
class RampSparsity:
    """Rises along two lines, the second one 1.5 times as steep.

    From 0 at `begin` to the final sparsity at `end`, steeper from `ramp` on.
    The original ramps the threshold in this form, and its final sparsity is
    what comes out; here the sparsity itself rises so, and ends exactly where
    it should. It prunes at `begin`, at every further `frequency` steps, and at
    `end`.

    Args:
        final_sparsity: Float in `[0, 1)`.
        ramp: Integer from `begin` to `end`, the step at which the slope
            changes. The paper has it at a quarter of the epochs.
        end: Integer above `begin`, the last step at which to prune. The paper
            has it at half of the epochs.
        begin: Integer of at least 0. Defaults to `0`.
        frequency: Integer of at least 1. Defaults to `1`.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - Narang et al., Exploring Sparsity in Recurrent Neural Networks, ICLR
          2017, section 3 and equation 1
    """

    final_sparsity: float
    ramp: int
    end: int
    begin: int = 0
    frequency: int = 1

    def __post_init__(self):
        check_sparsity(self.final_sparsity, "final_sparsity")
        _check_times(self.begin, self.frequency, self.end)
        check_integer("ramp", self.ramp, self.begin)
        if self.ramp > self.end:
            raise ValueError(
                f"`ramp` must be at most end={self.end}. "
                f"Received: ramp={self.ramp!r}"
            )

    def __call__(self, step):
        # In half slopes, so that the numbers are integers.
        share = self._risen(step) / self._risen(self.end)
        return _is_due(step, self), share * self.final_sparsity

    def _risen(self, step):
        step = min(max(step, self.begin), self.end)
        gentle = min(step, self.ramp) - self.begin
        steep = max(step - self.ramp, 0)
        return 2 * gentle + 3 * steep


@dataclasses.dataclass(frozen=True)
class ConstantSparsity:
    """The same sparsity from one step on.

    After the first pruning there is something to prune only where connections
    have grown again.

    Args:
        final_sparsity: Float in `[0, 1)`.
        begin: Integer of at least 0. Defaults to `0`.
        frequency: Integer of at least 1. Defaults to `1`.
        end: Integer of at least `begin`, the last step at which to prune, or
            `None`. Defaults to `None`.

    Raises:
        ValueError: If an argument is out of range.
    """

    final_sparsity: float
    begin: int = 0
    frequency: int = 1
    end: int | None = None

    def __post_init__(self):
        check_sparsity(self.final_sparsity, "final_sparsity")
        _check_times(self.begin, self.frequency)
        if self.end is not None:
            check_integer("end", self.end, self.begin)

    def __call__(self, step):
        return _is_due(step, self), self.final_sparsity


@dataclasses.dataclass(frozen=True)
class OneShotSparsity:
    """Everything at one step.

    Args:
        final_sparsity: Float in `[0, 1)`.
        step: Integer of at least 0, when to prune: the beginning of this step
            or epoch, counted from 0, so that the last one of E epochs is
            E - 1.

    Raises:
        ValueError: If an argument is out of range.
    """

    final_sparsity: float
    step: int

    def __post_init__(self):
        check_sparsity(self.final_sparsity, "final_sparsity")
        check_integer("step", self.step, 0)

    def __call__(self, step):
        return step == self.step, self.final_sparsity


@dataclasses.dataclass(frozen=True)
class IterativeSparsity:
    """Prune, retrain, repeat: the same fraction of what is left, each time.

    After round r of R the density is `(1 - final_sparsity)**(r / R)`.

    Args:
        final_sparsity: Float in `[0, 1)`, after the last round.
        rounds: Integer of at least 1.
        begin: Integer of at least 0, the step of the first round. Defaults to
            `0`.
        frequency: Integer of at least 1, the steps of retraining between two
            rounds. Defaults to `1`.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - Han et al., Learning both Weights and Connections for Efficient
          Neural Networks, NeurIPS 2015, section 3.3: iterative pruning
    """

    final_sparsity: float
    rounds: int
    begin: int = 0
    frequency: int = 1

    def __post_init__(self):
        check_sparsity(self.final_sparsity, "final_sparsity")
        check_integer("rounds", self.rounds, 1)
        _check_times(self.begin, self.frequency)

    @property
    def end(self):
        """Integer, the step of the last round."""
        return self.begin + (self.rounds - 1) * self.frequency

    def __call__(self, step):
        done = (step - self.begin) // self.frequency + 1
        done = min(max(done, 0), self.rounds)
        if done == self.rounds:
            # Without the rounding error of a power.
            return _is_due(step, self), self.final_sparsity
        density = (1 - self.final_sparsity) ** (done / self.rounds)
        return _is_due(step, self), 1 - density


def _is_due(step, schedule):
    """Whether a schedule with a begin, a frequency and an end prunes now."""
    if step < schedule.begin:
        return False
    if schedule.end is not None and step >= schedule.end:
        return step == schedule.end
    return (step - schedule.begin) % schedule.frequency == 0


def _share(passed, whole):
    return min(max(passed / whole, 0.0), 1.0)


def _check_times(begin, frequency, end=None):
    check_integer("begin", begin, 0)
    check_integer("frequency", frequency, 1)
    if end is not None:
        check_integer("end", end, begin + 1)
