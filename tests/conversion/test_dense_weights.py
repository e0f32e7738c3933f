"""Weights of a dense model, from a file."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests.conversion import models

L = keras.layers


def sparse_model(sparsity=0.5):
    return keras.Sequential(
        [
            keras.Input((4, 3)),
            L.Bidirectional(ksr.SparseLSTM(4, sparsity=sparsity)),
            ksr.SparseDense(2, sparsity=sparsity),
        ]
    )


def dense_model(units=4, cls=L.LSTM):
    return keras.Sequential(
        [keras.Input((4, 3)), L.Bidirectional(cls(units)), L.Dense(2)]
    )


@pytest.mark.parametrize("name", ["a.weights.h5", "a.keras"])
@pytest.mark.parametrize("trained", [False, True])
def test_weights_come_in_and_are_masked(name, trained, tmp_path):
    dense = dense_model()
    if trained:
        dense.compile("adam", "mse")
        dense.fit(models.sequences(), np.ones((2, 2)), verbose=0)
    save = dense.save if name.endswith(".keras") else dense.save_weights
    save(tmp_path / name)
    sparse = sparse_model()
    sparse.compile("adam", "mse")
    masks = [w.mask.numpy() for w in ksr.sparse_weights(sparse)]
    ksr.load_dense_weights(sparse, tmp_path / name)
    kernels = [v.numpy() for v in dense.weights if "kernel" in v.name]
    for mask, value, weight in zip(
        masks, kernels, ksr.sparse_weights(sparse), strict=True
    ):
        np.testing.assert_array_equal(weight.mask.numpy(), mask)
        np.testing.assert_array_equal(
            weight.value.numpy(), np.where(mask, value, 0)
        )
    assert sparse.compiled
    full = sparse_model(sparsity=0)
    ksr.load_dense_weights(full, str(tmp_path / name))
    models.assert_same_outputs(dense, full, models.sequences())


WRONG = {
    "more units": lambda: dense_model(5),
    "another layer": lambda: dense_model(cls=L.GRU),
    "a layer less": lambda: keras.Sequential(dense_model().layers[:1]),
    "a sparse model": sparse_model,
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_file_that_does_not_fit_changes_nothing(wrong, tmp_path):
    path = tmp_path / "wrong.weights.h5"
    model = wrong()
    model(models.sequences())
    model.save_weights(path)
    assert_refused(path)


@pytest.mark.parametrize("name", ["a.weights.h5", "a.keras", "a.txt"])
def test_a_file_of_something_else_changes_nothing(name, tmp_path):
    path = tmp_path / name
    path.write_text("not weights")
    assert_refused(path)


def test_a_file_that_is_not_there_changes_nothing(tmp_path):
    assert_refused(tmp_path / "nobody.weights.h5")


@pytest.mark.parametrize("path", [3, None, ["a.keras"], b"a.keras"])
def test_what_is_no_path_changes_nothing(path):
    assert_refused(path)


def assert_refused(path):
    sparse = sparse_model()
    before = sparse.get_weights()
    with pytest.raises(ValueError, match=r"(?s)Received: path=.*") as raised:
        ksr.load_dense_weights(sparse, path)
    assert str(path) in str(raised.value)
    for now, then in zip(sparse.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


class Network(keras.Model):
    """The same attributes with and without sparsity."""

    def __init__(self, recurrent, readout):
        super().__init__()
        self.recurrent = recurrent
        self.readout = readout

    def call(self, x):
        return self.readout(self.recurrent(x))


def test_a_subclassed_model_is_refused_with_a_way_that_works(tmp_path):
    dense = Network(L.LSTM(4), L.Dense(2))
    sparse = Network(
        ksr.SparseLSTM(4, sparsity=0.5), ksr.SparseDense(2, sparsity=0.5)
    )
    for model in (dense, sparse):
        model(models.sequences())
    dense.save_weights(tmp_path / "dense.weights.h5")
    before = sparse.get_weights()
    with pytest.raises(
        ValueError, match=r"set_weights.*Received: model='.*' of class Network$"
    ):
        ksr.load_dense_weights(sparse, tmp_path / "dense.weights.h5")
    for now, then in zip(sparse.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    masks = [w.mask.numpy() for w in ksr.sparse_weights(sparse)]
    sparse.recurrent.set_weights(dense.recurrent.get_weights())
    sparse.readout.set_weights(dense.readout.get_weights())
    kernels = [v.numpy() for v in dense.weights if "kernel" in v.name]
    for mask, value, weight in zip(
        masks, kernels, ksr.sparse_weights(sparse), strict=True
    ):
        np.testing.assert_array_equal(
            weight.value.numpy(), np.where(mask, value, 0)
        )
