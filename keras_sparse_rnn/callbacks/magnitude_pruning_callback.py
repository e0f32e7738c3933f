"""Magnitude pruning: from a dense model, or a sparse one, to a sparser one."""

import logging

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn.arguments import check_integer
from keras_sparse_rnn.callbacks.options import takes_options
from keras_sparse_rnn.callbacks.rewiring_callback import RewiringCallback
from keras_sparse_rnn.rewiring import CubicSparsity
from keras_sparse_rnn.rewiring import OneShotSparsity


@takes_options("layers", "log_dir", "pruned_together")
class MagnitudePruningCallback(RewiringCallback):
    """Prunes the smallest |w| while a model is trained; nothing grows.

    The model may start dense, `SparseLSTM(256, sparsity=0)`. By default the
    sparsity rises along a cubic (gradual magnitude pruning) and every group
    reaches it; one that is sparser already stays as it is. Other ways are a
    matter of the schedule:

    - `OneShotSparsity(0.9, step)`: all at once, at the beginning of a step or
      epoch, the last one at the latest;
    - `IterativeSparsity(0.9, rounds, begin, frequency)`: prune, retrain and
      repeat (Han et al.);
    - `RampSparsity(...)`: the ramp for recurrent networks (Narang et al.);
    - `ConstantSparsity(0.9)`, or `PolynomialDecay` and `ConstantSparsity` of
      tensorflow-model-optimization: any object called as `schedule(step)` that
      returns whether to prune and to which sparsity.

    Args:
        final_sparsity: Float in `[0, 1)`, the share of places that are empty
            at the end; or a schedule, which then decides alone, so that
            `start` and `end` only say when it is asked.
        frequency: As in `RewiringCallback`. Defaults to `"epoch"`.
        start: Integer, the epoch, or step, at whose beginning it is first
            pruned. Steps are counted by the optimizer: pass its present one if
            the model was trained before. Defaults to `0`.
        end: Integer above `start`, the epoch, or step, at which the final
            sparsity is reached; counted from 0, so that the last one of E
            epochs is E - 1. Defaults to `None`: with a number as
            `final_sparsity`, the last one of the training.
        initial_sparsity: Float in `[0, final_sparsity]`, the sparsity at
            `start`. Defaults to `0.0`.
        **options: `layers`, `log_dir` and `pruned_together`, as in
            `RewiringCallback`.

    Raises:
        ValueError: If an argument is out of range; when training begins, if
            the final sparsity is below the present one, and as
            `RewiringCallback`.

    Example:

    ```python
    model.add(ksr.SparseLSTM(256, sparsity=0))
    ...
    callback = ksr.MagnitudePruningCallback(0.9, end=8)
    model.fit(x, y, epochs=10, callbacks=[callback])
    ```

    Reference:
        - Zhu and Gupta, To Prune, or Not to Prune, arXiv:1710.01878
        - Han et al., Learning both Weights and Connections for Efficient
          Neural Networks, NeurIPS 2015
        - Narang et al., Exploring Sparsity in Recurrent Neural Networks, ICLR
          2017
    """

    def __init__(
        self,
        final_sparsity,
        frequency="epoch",
        start=0,
        end=None,
        initial_sparsity=0.0,
        **options,
    ):
        check_integer("start", start, 0)
        if end is not None:
            check_integer("end", end, start + 1)
        is_schedule = callable(final_sparsity)
        super().__init__(
            0.0,
            "st_rnn",
            frequency,
            start,
            end if is_schedule else None,
            pruning=final_sparsity
            if is_schedule
            else _cubic(final_sparsity, initial_sparsity, start, start + 1),
            **options,
        )
        # What a schedule is made of, which may depend on how long it trains.
        self._range = (
            None if is_schedule else (final_sparsity, initial_sparsity)
        )
        self._last = end

    def on_train_begin(self, logs=None):
        if self._range is not None:
            if self._last is not None:
                self._end_at(self._last)
            elif not self.frequency.is_by_steps:
                epochs, count = self.params["epochs"], self.frequency.count
                since = (epochs - 1 - self.start) // count * count
                self._end_at(self.start + since)
                if not since:
                    self._note_at_once()
            elif self.params.get("steps") is None:
                raise ValueError(
                    "Counting steps, the schedule needs the number of steps of "
                    "the training, which this data set does not tell: pass "
                    "`end=`, or `steps_per_epoch=` to `fit`. "
                    "Received: end=None"
                )
        super().on_train_begin(logs)

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        if self._range is None or self._last is not None:
            return
        if self.frequency.is_by_steps:
            # Anew in each epoch: loss scaling may have skipped steps.
            last = self.run.timetable.last_of(self._steps_to_come(epoch))
            if last >= 0:
                self._end_at(last)
                if last <= self.start:
                    self._note_at_once()

    def _steps_to_come(self, epoch):
        """The optimizer's steps at whose beginning callbacks will be asked."""
        optimizer, steps = self.model.optimizer, self.params["steps"]
        batches = int(keras_internals.micro_step(optimizer).numpy())
        per_step = keras_internals.micro_steps_per_update(optimizer)
        for _ in range(epoch, self.params["epochs"]):
            for batch in range(0, steps, self.model.steps_per_execution):
                yield (batches + batch) // per_step
            batches += steps

    def _note_at_once(self):
        # Logged, no Python warning: it may be what is wanted.
        logging.getLogger("keras_sparse_rnn").warning(
            "All is pruned at once, at the beginning of %s %d, counted from "
            "0: there is no second time before training ends. Train for "
            "longer, or pass `frequency=`.",
            self.frequency.unit,
            self.start,
        )

    def _end_at(self, last):
        self.pruning = _cubic(*self._range, self.start, last)


def _cubic(final_sparsity, initial_sparsity, begin, end):
    """A cubic schedule, or all at once if there is no time for more."""
    if end <= begin:
        return OneShotSparsity(final_sparsity, begin)
    return CubicSparsity(
        final_sparsity, end, initial_sparsity=initial_sparsity, begin=begin
    )
