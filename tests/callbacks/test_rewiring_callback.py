"""Fits that follow one another, weights from outside, and bad input."""

import logging
import math
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from tests.callbacks import tiny


@pytest.mark.parametrize("epochs", [2, 3])
@pytest.mark.parametrize("recompiled", [False, True])
def test_a_second_fit_rewires_at_its_own_epochs(epochs, recompiled):
    model = tiny.dense_model()
    rates = [
        0.2 * (1 + math.cos(math.pi * epoch / epochs))
        for epoch in range(1, epochs)
    ]
    for count in (1, 2, 3):
        recorder = tiny.Recorder()
        history = tiny.fit(
            model, ksr.SETCallback(0.4), recorder, epochs=epochs
        ).history
        np.testing.assert_allclose(history["rewire_rate"], [0, *rates])
        [weight] = ksr.sparse_weights(model)
        assert weight.rewirings == count * (epochs - 1)
        assert recorder.rewired_before()[:1] == [(1, 0)]
        tiny.assert_zero_where_empty(model)
        if recompiled:
            model.compile("adam", "mse")


def test_the_history_of_masks_depends_on_seeds_alone():
    histories = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        keras.utils.clear_session()
        model = tiny.dense_model()
        read = []
        for _ in range(2):
            recorder = tiny.Recorder()
            tiny.fit(model, ksr.SETCallback(0.6), recorder)
            read += [entry[3] for entry in recorder.before]
        histories.append(np.array(read))
        # Other names in between make no difference.
        tiny.dense_model()
    np.testing.assert_array_equal(*histories)
    assert len(np.unique(histories[0], axis=0)) == 5


def test_fit_from_an_epoch_on_is_as_one_fit():
    whole, parts = tiny.dense_model(), tiny.dense_model()
    parts.set_weights(whole.get_weights())
    callback = ksr.SETCallback(0.6, end=5)
    tiny.fit(whole, callback, epochs=5)
    for epoch in range(0, 5, 2):
        last = min(epoch + 2, 5)
        tiny.fit(parts, callback, initial_epoch=epoch, epochs=last)
    assert tiny.same(tiny.state(whole), tiny.state(parts))


@pytest.mark.parametrize("stopped_at", [0, 2])
def test_an_epoch_that_was_broken_off_is_not_rewired_again(stopped_at):
    class BreakOff(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_begin(self, batch, logs=None):
            if (self.epoch, batch) == (2, stopped_at):
                raise KeyboardInterrupt

    model = tiny.dense_model()
    with pytest.raises(KeyboardInterrupt):
        tiny.fit(model, ksr.SETCallback(0.6), BreakOff(), epochs=4)
    [weight] = ksr.sparse_weights(model)
    assert weight.rewirings == 2
    recorder = tiny.Recorder()
    callback = ksr.SETCallback(0.6)
    tiny.fit(model, callback, recorder, initial_epoch=2, epochs=4)
    assert weight.rewirings == 3
    assert recorder.rewired_before() == [(3, 0)]


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize("accumulation", [None, 3])
@pytest.mark.parametrize("length_is_known", [True, False])
def test_an_epoch_that_is_over_is_rewired_when_done_again(
    accumulation, length_is_known
):
    model = tiny.dense_model(
        keras.optimizers.Adam(gradient_accumulation_steps=accumulation)
    )
    x, y = tiny.tokens()
    for count in (1, 2, 3):
        batches = [(x[i : i + 8], y[i : i + 8]) for i in range(0, 32, 8)]
        data = (x, y) if length_is_known else ((b for b in batches), None)
        callback = ksr.SETCallback(0.4, start=0)
        tiny.fit(model, callback, epochs=1, x=data[0], y=data[1])
        assert [w.rewirings for w in ksr.sparse_weights(model)] == [count]


class Network(keras.Model):
    """The same attribute names with and without sparsity."""

    def __init__(self, sparse):
        super().__init__()
        if sparse:
            self.embedding = ksr.SparseEmbedding(12, 8, sparsity=0.5)
            self.recurrent = ksr.SparseGRU(4, sparsity=0.5)
        else:
            self.embedding = keras.layers.Embedding(12, 8)
            self.recurrent = keras.layers.GRU(4)
        self.readout = keras.layers.Dense(1)

    def call(self, inputs):
        return self.readout(self.recurrent(self.embedding(inputs)))


@pytest.mark.parametrize("frequency", ["epoch", 2])
def test_a_dense_checkpoint_is_brought_in_order(frequency, tmp_path):
    x, _ = tiny.tokens()
    dense = Network(sparse=False)
    dense.compile("adam", "mse", run_eagerly=True)
    tiny.fit(dense, epochs=1)
    checkpoint = tf.train.Checkpoint(model=dense, optimizer=dense.optimizer)
    path = checkpoint.save(tmp_path / "dense")

    model = Network(sparse=True)
    model.compile("adam", "mse", run_eagerly=True)
    model(x)
    model.optimizer.build(model.trainable_variables)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
    checkpoint.restore(path).expect_partial()
    with pytest.raises(AssertionError):
        tiny.assert_zero_where_empty(model)
    callback = ksr.SETCallback(0.4, frequency=frequency)
    recorder = tiny.Recorder()
    tiny.fit(model, callback, recorder, epochs=1)
    tiny.assert_zero_where_empty(model)
    _, masks, values = recorder.before[0][2:]
    if frequency == "epoch":
        # What is a connection was kept, so that nothing else has changed.
        for weight, mask, value, dense_weight in zip(
            ksr.sparse_weights(model),
            masks,
            values,
            dense.weights[:3],
            strict=True,
        ):
            kept = np.where(mask, np.array(dense_weight), 0)
            np.testing.assert_array_equal(value, kept, weight.path)
    else:
        # The optimizer came with four steps: the first batch is due.
        assert min(weight.rewirings for weight in ksr.sparse_weights(model)) > 1


@pytest.mark.parametrize("options", [{"start": 0}, {"frequency": 1}])
def test_what_is_due_before_the_model_is_built_waits(options):
    model = tiny.text_model(with_input=False, run_eagerly=True)
    model.optimizer.iterations.assign(7)
    recorder = tiny.Recorder()
    tiny.fit(model, ksr.SETCallback(0.6, **options), recorder, epochs=2)
    assert recorder.before[0][3] == []
    assert ksr.sparse_weights(model)[0].rewirings == (
        7 if "frequency" in options else 2
    )
    tiny.assert_zero_where_empty(model)


def test_nan_at_a_rewiring_changes_nothing():
    model = tiny.text_model(run_eagerly=True)
    lstm = model.get_layer("lstm")
    read = []

    class Spoil(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            [weight, _] = lstm.sparse_weights
            spoilt = np.where(weight.mask, np.nan, 0)
            weight.value.assign(spoilt)
            read.append(tiny.state(self.model))

    with pytest.raises(
        ValueError, match=r"lstm.*kernel.* Received: weights=NaN"
    ):
        tiny.fit(model, ksr.SETCallback(0.4), Spoil(), epochs=2)
    assert len(read) == 1
    assert tiny.same(tiny.state(model), read[0])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("rewire_rate", {"rewire_rate": -0.1}),
        ("rewire_rate", {"rewire_rate": 1.1}),
        ("rewire_rate", {"rewire_rate": math.nan}),
        ("rewire_rate", {"rewire_rate": True}),
        ("rewire_rate", {"rewire_rate": "0.4"}),
        ("rewire_rate", {"rewire_rate": None}),
        ("rule", {"rule": "no_such_rule"}),
        ("rule", {"rule": None}),
        ("rule", {"rule": ["set"]}),
        ("frequency", {"frequency": 0}),
        ("frequency", {"frequency": 2.5}),
        ("frequency", {"frequency": True}),
        ("frequency", {"frequency": "often"}),
        ("frequency", {"frequency": math.inf}),
        ("start", {"start": -1}),
        ("start", {"start": [1]}),
        ("end", {"end": 0}),
        ("end", {"end": math.nan}),
        ("start", {"start": 3, "end": 3}),
        ("start", {"start": 5, "end": 3, "frequency": 1}),
        ("new_slots", {"new_slots": "mean"}),
        ("new_slots", {"new_slots": None}),
    ],
)
def test_bad_arguments_are_refused(name, arguments):
    with pytest.raises(ValueError, match=rf"`.*Received: {name}="):
        ksr.SETCallback(**{"rewire_rate": 0.3, **arguments})


@pytest.mark.parametrize("factor", [None, [1.0], "fast", math.nan, 3, -1])
def test_a_schedule_that_gives_no_rate_is_refused(factor):
    rule = ksr.rewiring.RewiringRule(schedule=lambda progress: factor)
    model = tiny.dense_model()
    match = rf"schedule must .* Received: {re.escape(repr(factor))} from sched"
    with pytest.raises(ValueError, match=match):
        tiny.fit(model, ksr.SETCallback(0.4, rule=rule), epochs=2)
    assert [w.rewirings for w in ksr.sparse_weights(model)] == [0]


def test_a_schedule_may_return_a_tensor():
    rule = ksr.rewiring.RewiringRule(schedule=lambda progress: tf.constant(0.5))
    model = tiny.dense_model()
    callback = ksr.SETCallback(0.4, rule=rule)
    assert tiny.fit(model, callback).history["rewire_rate"] == [0, 0.2, 0.2]


@pytest.mark.parametrize("with_input", [True, False])
@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        (None, None, "lstm"),
        (None, ["lstm"], "lstm"),
        (["lstm", "sparse_embedding"], ["sparse_embedding"], "embedding"),
    ],
)
def test_two_callbacks_on_the_same_layers_are_refused(
    first, second, shared, with_input
):
    model = tiny.text_model(with_input=with_input)
    before = tiny.state(model)
    match = (
        r"different layers.* Received: callbacks="
        rf"\['SETCallback', 'RewiringCallback'\], .*{shared}"
    )
    with pytest.raises(ValueError, match=match):
        tiny.fit(
            model,
            ksr.SETCallback(0.4, layers=first),
            ksr.RewiringCallback(0.3, "set", frequency=2, layers=second),
        )
    assert tiny.same(tiny.state(model), before)
    # What was passed to another `fit` is not in the way.
    tiny.fit(model, ksr.SETCallback(0.4), epochs=1)


def test_two_callbacks_on_different_layers_are_logged_together():
    model = tiny.text_model()
    callbacks = [
        ksr.SETCallback(0.4, layers=["lstm"]),
        ksr.SETCallback(0.8, layers=["sparse_embedding"]),
    ]
    started = [mask.copy() for mask in tiny.masks(model)]
    recorder = tiny.Recorder()
    history = tiny.fit(model, *callbacks, recorder, epochs=2).history
    weights = ksr.sparse_weights(model)
    assert [weight.rewirings for weight in weights] == [1, 1, 1]
    # ζ is 0.4 for the 48 connections of the table, half of that for the rest.
    moved = [
        round(rate * np.count_nonzero(mask[group.columns]))
        for rate, weight, mask in zip(
            (0.4, 0.2, 0.2), weights, started, strict=True
        )
        for group in weight.groups
    ]
    assert history["connections_moved"] == [0, sum(moved)]
    assert history["rewire_rate"] == [0, 0.4]
    ever, total = (
        sum(getattr(weight, name) for weight in weights)
        for name in ("ever_active", "total")
    )
    assert history["exploration_rate"][-1] == ever / total


@pytest.mark.parametrize("with_input", [True, False])
@pytest.mark.parametrize(
    "name", ["Adafactor", "Muon", "ScheduleFreeAdamW", "LossScaleOptimizer"]
)
def test_optimizers_that_cannot_be_cleared_are_refused(name, with_input):
    if not hasattr(keras.optimizers, name):
        pytest.skip(f"This Keras has no {name}.")
    if name == "LossScaleOptimizer":
        optimizer = keras.optimizers.LossScaleOptimizer(
            keras.optimizers.Adafactor()
        )
        name = "Adafactor"
    else:
        optimizer = getattr(keras.optimizers, name)()
    model = tiny.text_model(optimizer, with_input)
    before = tiny.state(model)
    match = rf"^{name} is not supported for rewiring: .*Received: optimizer="
    with pytest.raises(ValueError, match=match):
        tiny.fit(model, ksr.SETCallback(0.4))
    assert tiny.same(tiny.state(model), before)


def test_a_model_without_a_sparse_layer_is_refused():
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    before = tiny.state(model)
    match = rf"'{model.name}' has no sparse layer.* Received: model='"
    with pytest.raises(ValueError, match=match):
        tiny.fit(model, ksr.SETCallback(0.4))
    assert tiny.same(tiny.state(model), before)


class DenseNetwork(keras.Model):
    """All of its layers are there from the start, and none is sparse."""

    def __init__(self):
        super().__init__()
        self.inner = keras.Sequential([keras.layers.Dense(3)])
        self.readout = keras.layers.Dense(1)

    def call(self, inputs):
        return self.readout(self.inner(inputs))


class LateNetwork(keras.Model):
    """Makes its layers when it is built, none of them sparse."""

    def build(self, input_shape):
        self.readout = keras.layers.Dense(1)
        self.built = True

    def call(self, inputs):
        return self.readout(inputs)


NOT_SPARSE = {
    "Sequential": lambda: keras.Sequential([keras.layers.Dense(1)]),
    "subclassed": DenseNetwork,
    "made when built": LateNetwork,
}


@pytest.mark.parametrize("options", [{}, {"frequency": 100}])
@pytest.mark.parametrize("kind", NOT_SPARSE)
def test_without_a_sparse_layer_nothing_is_built(kind, options, caplog):
    model = NOT_SPARSE[kind]()
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"no sparse layer.* Received: model="):
        tiny.fit(model, ksr.SETCallback(0.4, **options), epochs=1)
    if kind != "made when built":
        assert not model.built
        assert int(model.optimizer.iterations) == 0
    assert not [r for r in caplog.records if r.name == "keras_sparse_rnn"]


@pytest.mark.parametrize("with_input", [True, False])
@pytest.mark.parametrize("layers", [["lstn"], "dense", [keras.layers.Dense(1)]])
def test_unknown_or_dense_layers_are_refused(layers, with_input):
    model = tiny.text_model(with_input=with_input)
    if layers == "dense":
        layers = [model.layers[-1]]
    before = tiny.state(model)
    with pytest.raises(ValueError, match=r"`layers` must .* Received: layers="):
        tiny.fit(model, ksr.SETCallback(0.4, layers=layers))
    assert tiny.same(tiny.state(model), before)


def test_refused_before_anything_is_brought_in_order():
    model = tiny.dense_model()
    [weight] = ksr.sparse_weights(model)
    weight.value.assign(np.ones(weight.shape))
    before = tiny.state(model)
    for callback in (
        ksr.SETCallback(0.4, layers=["sparse", "unknown"]),
        ksr.SETCallback(0.4, frequency=2),
    ):
        with pytest.raises(ValueError, match=r"Received: (layers|end)="):
            tiny.fit(
                model,
                callback,
                x=(pair for pair in [tiny.tokens()]),
                y=None,
            )
        assert tiny.same(tiny.state(model), before)


@pytest.mark.parametrize("frequency", ["epoch", 2])
def test_an_average_of_gradients_is_waited_for(frequency):
    model = tiny.dense_model()
    callback = ksr.SNFSCallback(0.4, frequency=frequency, start=0)
    recorder = tiny.Recorder()
    tiny.fit(model, callback, recorder, epochs=1)
    # Not before the first batch, when it tells no place from another.
    assert recorder.rewired_before()[0] == (0, 1)


@pytest.mark.parametrize(("epochs", "noted"), [(4, True), (6, False)])
def test_pruning_that_ends_before_its_schedule_is_noted(epochs, noted, caplog):
    model = tiny.dense_model()
    cubic = ksr.rewiring.CubicSparsity(0.9, end=5, initial_sparsity=0.5)
    with caplog.at_level(logging.WARNING, logger="keras_sparse_rnn"):
        tiny.fit(model, ksr.MagnitudePruningCallback(cubic), epochs=epochs)
    messages = [
        record.getMessage()
        for record in caplog.records
        if record.name == "keras_sparse_rnn"
    ]
    assert len(messages) == noted
    for message in messages:
        assert re.search(r"ended at a sparsity of 0\.87.*=0\.9", message)
