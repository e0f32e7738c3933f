"""One product of all inputs before the loop of a masked layer."""

from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from keras_sparse_rnn.engine import choice
from tests.layers import engines

kinds = pytest.mark.parametrize("kind", engines.CELLS)
OPTIONS = {
    "last output": {},
    "sequences": {"return_sequences": True},
    "states": {"return_sequences": True, "return_state": True},
    "backwards": {"return_sequences": True, "go_backwards": True},
    "no bias": {"use_bias": False},
    "stateful": {"stateful": True},
    "dropout": {"dropout": 0.4, "seed": 3, "return_sequences": True},
    "density 0.1": {"sparsity": 0.9},
    "gates share connections": {"granularity": "unit"},
}


@pytest.fixture
def calls():
    """Kernels of tests are large enough; yields the calls of a layer."""
    found = []

    def spy(cls):
        original = cls.call_on_product

        def call(cell, product, states):
            found.append(cell)
            return original(cell, product, states)

        return mock.patch.object(cls, "call_on_product", call)

    with (
        mock.patch.object(choice, "FEWEST_COLUMNS_OF_ONE_PRODUCT", 1),
        spy(ksr.SparseLSTMCell),
        spy(ksr.SparseGRUCell),
        spy(ksr.SparseSimpleRNNCell),
    ):
        yield found


def train(kind, arguments, **options):
    return engines.run(
        engines.make(kind, "masked", **arguments),
        engines.sequences(),
        training=True,
        **options,
    )


@kinds
@pytest.mark.parametrize("arguments", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("compiled", [False, True])
def test_it_changes_no_output_and_no_gradient(calls, kind, arguments, compiled):
    found = train(kind, arguments, compiled=compiled)
    assert calls
    calls.clear()
    with mock.patch.object(choice, "FEWEST_COLUMNS_OF_ONE_PRODUCT", 100):
        expected = train(kind, arguments)
    assert not calls
    engines.assert_close(found, expected)


@kinds
def test_time_steps_that_do_not_count_and_initial_states(calls, kind):
    options = {
        "mask": tf.constant(engines.step_mask()),
        "initial": engines.states(kind),
    }
    arguments = {"return_sequences": True, "zero_output_for_mask": True}
    found = train(kind, arguments, **options)
    assert calls
    with mock.patch.object(choice, "FEWEST_COLUMNS_OF_ONE_PRODUCT", 100):
        expected = train(kind, arguments, **options)
    engines.assert_close(found, expected)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_models_with_it_are_trained_and_rewired(calls, jit_compile, policy):
    model = keras.Sequential(
        [
            keras.Input((6, 7)),
            keras.layers.Bidirectional(
                ksr.SparseLSTM(8, sparsity=0.5, engine="masked", dtype=policy)
            ),
            keras.layers.Dense(1, dtype="float32"),
        ]
    )
    model.compile("adam", "mse", jit_compile=jit_compile)
    history = model.fit(
        engines.sequences(),
        np.ones((5, 1)),
        epochs=8,
        verbose=0,
        callbacks=[ksr.SETCallback(0.3)],
    )
    assert calls
    assert history.history["loss"][-1] < history.history["loss"][0]
    engines.assert_zero_outside(model)


class DoublesItsInputs(ksr.SparseSimpleRNNCell):
    def call(self, inputs, states, training=False):
        return super().call(2 * inputs, states, training=training)


class OfDoublingCells(ksr.SparseSimpleRNN):
    cell_class = DoublesItsInputs


LEFT_ALONE = {
    "prediction": (ksr.SparseLSTM, {}, {"training": False}),
    "unrolled": (ksr.SparseLSTM, {"unroll": True}, {}),
    "recurrent dropout": (ksr.SparseGRU, {"recurrent_dropout": 0.2}, {}),
    "gate by gate": (ksr.SparseGRU, {"implementation": 1}, {}),
    "density 1": (ksr.SparseLSTM, {"sparsity": 0}, {}),
    "a cell of one's own": (OfDoublingCells, {}, {}),
}


@pytest.mark.parametrize(
    ("cls", "arguments", "options"), LEFT_ALONE.values(), ids=LEFT_ALONE
)
def test_other_layers_are_left_to_their_loop(calls, cls, arguments, options):
    layer = cls(19, engine="masked", **{"sparsity": 0.5, **arguments})
    layer(engines.sequences(), **{"training": True, **options})
    assert not calls


def test_small_layers_are_left_to_their_loop():
    with mock.patch.object(
        ksr.SparseLSTMCell, "call_on_product", side_effect=AssertionError
    ):
        layer = ksr.SparseLSTM(
            choice.FEWEST_COLUMNS_OF_ONE_PRODUCT // 4 - 1,
            sparsity=0.9,
            engine="masked",
        )
        layer(engines.sequences(), training=True)
