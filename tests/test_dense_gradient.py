"""Dense gradients against a gradient tape, on the same batch and weights."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn import dense_gradient
from keras_sparse_rnn.engine import library
from tests import dense_twin

STEPS, FEATURES = 5, 4
needs_kernels = pytest.mark.skipif(
    not library.is_available(), reason="The native kernels were not built."
)


def sequences(samples=12, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, STEPS, FEATURES)).astype("float32")
    return x, rng.normal(size=(samples, 2)).astype("float32")


def tokens(samples=12, seed=0):
    rng = np.random.default_rng(seed)
    # Few words, so that each is looked up several times.
    x = rng.integers(0, 9, (samples, STEPS)).astype("int32")
    return x, rng.normal(size=(samples, 2)).astype("float32")


def of_sequences(*layers):
    return keras.Sequential(
        [keras.Input((STEPS, FEATURES)), *layers, keras.layers.Dense(2)]
    )


def recurrent(name, units=6, engine="masked", **arguments):
    layer = getattr(ksr, name)
    return layer(units, sparsity=0.6, engine=engine, **arguments)


def text(engine="masked", **arguments):
    return keras.Sequential(
        [
            keras.Input((STEPS,), dtype="int32"),
            ksr.SparseEmbedding(11, 4, sparsity=0.5),
            recurrent("SparseGRU", engine=engine, **arguments),
            ksr.SparseDense(2, sparsity=0.4, engine=engine),
        ]
    )


def called_twice():
    inputs = keras.Input((STEPS, FEATURES))
    shared = recurrent("SparseGRU")
    both = keras.layers.Concatenate()([shared(inputs), shared(-2 * inputs)])
    return keras.Model(inputs, keras.layers.Dense(2)(both))


def looked_up_twice():
    inputs = keras.Input((STEPS,), dtype="int32")
    table = ksr.SparseEmbedding(11, 2, sparsity=0.5)
    difference = table(inputs)[:, 0] - 2 * table(inputs)[:, 1]
    return keras.Model(inputs, difference)


def decoding_by_the_table(**arguments):
    inputs = keras.Input((STEPS,), dtype="int32")
    table = ksr.SparseReversibleEmbedding(11, 4, sparsity=0.5, **arguments)
    hidden = recurrent("SparseGRU", 4)(table(inputs))
    logits = table(hidden, reverse=True)
    return keras.Model(inputs, keras.layers.Dense(2)(logits))


MODELS = {
    "LSTM": lambda: of_sequences(recurrent("SparseLSTM")),
    "GRU": lambda: of_sequences(recurrent("SparseGRU", reset_after=False)),
    "SimpleRNN": lambda: of_sequences(recurrent("SparseSimpleRNN")),
    "RHN": lambda: of_sequences(recurrent("SparseRHN", depth=3)),
    "dropout": lambda: of_sequences(
        recurrent("SparseLSTM", dropout=0.3, recurrent_dropout=0.3)
    ),
    "tied gates": lambda: of_sequences(
        recurrent("SparseLSTM", granularity="unit", keep_diagonal=True)
    ),
    "Bidirectional": lambda: of_sequences(
        keras.layers.Bidirectional(recurrent("SparseGRU"))
    ),
    "stacked cells": lambda: of_sequences(
        keras.layers.RNN(
            [
                ksr.SparseLSTMCell(5, sparsity=0.5),
                ksr.SparseSimpleRNNCell(4, sparsity=0.5),
            ]
        )
    ),
    "TimeDistributed": lambda: of_sequences(
        keras.layers.TimeDistributed(ksr.SparseDense(3, sparsity=0.5)),
        keras.layers.Flatten(),
    ),
    "Embedding, GRU and Dense": text,
    "called twice": called_twice,
    "looked up twice": looked_up_twice,
    "tied decoder": decoding_by_the_table,
    "untied decoder": lambda: decoding_by_the_table(tie_weights=False),
}
NATIVE = {
    "LSTM": lambda: of_sequences(recurrent("SparseLSTM", engine="native")),
    "Bidirectional": lambda: of_sequences(
        keras.layers.Bidirectional(
            recurrent("SparseSimpleRNN", engine="native")
        )
    ),
    "Embedding, GRU and Dense": lambda: text("native"),
}


def data_of(model):
    return tokens if len(model.input_shape) == 2 else sequences


def assert_close(noted, expected):
    for got, wanted in zip(noted, expected, strict=True):
        assert np.abs(wanted).max() > 0
        np.testing.assert_allclose(
            got, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max()
        )


def assert_notes_what_a_tape_gives(model, **options):
    options.setdefault("optimizer", keras.optimizers.SGD(0.1))
    model.compile(loss="mse", **options)
    x, y = data_of(model)()
    weights = ksr.sparse_weights(model)
    gradients = ksr.DenseGradients(model)
    for _ in range(2):
        expected = dense_twin.dense_gradients(model, x, y)
        with gradients:
            model.train_on_batch(x, y)
        assert gradients.are_noted()
        noted = gradients.of(weights)
        assert_close(noted, expected)
        for weight, gradient in zip(weights, noted, strict=True):
            # At empty places too, where training itself sees none.
            assert gradient[~weight.mask.numpy()].any()
            assert not weight.value.numpy()[~weight.mask.numpy()].any()


@pytest.mark.parametrize("name", MODELS)
def test_gradients_of_every_layer_eagerly(name):
    assert_notes_what_a_tape_gives(MODELS[name](), run_eagerly=True)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(
    "name", ["Embedding, GRU and Dense", "called twice", "tied decoder"]
)
def test_gradients_in_a_traced_function(name, jit_compile):
    assert_notes_what_a_tape_gives(MODELS[name](), jit_compile=jit_compile)


@needs_kernels
@pytest.mark.parametrize("name", NATIVE)
def test_gradients_of_layers_that_run_natively_otherwise(name):
    model = NATIVE[name]()
    assert_notes_what_a_tape_gives(model)
    engines = [
        layer.engine_in_use
        for layer in model.layers
        if hasattr(layer, "engine_in_use")
    ]
    assert set(engines) <= {"native"}


OPTIMIZERS = {
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(), initial_scale=1024.0
    ),
    "scaled by a factor": lambda: keras.optimizers.Adam(loss_scale_factor=64.0),
    "clipped": lambda: keras.optimizers.Adam(global_clipnorm=1e-3),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_scaling_and_clipping_do_not_show(name):
    # No table: Keras cannot divide its gradient by the factor.
    assert_notes_what_a_tape_gives(
        MODELS["GRU"](), optimizer=OPTIMIZERS[name](), run_eagerly=True
    )


def dense(optimizer, **options):
    """A model whose gradients are quick to compute."""
    model = keras.Sequential(
        [
            keras.Input((FEATURES,)),
            ksr.SparseDense(5, sparsity=0.5, activation="tanh"),
            ksr.SparseDense(2, sparsity=0.5),
        ]
    )
    model.compile(optimizer, "mse", **options)
    return model


def batches(count, samples=6):
    rng = np.random.default_rng(5)
    return [
        (
            rng.normal(size=(samples, FEATURES)).astype("float32"),
            rng.normal(size=(samples, 2)).astype("float32"),
        )
        for _ in range(count)
    ]


def test_half_precision_is_scaled_and_comes_back_in_full():
    keras.config.set_dtype_policy("mixed_float16")
    model = dense("adam")
    optimizer = model.optimizer
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    [(x, y)] = batches(1)
    gradients = ksr.DenseGradients(model)
    expected = dense_twin.dense_gradients(model, x, y)
    with gradients:
        model.train_on_batch(x, y)
    assert gradients.are_noted()
    for got, wanted in zip(
        gradients.of(ksr.sparse_weights(model)), expected, strict=True
    ):
        assert got.dtype == np.float32
        np.testing.assert_allclose(
            got, wanted, rtol=0.02, atol=0.01 * np.abs(wanted).max()
        )


class Overflows(keras.layers.Layer):
    """Passes on its input, and a gradient that is infinite when told so."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.times = self.add_weight(
            shape=(), initializer="ones", trainable=False
        )

    def call(self, inputs):
        times = keras.ops.convert_to_tensor(self.times)

        @keras.ops.custom_gradient
        def same(x):
            def gradient(*args, upstream=None):
                if upstream is None:
                    (upstream,) = args
                return upstream * times

            return keras.ops.copy(x), gradient

        return same(inputs)


def overflowing(optimizer, **options):
    """The gradient of the first layer can overflow, the second's cannot."""
    inputs = keras.Input((FEATURES,))
    hidden = ksr.SparseDense(5, sparsity=0.5)(inputs)
    overflows = Overflows()
    hidden = overflows(hidden)
    outputs = ksr.SparseDense(2, sparsity=0.5)(hidden)
    model = keras.Model(inputs, outputs)
    model.compile(optimizer, "mse", **options)
    return model, overflows.times


def scaled(**options):
    return keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1, **options), initial_scale=256.0
    )


def test_a_step_that_loss_scaling_skips_is_not_noted():
    model, times = overflowing(scaled(), run_eagerly=True)
    weights = ksr.sparse_weights(model)
    gradients = ksr.DenseGradients(model)
    [(x, y)] = batches(1)
    expected = dense_twin.dense_gradients(model, x, y)
    times.assign(np.inf)
    before = model.get_weights()[0]
    with gradients:
        model.train_on_batch(x, y)
    np.testing.assert_array_equal(model.get_weights()[0], before)
    assert not gradients.are_noted()
    # Nor that of a weight of which it was finite.
    for weight in weights:
        with pytest.raises(ValueError, match="loss scaling does not skip"):
            gradients.of([weight])
    times.assign(1.0)
    with gradients:
        model.train_on_batch(x, y)
    assert_close(gradients.of(weights), expected)


def test_a_skipped_step_is_left_out_of_the_average():
    model, times = overflowing(scaled(), run_eagerly=True)
    weights = ksr.sparse_weights(model)[:1]
    gradients = ksr.DenseGradients(model, momentum=0.5)
    expected = 0.0
    for index, (x, y) in enumerate(batches(4)):
        times.assign(np.inf if index == 2 else 1.0)
        if index != 2:
            [gradient, _] = dense_twin.dense_gradients(model, x, y)
            expected = 0.5 * expected + 0.5 * gradient
        with gradients:
            model.train_on_batch(x, y)
    average = weights[0].layer.kernel_momentum.numpy()
    assert_close([average], [expected])


@pytest.mark.parametrize("scaling", [False, True])
def test_micro_batches_are_summed_up_to_the_update(scaling):
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=3)
    if scaling:
        optimizer = scaled(gradient_accumulation_steps=3)
    model = dense(optimizer, run_eagerly=True)
    weights = ksr.sparse_weights(model)
    gradients = ksr.DenseGradients(model)
    data = batches(6)
    for update in (data[:3], data[3:]):
        expected = 0.0
        for x, y in update:
            expected += np.array(
                dense_twin.dense_gradients(model, x, y), dtype=object
            )
            # As often as anybody likes.
            with gradients:
                model.train_on_batch(x, y)
        assert_close(gradients.of(weights), expected)


@pytest.mark.parametrize("accumulation", [None, 2])
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_the_average_decays_once_an_update(accumulation, run_eagerly):
    optimizer = keras.optimizers.Adam(
        0.05, gradient_accumulation_steps=accumulation
    )
    model = dense(optimizer, run_eagerly=run_eagerly)
    weights = ksr.sparse_weights(model)
    gradients = ksr.DenseGradients(model, momentum=0.8)
    expected = [np.zeros(weight.shape) for weight in weights]
    for index, (x, y) in enumerate(batches(6)):
        decay = 0.8 if index % (accumulation or 1) == 0 else 1.0
        dense_now = dense_twin.dense_gradients(model, x, y)
        expected = [
            decay * average + 0.2 * gradient
            for average, gradient in zip(expected, dense_now, strict=True)
        ]
        with gradients:
            model.train_on_batch(x, y)
    assert_close(gradients.of(weights), expected)
    for weight, average in zip(weights, expected, strict=True):
        assert_close([weight.layer.kernel_momentum.numpy()], [average])


@pytest.mark.parametrize("momentum", [0, 0.7])
def test_several_steps_in_one_execution(momentum):
    model = dense(keras.optimizers.SGD(0.1), steps_per_execution=2)
    reference = dense(keras.optimizers.SGD(0.1), run_eagerly=True)
    reference.set_weights(model.get_weights())
    weights = ksr.sparse_weights(model)
    gradients = ksr.DenseGradients(model, momentum=momentum)
    data = batches(4)
    expected = [np.zeros(weight.shape) for weight in weights]
    for x, y in data:
        dense_now = dense_twin.dense_gradients(reference, x, y)
        expected = [
            momentum * average + (1 - momentum) * gradient
            for average, gradient in zip(expected, dense_now, strict=True)
        ]
        reference.train_on_batch(x, y)
    x, y = (np.concatenate(each) for each in zip(*data, strict=True))
    with gradients:
        model.fit(x, y, 6, shuffle=False, verbose=0)
    assert_close(gradients.of(weights), expected)


def test_two_who_note_at_the_same_time_see_the_same():
    model = dense(keras.optimizers.SGD(0.1), run_eagerly=True)
    first, second = (ksr.DenseGradients(model) for _ in range(2))
    averaged = ksr.DenseGradients(model, momentum=0.5)
    weights = ksr.sparse_weights(model)
    for count, (x, y) in enumerate(batches(2)):
        expected = dense_twin.dense_gradients(model, x, y)
        with first, averaged:
            if count:
                with second:
                    model.train_on_batch(x, y)
                continue
            model.train_on_batch(x, y)
        assert_close(first.of(weights), expected)
        assert_close(averaged.of(weights), [0.5 * each for each in expected])
        assert not second.are_noted()
    assert_close(first.of(weights), second.of(weights))


def test_layers_may_be_chosen():
    model = dense(keras.optimizers.SGD(0.1), run_eagerly=True)
    first, second = ksr.sparse_weights(model)
    gradients = ksr.DenseGradients(model, layers=[model.layers[1]])
    [(x, y)] = batches(1)
    expected = dense_twin.dense_gradients(model, x, y)
    with gradients:
        model.train_on_batch(x, y)
    assert_close(gradients.of([second]), expected[1:])
    with pytest.raises(
        ValueError, match=rf"No dense gradient of '{first.path}"
    ):
        gradients.of([first])


def test_while_nobody_notes_nothing_is_computed(monkeypatch):
    def refuse(*args):
        raise AssertionError("noted")

    model, twin = dense("adam"), dense("adam")
    twin.set_weights(model.get_weights())
    variables = [variable.path for variable in model.variables]
    [(x, y)] = batches(1)
    with monkeypatch.context() as patch:
        for name in ("add", "add_rows"):
            patch.setattr(dense_gradient.DenseGradient, name, refuse)
        model.train_on_batch(x, y)
        with ksr.DenseGradients(model):
            # A function that is traced inside of the context does.
            model.make_train_function(force=True)
            with pytest.raises(AssertionError, match="noted"):
                model.train_on_batch(x, y)
    assert [variable.path for variable in model.variables] == variables
    twin.train_on_batch(x, y)
    for one, other in zip(model.weights, twin.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_is_not_changed_by_noting():
    trained = []
    for notes in (False, True):
        keras.utils.set_random_seed(1)
        model = text()
        model.compile("adam", "mse")
        with (
            ksr.DenseGradients(model, momentum=0.9)
            if notes
            else ksr.DenseGradients(dense("adam"))
        ):
            model.train_on_batch(*tokens())
        trained.append([weight.value for weight in ksr.sparse_weights(model)])
    for one, other in zip(*trained, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
