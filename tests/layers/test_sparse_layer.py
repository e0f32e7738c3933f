"""What all sparse layers share: weights in and out, refusals, regularisers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from tests.layers import namesakes

DENSE = {
    "LSTM": (keras.layers.LSTM, ksr.SparseLSTM, {"units": 3}),
    "GRU": (keras.layers.GRU, ksr.SparseGRU, {"units": 3}),
    "SimpleRNN": (keras.layers.SimpleRNN, ksr.SparseSimpleRNN, {"units": 3}),
    "Dense": (keras.layers.Dense, ksr.SparseDense, {"units": 3}),
    "Embedding": (
        keras.layers.Embedding,
        ksr.SparseEmbedding,
        {"input_dim": 7, "output_dim": 3},
    ),
    "ReversibleEmbedding": (
        keras.layers.ReversibleEmbedding,
        ksr.SparseReversibleEmbedding,
        {"input_dim": 7, "output_dim": 3},
    ),
}

WITH_ADAPTERS = ["Dense", "Embedding", "ReversibleEmbedding"]


def inputs_of(kind):
    if "Embedding" in kind:
        return np.array([[0, 1, 2], [3, 6, 5]])
    return namesakes.sequences()


def built(kind, sparsity=0.5, dense=False, **kwargs):
    dense_class, sparse_class, arguments = DENSE[kind]
    if dense:
        layer = dense_class(**arguments, **kwargs)
    else:
        layer = sparse_class(**arguments, sparsity=sparsity, **kwargs)
    layer(inputs_of(kind))
    return layer


def assert_zero_outside(layer):
    for weight in layer.sparse_weights:
        assert (weight.value.numpy()[~weight.mask.numpy()] == 0).all()


@pytest.mark.parametrize("kind", DENSE)
def test_weights_of_a_dense_layer_are_taken_and_masked(kind):
    layer, dense = built(kind), built(kind, dense=True)
    masks = [weight.mask.numpy() for weight in layer.sparse_weights]
    layer.set_weights(dense.get_weights())
    for mask, weight, value in zip(
        masks, layer.sparse_weights, dense.get_weights(), strict=False
    ):
        np.testing.assert_array_equal(weight.mask.numpy(), mask)
        np.testing.assert_array_equal(
            weight.value.numpy(), np.where(mask, value, 0)
        )


def test_a_cell_takes_a_dense_cells_weights_and_the_layer_around_does_not():
    cell = ksr.SparseLSTMCell(3, sparsity=0.5)
    around, dense = (
        keras.layers.RNN(each) for each in (cell, keras.layers.LSTMCell(3))
    )
    for layer in (around, dense):
        layer(inputs_of("LSTM"))
    before = around.get_weights()
    with pytest.raises(ValueError, match=r"length 3, but .* expecting 11"):
        around.set_weights(dense.get_weights())
    around.set_weights(before)
    masks = [weight.mask.numpy() for weight in cell.sparse_weights]
    cell.set_weights(dense.get_weights())
    for mask, weight, value in zip(
        masks, cell.sparse_weights, dense.get_weights(), strict=False
    ):
        np.testing.assert_array_equal(weight.mask.numpy(), mask)
        np.testing.assert_array_equal(weight.value, np.where(mask, value, 0))


@pytest.mark.parametrize("kind", DENSE)
def test_own_weights_go_round(kind):
    layer, other = built(kind), built(kind)
    other.set_weights(layer.get_weights())
    np.testing.assert_array_equal(
        layer(inputs_of(kind)), other(inputs_of(kind))
    )
    for one, two in zip(
        layer.sparse_weights, other.sparse_weights, strict=True
    ):
        np.testing.assert_array_equal(one.mask.numpy(), two.mask.numpy())


@pytest.mark.parametrize("kind", DENSE)
def test_a_list_of_another_length_changes_nothing(kind):
    layer = built(kind)
    before = layer.get_weights()
    with pytest.raises(
        ValueError,
        match=rf"'{layer.name}' expects a list.*Received: len\(weights\)=\d+$",
    ):
        layer.set_weights([*before, before[0]])
    for now, then in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("kind", DENSE)
def test_weights_of_another_shape_change_nothing(kind):
    layer = built(kind)
    before = layer.get_weights()
    wrong = [
        np.zeros((*w.shape[:-1], w.shape[-1] + 1))
        for w in built(kind, dense=True).get_weights()
    ]
    with pytest.raises(
        ValueError, match=rf"'{layer.name}' expects the shape.*Received: shape="
    ):
        layer.set_weights(wrong)
    for now, then in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("kind", DENSE)
@pytest.mark.parametrize("index", [0, -1])
def test_one_own_weight_of_another_shape_changes_nothing(kind, index):
    layer = built(kind)
    before = layer.get_weights()
    wrong = [np.ones_like(weight) for weight in before]
    wrong[index] = np.ones((*wrong[index].shape, 2), wrong[index].dtype)
    with pytest.raises(
        ValueError, match=rf"'{layer.name}' expects the shape.*Received: shape="
    ):
        layer.set_weights(wrong)
    for now, then in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("of", ["layer", "cell"])
def test_a_list_with_masks_of_another_granularity_changes_nothing(kind, of):
    def make(granularity):
        layer = namesakes.LAYERS[kind][1](
            5, sparsity=0.5, granularity=granularity
        )
        layer.build((2, 4, 3))
        return layer if of == "layer" else layer.cell

    unit = make("unit")
    before = unit.get_weights()
    with pytest.raises(
        ValueError, match=r"in all gates of '.*/kernel'\. Received: a mask of"
    ):
        unit.set_weights(make("gate").get_weights())
    for now, then in zip(unit.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    other = make("unit").get_weights()
    unit.set_weights(other)
    for now, then in zip(unit.get_weights(), other, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("kind", DENSE)
def test_a_dense_models_file_is_refused_with_the_way_to_load_it(kind, tmp_path):
    path = tmp_path / "dense.weights.h5"
    dense = keras.Sequential([built(kind, dense=True)])
    model = keras.Sequential([built(kind)])
    for each in (dense, model):
        each(inputs_of(kind))
    dense.save_weights(path)
    before = model.get_weights()
    with pytest.raises(
        ValueError,
        match=r"dense layer\. .*`keras_sparse_rnn.load_dense_weights\(model, "
        r"path\)`\. Received: len\(variables\)=0",
    ):
        model.load_weights(path)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    ksr.load_dense_weights(model, path)


@pytest.mark.parametrize("kind", DENSE)
def test_a_file_of_another_shape_changes_nothing_in_the_layer(kind, tmp_path):
    model = keras.Sequential([built(kind)])
    model(inputs_of(kind))
    path = tmp_path / "a.weights.h5"
    model.save_weights(path)
    _dense_class, sparse_class, arguments = DENSE[kind]
    arguments = {name: size + 1 for name, size in arguments.items()}
    larger = keras.Sequential([sparse_class(**arguments, sparsity=0.5)])
    larger(inputs_of(kind))
    before = larger.get_weights()
    name = larger.layers[0].name
    with pytest.raises(ValueError, match=f"'{name}' expects the shape"):
        larger.load_weights(path)
    for now, then in zip(larger.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("kind", ["LSTM", "Dense", "Embedding"])
@pytest.mark.parametrize("format_", ["keras", "weights.h5", "checkpoint"])
def test_save_and_load(kind, format_, tmp_path):
    def make():
        model = keras.Sequential([built(kind)])
        model.compile("adam", "mse")
        return model

    model = make()
    inputs = inputs_of(kind)
    targets = np.zeros(model(inputs).shape)
    model.fit(inputs, targets, verbose=0)
    ksr.rewire(model, model.optimizer, 0.5)
    model.fit(inputs, targets, verbose=0)
    if format_ == "keras":
        model.save(tmp_path / "a.keras")
        other = keras.models.load_model(tmp_path / "a.keras")
    else:
        other = make()
        other.fit(inputs, targets, verbose=0)
        if format_ == "weights.h5":
            model.save_weights(tmp_path / "a.weights.h5")
            other.load_weights(tmp_path / "a.weights.h5")
        else:
            path = tf.train.Checkpoint(model).save(tmp_path / "a")
            tf.train.Checkpoint(other).restore(path).assert_consumed()
    for one, two in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())
    np.testing.assert_array_equal(model(inputs), other(inputs))
    for one, two in zip(
        ksr.sparse_weights(model), ksr.sparse_weights(other), strict=True
    ):
        assert one.rewirings == two.rewirings == 1
        assert one.ever_active == two.ever_active > one.active
        assert one.rewire_rate == two.rewire_rate == 0.5


@pytest.mark.parametrize("kind", WITH_ADAPTERS)
@pytest.mark.parametrize(
    "refused",
    [
        lambda layer, remake: layer.enable_lora(2),
        lambda layer, remake: layer.quantize("int8"),
        lambda layer, remake: layer.quantize("int4"),
        lambda layer, remake: layer.quantize("float8"),
        lambda layer, remake: remake(lora_rank=2),
        lambda layer, remake: remake(dtype="int8_from_float32"),
        lambda layer, remake: remake(dtype="int8_from_mixed_bfloat16"),
        lambda layer, remake: setattr(
            layer, "dtype_policy", "int8_from_float32"
        ),
        lambda layer, remake: setattr(
            remake(), "dtype_policy", "int8_from_float32"
        ),
    ],
)
def test_what_would_bypass_the_mask_is_refused(kind, refused):
    layer = built(kind)
    before = layer(inputs_of(kind)).numpy()

    def remake(**kwargs):
        return DENSE[kind][1](**DENSE[kind][2], sparsity=0.5, **kwargs)

    with pytest.raises(
        NotImplementedError,
        match=r"does not support (LoRA|quant).*Received: ",
    ) as raised:
        refused(layer, remake)
    assert isinstance(raised.value, ValueError)
    assert f"Sparse{kind}" in str(raised.value)
    assert layer.dtype_policy.name == "float32"
    np.testing.assert_array_equal(layer(inputs_of(kind)).numpy(), before)


@pytest.mark.parametrize("kind", WITH_ADAPTERS)
def test_a_map_of_policies_that_quantizes_is_refused_at_build(kind):
    policies = keras.dtype_policies.DTypePolicyMap()
    policies["mine"] = keras.dtype_policies.get("int8_from_float32")
    layer = DENSE[kind][1](
        **DENSE[kind][2], sparsity=0.5, name="mine", dtype=policies
    )
    with pytest.raises(NotImplementedError, match="'mine' does not support"):
        layer(inputs_of(kind))


@pytest.mark.filterwarnings("ignore:Layer InputLayer")
def test_quantizing_a_model_leaves_sparse_layers_masked():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            ksr.SparseDense(5, sparsity=0.5, name="ours"),
            keras.layers.Dense(2, name="theirs"),
        ]
    )
    inputs = np.ones((2, 4), "float32")
    before = model.layers[0](inputs).numpy()
    with pytest.warns(UserWarning, match="'ours' does not support quant"):
        model.quantize("int8")
    assert model.get_layer("theirs").quantization_mode == "int8"
    assert model.get_layer("ours").quantization_mode is None
    np.testing.assert_array_equal(model.layers[0](inputs).numpy(), before)


@keras.saving.register_keras_serializable("tests")
class AddOne(keras.constraints.Constraint):
    """A constraint that would fill every empty place."""

    def __call__(self, w):
        return w + 1


def constrained(kind, constraint):
    name = "embeddings" if "Embedding" in kind else "kernel"
    arguments = {f"{name}_constraint": constraint}
    if kind in namesakes.LAYERS:
        arguments["recurrent_constraint"] = constraint
    return arguments


@pytest.mark.parametrize("kind", DENSE)
def test_a_constraint_is_composed_with_the_mask(kind):
    layer = built(kind, **constrained(kind, AddOne()))
    model = keras.Sequential([layer])
    model.compile("adam", "mse")
    inputs = inputs_of(kind)
    before = [weight.value.numpy() for weight in layer.sparse_weights]
    model.fit(inputs, np.zeros(model(inputs).shape), epochs=2, verbose=0)
    assert_zero_outside(layer)
    for weight, then in zip(layer.sparse_weights, before, strict=True):
        moved = (weight.value.numpy() - then)[weight.mask.numpy()]
        np.testing.assert_allclose(moved, 2, atol=0.1)
    config = layer.get_config()
    assert type(layer).from_config(config).get_config() == config


@pytest.mark.parametrize("kind", DENSE)
def test_a_regularizer_sees_the_effective_weight(kind):
    regularizer = keras.regularizers.OrthogonalRegularizer(1.0)
    name = "embeddings" if "Embedding" in kind else "kernel"
    layer = built(kind, **{f"{name}_regularizer": regularizer})
    weight = layer.sparse_weights[0]
    expected = float(regularizer(weight.value.value))
    weight.value.assign(np.where(weight.mask, weight.value, 9.0))
    assert float(sum(layer.losses)) == pytest.approx(expected, rel=1e-5)
    with tf.GradientTape() as tape:
        loss = sum(layer.losses)
    gradient = tape.gradient(loss, weight.value.value).numpy()
    assert (gradient[~weight.mask.numpy()] == 0).all()
    assert (gradient != 0).any()


@pytest.mark.parametrize("kind", DENSE)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_every_float_weight_is_float32_in_mixed_precision(kind, policy):
    layer = built(kind, dtype=policy)
    assert layer(inputs_of(kind)).dtype == policy.removeprefix("mixed_")
    for variable in layer.weights:
        if "float" in str(variable.dtype):
            assert variable.dtype == "float32"
    model = keras.Sequential([layer])
    model.compile("sgd", "mse")
    inputs = inputs_of(kind)
    model.fit(inputs, np.ones(model(inputs).shape), verbose=0)
    assert_zero_outside(layer)


def test_masks_of_another_granularity_are_refused(tmp_path):
    def model(granularity):
        return keras.Sequential(
            [
                keras.Input((4, 3)),
                ksr.SparseLSTM(5, sparsity=0.5, granularity=granularity),
            ]
        )

    path = tmp_path / "gate.weights.h5"
    model("gate").save_weights(path)
    unit = model("unit")
    before = [variable.numpy() for variable in unit.weights]
    with pytest.raises(ValueError, match=r"SparseLSTM.*Received: "):
        unit.load_weights(path)
    for variable, value in zip(unit.weights, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_a_file_with_what_a_method_carried_along_tells_how_to_load_it(tmp_path):
    path = tmp_path / "carried.weights.h5"
    models = [
        keras.Sequential([ksr.SparseDense(3, sparsity=0.5, **arguments)])
        for arguments in ({"rewiring_state": ["signs"]}, {})
    ]
    for model in models:
        model(np.ones((2, 4), np.float32))
    carrying, plain = models
    carrying.save_weights(path)
    match = r"same `rewiring_state=`, not \[\]\. Received: len\(variables\)=7"
    with pytest.raises(ValueError, match=match):
        plain.load_weights(path)
