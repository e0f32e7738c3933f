"""Dense gradients in a loop of one's own, and what is refused."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from tests import dense_twin
from tests.callbacks import by_hand

STEPS, WORDS = 4, 9


def make_model(**arguments):
    return keras.Sequential(
        [
            keras.Input((STEPS,), dtype="int32"),
            ksr.SparseEmbedding(WORDS, 5, sparsity=0.5, **arguments),
            ksr.SparseGRU(6, sparsity=0.6, engine="masked", **arguments),
            keras.layers.Dense(1),
        ]
    )


def batch(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, WORDS, (8, STEPS)).astype("int32")
    return x, rng.normal(size=(8, 1)).astype("float32")


class Loop:
    """A training loop by hand; each of its functions is traced apart."""

    def __init__(self, model, optimizer):
        self.model = model
        self.optimizer = optimizer
        optimizer.build(model.trainable_variables)
        self.step = tf.function(self._step)
        self.noting_step = tf.function(self._step)

    def _step(self, x, y):
        with tf.GradientTape() as tape:
            error = self.model(x, training=True) - y
            loss = self.optimizer.scale_loss(tf.reduce_mean(error**2))
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)


def test_a_loop_rewires_by_the_gradient_of_its_last_step():
    model, optimizer = make_model(), keras.optimizers.Adam(0.02)
    loop = Loop(model, optimizer)
    weights = ksr.sparse_weights(model)
    gradients = ksr.DenseGradients(model, optimizer)
    for step in range(1, 7):
        x, y = batch(step)
        if step % 3:
            loop.step(x, y)
            continue
        expected = dense_twin.dense_gradients(model, x, y)
        with gradients:
            loop.noting_step(x, y)
        before = by_hand.states(weights)
        rewiring = ksr.rewire(
            model, optimizer, 0.4, "rigl", gradients=gradients
        )
        for weight, state, gradient in zip(
            weights, before, expected, strict=True
        ):
            mask = by_hand.mask_by(gradient, state, 0.4)
            np.testing.assert_array_equal(weight.mask.numpy(), mask)
        assert rewiring.connections_moved > 10
    assert [weight.rewirings for weight in weights] == [2, 2, 2]


def test_a_loop_rewires_by_the_averaged_gradient():
    model = make_model(rewiring_state=["momentum"])
    optimizer = keras.optimizers.SGD(0.1)
    loop = Loop(model, optimizer)
    weights = ksr.sparse_weights(model)
    gradients = ksr.DenseGradients(model, optimizer, momentum=0.6)
    average = [np.zeros(weight.shape) for weight in weights]
    for step in range(4):
        x, y = batch(step)
        dense = dense_twin.dense_gradients(model, x, y)
        average = [
            0.6 * old + 0.4 * new
            for old, new in zip(average, dense, strict=True)
        ]
        with gradients:
            loop.noting_step(x, y)
    rule = dataclasses.replace(ksr.rewiring.get("snfs"), redistribute=None)
    before = by_hand.states(weights)
    ksr.rewire(model, optimizer, 0.5, rule)
    for weight, state, averaged in zip(weights, before, average, strict=True):
        mask = by_hand.mask_by(averaged, state, 0.5)
        np.testing.assert_array_equal(weight.mask.numpy(), mask)


@pytest.fixture
def model():
    model = make_model()
    model.compile("sgd", "mse", run_eagerly=True)
    return model


def test_a_rule_by_gradients_needs_them(model):
    before = [variable.numpy() for variable in model.variables]
    gradients = ksr.DenseGradients(model)
    with pytest.raises(
        ValueError, match=r"pass `gradients=`.* Received: gradients=None"
    ):
        ksr.rewire(model, None, 0.3, "rigl")
    # Nothing was noted yet.
    with pytest.raises(ValueError, match=r"gradient of '.*embeddings'"):
        ksr.rewire(model, None, 0.3, "rigl", gradients=gradients)
    assert not gradients.are_noted()
    # Nor in a step outside of the context.
    model.train_on_batch(*batch())
    with pytest.raises(ValueError, match="No dense gradient of"):
        ksr.rewire(model, None, 0.3, "rigl", gradients=gradients)
    # What is noted is that of the last time, not of one before.
    with gradients:
        model.train_on_batch(*batch())
    assert gradients.are_noted()
    with gradients:
        pass
    assert not gradients.are_noted()
    weights = ksr.sparse_weights(model)
    assert [weight.rewirings for weight in weights] == [0, 0, 0]
    masks = [np.array(weight.mask) for weight in weights]
    assert [mask.sum() for mask in masks] == [
        value.sum() for value in before if value.dtype == bool
    ]


def test_a_function_that_was_traced_before_notes_nothing():
    model, optimizer = make_model(), keras.optimizers.SGD(0.1)
    loop = Loop(model, optimizer)
    loop.step(*batch())
    gradients = ksr.DenseGradients(model, optimizer)
    with gradients:
        loop.step(*batch())
    with pytest.raises(ValueError, match="not traced outside of it"):
        gradients.of(ksr.sparse_weights(model))


def test_gradients_of_other_layers_or_models_are_refused(model):
    other = make_model()
    other.compile("sgd", "mse", run_eagerly=True)
    of_table = ksr.DenseGradients(model, layers=["sparse_embedding"])
    of_other = ksr.DenseGradients(other)
    with of_table, of_other:
        model.train_on_batch(*batch())
        other.train_on_batch(*batch())
    for gradients in (of_table, of_other):
        with pytest.raises(ValueError, match="No dense gradient of"):
            ksr.rewire(model, None, 0.3, "rigl", gradients=gradients)
    rewiring = ksr.rewire(
        model,
        None,
        0.3,
        "rigl",
        layers=["sparse_embedding"],
        gradients=of_table,
    )
    assert rewiring.connections_moved > 0


def test_frozen_layers_are_not_waited_for():
    model = make_model()
    model.layers[0].trainable = False
    model.compile("sgd", "mse", run_eagerly=True)
    gradients = ksr.DenseGradients(model)
    with gradients:
        model.train_on_batch(*batch())
    assert gradients.are_noted()
    ksr.rewire(model, None, 0.3, "rigl", gradients=gradients)
    rewirings = [weight.rewirings for weight in ksr.sparse_weights(model)]
    assert rewirings == [0, 1, 1]


@pytest.mark.parametrize(
    ("rule", "kind"), [("snfs", "momentum"), ("deep_r", "signs")]
)
def test_what_a_rule_carries_along_must_be_asked_for(model, rule, kind):
    before = [np.array(variable) for variable in model.variables]
    match = rf"rewiring_state=\['{kind}'\]. Received: rewiring_state=\[\]"
    with pytest.raises(ValueError, match=match):
        ksr.rewire(model, None, 0.3, rule)
    for old, new in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"momentum": 1}, "`momentum` must be a number in"),
        ({"momentum": -0.1}, "`momentum` must be a number in"),
        ({"momentum": True}, "`momentum` must be a number in"),
        ({"momentum": "0.9"}, "`momentum` must be a number in"),
        ({"momentum": None}, "`momentum` must be a number in"),
        ({"layers": ["unknown"]}, "`layers` must be layers of"),
        ({"layers": []}, "`layers` must hold at least one"),
        ({"optimizer": "sgd"}, "needs a Keras optimizer"),
        ({"optimizer": keras.optimizers.Adafactor()}, "is not supported"),
    ],
)
def test_bad_arguments_are_refused(model, arguments, match):
    variables = [variable.path for variable in model.variables]
    with pytest.raises(ValueError, match=rf"{match}.*Received: "):
        ksr.DenseGradients(model, **{"momentum": 0.9, **arguments})
    assert [variable.path for variable in model.variables] == variables


def test_models_that_are_not_built_compiled_or_sparse_are_refused():
    with pytest.raises(ValueError, match=r"must be built.* Received: model="):
        ksr.DenseGradients(
            keras.Sequential([ksr.SparseDense(3, sparsity=0.5)]),
            keras.optimizers.SGD(),
        )
    with pytest.raises(ValueError, match=r"optimizer.* Received: .*None"):
        ksr.DenseGradients(make_model())
    dense = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"no sparse layer.* Received: model="):
        ksr.DenseGradients(dense, keras.optimizers.SGD())
    with pytest.raises(ValueError, match=r"Keras model or layer. Received"):
        ksr.DenseGradients("model", keras.optimizers.SGD())


@pytest.mark.parametrize("rule", ["rigl", "st_rnn"])
@pytest.mark.parametrize("wrong", [[np.ones((9, 5))], "gradients", 3])
def test_what_are_no_dense_gradients(model, rule, wrong):
    match = r"`gradients` must be a `keras_sparse_rnn\.DenseGradients`.*"
    with pytest.raises(ValueError, match=match + "Received: gradients="):
        ksr.rewire(model, None, 0.3, rule, gradients=wrong)
