"""The dense recurrent highway network, against a step-by-step reference."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from tests.layers import rhn_reference

BATCH, STEPS, FEATURES, UNITS = 3, 5, 4, 6
KINDS = {
    "shallow": {},
    "deep": {"depth": 4},
    "with a carry gate": {"depth": 3, "coupled": False},
    "without biases": {"depth": 2, "use_bias": False},
}
kinds = pytest.mark.parametrize("arguments", KINDS.values(), ids=KINDS)


def sequences(seed=0, features=FEATURES):
    shape = (BATCH, STEPS, features)
    return np.random.default_rng(seed).normal(size=shape)


def state(seed=1, units=UNITS):
    return np.random.default_rng(seed).normal(size=(BATCH, units))


def step_mask():
    rows = ["ttttt", "tttff", "ftftf"]
    return np.array([[letter == "t" for letter in row] for row in rows])


def make(units=UNITS, cls=ksr.RHN, features=FEATURES, **arguments):
    """A built layer, in double precision, with biases that are not 0."""
    layer = cls(units, **{"dtype": "float64", **arguments})
    layer.build((BATCH, None, features))
    rng = np.random.default_rng(2)
    for variable in layer.trainable_variables:
        noise = 0.3 * rng.normal(size=variable.shape)
        variable.assign(variable + noise)
    for weight in ksr.sparse_weights(layer):
        weight.enforce_mask()
    return layer


def expected(layer, inputs, initial, **options):
    return rhn_reference.run(
        rhn_reference.weights_of(layer.cell),
        inputs,
        initial,
        layer.depth,
        coupled=layer.coupled,
        **options,
    )


@kinds
@pytest.mark.parametrize("compiled", [False, True])
def test_outputs_and_states_are_the_references(arguments, compiled):
    layer = make(**arguments, return_sequences=True, return_state=True)
    call = tf.function(layer, jit_compile=True) if compiled else layer
    found = call(sequences(), initial_state=state())
    for a, b in zip(found, expected(layer, sequences(), state()), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@kinds
def test_a_layer_starts_at_zeros(arguments):
    layer = make(**arguments)
    outputs, _ = expected(layer, sequences(), np.zeros((BATCH, UNITS)))
    np.testing.assert_allclose(layer(sequences()), outputs[:, -1], rtol=1e-10)


@kinds
def test_masked_time_steps_leave_the_state(arguments):
    layer = make(**arguments, return_sequences=True, return_state=True)
    found = layer(sequences(), initial_state=state(), mask=step_mask())
    by_hand = expected(layer, sequences(), state(), step_mask=step_mask())
    for a, b in zip(found, by_hand, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def drawn_masks(seed, calls=1):
    """What dropout multiplies by in the last of some calls."""
    generator = keras.random.SeedGenerator(seed)
    for _ in range(calls):
        masks = [
            keras.random.dropout(
                np.ones((BATCH, size)), rate, seed=generator
            ).numpy()
            for size, rate in ((FEATURES, 0.3), (UNITS, 0.4))
        ]
    return masks


@kinds
def test_dropout_is_drawn_once_a_call_for_all_steps_and_depths(arguments):
    layer = make(
        **arguments,
        return_sequences=True,
        dropout=0.3,
        recurrent_dropout=0.4,
        seed=7,
    )
    for call in (1, 2):
        found = layer(sequences(), initial_state=state(), training=True)
        outputs, _ = expected(
            layer, sequences(), state(), dropped=drawn_masks(7, call)
        )
        np.testing.assert_allclose(found, outputs, rtol=1e-10, atol=1e-12)
    outputs, _ = expected(layer, sequences(), state())
    found = layer(sequences(), initial_state=state())
    np.testing.assert_allclose(found, outputs, rtol=1e-10, atol=1e-12)


def test_dropout_is_the_same_in_a_layer_in_rnn_and_in_a_stack():
    settings = {"depth": 2, "dropout": 0.3, "recurrent_dropout": 0.4, "seed": 7}
    layer = make(**settings)
    cells = [ksr.RHNCell(UNITS, **settings, dtype="float64") for _ in range(2)]
    around = keras.layers.RNN(cells[0], dtype="float64")
    stack = keras.layers.RNN(
        keras.layers.StackedRNNCells([cells[1]], dtype="float64"),
        dtype="float64",
    )
    outputs = [layer(sequences(), training=True).numpy()]
    for each in (around, stack):
        each.build((BATCH, None, FEATURES))
        each.set_weights(layer.get_weights())
        outputs.append(each(sequences(), training=True).numpy())
    for each in outputs[1:]:
        np.testing.assert_array_equal(each, outputs[0])


def test_dropout_leaves_the_state_that_is_carried():
    layer = ksr.RHN(
        UNITS, depth=3, recurrent_dropout=0.9, transform_bias=-1000.0
    )
    carried = layer(
        sequences(), initial_state=state().astype("float32"), training=True
    )
    np.testing.assert_array_equal(carried, state().astype("float32"))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"coupled": False},
        {"sparsity": 0.5},
        {"sparsity": 0.5, "coupled": False},
    ],
)
def test_gradients_are_those_of_finite_differences(arguments):
    cls = ksr.SparseRHN if "sparsity" in arguments else ksr.RHN
    layer = make(3, cls, 2, depth=3, return_sequences=True, **arguments)
    inputs, initial = sequences(features=2), state(units=3)
    at = {"inputs": inputs, "state": initial}
    sources = {name: tf.constant(value) for name, value in at.items()}
    slopes = np.sin(np.arange(BATCH * STEPS * 3)).reshape(BATCH, STEPS, 3)
    variables = layer.trainable_variables
    with tf.GradientTape() as tape:
        tape.watch([*sources.values()])
        outputs = layer(sources["inputs"], initial_state=sources["state"])
        total = tf.reduce_sum(outputs * slopes)
    gradients = tape.gradient(
        total, {**sources, **{v.name: v.value for v in variables}}
    )

    at |= rhn_reference.weights_of(layer.cell)
    assert at.keys() == gradients.keys()

    def total_of(values):
        inputs, initial = values["inputs"], values["state"]
        outputs, _ = rhn_reference.run(
            values, inputs, initial, 3, coupled=layer.coupled
        )
        return (outputs * slopes).sum()

    masks = {each.name: each.mask.numpy() for each in ksr.sparse_weights(layer)}
    for name, value in at.items():
        by_hand = np.zeros_like(value)
        for place in np.ndindex(value.shape):
            if name in masks and not masks[name][place]:
                continue
            sides = []
            for shift in (1e-6, -1e-6):
                moved = value.copy()
                moved[place] += shift
                sides.append(total_of({**at, name: moved}))
            by_hand[place] = (sides[0] - sides[1]) / 2e-6
        np.testing.assert_allclose(
            gradients[name], by_hand, rtol=1e-6, atol=1e-8, err_msg=name
        )


@kinds
def test_xla_gives_the_same_with_gradients(arguments):
    layer = make(**arguments)

    def step():
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(layer(sequences()) ** 2)
        return tape.gradient(
            total, [variable.value for variable in layer.trainable_variables]
        )

    for a, b in zip(step(), tf.function(step, jit_compile=True)(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12)


def operations_of_a_step(depth):
    """Names of the operations in the body of the loop over time."""
    layer = ksr.RHN(UNITS, depth=depth)
    layer.build((None, None, FEATURES))
    signature = tf.TensorSpec((None, STEPS, FEATURES), tf.float32)
    graph = tf.function(layer).get_concrete_function(signature).graph
    library = graph.as_graph_def().library.function
    [body] = [each for each in library if "body" in each.signature.name]
    return [node.op for node in body.node_def]


def test_a_time_step_is_linear_in_depth_and_copies_no_weights():
    steps = [operations_of_a_step(depth) for depth in (1, 2, 5)]
    assert [step.count("MatMul") for step in steps] == [2, 3, 6]
    lengths = [len(step) for step in steps]
    assert lengths[2] - lengths[1] == 3 * (lengths[1] - lengths[0])
    assert {step.count("StridedSlice") for step in steps} == {0}
    assert {step.count("Slice") for step in steps} == {0}


def test_windows_of_a_stateful_layer_are_one_sequence():
    layer = make(depth=2, stateful=True, return_sequences=True)
    whole, _ = expected(layer, sequences(), np.zeros((BATCH, UNITS)))
    windows = [layer(each) for each in np.split(sequences(), [2], axis=1)]
    np.testing.assert_allclose(
        np.concatenate(windows, axis=1), whole, rtol=1e-10
    )
    layer.reset_state()
    np.testing.assert_allclose(layer(sequences()), whole, rtol=1e-10)


def test_backwards_is_forwards_on_reversed_sequences():
    layer = make(depth=2, return_sequences=True)
    config = {**layer.get_config(), "go_backwards": True}
    backwards = ksr.RHN.from_config(config)
    backwards.build((BATCH, None, FEATURES))
    backwards.set_weights(layer.get_weights())
    np.testing.assert_allclose(
        backwards(sequences()), layer(sequences()[:, ::-1]), rtol=1e-10
    )


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains(policy):
    keras.config.set_dtype_policy(policy)
    layer = ksr.RHN(UNITS, depth=3, dropout=0.2, recurrent_dropout=0.2)
    model = keras.Sequential([layer, keras.layers.Dense(1, dtype="float32")])
    model.compile("adam", "mse")
    x = sequences().astype("float32")
    history = model.fit(x, np.ones((BATCH, 1)), epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert layer(x).dtype == policy.removeprefix("mixed_")
    assert {v.dtype for v in layer.trainable_variables} == {"float32"}


MODELS = {
    "layer": lambda: ksr.RHN(3, depth=2, seed=1, coupled=False),
    "Bidirectional": lambda: keras.layers.Bidirectional(ksr.RHN(3, depth=2)),
    "cell": lambda: keras.layers.RNN(ksr.RHNCell(3, depth=2)),
    "cells": lambda: keras.layers.RNN(
        [ksr.RHNCell(3, depth=2), keras.layers.GRUCell(2), ksr.RHNCell(4)]
    ),
}


@pytest.mark.parametrize("make_layer", MODELS.values(), ids=MODELS)
def test_saved_and_loaded_and_cloned(make_layer, tmp_path):
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), make_layer()])
    expected = model(sequences())
    model.save(tmp_path / "a.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for other in (keras.models.load_model(tmp_path / "a.keras"), clone):
        np.testing.assert_array_equal(other(sequences()), expected)


@kinds
def test_the_configuration_goes_round(arguments):
    layer = ksr.RHN(
        UNITS,
        **arguments,
        activation="relu",
        recurrent_regularizer="l2",
        activity_regularizer="l1",
        bias_constraint="max_norm",
        transform_bias=np.float32(-1.5),
        dropout=0.1,
        return_sequences=True,
        zero_output_for_mask=True,
        name="mine",
    )
    config = layer.get_config()
    assert config["transform_bias"] == -1.5
    assert ksr.RHN.from_config(config).get_config() == config
    revived = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    assert revived.get_config() == config
    cell = layer.cell
    assert ksr.RHNCell.from_config(cell.get_config()).get_config() == (
        cell.get_config()
    )
