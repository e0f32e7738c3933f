"""From sparse models to plain ones, and out of the process."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn import keras_internals
from tests.conversion import models

L = keras.layers
kinds = pytest.mark.parametrize(
    ("make", "inputs"), models.MODELS.values(), ids=models.MODELS
)


@kinds
def test_a_stripped_model_computes_what_the_sparse_one_computes(make, inputs):
    sparse = ksr.sparsify(make(), sparsity=0.5)
    plain = ksr.strip_sparsity(sparse)
    for layer in keras_internals.flatten_layers(plain):
        is_keras = type(layer).__module__.startswith("keras.")
        assert is_keras or type(layer) in (ksr.RHN, ksr.RHNCell)
    models.assert_same_outputs(sparse, plain, inputs())
    # Twice, and with the seeds of dropout and the states where they were.
    models.assert_same_outputs(sparse, plain, inputs(), training=True)
    models.assert_same_outputs(sparse, plain, inputs(), training=True)
    assert plain.name == sparse.name
    assert not plain.compiled
    assert len(plain.weights) == len(make().weights)


def test_after_training_and_rewiring_with_stray_values():
    sparse = ksr.sparsify(models.sequential(), sparsity=0.5)
    sparse.compile("adam", "mse")
    sparse.fit(models.tokens(), np.ones((2, 2)), verbose=0)
    ksr.rewire(sparse, sparse.optimizer, 0.5)
    sparse.fit(models.tokens(), np.ones((2, 2)), verbose=0)
    for weight in ksr.sparse_weights(sparse):
        weight.value.assign(weight.value + 1.0)
    plain = ksr.strip_sparsity(sparse)
    models.assert_same_outputs(sparse, plain, models.tokens())
    zeros = sum((w == 0).sum() for w in plain.layers[1].get_weights()[:2])
    expected = sum(
        w.total - w.active for w in ksr.sparse_weights(sparse.layers[1])
    )
    assert zeros == expected


@pytest.mark.parametrize(
    ("layer", "wrapper"),
    [
        (ksr.SparseLSTM(4, sparsity=0.5), L.Bidirectional),
        (ksr.SparseDense(4, sparsity=0.5), L.TimeDistributed),
    ],
)
def test_a_layer_that_is_called_inside_and_outside_of_a_wrapper_is_refused(
    layer, wrapper
):
    model, name = models.called_inside_and_outside(layer, wrapper)
    match = rf"^'{name}' is called by .* Received: model='twice'$"
    with pytest.raises(ValueError, match=match):
        ksr.strip_sparsity(model)


def test_a_layer_without_a_model():
    layer = ksr.SparseGRU(4, sparsity=0.5, dropout=0.4)
    layer(models.sequences())
    plain = ksr.strip_sparsity(layer)
    assert type(plain) is L.GRU
    for training in (False, True):
        np.testing.assert_array_equal(
            layer(models.sequences(), training=training),
            plain(models.sequences(), training=training),
        )


def test_attributes_that_keras_does_not_serialise_are_kept():
    layer = ksr.SparseLSTM(4, sparsity=0.5, implementation=1, use_cudnn=False)
    model = keras.Sequential([keras.Input((4, 3)), layer])
    plain = ksr.strip_sparsity(model).layers[0]
    assert plain.cell.implementation == 1
    assert plain.use_cudnn is False
    assert plain.supports_jit == layer.supports_jit


def test_a_model_with_nothing_sparse_is_cloned():
    model = models.nested()
    plain = ksr.strip_sparsity(model)
    models.assert_same_outputs(model, plain, models.sequences())
    assert plain is not model


class Composite(L.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = ksr.SparseLSTM(3, sparsity=0.5, name="hidden")

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x)


class Mine(ksr.SparseLSTM):
    pass


@pytest.mark.parametrize(
    "layer",
    [Composite, lambda: Mine(3, sparsity=0.5, name="hidden")],
    ids=["inside of a custom layer", "of a class of the user's"],
)
def test_what_cannot_be_stripped_is_an_error_and_not_left_sparse(layer):
    model = keras.Sequential([keras.Input((4, 3)), layer()])
    before = [w.mask.numpy() for w in ksr.sparse_weights(model)]
    with pytest.raises(
        ValueError, match=r"hidden.* cannot be stripped.*Received: model="
    ):
        ksr.strip_sparsity(model)
    for then, weight in zip(before, ksr.sparse_weights(model), strict=True):
        np.testing.assert_array_equal(weight.mask.numpy(), then)


def test_unbuilt_and_subclassed_models_are_refused():
    with pytest.raises(ValueError, match=r"must be built.*Received: model="):
        ksr.strip_sparsity(keras.Sequential([ksr.SparseLSTM(3, epsilon=1)]))

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = ksr.SparseLSTM(3, sparsity=0.5)

        def call(self, x):
            return self.inner(x)

    model = Subclassed()
    model(models.sequences())
    with pytest.raises(ValueError, match=r"subclassed.*Received: model="):
        ksr.strip_sparsity(model)


def test_what_is_no_model_is_refused():
    with pytest.raises(ValueError, match=r"layer\. Received: model=3$"):
        ksr.strip_sparsity(3)


def run_elsewhere(program, folder):
    """Runs a program in a process of its own, in the folder."""
    subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        check=True,
        capture_output=True,
        cwd=folder,
    )


def test_the_saved_model_needs_tensorflow_alone(tmp_path):
    sparse = ksr.sparsify(models.sequential(), sparsity=0.5)
    plain = ksr.strip_sparsity(sparse)
    plain.export(str(tmp_path / "served"), verbose=False)
    np.save(tmp_path / "x.npy", models.tokens())
    program = (
        "import sys, numpy as np, tensorflow as tf\n"
        "folder = sys.argv[1]\n"
        "served = tf.saved_model.load(folder + '/served')\n"
        "y = served.serve(np.load(folder + '/x.npy'))\n"
        "np.save(folder + '/y.npy', y.numpy())\n"
        "assert 'keras_sparse_rnn' not in sys.modules\n"
    )
    run_elsewhere(program, tmp_path)
    (expected,) = models.outputs(sparse, models.tokens())
    np.testing.assert_allclose(
        np.load(tmp_path / "y.npy"), expected, rtol=1e-5, atol=1e-6
    )
    graph = (tmp_path / "served" / "saved_model.pb").read_bytes()
    assert b"keras_sparse_rnn>" not in graph


def test_the_saved_file_needs_keras_alone(tmp_path):
    plain = ksr.strip_sparsity(
        ksr.sparsify(models.bidirectional(), sparsity=0.5)
    )
    plain.save(tmp_path / "a.keras")
    expected = models.outputs(plain, models.sequences())[0]
    np.save(tmp_path / "x.npy", models.sequences())
    program = (
        "import sys, keras, numpy as np\n"
        "model = keras.models.load_model(sys.argv[1] + '/a.keras')\n"
        "y = model(np.load(sys.argv[1] + '/x.npy')).numpy()\n"
        "np.save(sys.argv[1] + '/y.npy', y)\n"
        "assert 'keras_sparse_rnn' not in sys.modules\n"
    )
    run_elsewhere(program, tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), expected)
