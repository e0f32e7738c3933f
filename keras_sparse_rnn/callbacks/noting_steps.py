"""Which training steps of a `fit` note dense gradients.

A function that notes them is traced by itself, so that the steps in between
cost what they cost without: `fit` looks up the model's training function for
each batch.
"""

import weakref


class NotingSteps:
    """Switches a model's training function for one callback.

    Args:
        model: Compiled Keras model whose training begins.
        gradients: `DenseGradients` of the model.
    """

    def __init__(self, model, gradients):
        self.gradients = gradients
        self._is_on = False
        if model not in _functions:
            _functions[model] = _TrainFunctions(model)
        self._functions = _functions[model]
        # What a training that was interrupted has left behind.
        self._functions.switch_off()

    def switch(self, on):
        """Lets the steps that follow note gradients, or no longer.

        Args:
            on: Boolean.
        """
        if on == self._is_on:
            return
        self._is_on = on
        if on:
            self.gradients.__enter__()
        else:
            self.gradients.__exit__(None, None, None)
        self._functions.toggle(self)

    @property
    def is_on(self):
        """Whether the next step notes gradients."""
        return self._is_on

    def end(self):
        """Puts the plain training function back, when training ends."""
        self.switch(False)
        _functions.pop(self._functions.model, None)


class _TrainFunctions:
    """The training functions of a model, by who notes gradients in them."""

    def __init__(self, model):
        self.model = model
        self._noting = frozenset()
        self._made = {self._noting: model.train_function}

    def switch_off(self):
        for each in self._noting:
            each.switch(False)

    def toggle(self, noting_steps):
        self._noting = self._noting ^ {noting_steps}
        if self._noting not in self._made:
            self.model.make_train_function(force=True)
            self._made[self._noting] = self.model.train_function
        self.model.train_function = self._made[self._noting]


_functions = weakref.WeakKeyDictionary()
