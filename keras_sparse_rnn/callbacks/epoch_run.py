"""One training with a `RewiringCallback` that rewires at epochs' beginnings."""

from keras_sparse_rnn import optimizer_slots
from keras_sparse_rnn.callbacks.rewiring_run import RewiringRun
from keras_sparse_rnn.callbacks.timetable import EpochTimetable


class EpochRun(RewiringRun):
    """As `RewiringRun`, by epochs.

    Args:
        callback: As for `RewiringRun`.
    """

    def __init__(self, callback):
        super().__init__(callback)
        self.timetable = EpochTimetable(
            callback.frequency.count,
            callback.start,
            callback.end,
            callback.params["epochs"],
        )
        self._tell_if_never_due()

    def _begin_epoch(self, epoch):
        if self._first_epoch:
            self._begin_walk()
            self._pruning.begin_at(self.timetable.last_before(epoch) + 1)
        self._epoch_due = self.timetable.is_due(epoch)
        if self._first_epoch and self._was_interrupted_in(epoch):
            self._epoch_due = False
            self._pruning.begin_at(epoch + 1)
        # With averaged weights `SwapEMAWeights` may come later in the list and
        # put the trained ones back only now: then the first batch's beginning
        # is the time. A gradient is noted in the first batch.
        waits = optimizer_slots.averages_weights(self._optimizer)
        if not waits and "gradient" not in self._callback.rule.needs:
            self._rewire_if_due(0)

    def _rewire_if_due(self, batch):
        if not self._model.built:
            return
        if self._epoch_due:
            if not self._is_ready():
                self._waited = True
                return
            self._epoch_due = False
            self._rewire(
                self._epoch, self.timetable.progress(self._epoch), self._epoch
            )
        elif self._asks_last and self.timetable.is_last(self._epoch):
            self._prune_what_is_left(self._epoch)

    def _was_interrupted_in(self, epoch):
        """Whether this epoch is begun again after a backup taken within it."""
        weights = self._trainable_weights()
        return any(weight.last_epoch == epoch for weight in weights)
