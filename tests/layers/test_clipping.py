"""Optimizers that see the dense gradient, against a plain Keras twin."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests import dense_twin

STEPS, WORDS = 4, 9
OPTIMIZERS = {
    "Adam": lambda **clip: keras.optimizers.Adam(0.02, **clip),
    "momentum": lambda **clip: keras.optimizers.SGD(0.1, 0.9, **clip),
    "RMSprop": lambda **clip: keras.optimizers.RMSprop(0.02, **clip),
    "AdamW": lambda **clip: keras.optimizers.AdamW(0.02, **clip),
    "Adagrad": lambda **clip: keras.optimizers.Adagrad(0.1, **clip),
}


def data():
    rng = np.random.default_rng(0)
    x = rng.integers(0, WORDS, (8, STEPS)).astype("int32")
    return x, rng.normal(size=(8, 2)).astype("float32")


def make_model(clipping, recurrent=ksr.SparseGRU, **arguments):
    arguments = {"clipping": clipping, "sparsity": 0.6, **arguments}
    return keras.Sequential(
        [
            keras.Input((STEPS,), dtype="int32"),
            ksr.SparseEmbedding(WORDS, 5, topology_seed=1, **arguments),
            recurrent(6, topology_seed=2, engine="masked", **arguments),
            ksr.SparseDense(2, topology_seed=3, engine="masked", **arguments),
        ]
    )


def assert_masks_hold(model):
    for weight in ksr.sparse_weights(model):
        assert not weight.value.numpy()[~weight.mask.numpy()].any()


CLIPPED = {
    "norm": {"clipnorm": 0.02},
    "global norm": {"global_clipnorm": 0.05},
    "value": {"clipvalue": 1e-3},
}


@pytest.mark.parametrize("clip", CLIPPED)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_is_that_of_a_dense_model_masked_after_each_step(name, clip):
    model = make_model("dense")
    twin = ksr.strip_sparsity(model)
    for each in (model, twin):
        each.compile(OPTIMIZERS[name](**CLIPPED[clip]), "mse", run_eagerly=True)
    pairs = list(
        zip(
            ksr.sparse_weights(model),
            dense_twin.variables_of(model, twin),
            strict=True,
        )
    )
    start = [weight.value.numpy() for weight, _ in pairs]
    for _ in range(3):
        for each in (model, twin):
            each.train_on_batch(*data())
        for weight, variable in pairs:
            variable.assign(np.where(weight.mask, variable.numpy(), 0))
        assert_masks_hold(model)
    for (weight, variable), value in zip(pairs, start, strict=True):
        now = weight.value.numpy()
        np.testing.assert_allclose(now, variable.numpy(), rtol=1e-5, atol=1e-7)
        assert (now != value).any()


def test_the_norm_is_that_of_the_dense_gradient():
    moved = {}
    x, y = data()
    # So far off that every norm is clipped.
    y = 100 * y
    start = make_model("sparse").get_weights()
    for clipping in ("sparse", "dense"):
        model = make_model(clipping)
        model.set_weights(start)
        optimizer = keras.optimizers.SGD(1.0, clipnorm=2e-3)
        model.compile(optimizer, "mse", run_eagerly=True)
        weights = ksr.sparse_weights(model)[1:]
        gradients = dense_twin.dense_gradients(model, x, y)[1:]
        before = [weight.value.numpy() for weight in weights]
        model.train_on_batch(x, y)
        moved[clipping] = [
            old - weight.value.numpy()
            for weight, old in zip(weights, before, strict=True)
        ]
        for weight, step, gradient in zip(
            weights, moved[clipping], gradients, strict=True
        ):
            seen = np.where(weight.mask, gradient, 0)
            norm = np.linalg.norm(gradient if clipping == "dense" else seen)
            assert norm > 2e-3
            np.testing.assert_allclose(
                step, 2e-3 * seen / norm, rtol=1e-3, atol=1e-7
            )
    for sparse, dense in zip(*moved.values(), strict=True):
        assert np.linalg.norm(dense) < 0.95 * np.linalg.norm(sparse)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_masks_hold_in_traced_functions_and_after_rewirings(jit_compile):
    model = make_model("dense", ksr.SparseLSTM)
    optimizer = keras.optimizers.Adam(0.05, global_clipnorm=0.1)
    model.compile(optimizer, "mse", jit_compile=jit_compile)
    for _ in range(2):
        model.fit(*data(), batch_size=4, epochs=2, verbose=0)
        assert_masks_hold(model)
        assert ksr.rewire(model, None, 0.4).connections_moved > 10
        assert_masks_hold(model)


def test_a_constraint_of_ones_own_goes_before_the_mask():
    class AtLeast(keras.constraints.Constraint):
        def __call__(self, weight):
            return keras.ops.maximum(weight, 0.25)

    model = keras.Sequential(
        [
            keras.Input((3,)),
            ksr.SparseDense(
                4, sparsity=0.5, clipping="dense", kernel_constraint=AtLeast()
            ),
        ]
    )
    model.compile("sgd", "mse", run_eagerly=True)
    model.train_on_batch(np.ones((2, 3)), np.ones((2, 4)))
    [weight] = ksr.sparse_weights(model)
    value = weight.value.numpy()
    assert (value[weight.mask.numpy()] >= 0.25).all()
    assert_masks_hold(model)


def test_new_slots_are_fresh_though_those_of_empty_places_are_not():
    model = make_model("dense")
    model.compile(keras.optimizers.SGD(0.1, 0.9), "mse", run_eagerly=True)
    model.train_on_batch(*data())
    weight = ksr.sparse_weights(model)[1]
    [slot] = [
        variable
        for variable in model.optimizer.variables
        if variable.name == weight.path.replace("/", "_") + "_momentum"
    ]
    before = weight.mask.numpy()
    assert slot.numpy()[~before].any()
    ksr.rewire(model, None, 0.5)
    grown = weight.mask.numpy() & ~before
    assert grown.any()
    assert not slot.numpy()[grown].any()


def test_dense_clipping_is_saved_with_the_layer(tmp_path):
    model = make_model("dense")
    model.compile("adam", "mse", run_eagerly=True)
    model.train_on_batch(*data())
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for layer in loaded.layers:
        assert layer.get_config()["clipping"] == "dense"
    # Keras does not save `run_eagerly`.
    loaded.compile(loaded.optimizer, "mse", run_eagerly=True)
    for each in (model, loaded):
        each.train_on_batch(*data())
    for one, other in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert_masks_hold(loaded)


@pytest.mark.parametrize("scaled", [False, True])
def test_averaged_weights_are_refused_with_it(scaled):
    optimizer = keras.optimizers.SGD(0.1, use_ema=True)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model = make_model("dense")
    model.compile(optimizer, "mse", run_eagerly=True)
    before = [np.array(variable) for variable in model.variables]
    match = r"average of '.*/embeddings' would .* Received: clipping='dense'"
    with pytest.raises(ValueError, match=match):
        ksr.rewire(model, None, 0.3)
    with pytest.raises(ValueError, match=match):
        model.fit(*data(), verbose=0, callbacks=[ksr.SETCallback(0.3)])
    for old, new in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, new)
    # Layers that see the sparse gradient alone are no reason to refuse.
    model = make_model("sparse")
    model.compile(keras.optimizers.SGD(0.1, use_ema=True), "mse")
    ksr.rewire(model, None, 0.3)


@pytest.mark.parametrize("value", ["Dense", "masked", None, True, 1, ["dense"]])
def test_bad_values_are_refused(value):
    for layer in (ksr.SparseLSTM, ksr.SparseDense):
        match = r"'named': `clipping` must be one of .* Received: clipping="
        with pytest.raises(ValueError, match=match):
            layer(3, sparsity=0.5, clipping=value, name="named")


def test_the_native_engine_cannot_be_asked_for_with_it():
    layer = ksr.SparseLSTM(8, sparsity=0.9, clipping="dense", engine="native")
    with pytest.raises(ValueError, match=r"clipping='dense'.* Received: "):
        layer.build((None, 5, 8))
