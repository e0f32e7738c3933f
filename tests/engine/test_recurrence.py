"""The kernels against a dense reference in double precision."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from keras_sparse_rnn.engine import checked_connections
from keras_sparse_rnn.engine import library
from keras_sparse_rnn.engine import memory
from keras_sparse_rnn.engine import recurrence
from tests.engine import dense_reference
from tests.engine import sequences
from tests.engine.sequences import KINDS

pytestmark = pytest.mark.skipif(
    not library.is_available(), reason="The native kernels were not built."
)
SETTINGS = recurrence.Settings("a layer")


def copies(kind):
    """No dropout, one mask for all gates, or one for each."""
    return st.sampled_from([0, 1, kind.gates])


@pytest.mark.parametrize("name", KINDS)
@hypothesis_settings(max_examples=30, derandomize=True)
@given(data=st.data())
def test_outputs_states_and_gradients(name, data):
    kind = KINDS[name]
    units = data.draw(st.integers(1, 300), "units")
    drawn = sequences.example(
        kind,
        batch=data.draw(st.integers(1, 130), "batch"),
        # Long sequences of many units take the reference long.
        steps=data.draw(st.integers(1, 40 if units < 60 else 6), "steps"),
        inputs=data.draw(st.integers(1, 90), "inputs"),
        units=units,
        density=data.draw(st.floats(0.001, 1), "density"),
        patterns=data.draw(
            st.tuples(*[st.sampled_from(sequences.MASK_PATTERNS)] * 2)
        ),
        tied=data.draw(st.booleans(), "tied"),
        counted=data.draw(st.booleans(), "counted"),
        input_copies=data.draw(copies(kind), "input_copies"),
        state_copies=data.draw(copies(kind), "state_copies"),
        biased=data.draw(st.booleans(), "biased"),
        with_outputs=data.draw(st.booleans(), "with_outputs"),
        seed=data.draw(st.integers(0, 1000), "seed"),
    )
    backwards = data.draw(st.booleans(), "go_backwards")
    for instructions, found in sequences.run_everywhere(
        drawn,
        go_backwards=backwards,
        keeps_gates=data.draw(st.booleans(), "keeps_gates"),
        threads=data.draw(st.integers(1, 3), "threads"),
    ):
        expected = dense_reference.reference(drawn, backwards, found)
        sequences.assert_close(found, expected, of=instructions)


def test_a_sum_that_cancels_is_as_exact_as_its_terms():
    # Of 45 gradients of 1.4 in all, 0.001 is left of the only input's.
    drawn = sequences.example(
        KINDS["lstm"], batch=1, steps=1, inputs=1, units=90, density=0.125
    )
    for instructions, found in sequences.run_everywhere(drawn):
        expected = dense_reference.reference(drawn, False, found)
        sequences.assert_close(found, expected, of=instructions)


@pytest.mark.parametrize("name", [n for n in KINDS if "relu" not in n])
def test_the_reference_agrees_with_finite_differences(name):
    drawn = sequences.example(
        KINDS[name],
        counted=True,
        input_copies=KINDS[name].gates,
        state_copies=KINDS[name].gates,
    )
    arrays = dense_reference.reference(drawn).arrays
    rng = np.random.default_rng(0)

    def value_of(name):
        return getattr(drawn if "kernel" in name else drawn.arguments, name)

    def loss(name, value):
        changed = {name: value}
        if "kernel" not in name:
            arguments = dataclasses.replace(drawn.arguments, **changed)
            changed = {"arguments": arguments}
        moved = dataclasses.replace(drawn, **changed)
        found = dense_reference.reference(moved).arrays
        total = (found["outputs"] * drawn.outputs_gradient).sum()
        for index, gradient in enumerate(drawn.state_gradients):
            total += (found[f"state {index}"] * gradient).sum()
        return total

    for argument, mask in (
        ("sequences", 1),
        ("kernel", drawn.kernel_mask),
        ("recurrent_kernel", drawn.recurrent_mask),
        ("bias", 1),
    ):
        value = np.float64(value_of(argument))
        direction = rng.normal(size=value.shape) * mask
        ahead, behind = (
            loss(argument, value + step * direction) for step in (1e-5, -1e-5)
        )
        gradient = arrays[f"gradient of {argument}"]
        assert (gradient * direction).sum() == pytest.approx(
            (ahead - behind) / 2e-5, rel=1e-6
        )


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("batch", [1, 16, 70])
def test_the_same_bits_with_any_number_of_threads(name, batch):
    drawn = sequences.example(
        KINDS[name], batch=batch, steps=9, inputs=60, units=130, density=0.9
    )
    alone = sequences.run(drawn, threads=1)
    for threads in (1, 2, 3, 5):
        sequences.assert_same(sequences.run(drawn, threads=threads), alone)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_steps_that_are_not_kept_make_no_difference(name, steps):
    drawn = sequences.example(KINDS[name], steps=steps, batch=40)
    kept, not_kept = (
        recurrence.forward(
            SETTINGS, drawn.connections, drawn.arguments, keeps, True
        )
        for keeps in (True, False)
    )
    np.testing.assert_array_equal(kept.outputs, not_kept.outputs)
    for a, b in zip(kept.states, not_kept.states, strict=True):
        np.testing.assert_array_equal(a, b)
    if steps > 2:
        assert kept.kept.size > not_kept.kept.size


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("steps", [1, 5])
def test_gates_computed_again_are_those_that_were_kept(name, steps):
    drawn = sequences.example(
        KINDS[name], steps=steps, batch=40, state_copies=1
    )
    kept = sequences.run(drawn)
    sequences.assert_same(sequences.run(drawn, keeps_gates=False), kept)


def test_an_input_that_is_no_number_stays_none():
    drawn = sequences.example(KINDS["lstm"], density=1.0)
    drawn.arguments.sequences[1, 0, 0] = np.nan
    results = recurrence.forward(
        SETTINGS, drawn.connections, drawn.arguments, False, False
    )
    state = results.states[0]
    assert np.isnan(state[1]).all()
    assert np.isfinite(np.delete(state, 1, axis=0)).all()


@pytest.mark.parametrize(
    ("argument", "change", "message"),
    [
        ("sequences", lambda x: x[0], r"\(batch, timesteps, features\)"),
        ("sequences", lambda x: x[:, :0], r"none of them 0.*shape=\(5, 0, 7\)"),
        ("sequences", lambda x: x[:, :, 1:].copy(), r"shape=\(5, 4, 6\)"),
        ("sequences", np.float64, "dtype=float64"),
        ("sequences", lambda x: x[::-1], "contiguous=False"),
        ("weights", lambda x: x[1:].copy(), r"expects `weights`.*shape="),
        ("weights", lambda x: x[None], r"`weights`.*shape=\(1, "),
        ("weights", np.float16, "`weights`.*dtype=float16"),
        ("weights", lambda x: x[::-1], "`weights`.*contiguous=False"),
        ("counts", lambda _: np.ones((5, 4)), "`mask`.*dtype=float64"),
        (
            "recurrent_dropout",
            lambda _: np.ones((3, 5, 9), np.float32),
            r"`recurrent_dropout`.*shape=\(3, 5, 9\)",
        ),
        (
            "states",
            lambda x: [each[:2].copy() for each in x],
            r"`initial_state`.*shape=\(2, 9\)",
        ),
        ("states", lambda _: None, "list of 2 arrays.*of type NoneType"),
        ("states", lambda x: x[0], "list of 2 arrays.*of type ndarray"),
        ("states", lambda x: x[:1], r"list of 2 arrays.*len\(states\)=1"),
        ("states", lambda x: x * 2, r"list of 2 arrays.*len\(states\)=4"),
        ("states", lambda x: [x[0], None], "`initial_carry` as a NumPy.*None"),
        ("sequences", np.ndarray.tolist, "`sequences` as a NumPy.*type list"),
        ("weights", np.ndarray.tolist, "`weights` as a NumPy.*of type list"),
        ("weights", lambda _: None, "`weights` as a NumPy array.*NoneType"),
        ("counts", lambda _: [[True] * 4] * 5, "`mask` as a NumPy.*type list"),
        ("input_dropout", lambda _: 0.5, "`input_dropout` as.*type float"),
        ("bias", np.ndarray.tolist, "`bias` as a NumPy array.*type list"),
        ("bias", np.float64, "`bias`.*dtype=float64"),
        ("bias", lambda x: x[:-1].copy(), r"`bias`.*\(36,\).*shape=\(35,\)"),
        ("bias", lambda x: np.stack([x, x]), r"\(36,\).*shape=\(2, 36\)"),
        ("bias", lambda x: np.repeat(x, 2)[::2], "`bias`.*contiguous=False"),
    ],
)
def test_bad_arguments_are_refused_by_name(argument, change, message):
    drawn = sequences.example(KINDS["lstm"])
    bad = dataclasses.replace(
        drawn.arguments,
        **{argument: change(getattr(drawn.arguments, argument))},
    )
    with pytest.raises(ValueError, match=message) as caught:
        recurrence.forward(SETTINGS, drawn.connections, bad, True, True)
    assert "a layer expects" in str(caught.value)
    assert "Received:" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "shape", "right"),
    [
        ("gru_reset_after", (27,), (2, 27)),
        ("gru_reset_after", (54,), (2, 27)),
        ("gru_reset_after", (3, 27), (2, 27)),
        ("gru_reset_before", (2, 27), (27,)),
        ("simple_rnn_tanh", (1, 9), (9,)),
        ("lstm", (0,), (36,)),
    ],
)
def test_a_bias_of_another_shape_than_keras_gives_it_is_refused(
    kind, shape, right
):
    drawn = sequences.example(KINDS[kind])
    bias = np.zeros(shape, np.float32)
    bad = dataclasses.replace(drawn.arguments, bias=bias)
    with pytest.raises(ValueError, match="a layer expects `bias`") as caught:
        recurrence.forward(SETTINGS, drawn.connections, bad, True, True)
    assert f"of shape {right}. Received: " in str(caught.value)
    assert f"shape={shape}" in str(caught.value)


@pytest.mark.parametrize(
    ("argument", "change", "message"),
    [
        ("kept", lambda _: None, "`kept` as a NumPy array.*NoneType"),
        ("kept", lambda x: x[1:].copy(), "expects `kept`.*shape="),
        ("kept", np.float64, "expects `kept`.*dtype=float64"),
        ("outputs_gradient", np.ndarray.tolist, "`outputs_gradient` as.*list"),
        ("outputs_gradient", lambda x: x[:1].copy(), r"shape=\(1, 4, 9\)"),
        ("state_gradients", lambda _: None, "list of 2 arrays.*NoneType"),
        ("state_gradients", lambda x: x[1:], r"len\(state_gradients\)=1"),
        ("state_gradients", lambda x: [None, x[1]], "`final_state_gr.*NoneT"),
    ],
)
def test_bad_arguments_of_a_backward_pass_are_refused_by_name(
    argument, change, message
):
    drawn = sequences.example(KINDS["lstm"])
    results = recurrence.forward(
        SETTINGS, drawn.connections, drawn.arguments, True, True
    )
    given = {
        "kept": results.kept,
        "outputs_gradient": drawn.outputs_gradient,
        "state_gradients": drawn.state_gradients,
    }
    given[argument] = change(given[argument])
    with pytest.raises(ValueError, match=message) as caught:
        recurrence.backward(
            SETTINGS, drawn.connections, drawn.arguments, **given
        )
    assert "a layer expects" in str(caught.value)
    assert "Received:" in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("matrix", ["kernel", "recurrent_kernel"])
def test_weights_that_are_not_finite_are_refused(matrix, value):
    drawn = sequences.example(KINDS["lstm"], density=1.0)
    place = 3 * 36 + 2 + (drawn.kernel.size if matrix != "kernel" else 0)
    drawn.arguments.weights[drawn.connections.places == place] = value
    with pytest.raises(
        library.NativeKernelsError,
        match=rf"^a layer expects a `{matrix}` of finite numbers .*"
        rf"Received: {matrix}={value}$",
    ):
        recurrence.forward(
            SETTINGS, drawn.connections, drawn.arguments, True, True
        )


def test_weights_that_are_not_finite_are_refused_by_the_backward_pass():
    drawn = sequences.example(KINDS["lstm"])
    kept = recurrence.forward(
        SETTINGS, drawn.connections, drawn.arguments, True, True
    ).kept
    drawn.arguments.weights[0] = np.nan
    with pytest.raises(library.NativeKernelsError, match=r"Received: .*=nan$"):
        recurrence.backward(
            SETTINGS,
            drawn.connections,
            drawn.arguments,
            kept,
            drawn.outputs_gradient,
            drawn.state_gradients,
        )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_bias_that_is_not_finite_is_refused(value):
    drawn = sequences.example(KINDS["lstm"])
    drawn.arguments.bias[3] = value
    with pytest.raises(
        library.NativeKernelsError, match=f"finite.*Received: bias={value}"
    ):
        recurrence.forward(
            SETTINGS, drawn.connections, drawn.arguments, True, True
        )


def spoil_starts(lists):
    starts = lists.starts.copy()
    starts[1], starts[2] = starts[2] + 1, starts[1]
    return {"starts": starts}


def spoil_source(value):
    def spoil(lists):
        sources = lists.sources.copy()
        sources[0] = value
        return {"sources": sources}

    return spoil


def spoil_order_of_sources(lists):
    sources = lists.sources.copy()
    sources[:2] = sources[1::-1]
    return {"sources": sources}


def spoil_order(value):
    def spoil(lists):
        order = lists.order.copy()
        order[1] = value
        return {"order": order}

    return spoil


SPOILS = {
    "starts": spoil_starts,
    "source below 0": spoil_source(-1),
    "source too great": spoil_source(10_000),
    "sources not in order": spoil_order_of_sources,
    "result twice": spoil_order(0),
    "result too great": spoil_order(10_000),
    "result below 0": spoil_order(-1),
}


@pytest.mark.parametrize("field", ["rows", "features"])
@pytest.mark.parametrize("spoil", SPOILS)
def test_lists_out_of_range_or_order_are_refused(field, spoil):
    connections = sequences.example(KINDS["lstm"], density=0.9).connections
    checked_connections.check_connections(SETTINGS, connections)
    lists = getattr(connections, field)
    spoiled = dataclasses.replace(lists, **SPOILS[spoil](lists))
    bad = dataclasses.replace(connections, **{field: spoiled})
    with pytest.raises(library.NativeKernelsError, match="out of range"):
        checked_connections.check_connections(SETTINGS, bad)


def test_places_out_of_range_are_refused():
    drawn = sequences.example(KINDS["lstm"])
    places = drawn.connections.places.copy()
    places[0] = 10_000
    bad = dataclasses.replace(drawn.connections, places=places)
    with pytest.raises(library.NativeKernelsError, match="out of range"):
        recurrence.forward(SETTINGS, bad, drawn.arguments, True, True)


def test_memory_that_cannot_be_had_is_an_error(monkeypatch):
    drawn = sequences.example(KINDS["lstm"])
    expected = sequences.run(drawn)

    def refuse(*_):
        raise MemoryError

    with monkeypatch.context() as context:
        context.setattr(memory, "empty", refuse)
        with pytest.raises(MemoryError):
            sequences.run(drawn)
    sequences.assert_same(sequences.run(drawn), expected)
