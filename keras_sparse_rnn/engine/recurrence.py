"""A sparse recurrence on NumPy arrays, forward and backward, by the kernels.

Or a sparse product, which is one time step without a state.
"""

import ctypes
import dataclasses

import numpy as np

from keras_sparse_rnn.engine import library
from keras_sparse_rnn.engine import memory
from keras_sparse_rnn.engine.checked_arrays import check_array
from keras_sparse_rnn.engine.checked_arrays import check_finite
from keras_sparse_rnn.engine.checked_arrays import check_is_array
from keras_sparse_rnn.engine.checked_connections import Fields
from keras_sparse_rnn.engine.checked_connections import check_connections
from keras_sparse_rnn.engine.compressed import MATRIX_NAMES
from keras_sparse_rnn.engine.compressed import bias_gradient
from keras_sparse_rnn.engine.compressed import row_bias

# Of a cell the first, or both.
_STATES = ("state", "carry")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is fixed for a layer.

    Attributes:
        owner: String that names the layer in errors.
        go_backwards: Boolean, whether time runs from the last step.
        keeps_gates: Boolean, whether the gates are kept for the backward pass
            or computed again in it.
        threads: Integer of at least 1.
    """

    owner: str
    go_backwards: bool = False
    keeps_gates: bool = True
    threads: int = 1


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What a call is given. All arrays are contiguous.

    Attributes:
        sequences: `float32` array of shape `(batch, steps, inputs)`.
        weights: `float32` array of the connections' weights, in the order of
            `Connections.places`.
        bias: `float32` array as Keras has it, or `None`.
        states: List of `float32` arrays of shape `(batch, units)`, of a product
            empty.
        counts: Boolean array of shape `(batch, steps)`, or `None`: which time
            steps count.
        input_dropout: `float32` array of shape `(copies, batch, inputs)`, or
            `None`: what the inputs of each gate, or of all, are multiplied by.
        recurrent_dropout: `float32` array of shape `(copies, batch, units)`, or
            `None`.
    """

    sequences: np.ndarray
    weights: np.ndarray
    bias: np.ndarray | None
    states: list
    counts: np.ndarray | None = None
    input_dropout: np.ndarray | None = None
    recurrent_dropout: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Results:
    """What a forward pass gives.

    Attributes:
        outputs: `float32` array of shape `(batch, steps, units)`, or `None`:
            the state after each time step.
        states: List of `float32` arrays of shape `(batch, units)`.
        kept: `float32` array for the backward pass.
    """

    outputs: np.ndarray | None
    states: list
    kept: np.ndarray


@dataclasses.dataclass(frozen=True)
class Gradients:
    """What a backward pass gives: arrays like those of `Arguments`."""

    sequences: np.ndarray
    weights: np.ndarray
    bias: np.ndarray | None
    states: list


def forward(settings, connections, arguments, keeps_steps, wants_outputs):
    """Runs a recurrence over all time steps.

    Args:
        settings: `Settings`.
        connections: `Connections`.
        arguments: `Arguments`.
        keeps_steps: Boolean, whether a backward pass is to follow.
        wants_outputs: Boolean, whether the state after each time step is
            wanted, or only the last one.

    Returns:
        `Results`.

    Raises:
        ValueError: If something is no array, or of another shape or type than
            it should be, or there are too few or too many states.
        NativeKernelsError: If a weight or bias is no finite number, or the
            lists of connections are out of range or not in order.
        MemoryError: If there is not enough memory.
    """
    call = _Call(settings, connections, arguments, keeps_steps)
    batch, steps, _ = arguments.sequences.shape
    outputs = None
    if wants_outputs:
        outputs = call.result("outputs", (batch, steps, connections.units))
    states = [
        call.result(f"final_{name}", (batch, connections.units))
        for name in _STATES[: connections.kind.states]
    ]
    kept = call.result("kept", call.sizes.kept)
    call.result("scratch", call.sizes.forward_scratch)
    call.run("ksr_forward")
    return Results(outputs, states, kept)


def backward(
    settings, connections, arguments, kept, outputs_gradient, state_gradients
):
    """The gradients of a forward pass that kept its steps.

    Args:
        settings: `Settings`, as in the forward pass.
        connections: `Connections`, as in the forward pass.
        arguments: `Arguments`, as in the forward pass.
        kept: `float32` array, of `Results`.
        outputs_gradient: `float32` array like the outputs, or `None`.
        state_gradients: List of `float32` arrays like the final states.

    Returns:
        `Gradients`.

    Raises:
        ValueError: If something is no array, or of another shape or type than
            it should be, or there are too few or too many states.
        NativeKernelsError: If a weight or bias is no finite number, or the
            lists of connections are out of range or not in order.
        MemoryError: If there is not enough memory.
    """
    call = _Call(settings, connections, arguments, keeps_steps=True)
    batch, steps, _ = arguments.sequences.shape
    units = connections.units
    if outputs_gradient is not None:
        call.give("outputs_gradient", outputs_gradient, (batch, steps, units))
    call.give_states(
        "state_gradients", state_gradients, "final_{}_gradient", (batch, units)
    )
    call.give("kept", kept, (call.sizes.kept,))
    call.turn_weights(arguments.weights)
    call.result("scratch", call.sizes.backward_scratch)
    sequences = call.result("sequences_gradient", arguments.sequences.shape)
    states = [
        call.result(f"initial_{name}_gradient", (batch, units))
        for name in _STATES[: connections.kind.states]
    ]
    copies = call.sizes.gradient_copies
    weights = call.result("weights_gradient", (copies, call.sizes.connections))
    bias_rows = call.result(
        "bias_gradient", (copies, units * connections.kind.rows)
    )
    call.run("ksr_backward")
    count = len(connections.places)
    weights = np.sum(weights[:, :count], axis=0, out=memory.empty(count))
    bias = None
    if arguments.bias is not None:
        bias = bias_gradient(
            connections.kind,
            bias_rows.sum(axis=0, dtype=np.float32),
            arguments.bias.shape,
        )
    return Gradients(sequences, weights, bias, states)


class _Call(Fields):
    """A call of the kernels: arguments checked and filled in."""

    def __init__(self, settings, connections, arguments, keeps_steps):
        check_connections(settings, connections)
        super().__init__(settings, connections)
        self._connections = connections
        sequences = arguments.sequences
        check_is_array(self.owner, "sequences", sequences)
        if sequences.ndim != 3 or 0 in sequences.shape:
            raise ValueError(
                f"{self.owner} expects `sequences` of shape (batch, timesteps, "
                "features), none of them 0, in the native engine. "
                f"Received: sequences.shape={sequences.shape}"
            )
        batch, steps, _ = sequences.shape
        inputs, units = connections.inputs, connections.units
        self.fields.batch, self.fields.steps = batch, steps
        self.fields.keeps_steps = keeps_steps
        self.give("sequences", sequences, (batch, steps, inputs))
        self._check("weights", arguments.weights, connections.places.shape)
        self._check_weights_are_finite(arguments.weights)
        self.fields.rows.weights = self.address(arguments.weights)
        if arguments.counts is not None:
            self._check("mask", arguments.counts, (batch, steps), np.bool_)
            self.fields.counts = self.address(arguments.counts)
        for name, copies, width in (
            ("input_dropout", connections.input_copies, inputs),
            ("recurrent_dropout", connections.state_copies, units),
        ):
            mask = getattr(arguments, name)
            if mask is not None:
                self.give(name, mask, (copies, batch, width))
        self.give_states(
            "states", arguments.states, "initial_{}", (batch, units)
        )
        bias = arguments.bias
        if bias is not None:
            parts = connections.kind.bias_parts
            columns = connections.columns
            self._check(
                "bias", bias, (columns,) if parts == 1 else (parts, columns)
            )
            check_finite(self.owner, "bias", bias)
        self.fields.bias = self.address(row_bias(connections.kind, bias, units))
        self.sizes = library.Sizes()
        self.check(
            library.load().ksr_sizes(
                ctypes.byref(self.fields), ctypes.byref(self.sizes)
            )
        )

    def give(self, name, array, shape, dtype=np.float32):
        self._check(name, array, shape, dtype)
        setattr(self.fields, name, self.address(array))

    def give_states(self, name, arrays, field, shape):
        """Gives one array for each state of the cell."""
        names = _STATES[: self._connections.kind.states]
        is_list = isinstance(arrays, (list, tuple))
        if not is_list or len(arrays) != len(names):
            raise ValueError(
                f"{self.owner} expects `{name}` as a list of {len(names)} "
                "arrays. Received: "
                + (
                    f"len({name})={len(arrays)}"
                    if is_list
                    else f"{name} of type {type(arrays).__name__}"
                )
            )
        for each, array in zip(names, arrays, strict=True):
            self.give(field.format(each), array, shape)

    def result(self, name, shape):
        array = memory.empty(shape)
        setattr(self.fields, name, self.address(array))
        return array

    def run(self, function):
        self.check(getattr(library.load(), function)(ctypes.byref(self.fields)))

    def check(self, status):
        library.check(status, self.owner)

    def _check_weights_are_finite(self, weights):
        """Raises by the name of the matrix that a bad weight is of."""
        if np.isfinite(weights).all():
            return
        which = self._connections.matrix_of(self._connections.places)
        for index, name in enumerate(MATRIX_NAMES):
            check_finite(self.owner, name, weights[which == index])

    def turn_weights(self, weights):
        """Gives the weights also feature by feature."""
        turned = self._connections.turned
        by_feature = memory.empty(weights.shape)
        self.check(
            library.load().ksr_gather(
                weights.ctypes.data,
                weights.size,
                weights.ctypes.data,
                0,
                turned.ctypes.data,
                len(turned),
                by_feature.ctypes.data,
                self.fields.threads,
            )
        )
        self.fields.features.weights = self.address(by_feature)

    def _check(self, name, array, shape, dtype=np.float32):
        check_array(self.owner, name, array, shape, dtype)
