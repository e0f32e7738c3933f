"""Models on the native engine are saved, loaded and handed over."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from keras_sparse_rnn.engine import library
from tests.layers import engines

pytestmark = engines.needs_kernels


def trained(engine, seed=3):
    """A model with a mask that is no longer the first one."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((5, 4)),
            keras.layers.Bidirectional(
                ksr.SparseLSTM(
                    6, sparsity=0.5, engine=engine, return_sequences=True
                ),
                name="both",
            ),
            ksr.SparseGRU(5, sparsity=0.5, engine=engine, name="last"),
            keras.layers.Dense(2, name="head"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(0.01), "mse", run_eagerly=engine == "masked"
    )
    model.fit(
        inputs(),
        np.ones((6, 2)),
        epochs=2,
        verbose=0,
        callbacks=[ksr.SETCallback(0.4)],
    )
    return model


def inputs():
    return np.random.default_rng(0).normal(size=(6, 5, 4)).astype("float32")


def engines_in_use(model):
    both = model.get_layer("both")
    layers = both.forward_layer, both.backward_layer, model.get_layer("last")
    return {layer.engine_in_use for layer in layers}


def assert_predictions(model, expected):
    np.testing.assert_allclose(
        model.predict(inputs(), verbose=0), expected, rtol=1e-5, atol=1e-6
    )


def assert_same_masks(first, second):
    for a, b in zip(
        ksr.sparse_weights(first), ksr.sparse_weights(second), strict=True
    ):
        np.testing.assert_array_equal(a.mask.numpy(), b.mask.numpy())


def test_a_keras_file_where_there_are_no_kernels(tmp_path, monkeypatch):
    model = trained("native")
    expected = model.predict(inputs(), verbose=0)
    path = tmp_path / "model.keras"
    model.save(path)
    monkeypatch.setattr(library, "missing_reason", lambda: "there are none.")
    with pytest.warns(UserWarning, match="there are none") as caught:
        loaded = keras.models.load_model(path)
    assert len(caught) == 1
    assert engines_in_use(loaded) == {"masked"}
    assert loaded.get_layer("last").engine == "native"
    assert_predictions(loaded, expected)
    assert_predictions(ksr.strip_sparsity(loaded), expected)
    again = tmp_path / "again.keras"
    loaded.save(again)
    monkeypatch.undo()
    assert engines_in_use(keras.models.load_model(again)) == {"native"}


def test_a_keras_file_and_training_that_goes_on(tmp_path):
    model = trained("native")
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    assert engines_in_use(loaded) == {"native"}
    assert_same_masks(loaded, model)
    x, y = inputs(), np.ones((6, 2))
    np.testing.assert_array_equal(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0)
    )
    losses = [
        each.fit(x, y, epochs=2, verbose=0, shuffle=False).history["loss"]
        for each in (model, loaded)
    ]
    assert losses[0] == losses[1]


def with_engine(model, engine):
    """A copy whose layers have another engine: one argument differs."""

    def changed(layer):
        config = layer.get_config()
        if isinstance(layer, keras.layers.Bidirectional):
            for name in ("layer", "backward_layer"):
                if name in config:
                    config[name]["config"]["engine"] = engine
        elif "engine" in config:
            config["engine"] = engine
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=changed)


@pytest.mark.parametrize(
    ("saved", "loaded"), [("native", "masked"), ("masked", "native")]
)
@pytest.mark.parametrize("way", ["keras", "weights", "checkpoint", "list"])
def test_from_one_engine_to_the_other(tmp_path, saved, loaded, way):
    model = trained(saved)
    expected = model.predict(inputs(), verbose=0)
    other = with_engine(model, loaded)
    if way == "keras":
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        other = with_engine(again, loaded)
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
    assert engines_in_use(model) == {saved}
    assert engines_in_use(other) == {loaded}
    assert_same_masks(model, other)
    assert_predictions(other, expected)


@pytest.mark.parametrize("way", ["weights", "checkpoint"])
def test_a_loaded_mask_is_seen_by_functions_that_are_traced(tmp_path, way):
    model, other = trained("native"), trained("native", seed=8)
    expected = model.predict(inputs(), verbose=0)
    other.predict(inputs(), verbose=0)
    assert any(
        (a.mask.numpy() != b.mask.numpy()).any()
        for a, b in zip(
            ksr.sparse_weights(model), ksr.sparse_weights(other), strict=True
        )
    )
    if way == "weights":
        model.save_weights(tmp_path / "model.weights.h5")
        other.load_weights(tmp_path / "model.weights.h5")
    else:
        path = tf.train.Checkpoint(model=model).save(str(tmp_path / "point"))
        tf.train.Checkpoint(model=other).restore(path)
    np.testing.assert_array_equal(other.predict(inputs(), verbose=0), expected)


EXPORTS = {
    "export": lambda model, path: model.export(path, verbose=False),
    "saved_model.save": lambda model, path: tf.saved_model.save(model, path),
}


@pytest.mark.parametrize("export", EXPORTS.values(), ids=EXPORTS)
def test_a_saved_model_is_refused_with_the_way_to_get_one(tmp_path, export):
    model = trained("native")
    expected = model.predict(inputs(), verbose=0)
    with pytest.raises(
        ValueError,
        match=r"'.*' runs on the native engine, which no SavedModel can hold\. "
        r"Export `keras_sparse_rnn\.strip_sparsity\(model\)`.*"
        r"Received: engine='native'$",
    ):
        export(model, str(tmp_path / "served"))
    # Neither the model nor its checkpoints are the worse for it.
    assert_predictions(model, expected)
    tf.train.Checkpoint(model=model).save(str(tmp_path / "point"))
    model.save(tmp_path / "model.keras")


@pytest.mark.parametrize("export", EXPORTS.values(), ids=EXPORTS)
def test_what_is_stripped_is_exported(tmp_path, export):
    model = trained("native")
    plain = ksr.strip_sparsity(model)
    assert type(plain.get_layer("last")) is keras.layers.GRU
    expected = model.predict(inputs(), verbose=0)
    assert_predictions(plain, expected)
    export(plain, str(tmp_path / "served"))
    served = tf.saved_model.load(str(tmp_path / "served"))
    serve = served.signatures["serving_default"]
    [name] = serve.structured_input_signature[1]
    [found] = serve(**{name: tf.constant(inputs())}).values()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_masked_model_is_exported_as_it_is(tmp_path):
    model = trained("masked")
    model.export(str(tmp_path / "served"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(
        served.serve(inputs()),
        model.predict(inputs(), verbose=0),
        rtol=1e-5,
        atol=1e-6,
    )


def test_an_interrupted_run_goes_on_from_its_backup(tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    def fit(model, *callbacks):
        return model.fit(
            inputs(),
            np.ones((6, 2)),
            epochs=4,
            batch_size=2,
            shuffle=False,
            verbose=0,
            callbacks=[
                ksr.SETCallback(0.4),
                *callbacks,
            ],
        )

    whole = trained("native")
    fit(whole)
    broken, resumed = trained("native"), trained("native", seed=9)
    folder = str(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        fit(broken, keras.callbacks.BackupAndRestore(folder), Interrupt())
    fit(resumed, keras.callbacks.BackupAndRestore(folder))
    assert_same_masks(resumed, whole)
    assert_predictions(resumed, whole.predict(inputs(), verbose=0))
