"""The callback that every rewiring method is a preset of: it decides when."""

import logging
import warnings
import weakref

import keras

from keras_sparse_rnn import model_rewiring
from keras_sparse_rnn import optimizer_slots
from keras_sparse_rnn import rewiring as rules
from keras_sparse_rnn.arguments import check_integer
from keras_sparse_rnn.arguments import plain_number
from keras_sparse_rnn.sparse_layers import chosen_sparse_layers
from keras_sparse_rnn.sparse_layers import may_make_layers
from keras_sparse_rnn.sparse_layers import sparse_layers
from keras_sparse_rnn.sparse_layers import sparse_weights

# All rewiring callbacks that were passed to a `fit`: no callback sees the list
# that it is in.
_in_use = weakref.WeakSet()


class RewiringCallback(keras.callbacks.Callback):
    """Rewires the sparse weights of a model while it is trained.

    What a rewiring does is the rule's matter; this callback decides when. All
    that must survive a restart is saved with the weights: it keeps no state.

    By default it rewires at the *beginning* of epochs 1, 2, …, E − 1: what
    other callbacks save or restore at an epoch's end is the trained network,
    whatever their order, and the last epoch is not followed by a rewiring.

    At the end of each epoch it adds to `logs`, and so to `History`, and to
    TensorBoard if that callback comes later in the list:
    `connections_moved`, in this epoch; `rewire_rate`, the last one used in it
    or 0; `exploration_rate`, the share of places that were connections at any
    time.

    Several of these callbacks in one `fit` must act on different layers. In
    the logs `rewire_rate` is then that of the last one in the list; the other
    two are of all of them together.

    Weights that are not trained are not rewired. If no other is left, a warning
    says so when training begins. `layer.trainable = False` goes for all inside
    of a wrapper such as `Bidirectional`; its constructor's `trainable=False`
    does not, for Keras goes on training what is inside.

    Args:
        rewire_rate: Float in `[0, 1]`, the initial rewire rate ζ₀.
        rule: `"st_rnn"`, `"set"`, or a
            `keras_sparse_rnn.rewiring.RewiringRule`. Defaults to `"st_rnn"`.
        every_steps: Integer above 0: rewire at the beginning of a batch when
            at least so many steps of the optimizer were made since the last
            time, instead of once an epoch. Defaults to `None`.
        start: Integer, the first epoch at whose beginning to rewire, or with
            `every_steps` the first step, as the optimizer counts them.
            Defaults to `None`: epoch 1, or the step `every_steps`.
        end: Integer above `start`, the first epoch, or with `every_steps` the
            first step, at which no more rewiring is done and the schedule
            reaches its end. Defaults to `None`: the end of training.
        layers: List of layers or of their names, to which to keep; wrappers
            stand for what is inside. Defaults to `None`: all sparse layers.
        new_slots: String, how optimizer slots of new connections start:
            `"fresh"` or `"survivors_mean"`, see `keras_sparse_rnn.rewire`.
            Defaults to `"fresh"`.
        log_dir: String, a folder into which images of the masks and
            histograms of weights and degrees are written at each epoch's end,
            for TensorBoard, which must be installed. Defaults to `None`.

    Raises:
        ValueError: If an argument is out of range; when training begins, if
            the model has no sparse layer, its optimizer is not supported, or
            another of these callbacks acts on the same layers; at a rewiring,
            if the rule's schedule does not give a rate in `[0, 1]`.
        ImportError: If `log_dir` is given and TensorBoard is not installed.

    Example:

    ```python
    rule = ksr.rewiring.RewiringRule(
        drop=ksr.rewiring.smallest_magnitude_per_sign
    )
    callback = ksr.RewiringCallback(0.3, rule, every_steps=100, end=5_000)
    model.fit(x, y, epochs=10, callbacks=[callback])
    ```

    Reference:
        - Liu et al., Neural Computing and Applications 33:9625–9636, 2021
        - Mocanu et al., Nature Communications 9:2383, 2018
    """

    def __init__(
        self,
        rewire_rate,
        rule="st_rnn",
        every_steps=None,
        start=None,
        end=None,
        layers=None,
        new_slots="fresh",
        log_dir=None,
    ):
        super().__init__()
        model_rewiring.check_rewire_rate(rewire_rate)
        model_rewiring.check_new_slots(new_slots)
        for name, value, least in (
            ("every_steps", every_steps, 1),
            ("start", start, 0),
            ("end", end, 1),
        ):
            if value is not None:
                check_integer(name, value, least)
        if start is not None and end is not None and end <= start:
            raise ValueError(
                "`end` must be above `start`. "
                f"Received: start={start}, end={end}"
            )
        # A plain number, which logs can be written with.
        self.rewire_rate = plain_number(rewire_rate)
        self.rule = rules.get(rule)
        self.every_steps = every_steps
        self.start = start
        self.end = end
        self.layers = layers
        self.new_slots = new_slots
        self._summaries = None
        if log_dir is not None:
            from keras_sparse_rnn.analysis.tensorboard import MaskSummaries

            self._summaries = MaskSummaries(log_dir)
        self._checked = False

    def set_params(self, params):
        super().set_params(params)
        _in_use.add(self)

    def on_train_begin(self, logs=None):
        self._checked = False
        self._first_epoch = True
        optimizer_slots.check_supported(self.model.optimizer)
        by_steps = self.every_steps is not None
        if by_steps and self.end is None and self.params.get("steps") is None:
            raise ValueError(
                "With `every_steps` the schedule needs the number of steps of "
                "the training, which this data set does not tell: pass "
                "`end=`, or `steps_per_epoch=` to `fit`. Received: end=None"
            )
        if sparse_layers(self.model) or not may_make_layers(self.model):
            self._check()
        if not by_steps:
            self._note_if_never_due(
                "epoch", self._start_epoch(), self.params["epochs"]
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._moved, self._rate = 0, 0.0
        if self.every_steps is None:
            self._epoch_due = self._epoch_is_due(epoch)
            # With averaged weights `SwapEMAWeights` may come later in the list
            # and put the trained ones back only now: then the first batch's
            # beginning is the time.
            if not optimizer_slots.averages_weights(self.model.optimizer):
                self._rewire_if_epoch_is_due()
        else:
            self._begin_steps(epoch)
        self._first_epoch = False

    def on_train_batch_begin(self, batch, logs=None):
        if not self.model.built:
            # The first batch builds it: what is due waits for the second.
            return
        if not self._checked:
            self._check()
        if self.every_steps is None:
            self._rewire_if_epoch_is_due()
        else:
            self._rewire_if_step_is_due(batch)

    def on_epoch_end(self, epoch, logs=None):
        if not self._checked:
            self._check()
        weights = sparse_weights(self.model, self.layers)
        if logs is not None:
            together = self._of_this_fit()
            logs["connections_moved"] = sum(each._moved for each in together)
            logs["rewire_rate"] = self._rate
            logs["exploration_rate"] = model_rewiring.exploration_rate(
                [
                    weight
                    for each in together
                    for weight in sparse_weights(self.model, each.layers)
                ]
            )
        for weight in weights:
            weight.note_epoch_over()
        if self._summaries is not None:
            self._summaries.write(weights, epoch)

    def _check(self):
        """Validates the model, and brings weights from outside in order.

        What is not built yet is left for the next time.
        """
        model_rewiring.check_has_sparse_layers(self.model)
        self._check_acts_alone()
        model_rewiring.bring_in_order(
            sparse_weights(self.model, self.layers), self.model.optimizer
        )
        self._checked = all(layer.built for layer in sparse_layers(self.model))
        if self._checked and not self._trainable_weights():
            warnings.warn(
                f"{type(self).__name__} rewires nothing: no layer that it "
                "acts on is trainable. Received: layers="
                f"{[w.path for w in sparse_weights(self.model, self.layers)]}",
                stacklevel=2,
            )

    def _check_acts_alone(self):
        """Refuses another callback that rewires the same layers."""
        mine = chosen_sparse_layers(self.model, self.layers)
        for other in self._of_this_fit():
            if other is self:
                continue
            theirs = chosen_sparse_layers(self.model, other.layers)
            shared = [
                layer.path or layer.name for layer in mine if layer in theirs
            ]
            if shared:
                names = [type(each).__name__ for each in (self, other)]
                raise ValueError(
                    "Rewiring callbacks of one `fit` must act on different "
                    "layers: keep one of them, or pass `layers=` to each. "
                    f"Received: callbacks={names}, which both rewire {shared}"
                )

    def _note_if_never_due(self, unit, first, stop):
        if self.end is not None:
            stop = min(stop, self.end)
        # Without sparse layers, perhaps as yet, there is an error to come.
        if stop <= first and sparse_layers(self.model):
            # Logged, no Python warning: one epoch is a fair thing to try.
            logging.getLogger("keras_sparse_rnn").warning(
                "No connection will be rewired: the first time would be at "
                "the beginning of %s %d, counted from 0, and rewiring ends "
                "before %s %d. Train for longer, or pass `start=` or "
                "`every_steps=`, or to a `fit` that goes on with training "
                "`initial_epoch=`.",
                unit,
                first,
                unit,
                stop,
            )

    def _start_epoch(self):
        return 1 if self.start is None else self.start

    def _last_epoch(self):
        return self.params["epochs"] if self.end is None else self.end

    def _epoch_is_due(self, epoch):
        if not self._start_epoch() <= epoch < self._last_epoch():
            return False
        return not (self._first_epoch and self._was_interrupted_in(epoch))

    def _was_interrupted_in(self, epoch):
        """Whether this epoch is begun again after a backup taken within it."""
        weights = self._trainable_weights()
        return any(weight.last_epoch == epoch for weight in weights)

    def _rewire_if_epoch_is_due(self):
        if self._epoch_due and self.model.built:
            self._epoch_due = False
            self._rewire(self._epoch / self._last_epoch(), self._epoch)

    def _begin_steps(self, epoch):
        step = self._step()
        self._steps_before = step
        if not self._first_epoch:
            return
        self._due = self.every_steps if self.start is None else self.start
        last = max((w.last_step for w in self._trainable_weights()), default=-1)
        # It is -1 if never rewired, and ahead if by another optimizer.
        if 0 <= last <= step:
            self._due = max(last + self.every_steps, self._due)
        steps = self.params.get("steps")
        if steps is not None:
            epochs = self.params["epochs"] - epoch
            self._note_if_never_due("step", self._due, step + epochs * steps)

    def _rewire_if_step_is_due(self, batch):
        if self._steps_before + batch < self._due:
            return
        # The optimizer's own count is read only when it may be time, since
        # reading waits for the device. It is behind the number of batches
        # where gradients are accumulated or loss scaling skipped a step.
        step = self._step()
        self._steps_before = step - batch
        if step < self._due:
            return
        self._due = step + self.every_steps
        if self.end is None:
            epochs = self._epoch + batch / self.params["steps"]
            self._rewire(epochs / self.params["epochs"])
        elif step < self.end:
            self._rewire(step / self.end)

    def _rewire(self, progress, epoch=None):
        if not self._checked:
            self._check()
        rate = self._rate_at(progress)
        rewired = model_rewiring.rewire_weights(
            self._trainable_weights(),
            self.model.optimizer,
            rate,
            self.rule,
            self.new_slots,
            epoch,
        )
        self._moved += rewired.connections_moved
        self._rate = rate

    def _rate_at(self, progress):
        factor = self.rule.schedule(progress)
        try:
            rate = self.rewire_rate * float(factor)
        except (TypeError, ValueError):
            rate = None
        if rate is None or not 0 <= rate <= 1:
            raise ValueError(
                "A schedule must return a number by which "
                f"rewire_rate={self.rewire_rate} stays in [0, 1]. Received: "
                f"{factor!r} from schedule={self.rule.schedule}"
            )
        return rate

    def _trainable_weights(self):
        return [
            weight
            for weight in sparse_weights(self.model, self.layers)
            if weight.trainable
        ]

    def _of_this_fit(self):
        """The rewiring callbacks of this `fit`, this one among them.

        What tells one `fit` from another is the dict of parameters that it
        gives to all of its callbacks.
        """
        return [
            each
            for each in _in_use
            if each.model is self.model and each.params is self.params
        ]

    def _step(self):
        return optimizer_slots.steps_made(self.model.optimizer)
