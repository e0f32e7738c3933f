"""What layers that are not converted keep of their own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.saving.serialization_lib import SafeModeScope

import keras_sparse_rnn as ksr
from tests.conversion import models

L = keras.layers

TEXTS = ["down and up", "up", "left or right", "down, but right"]


def text_model(recurrent=ksr.SparseLSTM):
    """From raw strings to classes, the vocabulary adapted."""
    vectorize = L.TextVectorization(20, output_sequence_length=4)
    vectorize.adapt(TEXTS)
    return keras.Sequential(
        [
            keras.Input((), dtype="string"),
            vectorize,
            ksr.SparseEmbedding(20, 8, sparsity=0.5),
            recurrent(8, sparsity=0.5),
            L.Dense(2, activation="softmax"),
        ]
    )


def predictions(model, inputs=TEXTS):
    return np.asarray(model(tf.constant(inputs)))


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


def test_raw_strings_are_served_as_the_sparse_model_reads_them(tmp_path):
    sparse = text_model()
    expected = predictions(sparse)
    assert len(np.unique(expected[:, 0])) > 1
    plain = ksr.strip_sparsity(sparse)
    np.testing.assert_array_equal(predictions(plain), expected)
    plain.export(str(tmp_path / "served"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(
        served.serve(tf.constant(TEXTS)), expected, rtol=1e-5
    )
    plain.save(tmp_path / "plain.keras")
    loaded = keras.saving.load_model(tmp_path / "plain.keras")
    np.testing.assert_array_equal(predictions(loaded), expected)


def test_vocabularies_reach_a_sparse_model():
    sparse = text_model()
    again = ksr.sparsify(ksr.strip_sparsity(sparse), sparsity=0)
    np.testing.assert_array_equal(predictions(again), predictions(sparse))


def string_lookup():
    lookup = L.StringLookup()
    lookup.adapt([["up", "down"], ["up", "left"]])
    return lookup, "string", np.array([["up", "left"], ["down", "no"]])


def integer_lookup():
    lookup = L.IntegerLookup()
    lookup.adapt(np.array([[12, 40], [12, 7]]))
    return lookup, "int64", np.array([[12, 7], [40, 3]])


@pytest.mark.parametrize("make", [string_lookup, integer_lookup])
@pytest.mark.parametrize("wrap", ["nested", "wrapper"])
def test_lookups_inside_of_models_and_wrappers_keep_what_they_know(make, wrap):
    lookup, dtype, inputs = make()
    if wrap == "nested":
        lookup = keras.Sequential([keras.Input((2,), dtype=dtype), lookup])
    else:
        lookup = L.TimeDistributed(lookup)
        inputs = inputs[:, :, None]
    tokens = keras.Input(inputs.shape[1:], dtype=dtype)
    found = L.Reshape((2,))(lookup(tokens))
    table = ksr.SparseEmbedding(6, 3, sparsity=0.5)
    sparse = keras.Model(tokens, ksr.SparseGRU(3, sparsity=0.5)(table(found)))
    plain = ksr.strip_sparsity(sparse)
    expected = predictions(sparse, inputs)
    assert (expected[0] != expected[1]).any()
    np.testing.assert_array_equal(predictions(plain, inputs), expected)


def test_a_lookup_that_was_not_adapted_is_named():
    model = keras.Sequential(
        [
            keras.Input((), dtype="string"),
            L.TextVectorization(20, output_sequence_length=4, name="words"),
            ksr.SparseEmbedding(20, 8, sparsity=0.5),
        ]
    )
    with pytest.raises(
        ValueError, match=r"(?s)'words' must be ready.*Received: layer='words'$"
    ):
        ksr.strip_sparsity(model)


@keras.saving.register_keras_serializable("test_clone")
def doubled(x):
    return 2 * x


@keras.saving.register_keras_serializable("test_clone")
def halves(shape, dtype=None):
    return keras.ops.full(shape, 0.5, dtype)


@keras.saving.register_keras_serializable("test_clone")
def every_other_place(shape, rng):
    return np.arange(shape[0] * shape[1]).reshape(shape) % 2 == 0


WITH_FUNCTIONS = {
    "activation": lambda: L.LSTM(3, activation=doubled, return_sequences=True),
    "initializer": lambda: L.Dense(3, kernel_initializer=halves),
    "Lambda": lambda: L.Lambda(doubled),
    "Activation": lambda: L.Activation(doubled),
    "topology": lambda: ksr.SparseLSTM(
        3, topology=every_other_place, return_sequences=True
    ),
    "inside of a wrapper": lambda: L.TimeDistributed(
        L.Dense(3, activation=doubled)
    ),
}


@pytest.mark.parametrize("make", WITH_FUNCTIONS.values(), ids=WITH_FUNCTIONS)
def test_functions_in_configurations_are_kept(make):
    model = keras.Sequential([keras.Input((4, 3)), make(), L.GRU(3)])
    sparse = ksr.sparsify(model, sparsity=0)
    models.assert_same_outputs(model, sparse, models.sequences())
    plain = ksr.strip_sparsity(sparse)
    models.assert_same_outputs(model, plain, models.sequences())


def with_lambda():
    return beside(L.Lambda(lambda x: 2 * x, name="twice"))


def test_lambdas_are_kept_where_keras_trusts_them():
    sparse = with_lambda()
    with SafeModeScope(safe_mode=False):
        plain = ksr.strip_sparsity(sparse)
        again = ksr.sparsify(plain, sparsity=0)
    models.assert_same_outputs(sparse, plain, models.sequences())
    models.assert_same_outputs(sparse, again, models.sequences())


def test_a_lambda_that_keras_does_not_trust_is_named():
    # Keras 3.12 trusts what is not loaded from a file.
    with (
        SafeModeScope(safe_mode=True),
        pytest.raises(
            ValueError,
            match=r"'twice' cannot be cloned.*enable_unsafe.*Received: layer=",
        ),
    ):
        ksr.strip_sparsity(with_lambda())


@pytest.mark.parametrize(
    "convert",
    [ksr.strip_sparsity, lambda model: ksr.sparsify(model, sparsity=0.5)],
    ids=["strip", "sparsify"],
)
def test_a_function_that_is_not_registered_is_an_error_with_the_layer(convert):
    def unknown(x):
        return 2 * x

    layer = L.LSTM(3, activation=unknown, name="ours")
    model = keras.Sequential([keras.Input((4, 3)), layer])
    with pytest.raises(
        ValueError, match=r"'ours' cannot be cloned.*'unknown'.*Received: layer"
    ) as raised:
        convert(model)
    assert "could not be deserialized" not in str(raised.value)
