"""What layers that are not converted keep of their own."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests.conversion import models

L = keras.layers


def normalization(scale=1.0):
    layer = L.Normalization()
    layer.adapt(scale * models.sequences() + 3)
    return layer


class Halved(L.Layer):
    """Its state is no variable, and it saves the double of it."""

    factor = 1.0

    def call(self, x):
        return x * self.factor

    def save_own_variables(self, store):
        store["double"] = np.array(2 * self.factor)

    def load_own_variables(self, store):
        self.factor = float(store["double"][()]) / 2


def halved():
    layer = Halved()
    layer.factor = 0.25
    return layer


def nested(layer):
    inner = keras.Sequential([keras.Input((4, 3)), layer])
    return keras.Sequential(
        [keras.Input((4, 3)), inner, ksr.SparseLSTM(3, sparsity=0.5)]
    )


def beside(layer):
    return keras.Sequential(
        [keras.Input((4, 3)), layer, ksr.SparseLSTM(3, sparsity=0.5)]
    )


@pytest.mark.parametrize("around", [beside, nested])
@pytest.mark.parametrize("make", [normalization, halved])
def test_layers_that_are_not_converted_keep_their_state(around, make):
    sparse = around(make())
    inputs = models.sequences()
    plain = ksr.strip_sparsity(sparse)
    models.assert_same_outputs(sparse, plain, inputs)
    again = ksr.sparsify(plain, sparsity=0)
    models.assert_same_outputs(sparse, again, inputs)


def test_what_is_adapted_inside_of_a_wrapper_is_kept():
    inner = L.Normalization()
    inner.adapt(models.sequences()[:, 0] * 4 + 1)
    sparse = beside(L.TimeDistributed(inner))
    models.assert_same_outputs(
        sparse, ksr.strip_sparsity(sparse), models.sequences()
    )


def test_dense_weights_bring_what_was_adapted(tmp_path):
    dense = keras.Sequential([keras.Input((4, 3)), normalization(5), L.LSTM(3)])
    dense.save_weights(tmp_path / "dense.weights.h5")
    sparse = keras.Sequential(
        [keras.Input((4, 3)), normalization(), ksr.SparseLSTM(3, sparsity=0)]
    )
    ksr.load_dense_weights(sparse, tmp_path / "dense.weights.h5")
    models.assert_same_outputs(dense, sparse, models.sequences())
