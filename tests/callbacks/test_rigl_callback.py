"""RigL in `fit`: the gradient of batch k decides before batch k + 1."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from keras_sparse_rnn.engine import library
from keras_sparse_rnn.engine import recurrence
from tests import dense_twin
from tests.callbacks import by_hand
from tests.callbacks import tiny

BATCH, BATCHES = 8, 4


class ByHand(keras.callbacks.Callback):
    """What RigL should do before each batch, computed from the last one.

    Put it behind the callback that rewires. `rewired` holds the epoch, batch
    and step before which a mask was changed, and whether to what it should.
    """

    def __init__(self, data, rate, layers=None):
        super().__init__()
        self.x, self.y = data
        self.rate = rate
        self.layers = layers
        self.rewired = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.gradients = epoch, None

    def on_train_batch_begin(self, batch, logs=None):
        weights = ksr.sparse_weights(self.model, self.layers)
        now = by_hand.states(weights)
        step = int(self.model.optimizer.iterations)
        if self.gradients is None:
            # Nothing of this epoch is known yet.
            assert not batch
            if step:
                assert same_masks(now, self.trained)
        elif not same_masks(now, self.trained):
            rate = self.rate(self.epoch, batch, step)
            expected = [
                by_hand.mask_by(gradient, state, rate)
                for gradient, state in zip(
                    self.gradients, self.trained, strict=True
                )
            ]
            for state, mask in zip(now, expected, strict=True):
                np.testing.assert_array_equal(state.mask, mask)
            self.rewired.append((self.epoch, batch, step))
        part = slice(batch * BATCH, (batch + 1) * BATCH)
        gradients = dense_twin.dense_gradients(
            self.model, self.x[part], self.y[part]
        )
        paths = {weight.path for weight in weights}
        self.gradients = [
            gradient
            for gradient, weight in zip(
                gradients, ksr.sparse_weights(self.model), strict=True
            )
            if weight.path in paths
        ]

    def on_train_batch_end(self, batch, logs=None):
        weights = ksr.sparse_weights(self.model, self.layers)
        self.trained = by_hand.states(weights)


def same_masks(first, second):
    return all(
        np.array_equal(one.mask, other.mask)
        for one, other in zip(first, second, strict=True)
    )


def cosine(progress):
    return (1 + math.cos(math.pi * progress)) / 2


def by_progress(epochs, rate=0.4):
    return lambda epoch, batch, step: (
        rate * cosine((epoch + batch / BATCHES) / epochs)
    )


def by_steps(end, rate=0.4):
    return lambda epoch, batch, step: rate * cosine(step / end)


def by_epochs(epochs, rate=0.4):
    return lambda epoch, batch, step: rate * cosine(epoch / epochs)


@pytest.mark.parametrize(
    ("options", "rate", "expected"),
    [
        # In steps 3, 6, 9; step 12 begins the epoch 3, of which nothing is
        # known before its second batch.
        (
            {"frequency": 3},
            by_progress(4),
            [(0, 3, 3), (1, 2, 6), (2, 1, 9), (3, 1, 13)],
        ),
        (
            {"frequency": 1},
            by_progress(4),
            # At the last step the rate is so low that nothing moves.
            [(e, b, 4 * e + b) for e in range(4) for b in (1, 2, 3)][:-1],
        ),
        (
            {"frequency": 4, "start": 6, "end": 13},
            by_steps(13),
            [(1, 2, 6), (2, 2, 10)],
        ),
        (
            {"frequency": "epoch"},
            by_epochs(4),
            [(1, 1, 5), (2, 1, 9), (3, 1, 13)],
        ),
        (
            {"frequency": "2 epochs", "start": 0, "end": 3},
            by_epochs(3),
            [(0, 1, 1), (2, 1, 9)],
        ),
    ],
    ids=["3 steps", "each step", "from to", "epochs", "2 epochs"],
)
def test_the_choice_is_that_of_the_last_batchs_gradient(
    options, rate, expected
):
    model = tiny.text_model(keras.optimizers.Adam(0.02), run_eagerly=True)
    reference = ByHand(tiny.tokens(), rate)
    tiny.fit(model, ksr.RigLCallback(0.4, **options), reference, epochs=4)
    assert reference.rewired == expected
    tiny.assert_zero_where_empty(model)


MODELS = {
    "masked": lambda **options: tiny.text_model(
        keras.optimizers.Adam(0.02), dropout=0.2, **options
    ),
    "native": lambda **options: tiny.text_model(
        keras.optimizers.Adam(0.02), engine="native", **options
    ),
    "xla": lambda **options: tiny.text_model(
        keras.optimizers.SGD(0.1, 0.9), jit_compile=True, **options
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_choice_in_traced_functions(name):
    if name == "native" and not library.is_available():
        pytest.skip("The native kernels were not built.")
    model = MODELS[name]()
    reference = ByHand(tiny.tokens(), by_progress(2))
    tiny.fit(model, ksr.RigLCallback(0.4, 3), reference, epochs=2)
    assert reference.rewired == [(0, 3, 3), (1, 2, 6)]
    tiny.assert_zero_where_empty(model)


def plain_function(model):
    """Makes the plain training function, to see that it is kept."""
    model.make_train_function()
    return model.train_function


class Traces(keras.callbacks.Callback):
    """Which training function each batch was trained with."""

    def __init__(self):
        super().__init__()
        self.before, self.after = [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.before.append(self.model.train_function)

    def on_train_batch_end(self, batch, logs=None):
        self.after.append(self.model.train_function)


def test_steps_in_between_and_after_are_the_plain_ones():
    model = tiny.dense_model()
    variables = [variable.path for variable in model.variables]
    traces = []
    train_step = model.train_step

    def counted(data):
        traces.append(1)
        return train_step(data)

    model.train_step = counted
    tiny.fit(model, epochs=1)
    plain = plain_function(model)
    del traces[:]
    seen = Traces()
    tiny.fit(model, ksr.RigLCallback(0.4, frequency=3), seen, epochs=2)
    noting = [
        step for step, each in enumerate(seen.before) if each is not plain
    ]
    # Rewired before batch 1, at step 5, and 5, at step 9. Batches 3 and 7 come
    # before steps 8 and 12 too, but there an epoch ends.
    assert noting == [0, 4]
    assert all(each is plain for each in seen.after)
    assert model.train_function is plain
    # Once for the steps that note gradients, and never again the plain one.
    tiny.fit(model, epochs=1)
    assert len(traces) == 1
    assert [variable.path for variable in model.variables] == variables
    [weight] = ksr.sparse_weights(model)
    assert weight.rewirings == 2


def test_a_model_that_was_trained_before_notes_gradients():
    model = tiny.dense_model()
    tiny.fit(model, epochs=1)
    for count in (2, 4):
        tiny.fit(model, ksr.RigLCallback(0.4, "epoch"), epochs=3)
        assert [w.rewirings for w in ksr.sparse_weights(model)] == [count]


class Interrupt(keras.callbacks.Callback):
    def __init__(self, batch, hook):
        super().__init__()
        self.batch = batch
        setattr(self, hook, self.interrupt)

    def interrupt(self, batch, logs=None):
        if batch == self.batch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end"])
@pytest.mark.parametrize("compiled_anew", [False, True])
def test_a_fit_that_is_broken_off_leaves_the_next_right(
    batch, hook, compiled_anew
):
    model, twin = tiny.dense_model("sgd"), tiny.dense_model("sgd")
    tiny.fit(model, epochs=1)
    plain = plain_function(model)
    twin.set_weights(model.get_weights())
    twin.optimizer.iterations.assign(4)
    for each in (model, twin):
        rigl = ksr.RigLCallback(0.4, frequency=3, start=6)
        with pytest.raises(KeyboardInterrupt):
            tiny.fit(each, rigl, Interrupt(batch, hook), epochs=1)
    assert tiny.same(tiny.state(model), tiny.state(twin))
    if compiled_anew:
        # The rate shows which optimizer trains.
        model.compile(keras.optimizers.SGD(0.5), "mse")
        twin = tiny.dense_model(keras.optimizers.SGD(0.5))
    else:
        twin = tiny.dense_model("sgd")
        twin.optimizer.iterations.assign(model.optimizer.iterations)
    twin.set_weights(model.get_weights())
    for each in (model, twin):
        tiny.fit(each, epochs=1)
    assert (model.train_function is plain) is not compiled_anew
    for each in (model, twin):
        tiny.fit(each, ksr.RigLCallback(0.4, frequency=2), epochs=1)
    assert tiny.same(tiny.state(model), tiny.state(twin))
    assert (model.train_function is plain) is not compiled_anew
    assert "_noting_train_functions" not in vars(model)


@pytest.fixture
def native_calls(monkeypatch):
    """Counts the calls of the native recurrence."""
    if not library.is_available():
        pytest.skip("The native kernels were not built.")
    calls = []
    original = recurrence.forward

    def forward(*args):
        calls.append(1)
        return original(*args)

    monkeypatch.setattr(recurrence, "forward", forward)
    return calls


@pytest.mark.parametrize("rule", ["rigl", "snfs"])
def test_a_failure_within_a_step_does_not_reach_other_functions(
    rule, native_calls
):
    model = tiny.text_model("sgd", engine="native")
    x, y = tiny.tokens()
    unknown_words = x[:8] + 1000
    batches = ((each, y[:8]) for each in (x[:8], x[:8], unknown_words))
    callback = ksr.RewiringCallback(0.4, rule, frequency=1, end=9)
    with pytest.raises(tf.errors.InvalidArgumentError):
        tiny.fit(model, callback, x=batches, y=None, epochs=1)
    del native_calls[:]
    # Traced now, and natively.
    model.predict(x, verbose=0)
    assert len(native_calls) == 1


@pytest.mark.parametrize("rule", ["rigl", "snfs"])
def test_validation_in_fit_stays_native(rule, native_calls):
    model = tiny.text_model(engine="native")
    callback = ksr.RewiringCallback(0.4, rule, frequency=1)
    # Each step of training notes gradients, on the masked engine, but for an
    # epoch's last one with RigL, which would lose its gradient.
    tiny.fit(model, callback, epochs=2, validation_data=tiny.tokens(24))
    assert len(native_calls) == 2 * (3 + (rule == "rigl"))
    assert model.get_layer("lstm").engine_in_use == "native"


def test_two_callbacks_on_different_layers_at_times_of_their_own():
    model = tiny.text_model(keras.optimizers.Adam(0.02))
    references = [
        ByHand(tiny.tokens(), by_progress(3), ["lstm"]),
        ByHand(tiny.tokens(), by_progress(3, 0.6), ["sparse_embedding"]),
    ]
    tiny.fit(
        model,
        ksr.RigLCallback(0.4, frequency=3, layers=["lstm"]),
        ksr.RigLCallback(0.6, frequency=2, layers=["sparse_embedding"]),
        *references,
        epochs=3,
    )
    assert references[0].rewired == [(0, 3, 3), (1, 2, 6), (2, 1, 9)]
    # At step 11 the rate is so low that nothing moves.
    assert references[1].rewired == [
        (0, 2, 2),
        (1, 1, 5),
        (1, 3, 7),
        (2, 1, 9),
    ]
    tiny.assert_zero_where_empty(model)


def test_rigl_beside_snfs_on_other_layers():
    model = tiny.text_model(keras.optimizers.Adam(0.02))
    reference = ByHand(tiny.tokens(), by_progress(2), ["lstm"])
    tiny.fit(
        model,
        ksr.SNFSCallback(0.5, layers=["sparse_embedding"]),
        ksr.RigLCallback(0.4, frequency=3, layers=["lstm"]),
        reference,
        epochs=2,
    )
    assert reference.rewired == [(0, 3, 3), (1, 2, 6)]
    rewirings = [weight.rewirings for weight in ksr.sparse_weights(model)]
    assert rewirings == [1, 2, 2]


def test_frozen_layers_are_neither_waited_for_nor_rewired():
    model = tiny.text_model()
    model.layers[0].trainable = False
    model.compile("adam", "mse")
    tiny.fit(model, ksr.RigLCallback(0.4, frequency=3), epochs=2)
    rewirings = [weight.rewirings for weight in ksr.sparse_weights(model)]
    assert rewirings == [0, 2, 2]


@pytest.mark.parametrize("frequency", [1, "epoch"])
def test_a_training_in_which_it_only_waits_is_warned_of(frequency):
    model = tiny.dense_model()
    callback = ksr.RigLCallback(0.4, frequency)
    match = (
        r"RigLCallback rewired nothing: .* Received: layers=\['.*sparse/kernel"
    )
    with pytest.warns(UserWarning, match=match):
        # One batch an epoch: there is no second one to rewire before.
        tiny.fit(model, callback, batch_size=32)
    assert [weight.rewirings for weight in ksr.sparse_weights(model)] == [0]


def test_weights_that_the_loss_does_not_depend_on_are_warned_of():
    inputs = keras.Input((tiny.LENGTH,))
    used = ksr.SparseDense(1, sparsity=0.5, name="used")(inputs)
    unused = ksr.SparseDense(1, sparsity=0.5, name="unused")(inputs)
    model = keras.Model(inputs, [used, unused])
    model.compile("sgd", ["mse", None], run_eagerly=True)
    x, y = tiny.tokens()
    with (
        pytest.warns(UserWarning, match="Gradients do not exist"),
        pytest.warns(UserWarning, match=r"the loss must depend .*unused"),
    ):
        tiny.fit(model, ksr.RigLCallback(0.4, 2), x=x, y=[y, y])


def test_after_the_end_no_gradients_are_noted():
    model = tiny.dense_model(run_eagerly=True)
    seen = Traces()
    plain = plain_function(model)
    tiny.fit(model, ksr.RigLCallback(0.4, 2, end=5), seen)
    noting = [
        step for step, each in enumerate(seen.before) if each is not plain
    ]
    # Before step 2, and before 5, for 4 begins an epoch; and 5 is the end.
    assert noting == [1, 4]
    assert [weight.rewirings for weight in ksr.sparse_weights(model)] == [1]


@pytest.mark.parametrize(
    ("steps_per_execution", "expected"), [(2, [4, 10, 14]), (3, [3, 6, 11, 14])]
)
def test_several_steps_in_one_execution(steps_per_execution, expected):
    x, y = tiny.tokens(64)
    model = tiny.dense_model(steps_per_execution=steps_per_execution)
    recorder = tiny.Recorder()
    callback = ksr.RigLCallback(0.4, frequency=3)
    tiny.fit(model, callback, recorder, epochs=2, x=x, y=y)
    assert recorder.steps_rewired() == expected
    tiny.assert_zero_where_empty(model)


class SumByHand(ByHand):
    """The gradient of the micro-batches of an update, which are few."""

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch, logs)
        if int(self.model.optimizer._iterations) % 2:
            self.gradients = [
                one + other
                for one, other in zip(self.first, self.gradients, strict=True)
            ]
        self.first = self.gradients


def test_accumulated_gradients_are_summed():
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    model = tiny.text_model(optimizer, run_eagerly=True)
    reference = SumByHand(tiny.tokens(), by_progress(3))
    tiny.fit(model, ksr.RigLCallback(0.4, 2), reference)
    # Updates 2, 4, 6: 4 batches are 2 updates, and begin an epoch.
    assert reference.rewired == [(1, 2, 3), (2, 2, 5)]
    tiny.assert_zero_where_empty(model)


class Overflow(keras.callbacks.Callback):
    """Scales the loss so that the gradient of some steps overflows."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def on_train_batch_begin(self, batch, logs=None):
        scale = self.model.optimizer.dynamic_scale
        scale.assign(np.inf if batch in self.batches else 1024.0)


def test_after_a_step_that_overflowed_it_waits():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())
    model = tiny.text_model(optimizer, run_eagerly=True)
    recorder = tiny.Recorder()
    reference = ByHand(tiny.tokens(), by_progress(2))
    tiny.fit(model, epochs=1)
    optimizer.iterations.assign(0)
    callback = ksr.RigLCallback(0.4, 2)
    tiny.fit(model, Overflow({1}), callback, recorder, reference, epochs=2)
    # Batch 1 is skipped; so step 1 is made twice, in batches 1 and 2.
    assert [entry[2] for entry in recorder.before] == [0, 1, 1, 2, 3, 4, 4, 5]
    assert reference.rewired == [(0, 3, 2), (1, 1, 4)]


def test_a_model_that_is_saved_and_loaded_goes_on_as_it_would(tmp_path):
    model = tiny.dense_model()
    tiny.fit(model, ksr.RigLCallback(0.4, 3), epochs=2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        tiny.fit(each, ksr.RigLCallback(0.4, 3), epochs=2)
    assert tiny.same(*map(tiny.state_without_seeds, (model, loaded)))
