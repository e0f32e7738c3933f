"""When averages begin, and what sees them."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr


def make_model(optimizer=None, **compile_args):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            ksr.SparseDense(6, sparsity=0.5, topology_seed=1),
            keras.layers.Dense(2),
        ]
    )
    optimizer = optimizer or ksr.AveragedSGD(0.2, momentum=0.5)
    model.compile(optimizer, "mse", **compile_args)
    return model


def arrays():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(16, 4)).astype("float32")
    return x, rng.normal(size=(16, 2)).astype("float32")


def fit(model, *callbacks, epochs=6, **options):
    x, y = arrays()
    # The better it is trained the worse it is at this.
    options = {"validation_data": (x, -y), **options}
    return model.fit(
        x,
        y,
        batch_size=4,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[*callbacks],
        **options,
    ).history


def epochs_told(callback, values):
    """Tells a callback results, and returns when averaging began."""
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch)
        callback.on_test_begin()
        callback.on_test_end({"loss": value})
        callback.on_epoch_end(epoch, {"val_loss": value})
        if callback.model.optimizer.is_averaging:
            return epoch
    return None


def began_by_the_paper(values, patience):
    history = []
    for epoch, value in enumerate(values):
        if len(history) > patience and value > min(history[:-patience]):
            return epoch
        history.append(value)
    return None


def falling(epochs, noise, seed):
    rng = np.random.default_rng(seed)
    values = np.linspace(1, 0, epochs) + noise * rng.normal(size=epochs)
    return [float(value) for value in values.astype("float32")]


@pytest.mark.parametrize("patience", [1, 2, 5, 100])
def test_averaging_begins_where_the_paper_says(patience):
    model = make_model()
    began = set()
    for epochs, noise, seed in [
        (8, 0.0, 0),
        *((30, 0.1, seed) for seed in range(6)),
        *((140, 0.3, seed) for seed in range(3)),
    ]:
        model.optimizer = ksr.AveragedSGD(0.1)
        callback = ksr.NonMonotoneAveraging(patience=patience)
        callback.set_model(model)
        values = falling(epochs, noise, seed)
        expected = began_by_the_paper(values, patience)
        assert epochs_told(callback, values) == expected
        began.add(expected)
    assert None in began
    assert len(began) > 2 or patience == 100
    assert len(began) > 1


def test_equal_values_do_not_begin_it():
    callback = ksr.NonMonotoneAveraging(patience=2)
    callback.set_model(make_model())
    assert epochs_told(callback, [1.0] * 6) is None
    assert epochs_told(callback, [1.0, 1.0, 1.5]) == 2


@pytest.mark.parametrize(
    ("mode", "values", "began"),
    [
        ("max", [0.1, 0.5, 0.6, 0.7, 0.4], 4),
        ("max", [0.1, 0.5, 0.6, 0.7, 0.65], None),
        ("min", [0.1, 0.5], None),
        ("min", [0.1, 0.5, 0.6], 2),
        ("min", [3.0, 2.0, np.nan], 2),
        ("min", [np.nan, np.nan, 1.0, 0.5, 0.9], None),
        ("max", [3.0, 2.0, np.nan], 2),
    ],
)
def test_what_is_worse(mode, values, began):
    callback = ksr.NonMonotoneAveraging(patience=1, mode=mode)
    callback.set_model(make_model())
    assert epochs_told(callback, values) == began


class Looker(keras.callbacks.Callback):
    """What is there at each epoch's end, and what the averages give."""

    def __init__(self, averaging):
        super().__init__()
        self.averaging = averaging
        self.weights, self.losses = [], []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.get_weights())
        x, y = arrays()
        with self.averaging.averaged_weights():
            loss = self.model.evaluate(x, -y, verbose=0)
        self.losses.append(loss)


@pytest.mark.parametrize("looks_first", [False, True])
def test_validation_sees_averages_and_training_goes_on_from_weights(
    looks_first,
):
    model = make_model()
    averaging = ksr.NonMonotoneAveraging(patience=1)
    looker = Looker(averaging)
    callbacks = [looker, averaging] if looks_first else [averaging, looker]
    history = fit(model, *callbacks)
    began = began_by_the_paper(history["val_loss"], 1)
    assert 1 < began < 4
    assert history["averaging"] == [0] * (began + 1) + [1] * (5 - began)
    assert model.optimizer.averaging_since == 4 * (began + 1)
    np.testing.assert_allclose(history["val_loss"], looker.losses, rtol=1e-6)

    plain = make_model(keras.optimizers.SGD(0.2, momentum=0.5))
    its_looker = Looker(averaging=ksr.NonMonotoneAveraging())
    its_looker.averaging.averaged_weights = looker.averaging.averaged_weights
    its_history = fit(plain, its_looker)
    for ours, theirs in zip(looker.weights, its_looker.weights, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)
    # In the end it is the averages that are evaluated.
    for epoch in range(began + 1, 6):
        assert history["val_loss"][epoch] != its_history["val_loss"][epoch]
    x, y = arrays()
    last = model.evaluate(x, -y, verbose=0)
    assert last == pytest.approx(history["val_loss"][-1], rel=1e-6)


def test_checkpoints_are_of_what_training_goes_on_from(tmp_path):
    model = make_model()
    averaging = ksr.NonMonotoneAveraging(patience=1)
    checkpoints = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}.weights.h5", save_weights_only=True
    )
    looker = Looker(averaging)
    fit(model, checkpoints, looker, averaging)
    loaded = make_model()
    loaded.optimizer.build(loaded.trainable_variables)
    loaded.load_weights(tmp_path / "6.weights.h5")
    for one, other in zip(
        loaded.get_weights(), looker.weights[-1], strict=True
    ):
        np.testing.assert_array_equal(one, other)
    with loaded.optimizer.averaged_weights():
        averages = loaded.get_weights()
    for one, other in zip(averages, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_inside_of_loss_scaling():
    inner = ksr.AveragedSGD(0.2)
    model = make_model(keras.optimizers.LossScaleOptimizer(inner))
    history = fit(model, ksr.NonMonotoneAveraging(patience=1))
    assert inner.is_averaging
    assert history["averaging"][-1] == 1


def test_an_evaluation_by_itself_sees_averages_too():
    model = make_model()
    averaging = ksr.NonMonotoneAveraging(patience=1)
    fit(model, averaging)
    x, y = arrays()
    averages = model.evaluate(x, y, verbose=0)
    model.train_on_batch(x, y)
    trained = model.get_weights()
    seen = model.evaluate(x, y, verbose=0, callbacks=[averaging])
    assert seen != model.evaluate(x, y, verbose=0)
    assert seen == pytest.approx(averages, rel=0.2)
    for one, other in zip(trained, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_second_fit_goes_on_with_the_values_seen():
    model = make_model()
    expected = fit(make_model(), ksr.NonMonotoneAveraging(patience=1))
    began = began_by_the_paper(expected["val_loss"], 1)
    for _ in range(began + 1):
        assert not model.optimizer.is_averaging
        fit(model, ksr.NonMonotoneAveraging(patience=1), epochs=1)
    assert model.optimizer.is_averaging


class Breaks(keras.callbacks.Callback):
    def on_test_batch_end(self, batch, logs=None):
        if self.model.optimizer.is_averaging:
            raise KeyboardInterrupt


def broken_off(model, averaging):
    """Breaks an evaluation of averages off, and returns the weights before."""
    looker = Looker(averaging)
    with pytest.raises(KeyboardInterrupt):
        fit(model, averaging, looker, Breaks())
    averages = model.get_weights()
    trained = make_model()
    its = Looker(ksr.NonMonotoneAveraging(patience=1))
    fit(trained, its.averaging, its, epochs=len(looker.weights) + 1)
    assert (averages[0] != its.weights[-1][0]).any()
    return its.weights[-1]


class Begins(keras.callbacks.Callback):
    """The weights that training begins with."""

    def on_train_batch_begin(self, batch, logs=None):
        if not hasattr(self, "weights"):
            self.weights = self.model.get_weights()


def assert_equal(values, expected):
    for one, other in zip(values, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("is_new", [False, True])
def test_fit_goes_on_from_the_weights_after_an_evaluation_was_broken_off(
    is_new,
):
    model, averaging = make_model(), ksr.NonMonotoneAveraging(patience=1)
    trained = broken_off(model, averaging)
    if is_new:
        averaging = ksr.NonMonotoneAveraging(patience=1)
    # One that is not broken off in between changes nothing.
    model.evaluate(*arrays(), verbose=0, callbacks=[averaging])
    begins = Begins()
    fit(model, averaging, begins, epochs=1)
    assert_equal(begins.weights, trained)


@pytest.mark.parametrize("is_new", [False, True])
def test_what_is_loaded_after_an_evaluation_was_broken_off_stays(is_new):
    model, averaging = make_model(), ksr.NonMonotoneAveraging(patience=1)
    broken_off(model, averaging)
    if is_new:
        averaging = ksr.NonMonotoneAveraging(patience=1)
    loaded = [
        each + 1 if each.dtype == "float32" and each.ndim == 1 else each
        for each in make_model().get_weights()
    ]
    model.set_weights(loaded)
    begins = Begins()
    fit(model, averaging, begins, epochs=1)
    assert_equal(begins.weights, loaded)


class Interrupts(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def worse(model, averaging):
    """Evaluates at what is worse than validation was."""
    x, y = arrays()
    model.evaluate(x, 100 - y, verbose=0, callbacks=[averaging])


def test_an_evaluation_after_fit_was_broken_off_is_no_validation():
    model, averaging = make_model(), ksr.NonMonotoneAveraging(patience=1)
    with pytest.raises(KeyboardInterrupt):
        fit(model, averaging, Interrupts())
    before = np.array(model.optimizer.monitored_values)
    worse(model, averaging)
    np.testing.assert_array_equal(model.optimizer.monitored_values, before)
    assert not model.optimizer.is_averaging


def test_an_evaluation_of_its_own_within_fit_is_no_validation():
    expected = fit(make_model(), ksr.NonMonotoneAveraging(patience=1))
    averaging = ksr.NonMonotoneAveraging(patience=1)
    evaluates = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: worse(model, averaging)
    )
    model = make_model()
    assert fit(model, averaging, evaluates) == expected


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_other_optimizers_are_refused(optimizer):
    with pytest.raises(ValueError, match=r"AveragedSGD`.*Received: optimizer="):
        fit(make_model(optimizer), ksr.NonMonotoneAveraging())


def test_what_validation_does_not_give_is_refused_with_what_it_gives():
    model = make_model(metrics=["mae"])
    with pytest.raises(
        ValueError,
        match=r"\['val_loss', 'val_mae'\].*Received: monitor='val_perplexity'",
    ):
        fit(model, ksr.NonMonotoneAveraging("val_perplexity"))


@pytest.mark.parametrize(
    "options", [{"validation_data": None}, {"validation_freq": 2}]
)
def test_epochs_without_validation_are_refused(options):
    with pytest.raises(
        ValueError, match=r"validation in each epoch.*logs=\['loss'\]"
    ):
        fit(make_model(), ksr.NonMonotoneAveraging(), **options)


@pytest.mark.parametrize(
    "arguments",
    [
        {"monitor": "loss"},
        {"monitor": None},
        {"patience": 0},
        {"patience": -1},
        {"patience": 1.5},
        {"patience": 101},
        {"mode": "auto"},
    ],
)
def test_arguments_out_of_range_are_refused(arguments):
    [(name, value)] = arguments.items()
    with pytest.raises(ValueError, match=rf"Received: {name}={value!r}$"):
        ksr.NonMonotoneAveraging(**arguments)
