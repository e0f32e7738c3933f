"""Which training steps of a `fit` note dense gradients.

A function that notes them is traced by itself, so that the steps in between
cost what they cost without: `fit` looks up the model's training function for
each batch.
"""

import contextlib


class NotingSteps:
    """Lets single steps of a training note gradients, for one callback.

    Nothing is left behind where a training is broken off: gradients are noted
    while the step runs, and the plain training function is back before.

    Args:
        model: Compiled Keras model whose training begins.
        gradients: List of `DenseGradients` of the model.
    """

    def __init__(self, model, gradients):
        self._model = model
        self.gradients = gradients
        self._functions = _train_functions(model)

    def note_next(self):
        """Lets the next step, or next few of one execution, note gradients."""
        self._functions.note_next(self)

    def end(self):
        """Puts the plain training function back, when training ends."""
        if self._model.train_function is self._functions:
            self._model.train_function = self._functions.plain
        if vars(self._model).get(_KEPT_IN) is self._functions:
            delattr(self._model, _KEPT_IN)


# The attribute of a model during training: the callbacks of one `fit` share
# its functions.
_KEPT_IN = "_noting_train_functions"


def _train_functions(model):
    kept = vars(model).get(_KEPT_IN)
    # Those of a training that was broken off are of no use once the model is
    # compiled anew.
    if kept is None or model.train_function not in (kept, kept.plain):
        kept = _TrainFunctions(model)
        setattr(model, _KEPT_IN, kept)
    return kept


class _TrainFunctions:
    """Stands in for a model's training function, once for each request."""

    def __init__(self, model):
        self.plain = model.train_function
        self._model = model
        self._next = set()
        # By who notes gradients in it.
        self._made = {}

    def note_next(self, noting_steps):
        self._next.add(noting_steps)
        self._model.train_function = self

    def __call__(self, iterator):
        noting, self._next = frozenset(self._next), set()
        self._model.train_function = self.plain
        with contextlib.ExitStack() as noted:
            for each in noting:
                for gradients in each.gradients:
                    noted.enter_context(gradients)
            if noting not in self._made:
                self._made[noting] = self._make()
            return self._made[noting](iterator)

    def _make(self):
        self._model.make_train_function(force=True)
        made = self._model.train_function
        self._model.train_function = self.plain
        return made
