"""Gradients of native layers under tapes of every kind."""

import numpy as np
import pytest
import tensorflow as tf

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


def test_jacobians():
    results = []
    for engine in engines.ENGINES:
        layer = engines.make("LSTM", engine)
        inputs = tf.constant(engines.sequences())
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = layer(inputs)[0, :4]
        results.append({0: tape.jacobian(output, inputs).numpy()})
    engines.assert_close(*results)
