"""The running total of training's cost that rewiring callbacks log."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests.callbacks import tiny

# One layer of density d: of each epoch's four steps, so many take the dense
# gradient of the weights, a third of a dense step.
DENSITY = 0.5


def flops(dense_steps, steps):
    return DENSITY + (1 - DENSITY) / 3 * dense_steps / steps


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        (ksr.SETCallback(0.3), [DENSITY] * 3),
        (
            ksr.SNFSCallback(0.3),
            [flops(each, each) for each in (4, 8, 12)],
        ),
        # Of the third step, before the fourth; then of the sixth, and the
        # ninth, and not over an epoch's end.
        (
            ksr.RigLCallback(0.3, frequency=3),
            [flops(1, 4), flops(2, 8), flops(3, 12)],
        ),
        # In epochs 1 and 2.
        (
            ksr.RigLCallback(0.3, frequency="epoch"),
            [flops(0, 4), flops(1, 8), flops(2, 12)],
        ),
    ],
)
def test_dense_gradients_cost_a_third_of_a_dense_step(callback, expected):
    model = tiny.dense_model()
    history = tiny.fit(model, callback).history
    np.testing.assert_allclose(history["training_flops"], expected, rtol=1e-5)


def test_pruning_pays_for_its_dense_phase():
    model = tiny.dense_model()
    schedule = ksr.rewiring.CubicSparsity(0.9, end=2, initial_sparsity=0.5)
    callback = ksr.MagnitudePruningCallback(schedule)
    history = tiny.fit(model, callback, epochs=4).history
    densities = 1 - np.array(history["sparsity"])
    np.testing.assert_allclose(
        history["training_flops"],
        np.cumsum(densities) / np.arange(1, 5),
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: ksr.RigLCallback(0.3, frequency="epoch", end=4),
        lambda: ksr.SNFSCallback(0.3, end=4),
    ],
)
def test_the_total_goes_on_in_a_training_that_is_continued(make):
    at_once = tiny.fit(tiny.dense_model(), make(), epochs=4).history
    model = tiny.dense_model()
    tiny.fit(model, make(), epochs=2)
    later = tiny.fit(model, make(), epochs=4, initial_epoch=2).history
    np.testing.assert_allclose(
        later["training_flops"], at_once["training_flops"][2:], rtol=1e-5
    )


def test_dense_layers_weigh_in_by_how_often_they_are_applied():
    model = tiny.text_model()
    history = tiny.fit(model, ksr.SETCallback(0.3)).history
    matrices = ksr.weight_matrices(model, time_steps=tiny.LENGTH)
    expected = sum(each.multiply_adds for each in matrices) / sum(
        each.multiply_adds_dense for each in matrices
    )
    np.testing.assert_allclose(history["training_flops"], expected, rtol=1e-5)


def of_two_inputs():
    tokens, others = keras.Input((tiny.LENGTH, 3)), keras.Input((2,))
    hidden = ksr.SparseLSTM(4, sparsity=0.75)(tokens)
    outputs = keras.layers.Dense(1)(
        keras.layers.Concatenate()([hidden, others])
    )
    return keras.Model([others, tokens], outputs)


def of_equal_names():
    """Two branches of the same names, as full as not."""

    def branch(sparsity):
        inputs = keras.Input((tiny.LENGTH, 3))
        layer = ksr.SparseLSTM(4, sparsity=sparsity, name="lstm")
        return keras.Model(inputs, layer(inputs))

    others, tokens = keras.Input((2,)), keras.Input((tiny.LENGTH, 3))
    both = [branch(0.75)(tokens), branch(0.0)(tokens), others]
    outputs = keras.layers.Dense(1)(keras.layers.Concatenate()(both))
    return keras.Model([others, tokens], outputs)


@pytest.mark.parametrize("make", [of_two_inputs, of_equal_names])
def test_it_is_that_of_the_matrices(make):
    model = make()
    model.compile("sgd", "mse")
    x = [np.ones((8, 2)), np.ones((8, tiny.LENGTH, 3))]
    history = tiny.fit(model, ksr.SETCallback(0.4), x=x, y=np.ones((8, 1)))
    cost = ksr.training_cost(model, time_steps=tiny.LENGTH)
    for logged in history.history["training_flops"]:
        assert logged == pytest.approx(cost.training_ratio)


def test_the_steps_of_a_new_optimizer_are_all_counted():
    model = tiny.dense_model()
    schedule = ksr.rewiring.OneShotSparsity(0.9, 2)
    tiny.fit(model, ksr.MagnitudePruningCallback(schedule))
    model.compile("adam", "mse")
    # More steps in its first epoch than the other optimizer made in all.
    x, y = (np.repeat(array, 4, axis=0) for array in tiny.tokens())
    history = tiny.fit(model, ksr.SETCallback(0.4), x=x, y=y, epochs=2).history
    for epochs, logged in enumerate(history["training_flops"], start=1):
        after = 1 + 4 * epochs
        expected = (2 * 0.5 + after * 0.1) / (2 + after)
        assert logged == pytest.approx(expected, rel=1e-6)


class OneOfTwo(keras.Model):
    """Has two sparse layers and calls one."""

    def __init__(self):
        super().__init__()
        self.called = ksr.SparseDense(8, sparsity=0.5)
        self.other = ksr.SparseDense(8, sparsity=0.9)

    def build(self, input_shape):
        self.called.build(input_shape)
        self.built = True

    def call(self, inputs):
        return self.called(inputs)


def test_a_layer_that_is_never_built_costs_nothing():
    model = OneOfTwo()
    model.compile("adam", "mse")
    history = tiny.fit(model, ksr.SETCallback(0.4)).history
    np.testing.assert_allclose(history["training_flops"], 0.5)
