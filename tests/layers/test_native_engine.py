"""Layers on the native engine compute what they compute on the masked one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.layers import engines

pytestmark = engines.needs_kernels
kinds = pytest.mark.parametrize("kind", engines.CELLS)
SEQUENCES = {"return_sequences": True}
TRAINING = {"training": True}
MASKED = {"mask": True}

# Arguments of the layer, and options of the call.
OPTIONS = {
    "last output": ({}, {}),
    "sequences": (SEQUENCES, {}),
    "state": ({"return_state": True}, {}),
    "sequences and state": ({"return_state": True, **SEQUENCES}, {}),
    "backwards": ({"go_backwards": True}, {}),
    "sequences backwards": ({"go_backwards": True, **SEQUENCES}, {}),
    "stateful": ({"stateful": True, **SEQUENCES}, {}),
    "stateful, masked": ({"stateful": True}, MASKED),
    "unrolled": ({"unroll": True, **SEQUENCES}, {}),
    "no bias": ({"use_bias": False, **SEQUENCES}, {}),
    "dropout": ({"dropout": 0.4, **SEQUENCES}, TRAINING),
    "dropout at rest": ({"dropout": 0.4, "recurrent_dropout": 0.4}, {}),
    "dropout of all": ({"dropout": 1.0, **SEQUENCES}, TRAINING),
    "recurrent dropout of all": ({"recurrent_dropout": 1.0}, TRAINING),
    "recurrent dropout": ({"recurrent_dropout": 0.4, **SEQUENCES}, TRAINING),
    "both dropouts": (
        {"dropout": 0.4, "recurrent_dropout": 0.3, "go_backwards": True},
        {**TRAINING, **MASKED},
    ),
    "mask": ({}, MASKED),
    "mask, sequences and state": (
        {"return_state": True, **SEQUENCES},
        MASKED,
    ),
    "mask, backwards": ({"go_backwards": True, **SEQUENCES}, MASKED),
    "mask, output 0": (
        {"zero_output_for_mask": True, **SEQUENCES, "return_state": True},
        MASKED,
    ),
    "mask, last output 0": (
        {"zero_output_for_mask": True, "go_backwards": True},
        MASKED,
    ),
    "initial state": ({"return_state": True, **SEQUENCES}, {"initial": True}),
    "initial state, masked": (SEQUENCES, {"initial": True, **MASKED}),
    "gates share connections": ({"granularity": "unit", **SEQUENCES}, {}),
    "gates share connections, dropout": (
        {"granularity": "unit", "dropout": 0.4, "recurrent_dropout": 0.3},
        TRAINING,
    ),
    "whole matrix": ({"granularity": "kernel"}, {}),
    "gates computed again": ({"recompute_gates": True, **SEQUENCES}, MASKED),
    "diagonal kept": ({"keep_diagonal": True}, {}),
    "density 0.02": ({"sparsity": 0.98, **SEQUENCES}, {}),
    "density 1": ({"sparsity": 0, **SEQUENCES}, {}),
}
# Keras itself fails with a mask for each gate where it looks for cuDNN.
OF_GATES = {
    "a dropout mask for each gate": (
        {
            "implementation": 1,
            "use_cudnn": False,
            "dropout": 0.4,
            **SEQUENCES,
        },
        TRAINING,
    ),
    "dropout masks for gates that share connections": (
        {
            "implementation": 1,
            "use_cudnn": False,
            "dropout": 0.4,
            "granularity": "unit",
        },
        TRAINING,
    ),
}
OF_LSTM = {
    "no forget bias": ({"unit_forget_bias": False, **SEQUENCES}, {}),
}
CASES = [
    *((kind, *case) for kind in engines.CELLS for case in OPTIONS.items()),
    *(
        (kind, *case)
        for kind in ("LSTM", "GRU", "GRU reset before")
        for case in OF_GATES.items()
    ),
    *(("LSTM", *case) for case in OF_LSTM.items()),
]


def keras_drops_all():
    """Whether Keras takes a dropout of 1, as not all its versions do."""
    try:
        keras.random.dropout(np.ones(1, "float32"), 1.0)
    except ValueError:
        return False
    return True


KERAS_DROPS_ALL = keras_drops_all()


def call_options(kind, options):
    options = dict(options)
    if options.pop("mask", False):
        options["mask"] = tf.constant(engines.step_mask())
    if options.pop("initial", False):
        options["initial"] = engines.states(kind)
    return options


@pytest.mark.parametrize(
    ("kind", "name", "case"), CASES, ids=[f"{a}-{b}" for a, b, _ in CASES]
)
def test_both_engines_agree(kind, name, case):
    arguments, options = case
    options = call_options(kind, options)
    if arguments.get("stateful"):
        options["calls"] = 2
    inputs = engines.sequences()
    rates = {arguments.get(f"{each}dropout", 0) for each in ("", "recurrent_")}
    if 1 in rates and not KERAS_DROPS_ALL:
        for engine in engines.ENGINES:
            layer = engines.make(kind, engine, **arguments)
            with pytest.raises(ValueError, match=r"Received: rate=1\.0"):
                engines.run(layer, inputs, **options)
        return
    expected = engines.run(
        engines.make(kind, "masked", **arguments), inputs, **options
    )
    for compiled in (False, True):
        found = engines.run(
            engines.make(kind, "native", **arguments),
            inputs,
            compiled=compiled,
            **options,
        )
        engines.assert_close(found, expected)


@pytest.mark.parametrize("kind", ["LSTM", "SimpleRNN"])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("zero_output", [False, True])
@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_a_step_mask_is_taken_as_keras_loops_take_it(
    kind, go_backwards, unroll, zero_output, return_sequences
):
    found, expected = (
        engines.run(
            engines.make(
                kind,
                engine,
                go_backwards=go_backwards,
                unroll=unroll,
                zero_output_for_mask=zero_output,
                return_sequences=return_sequences,
                return_state=True,
            ),
            engines.sequences(),
            engines.states(kind),
            mask=tf.constant(engines.step_mask()),
        )
        for engine in engines.ENGINES
    )
    engines.assert_close(found, expected)


@kinds
@pytest.mark.parametrize("zero_output", [False, True])
def test_a_step_mask_for_all_samples(kind, zero_output):
    native, masked = (
        engines.make(
            kind,
            engine,
            zero_output_for_mask=zero_output,
            return_sequences=True,
        )
        for engine in engines.ENGINES
    )
    inputs = engines.sequences()
    mask = tf.constant(engines.step_mask()[3:4])
    expected = engines.run(masked, inputs, mask=mask)
    for compiled in (False, True):
        found = engines.run(native, inputs, compiled=compiled, mask=mask)
        engines.assert_close(found, expected)
    shapes = [
        tf.TensorSpec((None, None, engines.FEATURES), tf.float32),
        tf.TensorSpec((None, None), tf.bool),
    ]
    graph = tf.function(
        lambda x, mask: native(x, mask=mask), input_signature=shapes
    )
    engines.assert_close(
        {"outputs": graph(inputs, mask).numpy()},
        {"outputs": expected["output 0"]},
    )


@kinds
@pytest.mark.parametrize("steps", ["sequences", "last"])
def test_more_units_and_steps_than_a_vector_and_a_block_hold(kind, steps):
    arguments = {"units": 70, "features": 40, "sparsity": 0.9}
    inputs = engines.sequences(batch=37, steps=25, features=40)
    expected, *found = (
        engines.run(
            engines.make(
                kind,
                engine,
                return_sequences=steps == "sequences",
                recompute_gates=again,
                **arguments,
            ),
            inputs,
        )
        for engine, again in (
            ("masked", False),
            ("native", False),
            ("native", True),
        )
    )
    for each in found:
        engines.assert_close(each, expected)


@kinds
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (1, 3, 2, 1), (2, 1, 1, 3)])
def test_smallest_sizes(kind, sizes):
    batch, steps, features, units = sizes
    inputs = engines.sequences(batch, steps, features)
    found, expected = (
        engines.run(
            engines.make(
                kind, engine, units=units, features=features, sparsity=0
            ),
            inputs,
        )
        for engine in engines.ENGINES
    )
    engines.assert_close(found, expected)


@kinds
def test_a_changed_mask_and_changed_weights_are_seen(kind):
    native, masked = (engines.make(kind, each) for each in engines.ENGINES)
    inputs = engines.sequences()
    before = engines.run(native, inputs)
    compiled = tf.function(lambda x: native(x))
    compiled(inputs)
    rng = np.random.default_rng(7)
    for ours, theirs in zip(
        native.sparse_weights, masked.sparse_weights, strict=True
    ):
        mask = rng.random(ours.shape) < 0.3
        value = np.where(mask, rng.normal(size=ours.shape), 0)
        for weight in (ours, theirs):
            weight.mask.assign(mask)
            weight.value.assign(value)
    expected = engines.run(masked, inputs)
    engines.assert_close(engines.run(native, inputs), expected)
    engines.assert_close(
        {"output 0": compiled(inputs).numpy()},
        {"output 0": expected["output 0"]},
    )
    assert np.abs(before["output 0"] - expected["output 0"]).max() > 0.01


def embedded():
    return np.array([[3, 0, 0, 0], [1, 2, 3, 4], [0, 0, 5, 1]]), [
        keras.layers.Embedding(6, 5, mask_zero=True)
    ]


def masked_where_all_are_9():
    inputs = engines.sequences(3, 4, 5)
    inputs[0, 2:] = inputs[1, :1] = 9
    return inputs, [keras.layers.Masking(9.0)]


@kinds
@pytest.mark.parametrize(
    ("before", "zero_output"),
    [(embedded, False), (masked_where_all_are_9, True)],
    ids=["Embedding", "Masking"],
)
def test_a_mask_of_the_layer_before(kind, before, zero_output):
    results = []
    for engine in engines.ENGINES:
        keras.utils.set_random_seed(5)
        inputs, layers = before()
        cls, arguments = engines.CELLS[kind]
        model = keras.Sequential(
            [
                *layers,
                *(
                    cls(
                        8,
                        sparsity=0.5,
                        engine=engine,
                        zero_output_for_mask=zero_output,
                        return_sequences=sequences,
                        **arguments,
                    )
                    for sequences in (True, False)
                ),
            ]
        )
        model(inputs)
        results.append(
            [
                engines.run(model, inputs, compiled=compiled)
                for compiled in (
                    (False, True) if engine == "native" else (False,)
                )
            ]
        )
        assert model.layers[-1].engine_in_use == engine
    for found in results[0]:
        engines.assert_close(found, results[1][0])


@kinds
def test_sizes_that_a_graph_does_not_know(kind):
    native = engines.make(kind, "native", return_sequences=True)
    masked = engines.make(kind, "masked", return_sequences=True)
    signature = tf.TensorSpec((None, None, engines.FEATURES), tf.float32)
    graph = tf.function(lambda x: native(x), input_signature=[signature])
    for batch, steps in ((2, 3), (4, 1), (1, 7)):
        inputs = engines.sequences(batch, steps)
        found = graph(inputs)
        assert found.shape == (batch, steps, engines.UNITS)
        engines.assert_close(
            {"outputs": found.numpy()}, {"outputs": masked(inputs).numpy()}
        )
    assert len(graph.get_concrete_function().structured_outputs.shape) == 3


@kinds
@pytest.mark.parametrize("compiled", [False, True])
def test_a_batch_without_samples(kind, compiled):
    # A replica may be given one.
    layer = engines.make(
        kind, "native", return_sequences=True, return_state=True
    )
    found = engines.run(layer, engines.sequences(batch=0), compiled=compiled)
    shape = (0, engines.STEPS, engines.UNITS)
    assert found["output 0"].shape == shape
    assert found["output 1"].shape == (0, engines.UNITS)
    assert found["gradient of inputs"].shape == (
        0,
        *engines.sequences().shape[1:],
    )
    for index, variable in enumerate(layer.trainable_variables):
        gradient = found[f"gradient of {variable.name} {index}"]
        assert gradient.shape == variable.shape
        assert not gradient.any()


@kinds
@pytest.mark.parametrize("dtype", ["int32", "float64", "float16"])
def test_inputs_of_other_types(kind, dtype):
    inputs = (3 * engines.sequences()).astype(dtype)
    native, masked = (engines.make(kind, each) for each in engines.ENGINES)
    expected = masked(inputs).numpy()
    for call in (native, tf.function(lambda x: native(x))):
        engines.assert_close({0: call(inputs).numpy()}, {0: expected})


@kinds
def test_half_sequences_with_the_state_handed_over(kind):
    layer = engines.make(kind, "native", return_state=True)
    inputs = engines.sequences()
    whole = [each.numpy() for each in layer(inputs)]
    _, *states = layer(inputs[:, :2])
    rest = [each.numpy() for each in layer(inputs[:, 2:], initial_state=states)]
    engines.assert_close(dict(enumerate(rest)), dict(enumerate(whole)))


@kinds
def test_the_same_dropout_as_a_masked_layer_of_the_same_state(kind):
    arguments = {"dropout": 0.5, "recurrent_dropout": 0.5}
    native, masked = (
        engines.make(kind, each, **arguments) for each in engines.ENGINES
    )
    inputs = engines.sequences()
    drawn = [native(inputs, training=True).numpy() for _ in range(3)]
    assert (drawn[0] != drawn[1]).any()
    masked.cell.seed_generator.state.assign(native.cell.seed_generator.state)
    found, expected = (
        engines.run(layer, inputs, training=True) for layer in (native, masked)
    )
    engines.assert_close(found, {**expected})
    assert (
        native.cell.seed_generator.state.numpy()
        == masked.cell.seed_generator.state.numpy()
    ).all()


@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_symbolic_outputs_have_the_masked_layers_shapes(
    return_sequences, return_state
):
    native, masked = (
        engines.make(
            "LSTM",
            engine,
            return_sequences=return_sequences,
            return_state=return_state,
        )(keras.KerasTensor((None, None, engines.FEATURES)))
        for engine in engines.ENGINES
    )
    for ours, theirs in zip(
        tf.nest.flatten(native), tf.nest.flatten(masked), strict=True
    ):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
