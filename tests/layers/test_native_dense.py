"""`SparseDense` computes the same on the native engine as on the masked one."""

import copy
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from keras_sparse_rnn.engine import choice
from tests.layers import engines

pytestmark = engines.needs_kernels
UNITS, FEATURES = engines.UNITS, engines.FEATURES
ARGUMENTS = {
    "plain": {},
    "no bias": {"use_bias": False},
    "relu": {"activation": "relu"},
    "softmax": {"activation": "softmax"},
    "own activation": {"activation": lambda x: x * keras.ops.sigmoid(x)},
    "density 0.02": {"sparsity": 0.98},
    "density 1": {"sparsity": 0},
    "regularized": {
        "kernel_regularizer": "l2",
        "bias_regularizer": "l1",
        "kernel_constraint": "max_norm",
    },
    "not trained": {"trainable": False},
}
SHAPES = [(5, 7), (1, 7), (70, 7), (3, 4, 7), (2, 3, 4, 7), (0, 7), (0, 3, 7)]


def make(engine, units=UNITS, features=FEATURES, **arguments):
    """A built layer; of the same weights on both engines."""
    keras.utils.set_random_seed(3)
    layer = ksr.SparseDense(
        units, engine=engine, **{"sparsity": 0.5, **arguments}
    )
    layer.build((None, features))
    assert layer.engine_in_use == engine
    if layer.use_bias:
        noise = np.random.default_rng(4).normal(size=units)
        layer.bias.assign(noise)
    return layer


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("name", ARGUMENTS)
def test_both_engines_agree(name):
    inputs = normal(5, FEATURES)
    arguments = ARGUMENTS[name]
    expected = engines.run(make("masked", **arguments), inputs)
    for compiled in (False, True):
        layer = make("native", **arguments)
        found = engines.run(layer, inputs, compiled=compiled)
        engines.assert_close(found, expected)
        np.testing.assert_allclose(
            layer.losses, make("masked", **arguments).losses, rtol=1e-6
        )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_inputs_of_any_rank(shape):
    inputs = normal(*shape)
    expected = engines.run(make("masked"), inputs)
    for compiled in (False, True):
        found = engines.run(make("native"), inputs, compiled=compiled)
        assert found["output 0"].shape == (*shape[:-1], UNITS)
        engines.assert_close(found, expected)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 1, 2), (200, 300, 70)])
def test_smallest_and_larger_sizes(sizes):
    batch, features, units = sizes
    inputs = normal(batch, features)
    found, expected = (
        engines.run(make(each, units, features, sparsity=0), inputs)
        for each in engines.ENGINES
    )
    engines.assert_close(found, expected)


@pytest.mark.parametrize("dtype", ["int32", "float64", "float16"])
def test_inputs_of_other_types(dtype):
    inputs = (3 * normal(5, FEATURES)).astype(dtype)
    native, masked = (make(each) for each in engines.ENGINES)
    expected = masked(inputs).numpy()
    for call in (native, tf.function(lambda x: native(x))):
        engines.assert_close({0: call(inputs).numpy()}, {0: expected})


@pytest.mark.parametrize("rank", [2, 3])
def test_shapes_that_a_graph_does_not_know(rank):
    layer = make("native")
    inputs = normal(*range(2, rank + 1), FEATURES)
    expected = make("masked")(inputs).numpy()
    for shape in ([None] * (rank - 1) + [FEATURES], [None] * rank):
        call = tf.function(
            layer, input_signature=[tf.TensorSpec(shape, "float32")]
        )
        engines.assert_close({0: call(inputs).numpy()}, {0: expected})
        (outputs,) = call.get_concrete_function().outputs
        assert outputs.shape.as_list() == [*shape[:-1], UNITS]
    symbolic = layer(keras.KerasTensor([None] * (rank - 1) + [FEATURES]))
    assert symbolic.shape == (*[None] * (rank - 1), UNITS)


def test_features_of_another_number_are_refused_by_name():
    layer = make("native", name="mine")
    with pytest.raises(ValueError, match="expected axis -1"):
        layer(normal(6, 14))
    call = tf.function(
        layer, input_signature=[tf.TensorSpec([None, None], "float32")]
    )
    # As many numbers as samples of 7 features would have.
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="SparseDense 'mine' expects"
    ):
        call(normal(6, 14))


def test_a_changed_mask_and_changed_weights_are_seen():
    native, masked = (make(each) for each in engines.ENGINES)
    inputs = normal(5, FEATURES)
    compiled = tf.function(lambda x: native(x))
    before = compiled(inputs).numpy()
    rng = np.random.default_rng(7)
    mask = rng.random((FEATURES, UNITS)) < 0.3
    value = np.where(mask, rng.normal(size=mask.shape), 0)
    for layer in (native, masked):
        (weight,) = layer.sparse_weights
        weight.mask.assign(mask)
        weight.value.assign(value)
    expected = engines.run(masked, inputs)
    engines.assert_close(engines.run(native, inputs), expected)
    found = compiled(inputs).numpy()
    engines.assert_close({0: found}, {0: expected["output 0"]})
    assert np.abs(before - found).max() > 0.01


def test_a_mask_without_connections():
    for engine in engines.ENGINES:
        layer = make(engine)
        layer.kernel_mask.assign(np.zeros((FEATURES, UNITS)))
        found = engines.run(layer, normal(5, FEATURES))
        np.testing.assert_array_equal(
            found["output 0"], np.broadcast_to(layer.bias, (5, UNITS))
        )
        assert not found["gradient of kernel 0"].any()


def dense(engine, units=2, **arguments):
    return ksr.SparseDense(units, sparsity=0.6, engine=engine, **arguments)


def two(engine):
    return keras.Sequential(
        [dense(engine, 9, activation="relu"), dense(engine, name="head")]
    )


def time_distributed(engine):
    return keras.Sequential(
        [keras.layers.TimeDistributed(dense(engine, 9)), dense(engine)]
    )


def after_a_recurrent_layer(engine):
    before = ksr.SparseLSTM(
        8, sparsity=0.5, engine=engine, return_sequences=True
    )
    return keras.Sequential([before, dense(engine, kernel_regularizer="l2")])


def shared(engine):
    inputs = keras.Input((4, FEATURES))
    layer = dense(engine, FEATURES, activation="tanh")
    outputs = dense(engine, use_bias=False)(layer(layer(inputs)))
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize(
    "make_model", [two, time_distributed, after_a_recurrent_layer, shared]
)
def test_training_with_rewiring(make_model):
    x, y = normal(22, 4, FEATURES), normal(22, 4, 2, seed=1)
    results = []
    for engine in engines.ENGINES:
        keras.utils.set_random_seed(5)
        model = make_model(engine)
        model.compile(keras.optimizers.Adam(0.01), "mse")
        history = model.fit(
            x,
            y,
            batch_size=8,
            epochs=4,
            shuffle=False,
            verbose=0,
            callbacks=[ksr.SETCallback(0.4)],
        ).history
        engines.assert_zero_outside(model)
        results.append(
            {
                "loss": np.array(history["loss"]),
                "predictions": model.predict(x, verbose=0),
                **{
                    f"mask {index}": each.mask.numpy().astype(float)
                    for index, each in enumerate(ksr.sparse_weights(model))
                },
            }
        )
        assert all(m > 0 for m in history["connections_moved"][1:])
    engines.assert_close(*results, limit=1e-4)


def test_models_are_not_handed_to_xla():
    model = two("native")
    model.compile("sgd", "mse")
    model.fit(normal(8, FEATURES), normal(8, 2), verbose=0)
    assert model.jit_compile is False
    with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
        two("native").compile("sgd", "mse", jit_compile=True)


def test_a_function_for_xla_is_masked_with_one_warning(monkeypatch):
    monkeypatch.setattr(
        "keras_sparse_rnn.engine.choice.FEWEST_PRODUCT_PLACES", 0
    )
    keras.utils.set_random_seed(3)
    layer = ksr.SparseDense(64, sparsity=0.97, name="mine")
    inputs = normal(5, FEATURES)
    expected = layer(inputs).numpy()
    assert layer.engine_in_use == "native"
    compiled = tf.function(lambda x: layer(x), jit_compile=True)
    with pytest.warns(
        UserWarning, match="SparseDense 'mine' runs on the masked engine"
    ) as caught:
        found = [compiled(inputs), compiled(inputs[:1])]
    assert len(caught) == 1
    np.testing.assert_allclose(found[0], expected, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[:1], atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(layer(inputs), expected)


def test_a_function_for_xla_cannot_hold_a_layer_that_asks_for_native():
    layer = make("native", name="mine")
    compiled = tf.function(lambda x: layer(x), jit_compile=True)
    with pytest.raises(
        ValueError,
        match=r"SparseDense 'mine': XLA cannot compile the native engine\..*"
        "Received: engine='native' in a function with jit_compile=True",
    ):
        compiled(normal(5, FEATURES))
    assert layer(normal(5, FEATURES)).shape == (5, UNITS)


def test_sparse_tensors_are_masked_or_refused(monkeypatch):
    dense = normal(5, FEATURES)
    sparse = tf.sparse.from_dense(dense)
    native = make("native", name="mine")
    with pytest.raises(
        ValueError,
        match=r"'mine': the native engine takes no sparse tensors\..*"
        "Received: inputs of type SparseTensor",
    ):
        native(sparse)
    # The native engine is chosen for a layer of this size too.
    monkeypatch.setattr(choice, "_pays", lambda _: True)
    monkeypatch.setattr(choice, "_has_gpu", lambda: False)
    automatic = ksr.SparseDense(UNITS, sparsity=0.5)
    automatic.build((None, FEATURES))
    assert automatic.engine_in_use == "native"
    np.testing.assert_allclose(automatic(sparse), automatic(dense), atol=1e-6)


def test_gradients_of_gradients_are_refused_and_not_taken_for_0():
    layer = make("native", name="mine", activation="tanh")
    inputs = tf.constant(normal(5, FEATURES))
    with tf.GradientTape() as outer:
        outer.watch(inputs)
        with tf.GradientTape() as inner:
            inner.watch(inputs)
            total = tf.reduce_sum(layer(inputs))
        gradient = inner.gradient(total, inputs)
    with pytest.raises(
        (NotImplementedError, tf.errors.UnimplementedError),
        match="SparseDense 'mine' has no gradients of gradients",
    ):
        outer.gradient(gradient, inputs)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_an_error_that_names_the_layer(value):
    layer = make("native", name="mine", sparsity=0)
    layer._kernel.assign(np.full((FEATURES, UNITS), value))
    with pytest.raises(
        (tf.errors.UnknownError, RuntimeError),
        match=r"SparseDense 'mine' expects a `kernel` of finite numbers .*"
        rf"Received: kernel={value}",
    ):
        layer(normal(5, FEATURES))


def test_a_saved_model_is_refused_with_the_way_to_get_one(tmp_path):
    model = two("native")
    inputs = normal(5, FEATURES)
    expected = model(inputs).numpy()
    with pytest.raises(
        ValueError,
        match="^SparseDense '.*' runs on the native engine, which no "
        r"SavedModel can hold\..*Received: engine='native'$",
    ):
        model.export(str(tmp_path / "refused"), verbose=False)
    plain = ksr.strip_sparsity(model)
    assert type(plain.get_layer("head")) is keras.layers.Dense
    assert "engine" not in plain.get_layer("head").get_config()
    plain.export(str(tmp_path / "served"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(served.serve(inputs), expected, atol=1e-6)


def test_sparsify_takes_the_engine():
    plain = keras.Sequential(
        [keras.Input((FEATURES,)), keras.layers.Dense(4, name="head")]
    )
    sparse = ksr.sparsify(
        plain, settings={"head": {"sparsity": 0.5, "engine": "native"}}
    )
    assert sparse.get_layer("head").engine_in_use == "native"
    assert (
        ksr.sparsify(plain, sparsity=0.5, layers="head")
        .get_layer("head")
        .engine
        == "auto"
    )
    with pytest.raises(
        ValueError,
        match=r"'head' expects only arguments .*recompute_gates=True$",
    ):
        ksr.sparsify(
            plain,
            settings={"head": {"sparsity": 0.5, "recompute_gates": True}},
        )


@pytest.mark.parametrize("saved", engines.ENGINES)
@pytest.mark.parametrize("way", ["keras", "weights", "checkpoint", "list"])
def test_from_one_engine_to_the_other(tmp_path, saved, way):
    (loaded,) = {*engines.ENGINES} - {saved}
    inputs = normal(5, FEATURES)
    keras.utils.set_random_seed(3)
    model = two(saved)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(
        inputs,
        normal(5, 2),
        epochs=2,
        verbose=0,
        callbacks=[ksr.SETCallback(0.4)],
    )
    expected = model(inputs).numpy()
    other = two(loaded)
    other(inputs)
    if way == "keras":
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        assert again.get_layer("head").engine_in_use == saved
        np.testing.assert_array_equal(again(inputs), expected)
        other.set_weights(again.get_weights())
    elif way == "weights":
        model.save_weights(tmp_path / "model.weights.h5")
        other.load_weights(tmp_path / "model.weights.h5")
    elif way == "checkpoint":
        path = tf.train.Checkpoint(model=model).save(str(tmp_path / "point"))
        restored = tf.train.Checkpoint(model=other).restore(path)
        restored.assert_existing_objects_matched()
    else:
        other.set_weights(model.get_weights())
    assert other.get_layer("head").engine_in_use == loaded
    np.testing.assert_allclose(other(inputs), expected, rtol=1e-5, atol=1e-6)


def test_a_copy_runs_on_the_same_engine():
    layer = make("native")
    inputs = normal(5, FEATURES)
    again = copy.deepcopy(layer)
    assert again.engine_in_use == "native"
    np.testing.assert_array_equal(again(inputs), layer(inputs))
