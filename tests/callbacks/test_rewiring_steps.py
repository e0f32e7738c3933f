import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from tests.callbacks import tiny


class Schedule:
    """A schedule that remembers when it was asked, and stays at 1."""

    def __init__(self):
        self.progress = []

    def __call__(self, progress):
        self.progress.append(progress)
        return 1.0

    def callback(self, rewire_rate=0.5, **options):
        rule = ksr.rewiring.RewiringRule(schedule=self)
        return ksr.SETCallback(rewire_rate, rule=rule, **options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"frequency": 3}, [3, 6, 9]),
        ({"frequency": 1}, [*range(1, 12)]),
        ({"frequency": 4, "start": 2}, [2, 6, 10]),
        ({"frequency": 2, "start": 7}, [7, 9, 11]),
        ({"frequency": 3, "end": 9}, [3, 6]),
        ({"frequency": 3, "end": 10}, [3, 6, 9]),
        ({"frequency": 2, "start": 5, "end": 8}, [5, 7]),
    ],
)
def test_rewires_every_so_many_steps_from_start_to_end(options, expected):
    model = tiny.dense_model()
    recorder, schedule = tiny.Recorder(), Schedule()
    history = tiny.fit(
        model, schedule.callback(**options), recorder, epochs=3
    ).history
    assert recorder.steps_rewired() == expected
    last = options.get("end", 12)
    np.testing.assert_allclose(
        schedule.progress, [step / last for step in expected]
    )
    per_epoch = [
        sum(4 * epoch <= step < 4 * epoch + 4 for step in expected)
        for epoch in range(3)
    ]
    # 100 connections, half of which move.
    assert history["connections_moved"] == [50 * n for n in per_epoch]
    assert history["rewire_rate"] == [0.5 if n else 0.0 for n in per_epoch]


def test_start_0_rewires_before_the_first_step():
    model = tiny.dense_model()
    before = tiny.masks(model)
    recorder, schedule = tiny.Recorder(), Schedule()
    callback = schedule.callback(frequency=5, start=0)
    tiny.fit(model, callback, recorder, epochs=2)
    assert not tiny.same(recorder.before[0][3], before)
    assert recorder.steps_rewired() == [5]
    assert schedule.progress == [0.0, 0.625]


def test_the_default_schedule_is_a_cosine_of_the_steps():
    model = tiny.dense_model()
    history = tiny.fit(model, ksr.SETCallback(0.8, frequency=4)).history
    expected = [0.0] + [
        0.4 * (1 + math.cos(math.pi * step / 12)) for step in (4, 8)
    ]
    np.testing.assert_allclose(history["rewire_rate"], expected)


@pytest.mark.parametrize(
    ("steps_per_execution", "expected"),
    [(2, [4, 8, 12, 16, 20]), (3, [*range(3, 24, 3)]), (4, [4, 8, 12, 16, 20])],
)
def test_steps_per_execution_delays_to_the_next_execution(
    steps_per_execution, expected
):
    x, y = tiny.tokens(96)
    model = tiny.dense_model(steps_per_execution=steps_per_execution)
    recorder = tiny.Recorder()
    callback = ksr.SETCallback(0.5, frequency=3, rule="set")
    tiny.fit(model, callback, recorder, epochs=2, x=x, y=y)
    begun = [step for *_, step, _, _ in recorder.before]
    assert begun == [*range(0, 24, steps_per_execution)]
    assert recorder.steps_rewired() == expected
    tiny.assert_zero_where_empty(model)


def test_steps_per_execution_leaves_epochs_as_they_are():
    model = tiny.dense_model(steps_per_execution=2)
    recorder = tiny.Recorder()
    tiny.fit(model, ksr.SETCallback(0.5, rule="set"), recorder, epochs=3)
    assert recorder.rewired_before() == [(1, 0), (2, 0)]


def test_gradient_accumulation_counts_the_optimizers_steps():
    optimizer = keras.optimizers.SGD(
        0.01, momentum=0.9, gradient_accumulation_steps=2
    )
    model = tiny.dense_model(optimizer)
    recorder, schedule = tiny.Recorder(), Schedule()
    callback = schedule.callback(frequency=2)
    tiny.fit(model, callback, recorder, epochs=4)
    # 16 batches are 8 steps. The schedule ends with the training.
    assert recorder.steps_rewired() == [2, 4, 6]
    assert recorder.rewired_before() == [(1, 0), (2, 0), (3, 0)]
    np.testing.assert_allclose(schedule.progress, [0.25, 0.5, 0.75])
    tiny.assert_zero_where_empty(model)


def test_skipped_steps_of_loss_scaling_do_not_count():
    # A scale so large that the first gradients overflow.
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(0.01), initial_scale=2.0**127
    )
    model = tiny.dense_model(optimizer)
    recorder, schedule = tiny.Recorder(), Schedule()
    callback = schedule.callback(frequency=3)
    tiny.fit(model, callback, recorder, epochs=3)
    skipped = 12 - int(model.optimizer.iterations)
    assert 0 < skipped < 6
    assert recorder.steps_rewired() == [*range(3, 12 - skipped, 3)]
    # Batches tell the progress: the training ends with them.
    np.testing.assert_allclose(
        schedule.progress,
        [(step + skipped) / 12 for step in recorder.steps_rewired()],
    )
    tiny.assert_zero_where_empty(model)


def unknown_length():
    x, y = tiny.tokens()
    batches = [(x[i : i + 8], y[i : i + 8]) for i in range(0, 32, 8)]
    return tf.data.Dataset.from_generator(
        lambda: iter(batches),
        output_signature=(
            tf.TensorSpec((8, tiny.LENGTH), "int32"),
            tf.TensorSpec((8, 1), "float32"),
        ),
    )


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_unknown_length_needs_an_end():
    model = tiny.dense_model()
    before = tiny.state(model)
    with pytest.raises(ValueError, match=r"pass `end=`.* Received: end=None$"):
        tiny.fit(
            model,
            ksr.SETCallback(0.5, frequency=3),
            x=unknown_length(),
            y=None,
        )
    assert tiny.same(tiny.state(model), before)
    recorder, schedule = tiny.Recorder(), Schedule()
    callback = schedule.callback(frequency=3, end=10)
    tiny.fit(model, callback, recorder, x=unknown_length(), y=None)
    assert recorder.steps_rewired() == [3, 6, 9]
    np.testing.assert_allclose(schedule.progress, [0.3, 0.6, 0.9])


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize(
    "callback",
    [
        ksr.SETCallback(0.3, rule="set", frequency=2),
        ksr.DSRCallback(0.3, frequency=2),
        ksr.DeepRCallback(l1=1e-4, frequency=2),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_constant_rate_needs_no_length(callback):
    model = tiny.text_model()
    tiny.fit(model, callback, x=unknown_length(), y=None)
    # Of twelve steps; Keras counts one more where an epoch's data run out.
    for weight in ksr.sparse_weights(model):
        assert weight.rewirings in (5, 6, 7)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_steps_per_epoch_tells_the_length():
    model = tiny.dense_model()
    recorder, schedule = tiny.Recorder(), Schedule()
    tiny.fit(
        model,
        schedule.callback(frequency=3),
        recorder,
        x=unknown_length().repeat(),
        y=None,
        steps_per_epoch=5,
        epochs=2,
    )
    assert recorder.steps_rewired() == [3, 6, 9]
    np.testing.assert_allclose(schedule.progress, [0.3, 0.6, 0.9])


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_epochs_of_unknown_length_are_rewired():
    model = tiny.dense_model()
    recorder = tiny.Recorder()
    callback = ksr.SETCallback(0.5)
    tiny.fit(model, callback, recorder, x=unknown_length(), y=None)
    assert recorder.rewired_before() == [(1, 0), (2, 0)]


def test_validation_within_epochs_is_not_counted():
    model = tiny.dense_model()
    recorder = tiny.Recorder()
    callback = ksr.SETCallback(0.5, frequency=3, rule="set")
    validation_data = tiny.tokens(40)
    tiny.fit(model, callback, recorder, validation_data=validation_data)
    assert recorder.steps_rewired() == [3, 6, 9]


def test_second_fit_goes_on_counting():
    model = tiny.dense_model()
    schedule = Schedule()
    tiny.fit(model, schedule.callback(frequency=5))
    recorder = tiny.Recorder()
    tiny.fit(model, schedule.callback(frequency=5), recorder)
    # The first one ended at step 12, rewired last at step 10.
    assert recorder.steps_rewired() == [15, 20]
    expected = [5 / 12, 10 / 12, 3 / 12, 8 / 12]
    np.testing.assert_allclose(schedule.progress, expected)


def test_a_new_optimizer_begins_to_count_anew():
    model = tiny.dense_model()
    callback = ksr.SETCallback(0.5, frequency=5, rule="set")
    tiny.fit(model, callback)
    model.compile("adam", "mse")
    recorder = tiny.Recorder()
    tiny.fit(model, callback, recorder)
    assert recorder.steps_rewired() == [5, 10]
    tiny.assert_zero_where_empty(model)


def test_fit_from_an_epoch_on_goes_on_where_the_first_ended():
    whole, parts = tiny.dense_model(), tiny.dense_model()
    parts.set_weights(whole.get_weights())
    callback = ksr.SETCallback(0.5, frequency=3)
    tiny.fit(whole, callback, epochs=4)
    tiny.fit(
        parts,
        callback,
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: setattr(
                parts, "stop_training", True
            )
        ),
        epochs=4,
    )
    tiny.fit(parts, callback, initial_epoch=1, epochs=4)
    assert tiny.same(tiny.state(whole), tiny.state(parts))
