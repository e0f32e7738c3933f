"""One training with a `RewiringCallback`: what is done when it is time."""

import contextlib
import warnings

from keras_sparse_rnn import model_rewiring
from keras_sparse_rnn import optimizer_slots
from keras_sparse_rnn.callbacks.acting_together import check_acts_alone
from keras_sparse_rnn.callbacks.asked_pruning import AskedPruning
from keras_sparse_rnn.callbacks.needed_gradients import NeededGradients
from keras_sparse_rnn.callbacks.nothing_rewired import tell_if_never_due
from keras_sparse_rnn.callbacks.nothing_rewired import warn_of_missing_gradients
from keras_sparse_rnn.callbacks.rewiring_logs import rewiring_logs
from keras_sparse_rnn.joint_rewiring import Request
from keras_sparse_rnn.joint_rewiring import prune_weights
from keras_sparse_rnn.joint_rewiring import rewire_weights
from keras_sparse_rnn.sparse_layers import check_has_sparse_layers
from keras_sparse_rnn.sparse_layers import may_make_layers
from keras_sparse_rnn.sparse_layers import sparse_layers
from keras_sparse_rnn.sparse_layers import sparse_weights


class RewiringRun:
    """What a `RewiringCallback` does from the begin of a training to its end.

    When it is time subclasses know: `EpochRun`, `StepRun`.

    The callback holds what the user asked for, the run what is known only in
    a `fit`. It is forgotten with it: all that must survive a restart is saved
    with the weights.

    Args:
        callback: `RewiringCallback` with the model and the parameters of the
            `fit` that begins.

    Raises:
        ValueError: As `RewiringCallback` does when training begins.

    `timetable` tells when it is time, from the first epoch on; `moved` is how
    many connections were moved in this epoch, `rate` the last rewire rate used
    in it, or 0.
    """

    def __init__(self, callback):
        self._callback = callback
        self._checked = False
        self._gradients = None
        self._waited = self._has_rewired = False
        self._first_epoch = True
        self._asks_last = callback.pruning is not None
        self._pruning = AskedPruning(
            type(callback).__name__, callback.frequency
        )
        optimizer_slots.check_supported(self._optimizer)
        if sparse_layers(self._model) or not may_make_layers(self._model):
            self._check()

    def begin_epoch(self, epoch):
        """Rewires if it is time."""
        self._epoch, self._batch = epoch, 0
        self.moved, self.rate = 0, 0.0
        if self._gradients is not None:
            self._gradients.begin_epoch()
        if self._first_epoch:
            # Before a new optimizer has made more steps than the last one.
            for weight in self._trainable_weights():
                weight.note_optimizer(self._step())
        self._begin_epoch(epoch)
        self._first_epoch = False

    def begin_batch(self, batch):
        """Rewires if it is time."""
        if not self._model.built:
            # The first batch builds it: what is due waits for the second.
            return
        if not self._checked:
            self._check()
        self._batch = batch
        self._rewire_if_due(batch)
        if self._gradients is not None:
            self._gradients.begin_batch()

    def end_batch(self):
        """Sees whether a gradient was noted."""
        if self._gradients is not None:
            self._gradients.end_batch()

    def end_epoch(self, logs):
        """Adds to `logs`, if there are any, and notes that the epoch is over.

        Returns:
            List of the callback's `SparseWeight`s.
        """
        if not self._checked:
            self._check()
        weights = self.weights()
        if logs is not None:
            logs.update(rewiring_logs(self._callback))
        for weight in weights:
            weight.note_epoch_over()
        return weights

    def end(self):
        """Notes what training has cost, and says what was not done."""
        weights = self._trainable_weights()
        # Another optimizer may go on with training.
        for weight in weights:
            weight.note_training(
                self._step(), 1 - weight.sparsity, self._dense_steps()
            )
        if self._gradients is not None:
            self._gradients.end()
            # Arrays of the weights' sizes, that nobody needs any more.
            self._gradients = None
        if self._callback.pruning is not None and weights:
            self._pruning.note_if_missed(self._callback.pruning, weights)
        if self._has_rewired or not weights:
            return
        if self._waited:
            warn_of_missing_gradients(self._callback, weights)
        else:
            self._warn_if_too_short()

    def weights(self):
        """List of the callback's `SparseWeight`s, trained or not."""
        return sparse_weights(self._model, self._callback.layers)

    def costs(self):
        """Dict from a variable's `id` to what its training has cost so far."""
        return {
            id(weight.value): weight.training_cost(
                self._step(), dense_gradients=self._dense_steps()
            )
            for weight in self.weights()
        }

    def _check(self):
        """Validates the model, and brings weights from outside in order.

        What is not built yet is left for the next time.
        """
        callback = self._callback
        check_has_sparse_layers(self._model)
        check_acts_alone(callback)
        weights = self.weights()
        if callback.pruning is not None:
            model_rewiring.check_target(
                callback.pruning, self._trainable_weights()
            )
        model_rewiring.carry_along(callback.rule, self._model, callback.layers)
        model_rewiring.bring_in_order(weights, self._optimizer)
        self._checked = all(layer.built for layer in sparse_layers(self._model))
        if not self._checked:
            return
        if not self._trainable_weights():
            warnings.warn(
                f"{type(callback).__name__} rewires nothing: no layer that it "
                "acts on is trainable. Received: layers="
                f"{[w.path for w in weights]}",
                stacklevel=2,
            )
        self._gradients = NeededGradients(
            self._model, callback.layers, callback.rule, callback.momentum
        )

    def _dense_steps(self):
        """How many steps since a rewiring took dense gradients."""
        return 0 if self._gradients is None else self._gradients.steps_noted

    def _begin_epoch(self, epoch):
        """Rewires if it is time before the first batch."""
        raise NotImplementedError

    def _rewire_if_due(self, batch):
        """Rewires if it is time before a batch."""
        raise NotImplementedError

    def _warn_if_too_short(self):
        """Warns of a training that ended too early, unless it was foreseen."""

    def _tell_if_never_due(self):
        # Without sparse layers, perhaps as yet, there is an error to come.
        if sparse_layers(self._model):
            tell_if_never_due(self._callback, self.timetable)

    def _begin_walk(self):
        """Lets a random walk begin with this training, not with the weights."""
        if self._callback.rule.walk is None:
            return
        for weight in self._trainable_weights():
            if weight.last_step < 0:
                weight.note_step(self._step())

    def _prune_what_is_left(self, now):
        """Prunes, without rewiring, to a target that was passed over.

        The schedule may reach it between two rewirings, the last of which has
        been.
        """
        self._asks_last = False
        if not self._checked:
            self._check()
        callback, weights = self._callback, self._trainable_weights()
        target = self._pruning.ask_what_is_left(callback.pruning, now, weights)
        if target is None:
            return
        with self._noting_costs(weights):
            prune_weights(
                weights, self._optimizer, target, callback.pruned_together
            )

    def _is_ready(self):
        """Whether what the rule needs is there, or lets the step note it."""
        if self._gradients is None:
            return not self._callback.rule.needs & {"gradient", "momentum"}
        steps = self._callback.params.get("steps")
        return self._gradients.are_there_or_noted_next(self._batch, steps)

    def _rewire(self, now, progress, epoch=None):
        """Rewires, and prunes before if it is time.

        Args:
            now: Integer, the epoch or step.
            progress: Float, of the rewire rate's schedule.
            epoch: Integer, the epoch that begins, or `None`.
        """
        if not self._checked:
            self._check()
        callback = self._callback
        rate = callback.rule.rate_at(progress, callback.rewire_rate)
        target, weights = None, self._trainable_weights()
        if callback.pruning is not None:
            target = self._pruning.ask(callback.pruning, now, weights)
        if callback.pruning is not None and target is None and not rate:
            # A run that is resumed goes on counting from here.
            if epoch is None:
                for weight in weights:
                    weight.note_step(now)
            return
        request = Request(
            rate,
            callback.rule,
            callback.new_slots,
            epoch,
            target,
            callback.pruned_together,
        )
        with self._noting_costs(weights):
            gradients = None
            if self._gradients is not None:
                gradients = self._gradients.taken(weights)
            rewired = rewire_weights(
                weights, self._optimizer, request, gradients
            )
        self._has_rewired = True
        self.moved += rewired.connections_moved
        self.rate = rate

    @contextlib.contextmanager
    def _noting_costs(self, weights):
        """Notes what steps have cost until now, if weights are changed."""
        step, dense_steps = self._step(), self._dense_steps()
        densities = [1 - weight.sparsity for weight in weights]
        yield
        # Not before, as what is refused changes nothing.
        for weight, density in zip(weights, densities, strict=True):
            weight.note_training(step, density, dense_steps)
        if self._gradients is not None:
            self._gradients.count_anew()

    def _trainable_weights(self):
        return [weight for weight in self.weights() if weight.trainable]

    def _step(self):
        return optimizer_slots.steps_made(self._optimizer)

    @property
    def _model(self):
        return self._callback.model

    @property
    def _optimizer(self):
        return self._callback.model.optimizer
