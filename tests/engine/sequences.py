"""Sequences, connections and weights for tests, and what kernels make of them.

What must come of them, see `dense_reference`.
"""

import dataclasses

import numpy as np

from keras_sparse_rnn.engine import compressed
from keras_sparse_rnn.engine import dense_matrices
from keras_sparse_rnn.engine import library
from keras_sparse_rnn.engine import recurrence

KINDS = {
    "lstm": compressed.LSTM,
    "gru_reset_after": compressed.GRU_RESET_AFTER,
    "gru_reset_before": compressed.GRU_RESET_BEFORE,
    "simple_rnn_tanh": compressed.SIMPLE_RNN_TANH,
    "simple_rnn_relu": compressed.SIMPLE_RNN_RELU,
}
_ROUNDING = 2.0**-24
MASK_PATTERNS = ("random", "empty rows", "one connection", "full rows")


@dataclasses.dataclass(frozen=True)
class Example:
    """A call of the kernels and the gradients of what it returns.

    Attributes:
        kernel_mask: Boolean array.
        recurrent_mask: Boolean array.
        connections: `compressed.Connections` of both masks.
        arguments: `recurrence.Arguments`, the weights in the order of the
            connections.
        kernel: `float32` array, 0 where there is no connection.
        recurrent_kernel: `float32` array, the same.
        outputs_gradient: `float32` array like the outputs, or `None`.
        state_gradients: List of `float32` arrays like the states.
    """

    kernel_mask: np.ndarray
    recurrent_mask: np.ndarray
    connections: compressed.Connections
    arguments: recurrence.Arguments
    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    outputs_gradient: np.ndarray | None
    state_gradients: list

    @property
    def kind(self):
        return self.connections.kind


def draw_mask(rng, rows, gates, units, density, pattern="random", tied=False):
    """A boolean array of shape `(rows, gates * units)`.

    Args:
        rng: NumPy generator.
        rows: Integer.
        gates: Integer.
        units: Integer.
        density: Float, the share of ones before the pattern applies.
        pattern: String, one of `MASK_PATTERNS`.
        tied: Boolean, whether all gates are to have the same connections.
    """
    shape = (rows, 1 if tied else gates, units)
    mask = rng.random(shape) < density
    if pattern == "empty rows":
        mask[rng.random(rows) < 0.5] = False
        mask[:, :, rng.random(units) < 0.5] = False
    elif pattern == "full rows":
        mask[rng.random(rows) < 0.2] = True
        mask[:, :, rng.random(units) < 0.2] = True
    elif pattern == "one connection":
        mask[:] = False
        mask[tuple(rng.integers(shape))] = True
    return np.broadcast_to(mask, (rows, gates, units)).reshape(rows, -1).copy()


def example(
    kind,
    batch=5,
    steps=4,
    inputs=7,
    units=9,
    density=0.3,
    patterns=("random", "random"),
    tied=False,
    counted=False,
    input_copies=0,
    state_copies=0,
    biased=True,
    with_outputs=True,
    seed=0,
):
    """An `Example` with random content.

    Args:
        kind: `compressed.CellKind`.
        batch: Integer.
        steps: Integer.
        inputs: Integer.
        units: Integer.
        density: Float.
        patterns: Tuple of two of `MASK_PATTERNS`, for both masks.
        tied: Boolean, whether all gates have the same connections.
        counted: Boolean, whether some time steps do not count.
        input_copies: Integer, dropout masks of the inputs; 0 for none.
        state_copies: Integer, dropout masks of the state; 0 for none.
        biased: Boolean.
        with_outputs: Boolean, whether the outputs have a gradient.
        seed: Integer.
    """
    rng = np.random.default_rng(seed)
    gates = kind.gates

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    def dropout(copies, width):
        if not copies:
            return None
        kept = rng.random((copies, batch, width)) < 0.7
        return (kept / 0.7).astype(np.float32)

    masks = [
        draw_mask(rng, rows, gates, units, density, pattern, tied)
        for rows, pattern in zip((inputs, units), patterns, strict=True)
    ]
    # So that sums neither vanish nor grow with the number of connections.
    counts = np.maximum(1, sum(mask.sum(axis=0) for mask in masks))
    kernel, recurrent_kernel = (
        (normal(*mask.shape) * mask / np.sqrt(counts)).astype(np.float32)
        for mask in masks
    )
    parts = (2,) if kind is compressed.GRU_RESET_AFTER else ()
    connections = dense_matrices.compress(
        kind, *masks, max(1, input_copies), max(1, state_copies)
    )
    states = kind.states
    arguments = recurrence.Arguments(
        normal(batch, steps, inputs),
        weights_at(connections.places, kernel, recurrent_kernel),
        normal(*parts, gates * units) / 2 if biased else None,
        [normal(batch, units) for _ in range(states)],
        rng.random((batch, steps)) < 0.7 if counted else None,
        dropout(input_copies, inputs),
        dropout(state_copies, units),
    )
    return Example(
        *masks,
        connections,
        arguments,
        kernel,
        recurrent_kernel,
        normal(batch, steps, units) if with_outputs else None,
        [normal(batch, units) for _ in range(states)],
    )


def weights_at(places, *matrices):
    """The weights of connections, by NumPy."""
    return np.concatenate([each.ravel() for each in matrices])[places]


def matrices_of(places, weights, *shapes):
    """Matrices that have weights at places and else 0, by NumPy."""
    sizes = [rows * columns for rows, columns in shapes]
    flat = np.zeros(sum(sizes), weights.dtype)
    flat[places] = weights
    return [
        part.reshape(shape)
        for part, shape in zip(
            np.split(flat, np.cumsum(sizes)[:-1]), shapes, strict=True
        )
    ]


def run(example, wants_outputs=True, **settings):
    """What the kernels make of an example.

    Args:
        example: `Example`.
        wants_outputs: Boolean. Defaults to `True`.
        **settings: Of `recurrence.Settings`.

    Returns:
        Dict of arrays: outputs, final states, and all gradients.
    """
    settings = recurrence.Settings("a layer", **settings)
    results = recurrence.forward(
        settings, example.connections, example.arguments, True, wants_outputs
    )
    gradients = recurrence.backward(
        settings,
        example.connections,
        example.arguments,
        results.kept,
        example.outputs_gradient,
        example.state_gradients,
    )
    kernel, recurrent_kernel = matrices_of(
        example.connections.places,
        gradients.weights,
        example.kernel.shape,
        example.recurrent_kernel.shape,
    )
    return named(
        results.outputs,
        results.states,
        {
            "sequences": gradients.sequences,
            "kernel": kernel,
            "recurrent_kernel": recurrent_kernel,
            "bias": gradients.bias,
        },
        gradients.states,
    )


def run_everywhere(example, **settings):
    """Yields, with the name of each instruction set, what its kernels make."""
    before = library.instruction_set()
    try:
        for name in library.instruction_sets():
            library.use_instruction_set(name)
            yield name, run(example, **settings)
    finally:
        library.use_instruction_set(before)


def errors(found, expected):
    """For each array the largest difference relative to the largest value.

    Where many terms cancel, as they may in the gradient of a lone weight or
    input, no sum in single precision is near to so small a rest: there the
    error of rounding the terms is what counts as 1e-5.
    """
    assert found.keys() == expected.arrays.keys()
    result = {}
    for name, right in expected.arrays.items():
        assert found[name].shape == right.shape, name
        assert found[name].dtype == np.float32, name
        difference = np.abs(found[name] - right).max(initial=0)
        size = np.abs(right).max(initial=0)
        size = max(size, expected.terms.get(name, 0) * _ROUNDING / 1e-5)
        result[name] = difference / size if size else difference
    return result


def assert_close(found, expected, limit=1e-5, of=""):
    """Every array within `limit` times its largest value, and finite."""
    for name, error in errors(found, expected).items():
        assert error <= limit, f"{of} {name}: {error}"


def assert_same(found, expected, of=""):
    """Every array the same, bit for bit."""
    assert found.keys() == expected.keys()
    for name, right in expected.items():
        assert found[name].tobytes() == right.tobytes(), f"{of} {name}"


def named(outputs, states, gradients, state_gradients):
    """All that comes of an example, by name, without what is `None`."""
    named = {f"state {i}": each for i, each in enumerate(states)}
    named |= {f"gradient of {name}": each for name, each in gradients.items()}
    named |= {
        f"gradient of state {i}": each for i, each in enumerate(state_gradients)
    }
    named["outputs"] = outputs
    return {name: each for name, each in named.items() if each is not None}
