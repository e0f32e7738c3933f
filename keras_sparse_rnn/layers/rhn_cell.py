"""Recurrent highway network (RHN): dense cell."""

import copy

import keras
import numpy as np
from keras import ops

from keras_sparse_rnn.arguments import check_boolean
from keras_sparse_rnn.arguments import check_integer
from keras_sparse_rnn.arguments import check_number
from keras_sparse_rnn.arguments import check_rate
from keras_sparse_rnn.arguments import named
from keras_sparse_rnn.arguments import plain_number
from keras_sparse_rnn.keras_internals import DropoutRNNCell


@keras.saving.register_keras_serializable("keras_sparse_rnn")
class RHNCell(keras.layers.Layer, DropoutRNNCell):
    """Cell of a recurrent highway network, for `keras.layers.RNN` and stacks.

    A time step leads the state s through `depth` micro-layers l = 0, 1, …

        h = activation(x W_h + (s ∘ z) R_h + b_h)
        t = recurrent_activation(x W_t + (s ∘ z) R_t + b_t)
        s = h ∘ t + s ∘ (1 - t)

    each with an R and a b of its own. Only the first one sees the inputs x; z
    is the recurrent dropout. With `coupled=False` a carry gate c, computed as
    t is, takes the place of 1 - t.

    The weights are `kernel` (W) of shape `(features, gates * units)`,
    `recurrent_kernel_0`, `recurrent_kernel_1`, … (R) of shape
    `(units, gates * units)` and `bias_0`, `bias_1`, … of shape
    `(gates * units,)`, the gates h, t and, not coupled, c side by side.

    Args:
        units: Integer of at least 1, dimensionality of the output space.
        depth: Integer of at least 1, the number of micro-layers. Defaults to
            `1`.
        activation: Activation of h. Defaults to `"tanh"`.
        recurrent_activation: Activation of the gates t and c. Defaults to
            `"sigmoid"`.
        use_bias: Boolean, whether the micro-layers have biases. Defaults to
            `True`.
        coupled: Boolean, whether the carry gate is 1 - t. Defaults to `True`.
        transform_bias: Float, at which the biases of the transform gate t
            start, and at whose negative those of a separate carry gate do, so
            that either kind of cell starts alike; `None` leaves both to
            `bias_initializer`. It has no effect without biases. Defaults to
            `-2.0`, as in the papers' models of Penn Treebank: a micro-layer
            then carries about 88 % of a state on, through which gradients
            reach far back at any depth, while at 0 half of it is lost in
            each. Liu et al. do not initialise it apart.
        kernel_initializer: Initializer of `kernel`. Defaults to
            `"glorot_uniform"`.
        recurrent_initializer: Initializer of the recurrent kernels. Each is
            drawn anew, from a seed that follows from the initializer's.
            Defaults to `"orthogonal"`.
        bias_initializer: Initializer of the other biases. Defaults to
            `"zeros"`.
        kernel_regularizer: Regularizer of `kernel`. Defaults to `None`.
        recurrent_regularizer: Regularizer of each recurrent kernel. Defaults
            to `None`.
        bias_regularizer: Regularizer of each bias. Defaults to `None`.
        kernel_constraint: Constraint on `kernel`. Defaults to `None`.
        recurrent_constraint: Constraint on each recurrent kernel. Defaults to
            `None`.
        bias_constraint: Constraint on each bias. Defaults to `None`.
        dropout: Float in `[0, 1)`, the share of the inputs to drop. Defaults
            to `0.0`.
        recurrent_dropout: Float in `[0, 1)`, the share of the state's units
            that recurrent kernels do not see; the state is carried on whole.
            Defaults to `0.0`.
        seed: Integer, seed of both. What is dropped is drawn once in a call
            of the layer around the cell, and is the same in all time steps
            and micro-layers. Defaults to `None`.

    Call arguments:
        inputs: Float tensor of shape `(batch, features)`.
        states: List of a float tensor of shape `(batch, units)`.
        training: Boolean, whether to apply dropout.

    Returns:
        The new state and a list of it.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> layer = keras.layers.RNN(ksr.RHNCell(256, depth=5))
    >>> layer(keras.random.normal((32, 100, 64))).shape
    (32, 256)

    Reference:
        - Zilly et al., Recurrent Highway Networks, ICML 2017, equations 6–9
    """

    def __init__(
        self,
        units,
        depth=1,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        coupled=True,
        transform_bias=-2.0,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        **kwargs,
    ):
        check_rhn_arguments(
            named(type(self), kwargs.get("name")),
            units=units,
            depth=depth,
            use_bias=use_bias,
            coupled=coupled,
            transform_bias=transform_bias,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
        )
        super().__init__(**kwargs)
        self.units = int(units)
        self.depth = int(depth)
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.use_bias = bool(use_bias)
        self.coupled = bool(coupled)
        self.transform_bias = (
            None if transform_bias is None else plain_number(transform_bias)
        )
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(
            recurrent_initializer
        )
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(
            recurrent_regularizer
        )
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.recurrent_constraint = keras.constraints.get(recurrent_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.dropout = plain_number(dropout)
        self.recurrent_dropout = plain_number(recurrent_dropout)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed=seed)
        self.state_size = self.units
        self.output_size = self.units

    @property
    def gates(self):
        """Tuple of strings, what is packed side by side in each matrix."""
        return ("h", "t") if self.coupled else ("h", "t", "c")

    @property
    def recurrent_kernel_names(self):
        """Tuple of strings, the recurrent kernels from first to last."""
        return tuple(f"recurrent_kernel_{each}" for each in range(self.depth))

    @property
    def bias_names(self):
        """Tuple of strings, the biases from first to last, if there are any."""
        if not self.use_bias:
            return ()
        return tuple(f"bias_{each}" for each in range(self.depth))

    def build(self, input_shape):
        super().build(input_shape)
        columns = len(self.gates) * self.units
        self.kernel = self.add_weight(
            shape=(input_shape[-1], columns),
            name="kernel",
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        for index, name in enumerate(self.recurrent_kernel_names):
            recurrent_kernel = self.add_weight(
                shape=(self.units, columns),
                name=name,
                initializer=_of_micro_layer(self.recurrent_initializer, index),
                regularizer=self.recurrent_regularizer,
                constraint=self.recurrent_constraint,
            )
            setattr(self, name, recurrent_kernel)
        for index, name in enumerate(self.bias_names):
            bias = self.add_weight(
                shape=(columns,),
                name=name,
                initializer=self._bias_initializer(index),
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
            setattr(self, name, bias)

    def call(self, inputs, states, training=False):
        state = states[0] if isinstance(states, (list, tuple)) else states
        seen = None
        if training and self.recurrent_dropout:
            seen = self.get_recurrent_dropout_mask(state)
        if training and self.dropout:
            inputs = inputs * self.get_dropout_mask(inputs)
        of_inputs = ops.matmul(inputs, self.kernel)
        for index, name in enumerate(self.recurrent_kernel_names):
            read = state if seen is None else state * seen
            sums = ops.matmul(read, getattr(self, name))
            if index == 0:
                sums = of_inputs + sums
            if self.use_bias:
                sums = sums + getattr(self, self.bias_names[index])
            state = self._micro_layer(sums, state)
        new_states = [state] if isinstance(states, (list, tuple)) else state
        return state, new_states

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype)]

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "depth": self.depth,
            "activation": keras.activations.serialize(self.activation),
            "recurrent_activation": keras.activations.serialize(
                self.recurrent_activation
            ),
            "use_bias": self.use_bias,
            "coupled": self.coupled,
            "transform_bias": self.transform_bias,
            **{
                f"{weight}_{kind}": module.serialize(
                    getattr(self, f"{weight}_{kind}")
                )
                for kind, module in (
                    ("initializer", keras.initializers),
                    ("regularizer", keras.regularizers),
                    ("constraint", keras.constraints),
                )
                for weight in ("kernel", "recurrent", "bias")
            },
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
        }

    def _micro_layer(self, sums, state):
        candidate, transform, *carry = ops.split(sums, len(self.gates), axis=-1)
        candidate = self.activation(candidate)
        transform = self.recurrent_activation(transform)
        if self.coupled:
            return state + transform * (candidate - state)
        carry = self.recurrent_activation(carry[0])
        return transform * candidate + carry * state

    def _bias_initializer(self, index):
        initializer = _of_micro_layer(self.bias_initializer, index)
        if self.transform_bias is None:
            return initializer

        def initialize(_, dtype=None):
            candidate = initializer((self.units,), dtype=dtype)
            transform = ops.full((self.units,), self.transform_bias, dtype)
            gates = [candidate, transform, -transform]
            return ops.concatenate(gates[: len(self.gates)])

        return initialize


def check_rhn_arguments(
    owner,
    units,
    depth,
    use_bias,
    coupled,
    transform_bias,
    dropout,
    recurrent_dropout,
):
    """Checks what `RHN` and `RHNCell` are given.

    Args:
        owner: String that names the layer or cell in errors.
        units, depth, …: The arguments, as of `RHNCell`.

    Raises:
        ValueError: If an argument is out of range.
    """
    try:
        check_integer("units", units, 1)
        check_integer("depth", depth, 1)
        check_boolean("use_bias", use_bias)
        check_boolean("coupled", coupled)
        if transform_bias is not None:
            check_number("transform_bias", transform_bias)
        check_rate("dropout", dropout)
        check_rate("recurrent_dropout", recurrent_dropout)
    except ValueError as error:
        raise ValueError(f"{owner}: {error}") from None


def _of_micro_layer(initializer, index):
    """An initializer as it is for the first micro-layer, others of their own.

    An initializer of Keras gives the same values whenever it is called, and
    micro-layers of the same weights would be one and the same function.
    """
    seed = getattr(initializer, "seed", None)
    if index == 0 or not isinstance(seed, int):
        return initializer
    sequence = np.random.SeedSequence([seed % 2**64, index])
    # Backends take seeds of 31 bits.
    own = int(sequence.generate_state(1)[0] >> 1)
    config = initializer.get_config()
    if "seed" in config:
        return type(initializer).from_config({**config, "seed": own})
    # One that cannot be saved need not say what it is made from.
    initializer = copy.copy(initializer)
    initializer.seed = own
    return initializer
