"""What callbacks log as `training_flops`, against the formulas written out."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests.callbacks import tiny

# `tiny.fit` trains on so many batches an epoch.
STEPS = 4


@pytest.mark.parametrize(
    ("callback", "dense_gradients"),
    [
        (lambda: ksr.SETCallback(0.4), [0, 0, 0]),
        (lambda: ksr.RigLCallback(0.4, frequency="epoch"), [0, 1, 2]),
        (lambda: ksr.RigLCallback(0.4, frequency=5), [0, 1, 2]),
        (lambda: ksr.SNFSCallback(0.4), [STEPS, 2 * STEPS, 3 * STEPS]),
    ],
)
def test_steps_with_dense_gradients_pay_a_dense_model_s_third(
    callback, dense_gradients
):
    model = tiny.dense_model()
    [weight] = ksr.sparse_weights(model)
    density = 1 - weight.sparsity
    logged = tiny.fit(model, callback()).history["training_flops"]
    published = [
        (3 * density * STEPS * epochs + (1 - density) * noted)
        / (3 * STEPS * epochs)
        for epochs, noted in enumerate(dense_gradients, start=1)
    ]
    np.testing.assert_allclose(logged, published, rtol=1e-6)


def pruned(model, sparsity, epoch):
    schedule = ksr.rewiring.OneShotSparsity(sparsity, epoch)
    return tiny.fit(model, ksr.MagnitudePruningCallback(schedule)).history


def test_what_is_pruned_costs_less_from_then_on():
    model = tiny.dense_model()
    logged = pruned(model, 0.9, 1)["training_flops"]
    np.testing.assert_allclose(
        logged, [0.5, (0.5 + 0.1) / 2, (0.5 + 0.1 + 0.1) / 3], rtol=1e-6
    )


def test_the_steps_of_a_new_optimizer_are_all_counted():
    model = tiny.dense_model()
    pruned(model, 0.9, 2)
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
