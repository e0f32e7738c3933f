"""One training with a `RewiringCallback` that counts the optimizer's steps."""

from keras_sparse_rnn import rewiring as rules
from keras_sparse_rnn.callbacks.nothing_rewired import warn_if_too_short
from keras_sparse_rnn.callbacks.rewiring_run import RewiringRun
from keras_sparse_rnn.callbacks.timetable import StepTimetable


class StepRun(RewiringRun):
    """As `RewiringRun`, by steps.

    Args:
        callback: As for `RewiringRun`.

    Raises:
        ValueError: As `RewiringRun`, or if the schedule needs the number of
            steps of the training, and nobody tells it.
    """

    def __init__(self, callback):
        if _goes_by_progress(callback) and callback.params.get("steps") is None:
            raise ValueError(
                "Counting steps, the schedule needs the number of steps of "
                "the training, which this data set does not tell: pass "
                "`end=`, or `steps_per_epoch=` to `fit`. Received: end=None"
            )
        # Last: it brings weights in order.
        super().__init__(callback)

    def _begin_epoch(self, epoch):
        step = self._step()
        self._steps_before = step
        if not self._first_epoch:
            return
        weights = self._trainable_weights()
        last = max((weight.last_step for weight in weights), default=-1)
        # It is ahead if another optimizer made it.
        last = last if last <= step else -1
        self._pruning.begin_at(last + 1)
        steps = self._callback.params.get("steps")
        epochs = self._callback.params["epochs"] - epoch
        self.timetable = StepTimetable(
            self._callback.frequency.count,
            self._callback.start,
            self._callback.end,
            last,
            None if steps is None else step + epochs * steps,
        )
        self._begin_walk()
        self._tell_if_never_due()

    def _rewire_if_due(self, batch):
        self._rewire_if_time(batch)
        if self._asks_last:
            self._prune_if_last(batch)

    def _rewire_if_time(self, batch):
        ahead = 0
        if self._gradients is not None and self._gradients.is_missing():
            # The step before must note its gradient.
            ahead = self._model.steps_per_execution
        if not self.timetable.is_time(self._steps_before + batch + ahead):
            return
        # The optimizer's own count is read only when it may be time, since
        # reading waits for the device. It is behind the number of batches
        # where gradients are accumulated or loss scaling skipped a step.
        step = self._step()
        self._steps_before = step - batch
        if not self.timetable.is_time(step + ahead):
            return
        if self.timetable.is_over(step):
            self.timetable.note(step)
            return
        is_time = self.timetable.is_time(step)
        if not self._is_ready():
            self._waited |= is_time
            return
        if not is_time:
            return
        self.timetable.note(step)
        of_training = 0.0
        if _goes_by_progress(self._callback):
            params = self._callback.params
            epochs = self._epoch + batch / params["steps"]
            of_training = epochs / params["epochs"]
        self._rewire(step, self.timetable.progress(step, of_training))
        if self.timetable.is_time(step + self._model.steps_per_execution):
            # The step that follows is the one before the next rewiring.
            self._is_ready()

    def _prune_if_last(self, batch):
        ahead = self._model.steps_per_execution
        if not self._is_last(batch):
            # At most so many: see above.
            if not self.timetable.is_over(self._steps_before + batch + ahead):
                return
            step = self._step()
            self._steps_before = step - batch
            if not self.timetable.is_over(step + ahead):
                return
        step = self._step()
        if self.timetable.is_open(step):
            self._prune_what_is_left(step)
        self._asks_last = False

    def _is_last(self, batch):
        """Whether training is known to end with what a batch begins."""
        params = self._callback.params
        return (
            self._epoch == params["epochs"] - 1
            and params.get("steps") is not None
            and batch + self._model.steps_per_execution >= params["steps"]
        )

    def _warn_if_too_short(self):
        # Of a length that is known it was foreseen.
        is_unknown = self._callback.params.get("steps") is None
        if is_unknown and not self._first_epoch:
            warn_if_too_short(self._callback, self.timetable, self._step())


def _goes_by_progress(callback):
    """Whether the schedule looks at how much of the training is over."""
    return (
        callback.rewire_rate
        and callback.end is None
        and callback.rule.schedule is not rules.constant
    )
