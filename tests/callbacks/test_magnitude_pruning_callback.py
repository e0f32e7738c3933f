"""Magnitude pruning in `fit`: when it prunes, and to what."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests.callbacks import pruning_models
from tests.callbacks import tiny

schedules = ksr.rewiring


class Sparsities(keras.callbacks.Callback):
    """The sparsity before each batch, and where it rises.

    Put it behind the callback that prunes.
    """

    def on_train_begin(self, logs=None):
        self.seen, self.pruned, self.last = [], [], tiny.masks(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        masks = tiny.masks(self.model)
        self.seen.append(pruning_models.sparsity(self.model))
        if not tiny.same(masks, self.last):
            step = int(self.model.optimizer.iterations)
            self.pruned.append((self.epoch, batch, step))
        self.last = masks


def test_by_epochs_it_follows_a_cubic_and_ends_at_the_final_sparsity():
    model, seen = pruning_models.full_model(), Sparsities()
    callback = ksr.MagnitudePruningCallback(0.8)
    history = tiny.fit(model, callback, seen, epochs=5).history
    expected = [pruning_models.cubic(epoch, 4) for epoch in range(5)]
    np.testing.assert_allclose(history["sparsity"], expected, atol=2e-3)
    np.testing.assert_allclose(seen.seen[::4], expected, atol=2e-3)
    assert seen.pruned == [(epoch, 0, 4 * epoch) for epoch in range(1, 5)]
    pruning_models.assert_counts(model, 0.8)
    assert history["connections_moved"] == [0] * 5
    tiny.assert_zero_where_empty(model)


def test_the_smallest_go_and_the_others_stay():
    model, recorder = pruning_models.full_model(), tiny.Recorder()
    tiny.fit(model, ksr.MagnitudePruningCallback(0.5), recorder, epochs=2)
    [_, old_values] = recorder.epoch_ends[0]
    _, _, _, masks, values = recorder.before[4]
    for mask, value, old in zip(masks, values, old_values, strict=True):
        np.testing.assert_array_equal(value, np.where(mask, old, 0))
        assert np.abs(old[mask]).min() >= np.abs(old[~mask]).max()
        assert mask.sum() == mask.size / 2


@pytest.mark.parametrize(
    ("options", "steps", "last"),
    [
        ({"frequency": 3}, [3, 6, 9], 9),
        # Between steps 10 and 11 less than a connection goes.
        ({"frequency": 1}, [*range(1, 11)], 11),
        ({"frequency": 4, "start": 2}, [2, 6, 10], 10),
        ({"frequency": 5, "end": 7}, [5, 10], 7),
        ({"frequency": "2 epochs"}, [8], 2),
        ({"frequency": "epoch", "start": 1, "end": 2}, [8], 2),
        # No time for more than once.
        ({"frequency": 20}, [0], 0),
        ({"frequency": "9 epochs"}, [0], 0),
    ],
)
def test_by_steps_and_epochs_it_ends_exactly_at_the_final_sparsity(
    options, steps, last
):
    model, seen = pruning_models.full_model(), Sparsities()
    callback = ksr.MagnitudePruningCallback(0.8, **options)
    tiny.fit(model, callback, seen)
    begin = options.get("start", 0)
    begun = [step for step in steps if step > begin or not last]
    assert [step for *_, step in seen.pruned] == begun
    unit = 4 if isinstance(options["frequency"], str) else 1
    for step in begun:
        target = (
            pruning_models.cubic(step / unit, last, begin=begin)
            if last
            else 0.8
        )
        if "end" in options and step / unit >= last:
            target = 0.8
        assert seen.seen[step] == pytest.approx(target, abs=2e-3)
    pruning_models.assert_counts(model, 0.8)


@pytest.mark.parametrize(
    ("optimizer", "compile_args", "samples"),
    [
        (keras.optimizers.Adam, {"steps_per_execution": 3}, 56),
        (keras.optimizers.Adam, {"steps_per_execution": 2}, 40),
        (
            lambda: keras.optimizers.SGD(0.01, gradient_accumulation_steps=3),
            {},
            40,
        ),
        (
            lambda: keras.optimizers.SGD(0.01, gradient_accumulation_steps=2),
            {"steps_per_execution": 3},
            56,
        ),
    ],
)
@pytest.mark.parametrize("frequency", [1, 2, 3])
def test_the_final_sparsity_is_reached_at_the_last_time(
    optimizer, compile_args, samples, frequency
):
    model, seen = (
        pruning_models.full_model(optimizer(), **compile_args),
        Sparsities(),
    )
    x, y = tiny.tokens(samples)
    callback = ksr.MagnitudePruningCallback(0.8, frequency)
    tiny.fit(model, callback, seen, x=x, y=y, epochs=3)
    pruning_models.assert_counts(model, 0.8)
    assert seen.seen[0] == 0
    # The last changes may be less than a connection.
    assert seen.pruned[-1][2] <= callback.pruning.end
    assert callback.pruning.end <= int(model.optimizer.iterations)
    assert (
        callback.pruning.end > int(model.optimizer.iterations) - 3 * frequency
    )


def test_steps_that_loss_scaling_skips_do_not_count():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())
    model, seen = pruning_models.full_model(optimizer), Sparsities()
    optimizer.build(model.trainable_variables)

    class Overflow(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            scale = self.model.optimizer.dynamic_scale
            scale.assign(np.inf if len(seen.seen) in (1, 2, 5) else 8.0)

    callback = ksr.MagnitudePruningCallback(0.8, frequency=2)
    tiny.fit(model, Overflow(), callback, seen, epochs=4)
    assert int(optimizer.iterations) == 13
    assert seen.pruned[-1][2] == 12
    pruning_models.assert_counts(model, 0.8)


def test_a_second_fit_ends_at_its_own_last_time():
    model = pruning_models.full_model()
    tiny.fit(model)
    seen = Sparsities()
    tiny.fit(model, ksr.MagnitudePruningCallback(0.8, 3, start=12), seen)
    assert [step for *_, step in seen.pruned] == [15, 18, 21]
    pruning_models.assert_counts(model, 0.8)


@pytest.mark.parametrize("frequency", ["epoch", 4])
def test_it_goes_on_from_a_sparse_model(frequency):
    model, seen = pruning_models.full_model(sparsity=0.6), Sparsities()
    callback = ksr.MagnitudePruningCallback(
        0.9, frequency, initial_sparsity=0.6
    )
    tiny.fit(model, callback, seen, epochs=4)
    assert seen.pruned == [(epoch, 0, 4 * epoch) for epoch in range(1, 4)]
    expected = [
        pruning_models.cubic(epoch, 3, 0.9, initial=0.6) for epoch in range(4)
    ]
    np.testing.assert_allclose(seen.seen[::4], expected, atol=3e-3)


@pytest.mark.parametrize(
    ("optimizer", "compile_args", "frequency", "times"),
    [
        ("adam", {}, 1, [*range(12)]),
        ("adam", {}, 5, [0, 5, 10]),
        ("adam", {"steps_per_execution": 4}, 1, [0, 4, 8]),
        ("adam", {}, "epoch", [0, 1, 2]),
        ("adam", {}, "2 epochs", [0, 2]),
        (
            lambda: keras.optimizers.SGD(0.01, gradient_accumulation_steps=2),
            {},
            2,
            [0, 2, 4],
        ),
    ],
)
def test_a_schedule_is_asked_about_every_step_since_the_last_time(
    optimizer, compile_args, frequency, times
):
    if callable(optimizer):
        optimizer = optimizer()
    schedule = pruning_models.Asked({1})
    model, seen = (
        pruning_models.full_model(optimizer, **compile_args),
        Sparsities(),
    )
    tiny.fit(model, ksr.MagnitudePruningCallback(schedule, frequency), seen)
    assert schedule.asked == [*range(times[-1] + 1)]
    # What was said at step 1 is done at the next time.
    [(epoch, _, step)] = seen.pruned
    now = epoch if isinstance(frequency, str) else step
    assert now == min(time for time in times if time >= 1)
    pruning_models.assert_counts(model, 0.5)


def test_a_schedule_like_tfmots_prunes_though_its_step_is_passed_over():
    model, seen = pruning_models.full_model(), Sparsities()
    schedule = pruning_models.LikeTfmot(0.7, begin=2, frequency=100)
    tiny.fit(model, ksr.MagnitudePruningCallback(schedule, 3), seen)
    assert seen.pruned == [(0, 3, 3)]
    pruning_models.assert_counts(model, 0.7)


@pytest.mark.parametrize(
    ("schedule", "frequency", "expected"),
    [
        (schedules.OneShotSparsity(0.5, 6), 1, {6: 0.5}),
        (
            schedules.IterativeSparsity(0.875, 3, begin=2, frequency=4),
            1,
            {2: 0.5, 6: 0.75, 10: 0.875},
        ),
        (schedules.ConstantSparsity(0.5, begin=5), 2, {6: 0.5}),
        (
            schedules.RampSparsity(0.8, ramp=4, end=8, frequency=4),
            4,
            {4: 0.32, 8: 0.8},
        ),
    ],
)
def test_other_schedules(schedule, frequency, expected):
    model, seen = pruning_models.full_model(), Sparsities()
    tiny.fit(model, ksr.MagnitudePruningCallback(schedule, frequency), seen)
    assert [step for *_, step in seen.pruned] == [*expected]
    for step, target in expected.items():
        assert seen.seen[step] == pytest.approx(target, abs=2e-3)


@pytest.mark.parametrize(
    ("schedule", "options", "expected"),
    [
        # It would be asked at steps 0, 5 and 10 of 12.
        (
            schedules.CubicSparsity(0.8, 11, begin=8),
            {"frequency": 5},
            [10, 11],
        ),
        (schedules.OneShotSparsity(0.8, 11), {"frequency": 5}, [11]),
        (schedules.ConstantSparsity(0.8, 11), {"frequency": 5}, [11]),
        # Of tensors, in single precision.
        (pruning_models.LikeTfmot(0.8, 11, 100), {"frequency": 5}, [11]),
        (schedules.OneShotSparsity(0.8, 8), {"frequency": 5}, [10]),
        # At epoch 0, and once more at epoch 2.
        (schedules.OneShotSparsity(0.8, 1), {"frequency": "4 epochs"}, [8]),
        (schedules.OneShotSparsity(0.8, 2), {"frequency": "2 epochs"}, [8]),
        # Up to the step, or epoch, before `end`.
        (
            schedules.OneShotSparsity(0.8, 7),
            {"frequency": 5, "end": 8},
            [7],
        ),
        (
            schedules.OneShotSparsity(0.8, 1),
            {"frequency": "3 epochs", "end": 2},
            [4],
        ),
    ],
)
def test_a_final_sparsity_after_the_last_time_is_not_missed(
    schedule, options, expected
):
    model, seen = pruning_models.full_model(), Sparsities()
    callback = ksr.MagnitudePruningCallback(schedule, **options)
    tiny.fit(model, callback, seen)
    assert [step for *_, step in seen.pruned] == expected
    pruning_models.assert_counts(model, 0.8)
    tiny.assert_zero_where_empty(model)


@pytest.mark.parametrize(
    ("optimizer", "compile_args", "expected"),
    [
        ("adam", {"steps_per_execution": 3}, [9]),
        (
            lambda: keras.optimizers.SGD(0.01, gradient_accumulation_steps=2),
            {},
            [5],
        ),
    ],
)
def test_the_last_batch_is_the_last_at_which_it_is_asked(
    optimizer, compile_args, expected
):
    if callable(optimizer):
        optimizer = optimizer()
    x, y = tiny.tokens(24)
    model, seen = (
        pruning_models.full_model(optimizer, **compile_args),
        Sparsities(),
    )
    schedule = schedules.OneShotSparsity(0.8, expected[0] - 1)
    callback = ksr.MagnitudePruningCallback(schedule, frequency=100)
    tiny.fit(model, callback, seen, x=x, y=y, epochs=4)
    assert [step for *_, step in seen.pruned] == expected
    pruning_models.assert_counts(model, 0.8)


@pytest.mark.parametrize(
    ("schedule", "options", "pruned"),
    [
        # It goes on to rise: the last time was at step 10.
        (schedules.CubicSparsity(0.8, 30), {"frequency": 5}, [5, 10]),
        # After the `end`.
        (schedules.CubicSparsity(0.8, 8), {"frequency": 5, "end": 8}, [5]),
        # One that does not tell where it ends.
        (pruning_models.Asked({2, 11}), {"frequency": 5}, [5]),
    ],
)
def test_what_is_said_before_the_end_waits_for_the_next_time(
    schedule, options, pruned, caplog
):
    model, seen = pruning_models.full_model(), Sparsities()
    callback = ksr.MagnitudePruningCallback(schedule, **options)
    tiny.fit(model, callback, seen)
    assert [step for *_, step in seen.pruned] == pruned
    notes = [r for r in caplog.records if r.name == "keras_sparse_rnn"]
    # Of a target that it does not know it says nothing.
    assert len(notes) == (not isinstance(schedule, pruning_models.Asked))
    for note in notes:
        assert f"about the steps before step {pruned[-1] + 1}, and ends" in (
            note.getMessage()
        )


def test_pruned_at_last_nothing_is_rewired():
    model, recorder = pruning_models.full_model(sparsity=0.2), tiny.Recorder()
    callback = ksr.RewiringCallback(
        0.4,
        "rigl",
        frequency=3,
        pruning=schedules.OneShotSparsity(0.8, 11),
        pruned_together=True,
    )
    history = tiny.fit(model, callback, recorder).history
    assert recorder.steps_rewired() == [3, 6, 9, 11]
    before, after = (recorder.before[step][3] for step in (10, 11))
    for mask, pruned in zip(before, after, strict=True):
        assert not (pruned & ~mask).any()
    assert sum(map(np.sum, after)) == 120
    tiny.assert_zero_where_empty(model)
    # Nine steps of four fifths, one of which saw every place's gradient at
    # steps 2, 5 and 8 each, two more, and one of a fifth.
    spent = 11 * 0.8 + 3 * 0.2 / 3 + 0.2
    assert history["training_flops"][-1] == pytest.approx(spent / 12, abs=2e-3)


def test_pruned_together_all_weights_compete():
    model = pruning_models.full_model()
    small, large = ksr.sparse_weights(model)
    large.value.assign(10 * large.value)
    callback = ksr.MagnitudePruningCallback(
        schedules.OneShotSparsity(0.5, 0), pruned_together=True
    )
    tiny.fit(model, callback, epochs=1)
    assert small.active + large.active == 300
    assert large.sparsity < 0.3 < small.sparsity


def test_granet_prunes_and_then_rewires_by_gradients():
    model, recorder = pruning_models.full_model(sparsity=0.2), tiny.Recorder()
    callback = ksr.RewiringCallback(
        0.4,
        "rigl",
        frequency=3,
        pruning=schedules.CubicSparsity(0.8, end=9, initial_sparsity=0.2),
        pruned_together=True,
    )
    history = tiny.fit(model, callback, recorder, epochs=4).history
    assert recorder.steps_rewired() == [3, 6, 9]
    for step in (3, 6, 9):
        masks = recorder.before[step][3]
        active = sum(mask.sum() for mask in masks)
        target = pruning_models.cubic(step, 9, initial=0.2)
        assert active == pytest.approx((1 - target) * 600, abs=1)
    assert min(history["connections_moved"][:3]) > 0
    assert history["sparsity"][-1] == pytest.approx(0.8, abs=2e-3)
    tiny.assert_zero_where_empty(model)
