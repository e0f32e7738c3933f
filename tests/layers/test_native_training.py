"""Models on the native engine train as models on the masked one do."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.layers import engines
from tests.layers.native_models import FEATURES
from tests.layers.native_models import MODELS
from tests.layers.native_models import STEPS
from tests.layers.native_models import assert_close
from tests.layers.native_models import compiled
from tests.layers.native_models import data
from tests.layers.native_models import fit
from tests.layers.native_models import lstm
from tests.layers.native_models import recurrent_layers

pytestmark = engines.needs_kernels


@pytest.mark.parametrize("name", MODELS)
def test_fit_evaluate_and_predict(name):
    x, y = data()
    results = []
    for engine in engines.ENGINES:
        model = compiled(name, engine, run_eagerly=engine == "masked")
        history = fit(model, validation_split=0.2)
        results.append(
            {
                **history,
                "evaluated": model.evaluate(x, y, batch_size=8, verbose=0),
                "predicted": model.predict(x, batch_size=8, verbose=0),
            }
        )
        assert recurrent_layers(model)
        for layer in recurrent_layers(model):
            assert layer.engine_in_use == engine
        engines.assert_zero_outside(model)
    found, expected = results
    assert found.keys() == expected.keys()
    assert found["loss"][0] != found["loss"][1]
    for key, value in expected.items():
        assert_close(found[key], value)


WAYS = {
    "eagerly": {"run_eagerly": True},
    "several steps": {"steps_per_execution": 3},
    "clipped by norm": {"optimizer": ("SGD", {"clipnorm": 0.1})},
    "clipped by the norm of all": {
        "optimizer": ("Adam", {"global_clipnorm": 0.1})
    },
    "accumulated": {"optimizer": ("Adam", {"gradient_accumulation_steps": 2})},
    "averaged": {"optimizer": ("AdamW", {"use_ema": True})},
    "momentum": {"optimizer": ("SGD", {"momentum": 0.9, "nesterov": True})},
}


@pytest.mark.parametrize("way", WAYS)
def test_ways_of_training(way):
    losses = []
    for engine in engines.ENGINES:
        arguments = dict(WAYS[way])
        name, settings = arguments.pop("optimizer", ("Adam", {}))
        optimizer = getattr(keras.optimizers, name)(0.05, **settings)
        if engine == "masked":
            arguments = {"run_eagerly": True}
        model = compiled("one layer", engine, optimizer, **arguments)
        losses.append(fit(model)["loss"])
        engines.assert_zero_outside(model)
    assert_close(*losses)
    assert losses[0][0] != losses[0][1]


def test_batches_by_hand():
    x, y = data()
    losses = []
    for engine in engines.ENGINES:
        model = compiled("dropout", engine, run_eagerly=engine == "masked")
        losses.append(
            [
                *(model.train_on_batch(x[:5], y[:5])[0] for _ in range(3)),
                model.test_on_batch(x, y)[0],
                *model.predict_on_batch(x[:1])[0],
            ]
        )
        engines.assert_zero_outside(model)
    assert_close(*losses)


@pytest.mark.parametrize("in_graph", [False, True])
def test_a_training_loop_of_ones_own(in_graph):
    x, y = data()
    losses = []
    for engine in engines.ENGINES:
        model = compiled("stacked", engine)
        optimizer = keras.optimizers.Adam(0.01)
        optimizer.build(model.trainable_variables)

        def step(model=model, optimizer=optimizer):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
            variables = model.trainable_variables
            gradients = tape.gradient(loss, variables)
            optimizer.apply(gradients, variables)
            return loss

        in_this_graph = in_graph and engine == "native"
        run = tf.function(step) if in_this_graph else step
        losses.append([float(run()) for _ in range(3)])
        engines.assert_zero_outside(model)
    assert_close(*losses)
    assert losses[0][2] < losses[0][0]


def test_a_stateful_layer_goes_on_from_batch_to_batch_until_it_is_reset():
    x, y = data(16)
    results = []
    for engine in engines.ENGINES:
        keras.utils.set_random_seed(3)
        model = keras.Sequential(
            [
                keras.Input(batch_shape=(8, STEPS, FEATURES)),
                lstm(engine, stateful=True),
                keras.layers.Dense(2),
            ]
        )
        model.compile(
            keras.optimizers.Adam(0.01), "mse", run_eagerly=engine == "masked"
        )
        arguments = {"batch_size": 8, "verbose": 0}
        loss = model.fit(x, y, epochs=2, shuffle=False, **arguments).history
        carried = model.predict(x[:8], **arguments)
        again = model.predict(x[:8], **arguments)
        assert (carried != again).any()
        model.layers[0].reset_state()
        fresh = model.predict(x[:8], **arguments)
        model.layers[0].reset_state()
        np.testing.assert_array_equal(model.predict(x[:8], **arguments), fresh)
        results.append([*loss["loss"], *carried.ravel(), *fresh.ravel()])
    assert_close(*results)
