"""Sparse layers inside of Keras's wrappers, models and compiled steps."""

import copy
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests.layers import namesakes


def masks(layer):
    return [weight.mask.numpy() for weight in ksr.sparse_weights(layer)]


def assert_zero_outside(model):
    for weight in ksr.sparse_weights(model):
        assert (weight.value.numpy()[~weight.mask.numpy()] == 0).all()


@pytest.mark.parametrize("kind", namesakes.LAYERS)
def test_the_directions_of_bidirectional_differ_and_come_back(kind, tmp_path):
    layer = keras.layers.Bidirectional(
        namesakes.LAYERS[kind][1](namesakes.UNITS, sparsity=0.5)
    )
    model = keras.Sequential([keras.Input((4, 3)), layer])
    first = masks(layer)
    forward, backward = first[:2], first[2:]
    assert all((a != b).any() for a, b in zip(forward, backward, strict=True))
    anew = keras.layers.Bidirectional.from_config(layer.get_config())
    anew.build((None, 4, 3))
    model.save(tmp_path / "a.keras")
    loaded = keras.models.load_model(tmp_path / "a.keras")
    for other in (anew, loaded):
        for a, b in zip(first, masks(other), strict=True):
            np.testing.assert_array_equal(a, b)
    inputs = namesakes.sequences()
    np.testing.assert_array_equal(model(inputs), loaded(inputs))


class Subclassed(keras.Model):
    def __init__(self, shared):
        super().__init__()
        self.shared = shared
        self.head = ksr.SparseDense(2, sparsity=0.5)

    def call(self, x):
        return self.head(self.shared(x) + self.shared(-x))


def functional():
    inputs = keras.Input((4, 3))
    shared = ksr.SparseGRU(3, sparsity=0.5)
    both = keras.layers.Concatenate()([shared(inputs), shared(-inputs)])
    return keras.Model(inputs, ksr.SparseDense(2, sparsity=0.5)(both))


def nested():
    inner = keras.Sequential(
        [
            keras.Input((4, 3)),
            ksr.SparseLSTM(3, sparsity=0.5, return_sequences=True),
            ksr.SparseSimpleRNN(3, sparsity=0.5),
        ]
    )
    inputs = keras.Input((4, 3))
    return keras.Model(inputs, keras.layers.Dense(2)(inner(inputs)))


def cells(count):
    made = [
        cls(3, sparsity=0.5, dropout=0.1)
        for cls in (ksr.SparseLSTMCell, ksr.SparseGRUCell)
    ][:count]
    return keras.Sequential(
        [keras.layers.RNN(made if count > 1 else made[0]), head()]
    )


def head():
    return keras.layers.Dense(2)


MODELS = {
    "sequential": lambda: keras.Sequential(
        [keras.Input((4, 3)), ksr.SparseLSTM(3, sparsity=0.5), head()]
    ),
    "sequential without input": lambda: keras.Sequential(
        [ksr.SparseGRU(3, sparsity=0.5), head()]
    ),
    "bidirectional": lambda: keras.Sequential(
        [
            keras.layers.Bidirectional(
                ksr.SparseLSTM(3, sparsity=0.5), merge_mode="sum"
            ),
            head(),
        ]
    ),
    "time distributed": lambda: keras.Sequential(
        [
            keras.layers.TimeDistributed(ksr.SparseDense(3, sparsity=0.5)),
            ksr.SparseSimpleRNN(3, sparsity=0.5),
            head(),
        ]
    ),
    "cell": lambda: cells(1),
    "stacked cells": lambda: cells(2),
    "functional": functional,
    "nested": nested,
    "subclassed": lambda: Subclassed(ksr.SparseLSTM(3, sparsity=0.5)),
}
COMPILED = {
    "eagerly": {"run_eagerly": True},
    "auto": {"jit_compile": "auto"},
    "XLA": {"jit_compile": True},
    "several steps": {"jit_compile": False, "steps_per_execution": 2},
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_models_of_every_kind_train_and_stay_sparse(model):
    model = model()
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=False)
    inputs = np.tile(namesakes.sequences(), (4, 1, 1))
    targets = np.ones((8, 2))
    model(inputs)
    before = masks(model)
    history = model.fit(inputs, targets, batch_size=4, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert_zero_outside(model)
    for a, b in zip(before, masks(model), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(before) == len({id(w.value) for w in ksr.sparse_weights(model)})


@pytest.mark.parametrize("arguments", COMPILED.values(), ids=COMPILED)
def test_compiled_in_every_way(arguments):
    model = MODELS["stacked cells"]()
    optimizer = keras.optimizers.Adam(0.01, gradient_accumulation_steps=2)
    model.compile(optimizer, "mse", **arguments)
    inputs = np.tile(namesakes.sequences(), (4, 1, 1))
    model.fit(inputs, np.ones((8, 2)), batch_size=2, verbose=0)
    assert_zero_outside(model)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", ["bidirectional", "stacked cells"])
def test_wrapped_in_mixed_precision(policy, name):
    keras.config.set_dtype_policy(policy)
    model = MODELS[name]()
    model.compile("adam", "mse")
    inputs = namesakes.sequences()
    model.fit(inputs, np.ones((2, 2)), epochs=2, verbose=0)
    assert model(inputs).dtype == policy.removeprefix("mixed_")
    assert_zero_outside(model)
    for weight in ksr.sparse_weights(model):
        assert weight.value.dtype == "float32"


def test_shared_layers_are_one():
    model = functional()
    assert len(ksr.sparse_weights(model)) == 3


@pytest.mark.parametrize("name", ["sequential", "functional", "nested"])
def test_clones_and_copies_of_models(name):
    model = MODELS[name]()
    inputs = namesakes.sequences()
    clone = keras.models.clone_model(model)
    for a, b in zip(masks(model), masks(clone), strict=True):
        np.testing.assert_array_equal(a, b)
    clone.set_weights(model.get_weights())
    rebuilt = type(model).from_config(model.get_config())
    rebuilt.set_weights(model.get_weights())
    pickled = pickle.loads(pickle.dumps(model))
    for other in (clone, rebuilt, pickled, copy.deepcopy(model)):
        np.testing.assert_array_equal(model(inputs), other(inputs))


def test_a_bare_layer_is_copied_and_pickled():
    layer = ksr.SparseLSTM(3, sparsity=0.5)
    inputs = namesakes.sequences()
    expected = layer(inputs)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(other(inputs), expected)


def test_a_saved_model_loads_in_another_process_in_safe_mode(tmp_path):
    model = MODELS["bidirectional"]()
    inputs = namesakes.sequences()
    expected = model(inputs).numpy()
    model.save(tmp_path / "a.keras")
    np.save(tmp_path / "x.npy", inputs)
    program = (
        "import sys, keras, numpy as np, keras_sparse_rnn as ksr\n"
        "model = keras.models.load_model(sys.argv[1] + '/a.keras')\n"
        "y = model(np.load(sys.argv[1] + '/x.npy')).numpy()\n"
        "np.save(sys.argv[1] + '/y.npy', y)\n"
        "print([weight.active for weight in ksr.sparse_weights(model)])\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    active = [weight.active for weight in ksr.sparse_weights(model)]
    assert printed.strip() == str(active)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), expected)
