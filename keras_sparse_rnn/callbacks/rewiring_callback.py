"""The callback that every rewiring method is a preset of: it decides when."""

import logging
import warnings

import keras

from keras_sparse_rnn import model_rewiring
from keras_sparse_rnn import optimizer_slots
from keras_sparse_rnn import rewiring as rules
from keras_sparse_rnn.analysis.running_cost import running_cost
from keras_sparse_rnn.arguments import check_between_0_and_1
from keras_sparse_rnn.arguments import check_boolean
from keras_sparse_rnn.arguments import check_integer
from keras_sparse_rnn.arguments import plain_number
from keras_sparse_rnn.callbacks.acting_together import acting_together
from keras_sparse_rnn.callbacks.acting_together import check_acts_alone
from keras_sparse_rnn.callbacks.acting_together import note_in_use
from keras_sparse_rnn.callbacks.frequency import parse_frequency
from keras_sparse_rnn.callbacks.needed_gradients import NeededGradients
from keras_sparse_rnn.callbacks.timetable import EpochTimetable
from keras_sparse_rnn.callbacks.timetable import StepTimetable
from keras_sparse_rnn.joint_rewiring import Request
from keras_sparse_rnn.joint_rewiring import rewire_weights
from keras_sparse_rnn.rewiring_state import KINDS
from keras_sparse_rnn.sparse_layers import check_has_sparse_layers
from keras_sparse_rnn.sparse_layers import chosen_sparse_layers
from keras_sparse_rnn.sparse_layers import may_make_layers
from keras_sparse_rnn.sparse_layers import sparse_layers
from keras_sparse_rnn.sparse_layers import sparse_weights


class RewiringCallback(keras.callbacks.Callback):
    """Rewires the sparse weights of a model while it is trained.

    What a rewiring does is the rule's matter; this callback decides when. All
    that must survive a restart is saved with the weights: it keeps no state.

    By default it rewires at the *beginning* of epochs 1, 2, …, E − 1: what
    other callbacks save or restore at an epoch's end is the trained network,
    whatever their order, and the last epoch is not followed by a rewiring. A
    rule that goes by dense gradients takes those of a batch and rewires before
    the next batch of the same epoch, so in an epoch before its second one. The
    batch's own update of the weights comes in between.

    At the end of each epoch it adds to `logs`, and so to `History`, and to
    TensorBoard if that callback comes later in the list:
    `connections_moved`, in this epoch; `rewire_rate`, the last one used in it
    or 0; `exploration_rate`, the share of places that were connections at any
    time; `training_flops`, the running total of the model's training, also over
    a resumed run, relative to as many steps of the dense model; where there is
    a `pruning`, `sparsity`, the share of places that are empty.

    Several of these callbacks in one `fit` must act on different layers. In
    the logs `rewire_rate` is then that of the last one in the list; the others
    are of all of them together.

    Weights that are not trained are not rewired. If no other is left, a warning
    says so when training begins. `layer.trainable = False` goes for all inside
    of a wrapper such as `Bidirectional`; its constructor's `trainable=False`
    does not, for Keras goes on training what is inside.

    Args:
        rewire_rate: Float in `[0, 1]`, the initial rewire rate ζ₀.
        rule: `"st_rnn"`, `"set"`, `"rigl"`, `"snfs"`, `"dsr"`, `"deep_r"`, or
            a `keras_sparse_rnn.rewiring.RewiringRule`. Defaults to
            `"st_rnn"`.
        frequency: `"epoch"`; an integer, to rewire at the beginning of a batch
            when at least so many steps of the optimizer were made since the
            last time; or a string such as `"2 epochs"`. Defaults to `"epoch"`.
        start: Integer, the first epoch at whose beginning to rewire, or the
            first step, as the optimizer counts them, where `frequency` counts
            steps. Defaults to `None`: after the first epoch, or as many
            epochs or steps as `frequency` says.
        end: Integer above `start`, the first epoch, or step, at which no more
            rewiring is done and the schedule reaches its end. Defaults to
            `None`: the end of training.
        layers: List of layers or of their names, to which to keep; wrappers
            stand for what is inside. Defaults to `None`: all sparse layers.
        new_slots: String, how optimizer slots of new connections start:
            `"fresh"` or `"survivors_mean"`, see `keras_sparse_rnn.rewire`.
            Defaults to `"fresh"`.
        log_dir: String, a folder into which images of the masks and
            histograms of weights and degrees are written at each epoch's end,
            for TensorBoard, which must be installed. Defaults to `None`.
        momentum: Float in `(0, 1)`, the decay of the averaged gradient, for
            rules that look at it. Defaults to `0.9`.
        pruning: An object called as `schedule(step)` that returns whether to
            prune and to which sparsity, such as
            `keras_sparse_rnn.rewiring.CubicSparsity` or a schedule of
            tensorflow-model-optimization; a step is one of the optimizer, or
            an epoch, whichever `frequency` counts. Before it rewires, the
            callback asks it about every step since the last time, and prunes
            if it says so. Defaults to `None`.
        pruned_together: Boolean, whether the connections of all weights
            compete in pruning, and not those of each group by itself. Defaults
            to `False`.

    Raises:
        ValueError: If an argument is out of range; when training begins, if
            the model has no sparse layer, its optimizer is not supported,
            another of these callbacks acts on the same layers, the target of
            pruning is below the present sparsity, or the rule goes by dense
            gradients and the backend is not TensorFlow; at a rewiring, if the
            rule's schedule does not give a rate in `[0, 1]`.
        ImportError: If `log_dir` is given and TensorBoard is not installed.

    Example:

    ```python
    rule = ksr.rewiring.RewiringRule(
        drop=ksr.rewiring.smallest_magnitude_per_sign
    )
    callback = ksr.RewiringCallback(0.3, rule, frequency=100, end=5_000)
    model.fit(x, y, epochs=10, callbacks=[callback])

    # GraNet: prune to a cubic schedule, then rewire by gradients.
    cubic = ksr.rewiring.CubicSparsity(0.9, end=4_000, initial_sparsity=0.5)
    granet = ksr.RewiringCallback(
        0.5,
        "rigl",
        frequency=100,
        pruning=cubic,
        pruned_together=True,
    )
    ```

    Reference:
        - Liu et al., Neural Computing and Applications 33:9625–9636, 2021
        - Mocanu et al., Nature Communications 9:2383, 2018
        - Liu et al., Sparse Training via Boosting Pruning Plasticity with
          Neuroregeneration, NeurIPS 2021: GraNet
    """

    def __init__(
        self,
        rewire_rate,
        rule="st_rnn",
        frequency="epoch",
        start=None,
        end=None,
        layers=None,
        new_slots="fresh",
        log_dir=None,
        momentum=0.9,
        pruning=None,
        pruned_together=False,
    ):
        super().__init__()
        model_rewiring.check_rewire_rate(rewire_rate)
        model_rewiring.check_new_slots(new_slots)
        for name, value, least in (("start", start, 0), ("end", end, 1)):
            if value is not None:
                check_integer(name, value, least)
        if start is not None and end is not None and end <= start:
            raise ValueError(
                "`end` must be above `start`. "
                f"Received: start={start}, end={end}"
            )
        check_between_0_and_1("momentum", momentum)
        check_boolean("pruned_together", pruned_together)
        if pruning is not None and not callable(pruning):
            raise ValueError(
                "`pruning` must be a schedule, called with a step. "
                f"Received: pruning={pruning!r}"
            )
        # A plain number, which logs can be written with.
        self.rewire_rate = plain_number(rewire_rate)
        self.rule = rules.get(rule)
        self.frequency = parse_frequency(frequency)
        self.start = start
        self.end = end
        self.layers = layers
        self.new_slots = new_slots
        self.momentum = momentum
        self.pruning = pruning
        self.pruned_together = pruned_together
        self._summaries = None
        if log_dir is not None:
            from keras_sparse_rnn.analysis.tensorboard import MaskSummaries

            self._summaries = MaskSummaries(log_dir)
        self._checked = False
        self._gradients = None

    def set_params(self, params):
        super().set_params(params)
        note_in_use(self)

    def set_model(self, model):
        super().set_model(model)
        # Before any callback restores a backup, which holds it.
        if model.optimizer is not None and sparse_layers(model):
            optimizer_slots.check_supported(model.optimizer)
            self._carry()

    def on_train_begin(self, logs=None):
        self._checked = self._has_pruned = False
        self._next_asked = 0
        self._gradients = None
        self._waited = self._has_rewired = False
        self._first_epoch = True
        optimizer_slots.check_supported(self.model.optimizer)
        steps = self.params.get("steps")
        if (
            self.frequency.is_by_steps
            and self.rewire_rate
            and self.end is None
            and steps is None
        ):
            raise ValueError(
                "Counting steps, the schedule needs the number of steps of "
                "the training, which this data set does not tell: pass "
                "`end=`, or `steps_per_epoch=` to `fit`. Received: end=None"
            )
        if sparse_layers(self.model) or not may_make_layers(self.model):
            self._check()
        if not self.frequency.is_by_steps:
            self._timetable = EpochTimetable(
                self.frequency.count,
                self.start,
                self.end,
                self.params["epochs"],
            )
            self._note_if_never_due()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._moved, self._rate = 0, 0.0
        if self._gradients is not None:
            self._gradients.begin_epoch()
        if self.frequency.is_by_steps:
            self._begin_steps(epoch)
        else:
            self._begin_epoch(epoch)
        self._first_epoch = False

    def on_train_batch_begin(self, batch, logs=None):
        if not self.model.built:
            # The first batch builds it: what is due waits for the second.
            return
        if not self._checked:
            self._check()
        self._batch = batch
        if self.frequency.is_by_steps:
            self._rewire_if_step_is_due(batch)
        else:
            self._rewire_if_epoch_is_due()
        if self._gradients is not None:
            self._gradients.begin_batch()

    def on_train_batch_end(self, batch, logs=None):
        if self._gradients is not None:
            self._gradients.end_batch()

    def on_epoch_end(self, epoch, logs=None):
        if not self._checked:
            self._check()
        weights = sparse_weights(self.model, self.layers)
        if logs is not None:
            self._add_to(logs)
        for weight in weights:
            weight.note_epoch_over()
        if self._summaries is not None:
            self._summaries.write(weights, epoch)

    def on_train_end(self, logs=None):
        if self._gradients is not None:
            self._gradients.end()
        weights = self._trainable_weights()
        if (
            self.pruning is not None
            and weights
            and not self._has_pruned
            # As where a run is resumed that had pruned before.
            and not model_rewiring.reaches_target(self.pruning, weights)
        ):
            unit = self.frequency.unit
            hint = (
                ""
                if self.frequency.is_by_steps
                else " One that counts steps needs a `frequency` in steps."
            )
            warnings.warn(
                f"{type(self).__name__} pruned nothing: of the {unit}s before "
                f"{unit} {self._next_asked}, those it was asked about, its "
                f"schedule named none, or a sparsity of 0.{hint} "
                f"Received: pruning={self.pruning}",
                stacklevel=2,
            )
        if self._waited and weights and not self._has_rewired:
            warnings.warn(
                f"{type(self).__name__} rewired nothing: each time that it was "
                "due, the gradient of a batch was missing. It needs a second "
                "batch in the same epoch, and of all weights a finite "
                "gradient, so that the loss must depend on them. Received: "
                f"layers={[weight.path for weight in weights]}",
                stacklevel=2,
            )

    def _add_to(self, logs):
        together = acting_together(self)
        weights = [
            weight
            for each in together
            for weight in sparse_weights(self.model, each.layers)
        ]
        logs["connections_moved"] = sum(each._moved for each in together)
        logs["rewire_rate"] = self._rate
        logs["exploration_rate"] = model_rewiring.exploration_rate(weights)
        logs["training_flops"] = running_cost(
            self.model,
            {
                weight.path: weight.training_cost(
                    each._step(), dense_gradients=each._dense_steps()
                )
                for each in together
                for weight in sparse_weights(self.model, each.layers)
            },
        )
        if any(each.pruning is not None for each in together):
            logs["sparsity"] = model_rewiring.sparsity(weights)

    def _check(self):
        """Validates the model, and brings weights from outside in order.

        What is not built yet is left for the next time.
        """
        check_has_sparse_layers(self.model)
        check_acts_alone(self)
        weights = sparse_weights(self.model, self.layers)
        if self.pruning is not None:
            model_rewiring.check_target(self.pruning, weights)
        self._carry()
        model_rewiring.bring_in_order(weights, self.model.optimizer)
        self._checked = all(layer.built for layer in sparse_layers(self.model))
        if not self._checked:
            return
        if not self._trainable_weights():
            warnings.warn(
                f"{type(self).__name__} rewires nothing: no layer that it "
                "acts on is trainable. Received: layers="
                f"{[w.path for w in weights]}",
                stacklevel=2,
            )
        self._gradients = NeededGradients(
            self.model, self.layers, self.rule, self.momentum
        )

    def _dense_steps(self):
        """How many steps since a rewiring took dense gradients."""
        return 0 if self._gradients is None else self._gradients.steps_noted

    def _carry(self):
        """Lets the layers keep what the rule carries along."""
        for layer in chosen_sparse_layers(self.model, self.layers):
            for kind in sorted(self.rule.needs & {*KINDS}):
                if layer.built:
                    layer.carry(kind)

    def _note_if_never_due(self):
        first, stop = self._timetable.first, self._timetable.stop
        # Without sparse layers, perhaps as yet, there is an error to come.
        if stop is not None and stop <= first and sparse_layers(self.model):
            # Logged, no Python warning: one epoch is a fair thing to try.
            logging.getLogger("keras_sparse_rnn").warning(
                "No connection will be %s: the first time would be at "
                "the beginning of %s %d, counted from 0, and it ends "
                "before %s %d. Train for longer, or pass `start=` or "
                "`frequency=`, or to a `fit` that goes on with training "
                "`initial_epoch=`.",
                "pruned"
                if self.pruning and not self.rewire_rate
                else "rewired",
                self._timetable.unit,
                first,
                self._timetable.unit,
                stop,
            )

    def _begin_epoch(self, epoch):
        if self._first_epoch:
            self._begin_walk()
            self._next_asked = self._timetable.last_before(epoch) + 1
        self._epoch_due = self._timetable.is_due(epoch)
        if self._first_epoch and self._was_interrupted_in(epoch):
            self._epoch_due = False
            self._next_asked = epoch + 1
        # With averaged weights `SwapEMAWeights` may come later in the list and
        # put the trained ones back only now: then the first batch's beginning
        # is the time. A gradient is noted in the first batch.
        waits = optimizer_slots.averages_weights(self.model.optimizer)
        if not waits and "gradient" not in self.rule.needs:
            self._rewire_if_epoch_is_due()

    def _was_interrupted_in(self, epoch):
        """Whether this epoch is begun again after a backup taken within it."""
        weights = self._trainable_weights()
        return any(weight.last_epoch == epoch for weight in weights)

    def _rewire_if_epoch_is_due(self):
        if self._epoch_due and self.model.built:
            if not self._is_ready():
                self._waited = True
                return
            self._epoch_due = False
            self._rewire(
                self._epoch, self._timetable.progress(self._epoch), self._epoch
            )

    def _begin_steps(self, epoch):
        step = self._step()
        self._steps_before = step
        if not self._first_epoch:
            return
        weights = self._trainable_weights()
        last = max((weight.last_step for weight in weights), default=-1)
        # It is ahead if another optimizer made it.
        last = last if last <= step else -1
        self._next_asked = last + 1
        steps = self.params.get("steps")
        epochs = self.params["epochs"] - epoch
        self._timetable = StepTimetable(
            self.frequency.count,
            self.start,
            self.end,
            last,
            None if steps is None else step + epochs * steps,
        )
        self._begin_walk()
        if steps is not None:
            self._note_if_never_due()

    def _begin_walk(self):
        """Lets a random walk begin with this training, not with the weights."""
        if self.rule.walk is None:
            return
        for weight in self._trainable_weights():
            if weight.last_step < 0:
                weight.note_step(self._step())

    def _rewire_if_step_is_due(self, batch):
        ahead = 0
        if self._gradients is not None and self._gradients.is_missing():
            # The step before must note its gradient.
            ahead = self.model.steps_per_execution
        if not self._timetable.is_time(self._steps_before + batch + ahead):
            return
        # The optimizer's own count is read only when it may be time, since
        # reading waits for the device. It is behind the number of batches
        # where gradients are accumulated or loss scaling skipped a step.
        step = self._step()
        self._steps_before = step - batch
        if not self._timetable.is_time(step + ahead):
            return
        if self._timetable.is_over(step):
            self._timetable.note(step)
            return
        is_time = self._timetable.is_time(step)
        if not self._is_ready():
            self._waited |= is_time
            return
        if not is_time:
            return
        self._timetable.note(step)
        of_training = 0.0
        if self.rewire_rate and self.end is None:
            epochs = self._epoch + batch / self.params["steps"]
            of_training = epochs / self.params["epochs"]
        self._rewire(step, self._timetable.progress(step, of_training))
        if self._timetable.is_time(step + self.model.steps_per_execution):
            # The step that follows is the one before the next rewiring.
            self._is_ready()

    def _is_ready(self):
        """Whether what the rule needs is there, or lets the step note it."""
        if self._gradients is None:
            return "gradient" not in self.rule.needs
        if not self._gradients.is_missing():
            return True
        # That of an epoch's last step would be lost.
        steps = self.params.get("steps")
        if (
            steps is None
            or self._batch + self.model.steps_per_execution < steps
        ):
            self._gradients.note_next()
        return False

    def _rewire(self, now, progress, epoch=None):
        """Rewires, and prunes before if it is time.

        Args:
            now: Integer, the epoch or step.
            progress: Float, of the rewire rate's schedule.
            epoch: Integer, the epoch that begins, or `None`.
        """
        if not self._checked:
            self._check()
        rate = self._rate_at(progress)
        target = None
        if self.pruning is not None:
            target = rules.ask(self.pruning, self._next_asked, now)
            self._next_asked = now + 1
            self._has_pruned |= bool(target)
        weights = self._trainable_weights()
        if self.pruning is not None and target is None and not rate:
            # A run that is resumed goes on counting from here.
            if self.frequency.is_by_steps:
                for weight in weights:
                    weight.note_step(now)
            return
        step, noted = self._step(), self._dense_steps()
        trained = [
            (weight, 1 - weight.sparsity)
            for weight in sparse_weights(self.model, self.layers)
        ]
        rewired = rewire_weights(
            weights,
            self.model.optimizer,
            Request(
                rate,
                self.rule,
                self.new_slots,
                epoch,
                target,
                self.pruned_together,
            ),
            None if self._gradients is None else self._gradients.taken(weights),
        )
        # Not before, as what is refused changes nothing.
        for weight, density in trained:
            weight.note_training(step, density, noted)
        self._has_rewired = True
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

    def _step(self):
        return optimizer_slots.steps_made(self.model.optimizer)
