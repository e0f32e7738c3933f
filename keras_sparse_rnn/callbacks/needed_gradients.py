"""The dense gradients that a rule looks at, over a training."""

import math

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn.callbacks.noting_steps import NotingSteps
from keras_sparse_rnn.dense_gradients import DenseGradients


class NeededGradients:
    """Lets steps of a `fit` note what a rule needs, and tells when it is there.

    A gradient is noted in single steps, just before it is needed, and is that
    of one update of the optimizer, within one epoch. An averaged one is noted
    in every step.

    Args:
        model: Compiled and built Keras model whose training begins.
        layers: List of layers, or `None`, as in `RewiringCallback`.
        rule: `RewiringRule`.
        momentum: Float in `(0, 1)`, the decay of the average.
    """

    def __init__(self, model, layers, rule, momentum):
        self._model = model
        decays = {"gradient": 0, "momentum": momentum}
        self._gradients = {
            need: DenseGradients(model, model.optimizer, layers, decay)
            for need, decay in decays.items()
            if need in rule.needs
        }
        self._steps = None
        if self._gradients:
            self._steps = NotingSteps(model, [*self._gradients.values()])
        self.count_anew()
        self._has_average = "momentum" not in self._gradients
        self.begin_epoch()

    def begin_epoch(self):
        """Forgets the gradient of the last epoch."""
        self._is_there = self._goes_on = self._is_noting = False

    def is_missing(self):
        """Whether the rule needs a step's gradient that is not there yet."""
        return "gradient" in self._gradients and not self._is_there

    def has_average(self):
        """Whether there is an average, of this training or one before.

        It is 0 everywhere before the first step, and tells no place from
        another then.
        """
        if not self._has_average:
            self._has_average = self._gradients["momentum"].are_not_all_0()
        return self._has_average

    def are_there_or_noted_next(self, batch, batches):
        """Whether all is there. If not, lets the next step note what is not.

        Args:
            batch: Integer, the batch that begins.
            batches: Integer, how many an epoch has, or `None`.
        """
        if not self.has_average():
            return False
        if not self.is_missing():
            return True
        # That of an epoch's last step would be lost.
        ahead = self._model.steps_per_execution
        if batches is None or batch + ahead < batches:
            self.note_next()
        return False

    def note_next(self):
        """Lets the next step note its gradient, if an update begins with it."""
        if self._goes_on or keras_internals.has_just_updated(
            self._model.optimizer
        ):
            self._note()
            self._is_noting = True

    def begin_batch(self):
        """Lets each step add to the average, if the rule looks at it."""
        if "momentum" in self._gradients and not self._is_noting:
            self._note()

    def end_batch(self):
        """Sees whether a gradient was noted."""
        if not self._is_noting:
            return
        self._is_noting = False
        is_noted = self._gradients["gradient"].are_noted()
        # Gradients that are accumulated are noted until they are applied.
        is_applied = keras_internals.has_just_updated(self._model.optimizer)
        self._goes_on = is_noted and not is_applied
        self._is_there = is_noted and is_applied

    def taken(self, weights):
        """The gradients of weights, which then are there no longer.

        Args:
            weights: List of `SparseWeight`s.

        Returns:
            List of arrays, or `None` if the rule does not need them.
        """
        if "gradient" not in self._gradients:
            return None
        self._is_there = False
        return self._gradients["gradient"].of(weights)

    def count_anew(self):
        """Lets `steps_noted` begin at 0."""
        self._batches_noted = 0

    @property
    def steps_noted(self):
        """How many steps of the optimizer noted some since the last rewiring.

        Infinity where all do.
        """
        if "momentum" in self._gradients:
            return math.inf
        return self._batches_noted / keras_internals.micro_steps_per_update(
            self._model.optimizer
        )

    def end(self):
        """Puts the plain training function back, when training ends."""
        if self._steps is not None:
            self._steps.end()

    def _note(self):
        self._steps.note_next()
        self._batches_noted += self._model.steps_per_execution
