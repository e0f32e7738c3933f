"""A plain product by the kernels, against NumPy in double precision."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from keras_sparse_rnn.engine import checked_connections
from keras_sparse_rnn.engine import compressed
from keras_sparse_rnn.engine import dense_matrices
from keras_sparse_rnn.engine import library
from keras_sparse_rnn.engine import native
from keras_sparse_rnn.engine import recurrence
from keras_sparse_rnn.engine.compressed import PRODUCT
from tests.engine import sequences

needs_kernels = pytest.mark.skipif(
    not library.is_available(), reason="The native kernels were not built."
)
SETTINGS = recurrence.Settings("a layer")


@dataclasses.dataclass(frozen=True)
class Example:
    """A call of the kernels, and the gradient of its outputs."""

    mask: np.ndarray
    kernel: np.ndarray
    connections: compressed.Connections
    arguments: recurrence.Arguments
    outputs_gradient: np.ndarray


def example(
    batch=5, inputs=7, units=9, density=0.3, pattern="random", biased=True
):
    """An `Example` with random content."""
    rng = np.random.default_rng(batch + inputs + units)
    mask = sequences.draw_mask(rng, inputs, 1, units, density, pattern)

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    sequence, kernel = normal(batch, 1, inputs), normal(inputs, units) * mask
    connections = dense_matrices.compress(PRODUCT, mask)
    arguments = recurrence.Arguments(
        sequences=sequence,
        weights=sequences.weights_at(connections.places, kernel),
        bias=normal(units) if biased else None,
        states=[],
    )
    return Example(
        mask, kernel, connections, arguments, normal(batch, 1, units)
    )


def run(drawn, **settings):
    """What the kernels give, as a dict of arrays."""
    settings = recurrence.Settings("a layer", **settings)
    connections, arguments = drawn.connections, drawn.arguments
    checked_connections.check_connections(settings, connections)
    results = recurrence.forward(settings, connections, arguments, True, True)
    assert results.states == []
    gradients = recurrence.backward(
        settings,
        connections,
        arguments,
        results.kept,
        drawn.outputs_gradient,
        [],
    )
    (kernel,) = sequences.matrices_of(
        connections.places, gradients.weights, drawn.mask.shape
    )
    assert gradients.states == []
    return {
        "outputs": results.outputs,
        "inputs": gradients.sequences,
        "kernel": kernel,
        "bias": gradients.bias,
    }


def run_everywhere(drawn, **settings):
    """Yields, with the name of each instruction set, what its kernels give."""
    before = library.instruction_set()
    try:
        for name in library.instruction_sets():
            library.use_instruction_set(name)
            yield name, run(drawn, **settings)
    finally:
        library.use_instruction_set(before)


def reference(drawn):
    """What must come out, and how large its terms are altogether."""
    arguments = drawn.arguments
    inputs, kernel, gradient = (
        np.float64(each)
        for each in (
            arguments.sequences[:, 0],
            drawn.kernel,
            drawn.outputs_gradient[:, 0],
        )
    )
    bias = 0 if arguments.bias is None else np.float64(arguments.bias)

    def of(x, w, b, g):
        return {
            "outputs": (x @ w + b)[:, None],
            "inputs": (g @ w.T)[:, None],
            "kernel": x.T @ g * drawn.mask,
            "bias": None if arguments.bias is None else g.sum(axis=0),
        }

    return (
        of(inputs, kernel, bias, gradient),
        of(*map(np.abs, (inputs, kernel, bias, gradient))),
    )


def assert_close(found, expected, of=""):
    exact, terms = expected
    for name, right in exact.items():
        if right is None:
            assert found[name] is None
            continue
        assert found[name].shape == right.shape, name
        assert found[name].dtype == np.float32, name
        # Of each number apart: where terms cancel, their rounding remains.
        allowed = 1e-5 * np.abs(right) + 2e-6 * terms[name]
        assert (np.abs(found[name] - right) <= allowed).all(), f"{of} {name}"


@needs_kernels
@hypothesis_settings(max_examples=60, derandomize=True)
@given(
    batch=st.integers(1, 200),
    inputs=st.integers(1, 300),
    units=st.integers(1, 300),
    density=st.floats(0.001, 1),
    pattern=st.sampled_from(sequences.MASK_PATTERNS),
    biased=st.booleans(),
    threads=st.integers(1, 3),
)
def test_outputs_and_gradients(
    batch, inputs, units, density, pattern, biased, threads
):
    drawn = example(batch, inputs, units, density, pattern, biased)
    expected = reference(drawn)
    for instructions, found in run_everywhere(drawn, threads=threads):
        assert_close(found, expected, instructions)


@needs_kernels
@pytest.mark.parametrize("batch", [1, 2, 64, 65, 1100])
def test_all_blocks_of_a_batch(batch):
    drawn = example(batch, 40, 33)
    for instructions, found in run_everywhere(drawn, threads=2):
        assert_close(found, reference(drawn), instructions)


@needs_kernels
@pytest.mark.parametrize("batch", [1, 33, 700])
def test_the_same_bits_with_any_number_of_threads(batch):
    # Enough work for several threads, also where there is a single block.
    drawn = example(batch, 1000, 900, density=0.9)
    alone = run(drawn, threads=1)
    for threads in (2, 3, 5):
        sequences.assert_same(run(drawn, threads=threads), alone)


@needs_kernels
def test_nothing_is_kept_for_the_backward_pass():
    drawn = example(batch=300)
    for keeps in (True, False):
        results = recurrence.forward(
            SETTINGS, drawn.connections, drawn.arguments, keeps, True
        )
        assert not results.kept.size


def test_no_square_of_the_units_is_needed():
    units = 200_000
    mask = np.zeros((2, units), bool)
    mask[1, ::1000] = True
    connections = dense_matrices.compress(PRODUCT, mask)
    assert connections.units == units
    assert connections.places.tolist() == [*range(units, 2 * units, 1000)]
    assert connections.features.starts.tolist() == [0, 0, 200]


@needs_kernels
def test_an_input_that_is_no_number_spoils_its_own_sample_alone():
    drawn = example(density=1.0)
    drawn.arguments.sequences[1, 0, 2] = np.nan
    outputs = recurrence.forward(
        SETTINGS, drawn.connections, drawn.arguments, False, True
    ).outputs
    assert np.isnan(outputs[1]).all()
    assert np.isfinite(np.delete(outputs, 1, axis=0)).all()


@needs_kernels
@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("sequences", np.zeros((5, 1, 8), np.float32), r"shape=\(5, 1, 8\)"),
        ("weights", np.zeros(62, np.float32), r"`weights`.*shape=\(62,\)"),
        (
            "weights",
            np.full(63, np.inf, np.float32),
            "finite numbers .*Received: kernel=inf$",
        ),
        ("sequences", np.zeros((5, 2, 7), np.float32), "sizes that do not fit"),
        ("counts", np.ones((5, 1), bool), "sizes that do not fit"),
        (
            "input_dropout",
            np.ones((1, 5, 7), np.float32),
            "sizes that do not fit",
        ),
    ],
)
def test_bad_arguments_are_refused(argument, value, message):
    drawn = example(density=1.0)
    bad = dataclasses.replace(drawn.arguments, **{argument: value})
    with pytest.raises((ValueError, library.NativeKernelsError), match=message):
        recurrence.forward(SETTINGS, drawn.connections, bad, True, True)


@needs_kernels
def test_a_mask_without_connections():
    drawn = example(density=0)
    assert not drawn.mask.any()
    assert_close(run(drawn), reference(drawn))


@needs_kernels
def test_lists_are_remembered_by_the_mask():
    drawn = example()
    arguments, mask = drawn.arguments, drawn.mask
    product = native.NativeRecurrence(PRODUCT, SETTINGS)

    def outputs(mask):
        given = native.Inputs(
            arguments.sequences,
            drawn.kernel,
            None,
            arguments.bias,
            [],
            mask,
            None,
        )
        return product(given, wants_outputs=True, training=True)[0].numpy()

    first = outputs(mask)
    kept = product._remembered
    np.testing.assert_array_equal(outputs(mask), first)
    assert product._remembered is kept
    np.testing.assert_array_equal(
        outputs(np.zeros_like(mask))[:, 0],
        np.broadcast_to(arguments.bias, first[:, 0].shape),
    )
    assert len(product._remembered) == 2


@needs_kernels
@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("states", [None], r"list of 0 arrays\. Received: len\(states\)=1"),
        ("bias", np.zeros((2, 9), np.float32), r"`bias`.*shape=\(2, 9\)"),
    ],
)
def test_what_a_product_does_not_have_is_refused(argument, value, message):
    drawn = example()
    bad = dataclasses.replace(drawn.arguments, **{argument: value})
    with pytest.raises(ValueError, match=message):
        recurrence.forward(SETTINGS, drawn.connections, bad, True, True)
