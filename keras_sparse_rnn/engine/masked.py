"""The masked engine: Keras's own loop, or cuDNN, on masked matrices.

Keras reads `cell.kernel` and `cell.recurrent_kernel` in its loop and hands
them to cuDNN. As attributes they give the masked matrix, computed once per call
and not once per time step. The one exception, for the sake of equal bits at
density 1, is `MaskedCell._adds_up_apart`.
"""

import contextlib

import keras
from keras import ops

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn.dense_gradient import effective_weight
from keras_sparse_rnn.dense_gradient import takes_dense_gradients
from keras_sparse_rnn.masked_weight import is_known_to_be_full
from keras_sparse_rnn.tracing import belongs_to_this_trace
from keras_sparse_rnn.tracing import is_of_this_graph
from keras_sparse_rnn.tracing import is_tracing


class MaskedWeight:
    """Attribute of a layer: stores the variable, gives the masked weight.

    Keras's `build` assigns the variable to the attribute with an underscore in
    front. Reading this one before that raises `AttributeError`, as Keras
    expects.
    """

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, layer, owner=None):
        if layer is None:
            return self
        return effective_weight(layer, self.name)

    def __set__(self, layer, variable):
        setattr(layer, f"_{self.name}", variable)


class HeldWeights:
    """What the cell's loop reads in place of its variables, during a call."""

    def __init__(self):
        self.weights = {}
        self.depth = 0
        self.call = None
        # Whether the loop is given the product of inputs and kernel.
        self.are_applied_to_inputs = False

    def hold(self, weights):
        self.weights = weights
        self.call = keras_internals.current_call()

    def release(self):
        self.weights = {}
        self.call = None

    def are_of_this_call(self):
        """`False` for what a loop left behind when it raised."""
        if not self.weights or self.call is not keras_internals.current_call():
            return False
        if keras.backend.backend() != "tensorflow":
            return True
        if not is_tracing():
            return self.call is not None
        return all(map(belongs_to_this_trace, self.weights.values()))


class MaskedCell:
    """Mix-in for a Keras cell: its matrices are masked once per call.

    An `RNN` layer asks its cell for dropout masks before its loop and resets
    them after it, whether there is dropout or not. Hooking these two methods
    serves `RNN(cell)` and stacked cells without touching either.

    An attribute of the name of a weight that has a mask stores the variable,
    with an underscore in front, and gives the masked weight. There are as many
    as the instance has such weights, so that they are no descriptors.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._held_weights = HeldWeights()

    def add_weight(self, *args, name=None, **kwargs):
        if name in self.sparse_names:
            kwargs["autocast"] = False
        return super().add_weight(*args, name=name, **kwargs)

    def __setattr__(self, name, value):
        is_masked = f"{name}_mask" in vars(self)
        super().__setattr__(f"_{name}" if is_masked else name, value)

    def __getattr__(self, name):
        # Of what is found nowhere else.
        if f"{name}_mask" in vars(self) and f"_{name}" in vars(self):
            return self._masked_weight(name)
        raise AttributeError(
            f"'{type(self).__name__}' object has no attribute '{name}'"
        )

    @contextlib.contextmanager
    def masked_once(self):
        """Holds the masked matrices while the context is open."""
        held = self._held_weights
        outermost = not held.depth and not held.are_of_this_call()
        if outermost:
            self._hold()
        held.depth += 1
        try:
            yield
        finally:
            held.depth -= 1
            if outermost:
                held.release()

    @contextlib.contextmanager
    def masked_when_read(self):
        """Masks a matrix only where it is read, while the context is open."""
        held = self._held_weights
        held.depth += 1
        try:
            yield
        finally:
            held.depth -= 1

    def call(self, inputs, states, training=False):
        if self._held_weights.are_applied_to_inputs:
            return self.call_on_product(inputs, states)
        with self.masked_once():
            return super().call(inputs, states, training=training)

    def call_on_product(self, product, states):
        """One time step, from the product of its inputs and the kernel.

        Args:
            product: Float tensor of shape `(batch, gates * units)`, with the
                bias of the inputs added.
            states: List of float tensors of shape `(batch, units)`.

        Returns:
            Tuple of the output and the list of new states, as `call()`.
        """
        raise NotImplementedError(
            f"Expected a cell with `call_on_product()`. Received: cell={self!r}"
        )

    @contextlib.contextmanager
    def product_of_inputs(self, sequences, training):
        """One product for all time steps, before the loop.

        It takes less time than one in each step, and the sum over time in the
        kernel's gradient becomes a product too. While the context is open,
        `call()` expects the product in place of its inputs.

        Args:
            sequences: Float tensor of shape `(batch, steps, features)`.
            training: Boolean, whether to apply dropout.

        Yields:
            Float tensor of shape `(batch, steps, gates * units)`.
        """
        with self.masked_once():
            if training and 0 < self.dropout < 1:
                dropout = self.get_dropout_mask(sequences[:, 0, :])
                sequences = sequences * ops.expand_dims(dropout, 1)
            product = ops.matmul(sequences, self.kernel)
            if self.bias is not None:
                bias = ops.convert_to_tensor(self.bias)
                # That of a GRU which resets after the product has two rows.
                product = product + (bias if len(bias.shape) == 1 else bias[0])
            self._held_weights.are_applied_to_inputs = True
            try:
                yield product
            finally:
                self._held_weights.are_applied_to_inputs = False

    def get_dropout_mask(self, step_input):
        # Outside a call of the cell it is the layer that asks, before its
        # loop. What an earlier loop may have left when it raised is replaced.
        if self._held_weights.depth == 0:
            self._hold()
        return super().get_dropout_mask(step_input)

    def reset_dropout_mask(self):
        if self._held_weights.depth == 0:
            self._held_weights.release()
        super().reset_dropout_mask()

    def _masked_weight(self, name):
        """A masked weight, which may be held for the length of a call.

        It is masked as it is stored and cast where it is read, as Keras casts
        a variable in each time step: so gradients add up over time in the
        precision of the variable, and the layer around the cell may be of
        another one.
        """
        held = self._held_weights
        if not held.depth:
            return effective_weight(self, name)
        weight = held.weights.get(name)
        if weight is None or self._adds_up_apart(name, weight):
            weight = effective_weight(self, name)
        return ops.cast(weight, self.compute_dtype) if self.autocast else weight

    def _adds_up_apart(self, name, weight):
        """Whether a regularizer's gradient must meet each time step's.

        Keras reads its variable in each step of an unrolled loop, and adds the
        gradients of all steps and of the regularizer in one sum. A held weight
        would make it two sums, which differ in the last bit. That matters, and
        is worth a selection in each step, only for a layer that started at
        density 1: no other has a Keras layer to be equal to.
        """
        return (
            getattr(self, f"{name}_was_drawn_full")
            and getattr(self, f"_{name}").regularizer is not None
            and is_tracing()
            and is_of_this_graph(weight)
        )

    def _hold(self):
        weights = {}
        for name in self.sparse_names:
            variable = getattr(self, f"_{name}")
            mask = getattr(self, f"{name}_mask")
            # The variable itself is then read in each time step, as Keras
            # does, and nothing is added in another order.
            full = is_known_to_be_full(mask) and not takes_dense_gradients(self)
            weights[name] = variable if full else effective_weight(self, name)
        self._held_weights.hold(weights)
