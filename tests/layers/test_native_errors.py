"""What the native engine cannot compute is an error that names the layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.layers import engines
from tests.layers.native_models import FEATURES
from tests.layers.native_models import STEPS
from tests.layers.native_models import compiled
from tests.layers.native_models import data
from tests.layers.native_models import fit
from tests.layers.native_models import lstm

pytestmark = engines.needs_kernels


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_an_error_and_nothing_worse(value):
    model = compiled("one layer", "native")
    x, y = data()
    layer = model.layers[0]
    good = layer.get_weights()
    weight = layer.sparse_weights[1]
    spoiled = weight.value.numpy()
    spoiled[tuple(np.argwhere(weight.mask.numpy())[0])] = value
    weight.value.assign(spoiled)
    message = (
        rf"'{layer.name}' expects a `recurrent_kernel` of finite numbers .*"
        rf"Received: recurrent_kernel={value}"
    )
    for run in (
        lambda: fit(model),
        lambda: model.predict(x, verbose=0),
        lambda: model.evaluate(x, y, verbose=0),
        lambda: model(x),
    ):
        with pytest.raises(
            (tf.errors.UnknownError, RuntimeError),
            match=message,
        ):
            run()
    layer.set_weights(good)
    assert np.isfinite(fit(model)["loss"]).all()


def test_inputs_that_are_no_numbers_spoil_their_own_sample_alone():
    model = compiled("stacked", "native")
    x, _ = data()
    expected = model.predict(x, verbose=0)
    x[1, 2, 3] = np.nan
    found = model.predict(x, verbose=0)
    assert np.isnan(found[1]).all()
    np.testing.assert_array_equal(
        np.delete(found, 1, axis=0), np.delete(expected, 1, axis=0)
    )


@pytest.mark.parametrize("in_graph", [False, True])
def test_features_of_another_number_are_refused_by_name(in_graph):
    layer = lstm("native", name="mine")
    layer.build((None, None, FEATURES))
    call = tf.function(lambda x: layer(x)) if in_graph else layer
    with pytest.raises(
        (ValueError, tf.errors.InvalidArgumentError),
        match=r"SparseLSTM 'mine' expects `sequences` as .* of shape "
        r"\(3, 5, 4\).*Received: dtype=float32, shape=\(3, 5, 6\)",
    ):
        call(np.zeros((3, STEPS, 6), "float32"))
    assert call(np.zeros((3, STEPS, FEATURES), "float32")).shape == (3, 9)


def test_a_sequence_without_steps_is_refused_as_keras_does():
    layer = engines.make("LSTM", "native", name="mine")
    with pytest.raises(
        (ValueError, tf.errors.InvalidArgumentError), match="index 0"
    ):
        layer(engines.sequences(steps=0))


@pytest.mark.parametrize("shape", [(3, 8), (2, 9)])
def test_initial_states_of_another_shape_are_refused_by_name(shape):
    layer = lstm("native", name="mine")
    inputs = np.zeros((3, STEPS, FEATURES), "float32")
    states = [np.zeros(shape, "float32")] * 2
    with pytest.raises(
        ValueError,
        match=r"SparseLSTM 'mine' expects `initial_state` as .* of shape "
        rf"\(3, 9\)\. Received: .*shape=\({shape[0]}, {shape[1]}\)",
    ):
        layer(inputs, initial_state=states)


@pytest.mark.parametrize("shape", [(2, STEPS), (3, STEPS + 1)])
def test_step_masks_of_another_shape_are_refused_by_name(shape):
    layer = lstm("native", name="mine")
    with pytest.raises(
        ValueError,
        match=r"SparseLSTM 'mine' expects `mask` as .* of shape \(3, 5\)\. "
        rf"Received: .*shape=\({shape[0]}, {shape[1]}\)",
    ):
        layer(
            np.zeros((3, STEPS, FEATURES), "float32"),
            mask=np.ones(shape, bool),
        )


def test_validation_after_a_loss_that_is_no_number_is_an_error():
    x, y = data()
    y[-1] = np.nan

    def train(**arguments):
        model = compiled("one layer", "native")
        return model.fit(
            *(x, y),
            epochs=2,
            verbose=0,
            callbacks=[keras.callbacks.TerminateOnNaN()],
            **arguments,
        )

    # The callback alone ends training quietly, as with any layer.
    assert np.isnan(train().history["loss"]).tolist() == [True]
    with pytest.raises(
        (tf.errors.UnknownError, RuntimeError),
        match=r"SparseLSTM '\w+' expects a `\w+` of finite numbers",
    ):
        train(validation_data=(x, y))
