"""The masked engine: Keras's own loop, or cuDNN, on masked matrices.

Keras reads `cell.kernel` and `cell.recurrent_kernel` in its loop and hands
them to cuDNN. Both become properties that give the masked matrix, computed
once per call and not once per time step.
"""

import contextlib

import keras
from keras import ops

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
        variable = getattr(layer, f"_{self.name}")
        return masked(variable, getattr(layer, f"{self.name}_mask"))

    def __set__(self, layer, variable):
        setattr(layer, f"_{self.name}", variable)


class HeldWeight(MaskedWeight):
    """A masked weight of a cell, which may be held for the length of a call.

    It is masked as it is stored and cast where it is read, as Keras casts a
    variable in each time step: so gradients add up over time in the precision
    of the variable, and the layer around the cell may be of another one.
    """

    def __get__(self, cell, owner=None):
        if cell is None:
            return self
        held = getattr(cell, "_held_weights", None)
        if held is None or not held.depth:
            return super().__get__(cell, owner)
        tensor = held.tensors.get(self.name)
        if tensor is None or not _is_reachable(tensor):
            tensor = super().__get__(cell, owner)
        return ops.cast(tensor, cell.compute_dtype) if cell.autocast else tensor


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

    Only what is traced is held. In eager mode each time step masks anew, as
    Keras reads its variables anew: gradients then add up in the same order.
    """

    kernel = HeldWeight()
    recurrent_kernel = HeldWeight()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._held_weights = HeldWeights()

    def add_weight(self, *args, name=None, **kwargs):
        if isinstance(getattr(type(self), name or "", None), HeldWeight):
            kwargs["autocast"] = False
        return super().add_weight(*args, name=name, **kwargs)

    @contextlib.contextmanager
    def masked_once(self):
        """Holds the masked matrices while the context is open."""
        held = self._held_weights
        outermost = not held.depth and not _are_reachable(held.tensors)
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
        if _is_tracing():
            held.tensors = {
                "kernel": self.kernel,
                "recurrent_kernel": self.recurrent_kernel,
            }


def _are_reachable(tensors):
    return bool(tensors) and all(map(_is_reachable, tensors.values()))


def _is_tracing():
    if keras.backend.backend() != "tensorflow":
        return True
    import tensorflow as tf

    return not tf.executing_eagerly()


def _is_reachable(tensor):
    """Whether the function that is being traced may use a tensor.

    One that a loop left behind when it raised belongs to another function.
    """
    if keras.backend.backend() != "tensorflow":
        return True
    import tensorflow as tf

    if tf.executing_eagerly():
        return False
    graph = tf.compat.v1.get_default_graph()
    while graph is not None and graph is not tensor.graph:
        graph = getattr(graph, "outer_graph", None)
    return graph is not None
