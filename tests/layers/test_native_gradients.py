"""Gradients of native layers under tapes of every kind."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from tests.layers import engines

pytestmark = engines.needs_kernels
kinds = pytest.mark.parametrize("kind", engines.CELLS)


@kinds
def test_gradients_are_0_and_weights_do_not_count_outside_the_mask(kind):
    layers = [engines.make(kind, engine) for engine in engines.ENGINES]
    expected = engines.run(layers[0], engines.sequences())
    for layer in layers:
        for weight in layer.sparse_weights:
            # As a loop may leave it that assigns weights by itself.
            weight.value.assign(
                np.where(weight.mask.numpy(), weight.value.numpy(), 5.0)
            )
        found = engines.run(layer, engines.sequences())
        engines.assert_close(found, expected)
        for index, weight in enumerate(layer.sparse_weights):
            gradient = found[f"gradient of {weight.name} {index}"]
            assert gradient.any()
            assert not gradient[~weight.mask.numpy()].any()


@kinds
def test_gradients_in_evaluation_mode_and_one_after_the_other(kind):
    # Without `training`, nothing is kept of the time steps at first.
    native, masked = (engines.make(kind, each) for each in engines.ENGINES)
    inputs = tf.constant(engines.sequences())

    def gradients(layer):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            square = tf.reduce_sum(layer(inputs, training=False) ** 2)
        weights = [each.value for each in layer.trainable_variables]
        return dict(
            enumerate(
                [
                    tape.gradient(square, inputs).numpy(),
                    *(each.numpy() for each in tape.gradient(square, weights)),
                ]
            )
        )

    engines.assert_close(gradients(native), gradients(masked))


@kinds
def test_a_layer_that_is_not_trainable_has_gradients_to_its_inputs(kind):
    native, masked = (engines.make(kind, each) for each in engines.ENGINES)
    native.trainable = masked.trainable = False
    found, expected = (
        engines.run(layer, engines.sequences()) for layer in (native, masked)
    )
    assert [*found] == ["output 0", "gradient of inputs"]
    engines.assert_close(found, expected)


@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_of_gradients_are_refused_and_not_taken_for_0(compiled):
    layer = engines.make("GRU", "native", name="mine")
    inputs = tf.constant(engines.sequences())

    def penalty():
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                output = tf.reduce_sum(layer(inputs))
            norm = tf.reduce_sum(inner.gradient(output, inputs) ** 2)
        return outer.gradient(norm, layer.cell.bias.value)

    with pytest.raises(
        (NotImplementedError, tf.errors.UnimplementedError),
        match=r"'mine' has no gradients of gradients .* Use engine='masked'",
    ):
        (tf.function(penalty) if compiled else penalty)()


def test_forward_mode_is_refused_by_its_name():
    layer = engines.make("GRU", "native", name="mine")
    inputs = tf.constant(engines.sequences())
    with (
        tf.autodiff.ForwardAccumulator(inputs, tf.ones_like(inputs)),
        pytest.raises(
            NotImplementedError,
            match=r"'mine' has .* no forward-mode derivatives on the native "
            r"engine\. Use engine='masked'\. Received: .* accumulator",
        ),
    ):
        layer(inputs)


def test_first_gradients_under_several_and_persistent_tapes():
    results = []
    for engine in engines.ENGINES:
        layer = engines.make("GRU", engine)
        compiled = tf.function(lambda x, layer=layer: layer(x))
        inputs = tf.constant(engines.sequences())
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(inputs)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                output = tf.reduce_sum(compiled(inputs) ** 2)
            gradient = inner.gradient(output, inputs)
            double = 2 * output
        results.append(
            {"inner": gradient, "outer": outer.gradient(double, inputs)}
        )
    found, expected = (
        {name: each.numpy() for name, each in result.items()}
        for result in results
    )
    engines.assert_close(found, expected)


def made(kind, engine):
    """A layer, and what to map it over: three batches."""
    shape = (3, engines.BATCH, engines.STEPS, engines.FEATURES)
    if kind == "Dense":
        keras.utils.set_random_seed(3)
        layer = ksr.SparseDense(
            engines.UNITS, sparsity=0.5, engine=engine, name="mine"
        )
        layer.build((None, engines.FEATURES))
        shape = (shape[0], *shape[2:])
    else:
        layer = engines.make(kind, engine, name="mine")
    assert layer.engine_in_use == engine
    batches = np.random.default_rng(0).normal(size=shape)
    return layer, tf.constant(batches, tf.float32)


def gradients_through(mapped, layer, batches):
    """Of the squares of all outputs, by the inputs and by the weights."""
    weights = [each.value for each in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(batches)
        squares = tf.reduce_sum(mapped(layer, batches) ** 2)
    return tape.gradient(squares, [batches, *weights])


maps = pytest.mark.parametrize(
    "mapped",
    [tf.vectorized_map, keras.ops.vectorized_map],
    ids=["tf", "keras.ops"],
)
mapped_kinds = pytest.mark.parametrize("kind", [*engines.CELLS, "Dense"])


@maps
@mapped_kinds
@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_that_a_vectorized_map_loses_are_refused(
    kind, mapped, compiled
):
    layer, batches = made(kind, "native")
    run = gradients_through
    if compiled:
        run = tf.function(run, autograph=False)
    with pytest.raises(
        LookupError,
        match=r"Sparse\w+ 'mine' has no gradients on the native engine "
        r"through a `vectorized_map` .* Use `tf\.map_fn`, or engine='masked'\. "
        "Received: a gradient tape",
    ):
        run(mapped, layer, batches)


@mapped_kinds
def test_gradients_around_other_maps_and_of_the_masked_engine(kind):
    results = []
    for engine, mapped in (
        ("native", tf.map_fn),
        ("masked", tf.map_fn),
        ("masked", tf.vectorized_map),
    ):
        gradients = gradients_through(mapped, *made(kind, engine))
        results.append(
            {index: each.numpy() for index, each in enumerate(gradients)}
        )
    found, expected, vectorized = results
    assert all(each.any() for each in expected.values())
    engines.assert_close(found, expected)
    engines.assert_close(vectorized, expected)


@maps
@mapped_kinds
def test_a_vectorized_map_without_a_tape_around_it(kind, mapped):
    layer, batches = made(kind, "native")

    def gradient(batch):
        with tf.GradientTape() as tape:
            tape.watch(batch)
            squares = tf.reduce_sum(layer(batch) ** 2)
        return tape.gradient(squares, batch)

    for function in (layer, gradient):
        expected = np.stack([function(batch) for batch in batches])
        assert expected.any()
        engines.assert_close(
            {0: mapped(function, batches).numpy()}, {0: expected}
        )


def test_time_distributed_has_gradients():
    results = []
    for engine in engines.ENGINES:
        layer, batches = made("LSTM", engine)
        gradients = gradients_through(
            lambda layer, x: keras.layers.TimeDistributed(layer)(x),
            layer,
            batches,
        )
        results.append(
            {index: each.numpy() for index, each in enumerate(gradients)}
        )
    engines.assert_close(*results)


def jacobian(layer, inputs):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        some = layer(inputs)[0, :4]
    return tape.jacobian(some, inputs)


def batch_jacobian(layer, inputs):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
    return tape.batch_jacobian(outputs, inputs)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("of", [jacobian, batch_jacobian])
def test_jacobians(of, compiled):
    results = []
    for engine in engines.ENGINES:
        layer = engines.make("SimpleRNN", engine)
        run = tf.function(of, autograph=False) if compiled else of
        found = run(layer, tf.constant(engines.sequences()))
        results.append({0: found.numpy()})
    engines.assert_close(*results)
