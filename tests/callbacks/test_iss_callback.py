"""Hidden units that are learnt to be removed, in `fit`."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr

L = keras.layers


def data(samples=128):
    """The mean over time of the first of three features."""
    x = np.random.default_rng(0).normal(size=(samples, 6, 3))
    return x.astype("float32"), x[:, :, :1].mean(axis=1).astype("float32")


def made(optimizer="adam", units=8):
    model = keras.Sequential(
        [keras.Input((6, 3)), L.LSTM(units, name="lstm"), L.Dense(1)]
    )
    model.compile(optimizer, "mse", jit_compile=False)
    return model


def fit(model, *callbacks, epochs=3, samples=32, **arguments):
    x, y = data(samples)
    return model.fit(
        x,
        y,
        batch_size=16,
        shuffle=False,
        epochs=epochs,
        verbose=0,
        callbacks=list(callbacks),
        **arguments,
    )


def in_groups(model):
    """The weights that units are made of and read by."""
    kernel, recurrent, _, dense, _ = model.get_weights()
    return np.concatenate([each.ravel() for each in (kernel, recurrent, dense)])


def smallest(model):
    """The smallest |w| in the groups that is not zero."""
    size = np.abs(in_groups(model))
    return size[size > 0].min()


def test_a_strong_penalty_kills_units_that_the_task_does_not_need():
    steps = 40 * 8
    decay = keras.optimizers.schedules.CosineDecay(0.02, steps)
    model = made(keras.optimizers.Adam(decay))
    callback = ksr.ISSCallback(strength=0.01)
    alive = fit(model, callback, epochs=40, samples=128).history["alive_units"]
    assert alive[0] == 8
    assert 1 <= alive[-1] <= 4
    smaller = ksr.shrink(model)
    assert smaller.get_layer("lstm").units == alive[-1]
    x, y = data()
    np.testing.assert_allclose(smaller(x), model(x), rtol=1e-4, atol=1e-6)
    assert np.mean((np.asarray(smaller(x)) - y) ** 2) < 0.2 * np.var(y)
    assert smaller.count_params() < 0.5 * model.count_params()


def test_small_weights_are_zero_after_each_epoch():
    seen = []

    class Observer(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(
                (smallest(self.model), (in_groups(self.model) == 0).sum())
            )

    model = made()
    fit(model, ksr.ISSCallback(1e-3, threshold=0.1), Observer())
    assert len(seen) == 3
    assert all(size >= 0.1 and zeros > 10 for size, zeros in seen)


@pytest.mark.parametrize("first", [True, False])
def test_what_is_validated_and_saved_has_no_small_weights(tmp_path, first):
    model = made()
    callbacks = [
        ksr.ISSCallback(1e-3, threshold=0.1),
        keras.callbacks.ModelCheckpoint(
            tmp_path / "{epoch}.weights.h5", save_weights_only=True
        ),
    ]
    history = fit(
        model,
        *(callbacks if first else callbacks[::-1]),
        validation_data=data(8),
    ).history
    for epoch in (1, 2, 3):
        model.load_weights(tmp_path / f"{epoch}.weights.h5")
        assert smallest(model) >= 0.1
        validated = model.evaluate(*data(8), verbose=0)
        assert history["val_loss"][epoch - 1] == pytest.approx(validated)


def test_the_regularizer_is_added_once_and_to_what_was_traced_before():
    model = made()
    plain = fit(model, epochs=1).history["loss"][0]
    before = model.get_weights()
    fit(model, ksr.ISSCallback(10.0, threshold=0), epochs=1)
    [penalty] = model.losses
    model.set_weights(before)
    loss = fit(model, ksr.ISSCallback(10.0, threshold=0), epochs=1).history
    assert loss["loss"][0] > plain + 10
    assert len(model.losses) == 1
    traced = model.train_function
    fit(model, ksr.ISSCallback(10.0), epochs=1)
    assert model.train_function is traced
    fit(model, ksr.ISSCallback(5.0), epochs=1)
    assert float(model.losses[0]) < 0.75 * float(penalty)


class Killer(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (2, 0):
            raise KeyboardInterrupt


@pytest.mark.parametrize("validates", [False, True])
@pytest.mark.parametrize("order", ["iss backup", "backup iss"])
def test_a_run_that_was_killed_ends_as_one_that_was_not(
    tmp_path, order, validates
):
    arguments = {"validation_data": data(8)} if validates else {}

    def run(name, *more):
        keras.utils.set_random_seed(1)
        model = made(keras.optimizers.SGD(0.1, momentum=0.9))
        callbacks = {
            "iss": ksr.ISSCallback(1e-2, threshold=0.1),
            "backup": keras.callbacks.BackupAndRestore(tmp_path / name),
        }
        listed = [callbacks[each] for each in order.split()]
        fit(model, *listed, *more, epochs=4, **arguments)
        return [*model.get_weights(), *model.optimizer.variables]

    whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("killed", Killer())
    for one, other in zip(whole, run("killed"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_evaluation_changes_nothing():
    model = made()
    callback = ksr.ISSCallback(1e-3, threshold=0.1)
    fit(model, callback)
    model.set_weights([each + 0.05 for each in model.get_weights()])
    before = model.get_weights()
    model.evaluate(*data(8), verbose=0, callbacks=[callback])
    for then, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(then, now)
    assert smallest(model) < 0.1


def test_averaged_weights_have_no_small_ones_in_the_end():
    model = made(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    fit(model, ksr.ISSCallback(1e-3, threshold=0.1))
    assert smallest(model) >= 0.1


def test_models_it_cannot_train_are_refused():
    unbuilt = keras.Sequential([L.LSTM(4), L.Dense(1)])
    unbuilt.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"must be built.*Received: model="):
        fit(unbuilt, ksr.ISSCallback(0.1))
    model = keras.Sequential([keras.Input((6, 3)), L.LSTM(1)])
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"are outputs of.*Received: model="):
        fit(model, ksr.ISSCallback(0.1))
