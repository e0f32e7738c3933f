"""The masked engine: Keras's own loop, or cuDNN, on masked matrices.

Keras reads `cell.kernel` and `cell.recurrent_kernel` in its loop and hands
them to cuDNN. Both become properties that give the masked matrix, computed
once per call and not once per time step.
"""

import contextlib

from keras_sparse_rnn.sparse_weight import masked


class MaskedWeight:
    """Attribute of a layer: stores the variable, gives the masked weight.

    Keras's `build` assigns the variable to the attribute (cells) or to the
    attribute with an underscore in front (`Dense`, `Embedding`). Reading it
    before that raises `AttributeError`, as Keras expects.
    """

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, layer, owner=None):
        if layer is None:
            return self
        held = getattr(layer, "_held_weights", None)
        if held is not None and self.name in held.tensors:
            return held.tensors[self.name]
        variable = getattr(layer, f"_{self.name}")
        return masked(variable, getattr(layer, f"{self.name}_mask"))

    def __set__(self, layer, variable):
        setattr(layer, f"_{self.name}", variable)


class HeldWeights:
    """Masked matrices that are held for the length of a call."""

    def __init__(self):
        self.tensors = {}
        self.depth = 0


class MaskedCell:
    """Mix-in for a Keras cell: its matrices are masked once per call.

    An `RNN` layer asks its cell for dropout masks before its loop and resets
    them after it, whether there is dropout or not. Hooking these two methods
    serves `RNN(cell)` and stacked cells without touching either.
    """

    kernel = MaskedWeight()
    recurrent_kernel = MaskedWeight()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._held_weights = HeldWeights()

    @contextlib.contextmanager
    def masked_once(self):
        """Holds the masked matrices while the context is open."""
        held = self._held_weights
        outermost = not held.tensors
        if outermost:
            self._hold()
        held.depth += 1
        try:
            yield
        finally:
            held.depth -= 1
            if outermost:
                held.tensors = {}

    def call(self, inputs, states, training=False):
        with self.masked_once():
            return super().call(inputs, states, training=training)

    def get_dropout_mask(self, step_input):
        # Outside a call of the cell it is the layer that asks, before its
        # loop. What an earlier loop may have left when it raised is replaced.
        if self._held_weights.depth == 0:
            self._hold()
        return super().get_dropout_mask(step_input)

    def reset_dropout_mask(self):
        if self._held_weights.depth == 0:
            self._held_weights.tensors = {}
        super().reset_dropout_mask()

    def _hold(self):
        held = self._held_weights
        held.tensors = {}
        held.tensors = {
            "kernel": self.kernel,
            "recurrent_kernel": self.recurrent_kernel,
        }
