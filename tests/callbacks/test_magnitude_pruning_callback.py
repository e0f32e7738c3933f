"""Magnitude pruning in `fit`: when it prunes, to what, and what is refused."""

import logging
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from tests.callbacks import tiny

schedules = ksr.rewiring


def full_model(optimizer="adam", sparsity=0.0, **compile_args):
    """A model that starts dense, quick to train, with several groups."""
    model = keras.Sequential(
        [
            keras.Input((tiny.LENGTH,)),
            ksr.SparseDense(40, sparsity=sparsity, topology_seed=3),
            ksr.SparseDense(10, sparsity=sparsity, topology_seed=4),
        ]
    )
    model.compile(optimizer, "mse", **compile_args)
    return model


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
        self.seen.append(sparsity(self.model))
        if not tiny.same(masks, self.last):
            step = int(self.model.optimizer.iterations)
            self.pruned.append((self.epoch, batch, step))
        self.last = masks


def sparsity(model):
    masks = tiny.masks(model)
    return 1 - sum(map(np.sum, masks)) / sum(map(np.size, masks))


def cubic(step, end, final=0.8, begin=0, initial=0.0):
    share = min(max((step - begin) / (end - begin), 0), 1)
    return final + (initial - final) * (1 - share) ** 3


def assert_counts(model, target):
    """Each group keeps its share, to the nearest integer."""
    for weight in ksr.sparse_weights(model):
        for group in weight.groups:
            mask = weight.mask.numpy()[group.columns]
            assert mask.sum() == int((1 - target) * mask.size + 0.5)


def test_by_epochs_it_follows_a_cubic_and_ends_at_the_final_sparsity():
    model, seen = full_model(), Sparsities()
    callback = ksr.MagnitudePruningCallback(0.8)
    history = tiny.fit(model, callback, seen, epochs=5).history
    expected = [cubic(epoch, 4) for epoch in range(5)]
    np.testing.assert_allclose(history["sparsity"], expected, atol=2e-3)
    np.testing.assert_allclose(seen.seen[::4], expected, atol=2e-3)
    assert seen.pruned == [(epoch, 0, 4 * epoch) for epoch in range(1, 5)]
    assert_counts(model, 0.8)
    assert history["connections_moved"] == [0] * 5
    tiny.assert_zero_where_empty(model)


def test_the_smallest_go_and_the_others_stay():
    model, recorder = full_model(), tiny.Recorder()
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
    model, seen = full_model(), Sparsities()
    callback = ksr.MagnitudePruningCallback(0.8, **options)
    tiny.fit(model, callback, seen)
    begin = options.get("start", 0)
    begun = [step for step in steps if step > begin or not last]
    assert [step for *_, step in seen.pruned] == begun
    unit = 4 if isinstance(options["frequency"], str) else 1
    for step in begun:
        target = cubic(step / unit, last, begin=begin) if last else 0.8
        if "end" in options and step / unit >= last:
            target = 0.8
        assert seen.seen[step] == pytest.approx(target, abs=2e-3)
    assert_counts(model, 0.8)


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
    model, seen = full_model(optimizer(), **compile_args), Sparsities()
    x, y = tiny.tokens(samples)
    callback = ksr.MagnitudePruningCallback(0.8, frequency)
    tiny.fit(model, callback, seen, x=x, y=y, epochs=3)
    assert_counts(model, 0.8)
    assert seen.seen[0] == 0
    # The last changes may be less than a connection.
    assert seen.pruned[-1][2] <= callback.pruning.end
    assert callback.pruning.end <= int(model.optimizer.iterations)
    assert (
        callback.pruning.end > int(model.optimizer.iterations) - 3 * frequency
    )


def test_steps_that_loss_scaling_skips_do_not_count():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())
    model, seen = full_model(optimizer), Sparsities()
    optimizer.build(model.trainable_variables)

    class Overflow(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            scale = self.model.optimizer.dynamic_scale
            scale.assign(np.inf if len(seen.seen) in (1, 2, 5) else 8.0)

    callback = ksr.MagnitudePruningCallback(0.8, frequency=2)
    tiny.fit(model, Overflow(), callback, seen, epochs=4)
    assert int(optimizer.iterations) == 13
    assert seen.pruned[-1][2] == 12
    assert_counts(model, 0.8)


def test_a_second_fit_ends_at_its_own_last_time():
    model = full_model()
    tiny.fit(model)
    seen = Sparsities()
    tiny.fit(model, ksr.MagnitudePruningCallback(0.8, 3, start=12), seen)
    assert [step for *_, step in seen.pruned] == [15, 18, 21]
    assert_counts(model, 0.8)


@pytest.mark.parametrize("frequency", ["epoch", 4])
def test_it_goes_on_from_a_sparse_model(frequency):
    model, seen = full_model(sparsity=0.6), Sparsities()
    callback = ksr.MagnitudePruningCallback(
        0.9, frequency, initial_sparsity=0.6
    )
    tiny.fit(model, callback, seen, epochs=4)
    assert seen.pruned == [(epoch, 0, 4 * epoch) for epoch in range(1, 4)]
    expected = [cubic(epoch, 3, 0.9, initial=0.6) for epoch in range(4)]
    np.testing.assert_allclose(seen.seen[::4], expected, atol=3e-3)


class Asked:
    """A schedule that says yes at some steps, and notes all it is asked."""

    def __init__(self, steps, sparsity=0.5):
        self.steps, self.sparsity = steps, sparsity
        self.asked = []

    def __call__(self, step):
        self.asked.append(step)
        return step in self.steps, self.sparsity


class LikeTfmot:
    """Tests `step % frequency` and returns tensors, as those of tfmot do."""

    def __init__(self, target_sparsity, begin, frequency):
        self.target_sparsity = target_sparsity
        self.begin, self.frequency = begin, frequency

    def __call__(self, step):
        step = tf.convert_to_tensor(step)
        is_due = tf.logical_and(
            step >= self.begin,
            tf.equal((step - self.begin) % self.frequency, 0),
        )
        return is_due, tf.constant(self.target_sparsity, tf.float32)


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
    schedule = Asked({1})
    model, seen = full_model(optimizer, **compile_args), Sparsities()
    tiny.fit(model, ksr.MagnitudePruningCallback(schedule, frequency), seen)
    assert schedule.asked == [*range(times[-1] + 1)]
    # What was said at step 1 is done at the next time.
    [(epoch, _, step)] = seen.pruned
    now = epoch if isinstance(frequency, str) else step
    assert now == min(time for time in times if time >= 1)
    assert_counts(model, 0.5)


def test_a_schedule_like_tfmots_prunes_though_its_step_is_passed_over():
    model, seen = full_model(), Sparsities()
    schedule = LikeTfmot(0.7, begin=2, frequency=100)
    tiny.fit(model, ksr.MagnitudePruningCallback(schedule, 3), seen)
    assert seen.pruned == [(0, 3, 3)]
    assert_counts(model, 0.7)


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
    model, seen = full_model(), Sparsities()
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
        (LikeTfmot(0.8, 11, 100), {"frequency": 5}, [11]),
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
    model, seen = full_model(), Sparsities()
    callback = ksr.MagnitudePruningCallback(schedule, **options)
    tiny.fit(model, callback, seen)
    assert [step for *_, step in seen.pruned] == expected
    assert_counts(model, 0.8)
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
    model, seen = full_model(optimizer, **compile_args), Sparsities()
    schedule = schedules.OneShotSparsity(0.8, expected[0] - 1)
    callback = ksr.MagnitudePruningCallback(schedule, frequency=100)
    tiny.fit(model, callback, seen, x=x, y=y, epochs=4)
    assert [step for *_, step in seen.pruned] == expected
    assert_counts(model, 0.8)


@pytest.mark.parametrize(
    ("schedule", "options", "pruned"),
    [
        # It goes on to rise: the last time was at step 10.
        (schedules.CubicSparsity(0.8, 30), {"frequency": 5}, [5, 10]),
        # After the `end`.
        (schedules.CubicSparsity(0.8, 8), {"frequency": 5, "end": 8}, [5]),
        # One that does not tell where it ends.
        (Asked({2, 11}), {"frequency": 5}, [5]),
    ],
)
def test_what_is_said_before_the_end_waits_for_the_next_time(
    schedule, options, pruned, caplog
):
    model, seen = full_model(), Sparsities()
    callback = ksr.MagnitudePruningCallback(schedule, **options)
    tiny.fit(model, callback, seen)
    assert [step for *_, step in seen.pruned] == pruned
    notes = [r for r in caplog.records if r.name == "keras_sparse_rnn"]
    # Of a target that it does not know it says nothing.
    assert len(notes) == (not isinstance(schedule, Asked))
    for note in notes:
        assert f"about the steps before step {pruned[-1] + 1}, and ends" in (
            note.getMessage()
        )


def test_pruned_at_last_nothing_is_rewired():
    model, recorder = full_model(sparsity=0.2), tiny.Recorder()
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
    model = full_model()
    small, large = ksr.sparse_weights(model)
    large.value.assign(10 * large.value)
    callback = ksr.MagnitudePruningCallback(
        schedules.OneShotSparsity(0.5, 0), pruned_together=True
    )
    tiny.fit(model, callback, epochs=1)
    assert small.active + large.active == 300
    assert large.sparsity < 0.3 < small.sparsity


@pytest.mark.parametrize(
    "schedule", [Asked(()), schedules.OneShotSparsity(0.5, 99)]
)
def test_a_schedule_that_never_says_so_is_warned_of(schedule):
    model = full_model()
    match = r"MagnitudePruningCallback pruned nothing: .* Received: pruning="
    with pytest.warns(UserWarning, match=match):
        tiny.fit(model, ksr.MagnitudePruningCallback(schedule, 2))
    assert sparsity(model) == 0


@pytest.mark.parametrize("frequency", ["epoch", 6])
def test_a_schedule_whose_unit_is_another_is_warned_of(frequency):
    """At its first step it prunes to 0; no other comes."""
    model = full_model()
    schedule = schedules.CubicSparsity(0.9, end=1000, frequency=100)
    callback = ksr.MagnitudePruningCallback(schedule, frequency)
    with pytest.warns(UserWarning, match="pruned nothing") as caught:
        tiny.fit(model, callback)
    hint = "needs a `frequency` in steps"
    assert (hint in str(caught[0].message)) is (frequency == "epoch")
    assert sparsity(model) == 0


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_sparsity_below_the_present_one_is_warned_of(epochs):
    model = full_model(sparsity=0.5)
    callback = ksr.MagnitudePruningCallback(lambda step: (True, 0.3))
    match = r"named a sparsity of 0\.3, and the layers had one of 0\.5000 alr"
    with pytest.warns(UserWarning, match=match):
        tiny.fit(model, callback, epochs=epochs)
    assert sparsity(model) == 0.5


def test_a_sparsity_that_falls_after_something_was_pruned_is_not():
    model = full_model()
    callback = ksr.MagnitudePruningCallback(
        lambda step: (True, 0.2 if step else 0.8)
    )
    tiny.fit(model, callback)
    assert_counts(model, 0.8)


def test_a_fit_of_no_epochs_is_warned_of():
    callback = ksr.MagnitudePruningCallback(0.5, end=3)
    with pytest.warns(UserWarning, match=r"before epoch 0, those"):
        tiny.fit(full_model(), callback, epochs=0)


@pytest.mark.parametrize(
    ("options", "epochs", "noted"),
    [
        ({}, 1, "at once, at the beginning of epoch 0,"),
        ({}, 2, None),
        ({"frequency": "3 epochs"}, 3, "at once, at the beginning of epoch 0,"),
        ({"start": 2}, 3, "at once, at the beginning of epoch 2,"),
        ({"frequency": 100}, 3, "at once, at the beginning of step 0,"),
        ({"frequency": 4}, 2, None),
        # Meant, as it is said.
        ({"end": 1}, 1, None),
        ({"start": 9}, 3, "No connection will be pruned: "),
    ],
)
@pytest.mark.filterwarnings("ignore:MagnitudePruningCallback pruned nothing")
def test_a_fit_too_short_to_prune_gradually_logs_a_note(
    options, epochs, noted, caplog
):
    with caplog.at_level(logging.INFO, logger="keras_sparse_rnn"):
        callback = ksr.MagnitudePruningCallback(0.5, **options)
        tiny.fit(full_model(), callback, epochs=epochs)
    notes = [r for r in caplog.records if r.name == "keras_sparse_rnn"]
    assert len(notes) == (noted is not None)
    assert all(noted in note.getMessage() for note in notes)


def test_a_second_fit_that_has_nothing_left_to_prune_is_not_warned_of():
    model = full_model()
    callback = ksr.MagnitudePruningCallback(
        schedules.OneShotSparsity(0.5, 3), 1
    )
    tiny.fit(model, callback)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        tiny.fit(model, callback)
    assert_counts(model, 0.5)


@pytest.mark.parametrize(
    "target",
    [
        0.3,
        schedules.OneShotSparsity(0.3, 1),
        LikeTfmot(0.3, 0, 1),
    ],
)
@pytest.mark.parametrize("frequency", ["epoch", 2])
def test_a_target_below_the_present_sparsity_is_refused(target, frequency):
    model = full_model(sparsity=0.6)
    [weight, _] = ksr.sparse_weights(model)
    # Nor are stray weights cleared.
    weight.value.assign(np.ones(weight.shape))
    before = tiny.state(model)
    match = r"sparsity of 0.3 would .* of 0.6000 already. Received: pruning="
    with pytest.raises(ValueError, match=match):
        tiny.fit(model, ksr.MagnitudePruningCallback(target, frequency))
    assert tiny.same(tiny.state(model), before)


@pytest.mark.parametrize("frozen", [0, 1])
def test_layers_that_are_not_trained_do_not_count(frozen):
    """The first layer is at 0.9, the second one, of twice the size, at 0.2."""
    model = keras.Sequential(
        [
            keras.Input((tiny.LENGTH,)),
            ksr.SparseDense(40, sparsity=0.9, topology_seed=3),
            ksr.SparseDense(10, sparsity=0.2, topology_seed=4),
        ]
    )
    model.layers[frozen].trainable = False
    model.compile("adam", "mse")
    callback = ksr.MagnitudePruningCallback(0.4)
    if frozen == 1:
        with pytest.raises(ValueError, match=r"sparsity of 0\.9000 already"):
            tiny.fit(model, callback)
        return
    tiny.fit(model, callback)
    first, second = ksr.sparse_weights(model)
    assert first.sparsity == 0.9
    assert second.sparsity == 0.4


def test_the_present_sparsity_itself_is_no_reason_to_refuse():
    # 0.6 of 5 x 40 and 40 x 10 places, rounded in each.
    model = full_model(sparsity=0.601)
    tiny.fit(model, ksr.MagnitudePruningCallback(0.6))
    assert sparsity(model) == pytest.approx(0.601, abs=3e-3)


@pytest.mark.parametrize("answer", [None, True, (True,), (True, 1.0), (1, "x")])
def test_a_schedule_that_answers_something_else_is_refused(answer):
    model = full_model()
    before = tiny.masks(model)
    with pytest.raises(ValueError, match="A sparsity schedule must return"):
        tiny.fit(model, ksr.MagnitudePruningCallback(lambda step: answer))
    assert tiny.same(tiny.masks(model), before)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"final_sparsity": 1}, "final_sparsity"),
        ({"final_sparsity": -0.1}, "final_sparsity"),
        ({"final_sparsity": True}, "final_sparsity"),
        ({"final_sparsity": "0.9"}, "final_sparsity"),
        ({"final_sparsity": None}, "final_sparsity"),
        ({"initial_sparsity": 0.95}, "initial_sparsity"),
        ({"initial_sparsity": -0.1}, "initial_sparsity"),
        ({"initial_sparsity": None}, "initial_sparsity"),
        ({"start": None}, "start"),
        ({"start": -1}, "start"),
        ({"start": 0.5}, "start"),
        ({"end": 0}, "end"),
        ({"start": 3, "end": 3}, "end"),
        ({"end": "last"}, "end"),
        ({"frequency": 0}, "frequency"),
        ({"frequency": "batch"}, "frequency"),
        ({"pruned_together": 1}, "pruned_together"),
    ],
)
def test_bad_arguments_are_refused(arguments, name):
    with pytest.raises(ValueError, match=rf"`{name}`.*Received: .*{name}="):
        ksr.MagnitudePruningCallback(**{"final_sparsity": 0.9, **arguments})


@pytest.mark.parametrize("value", [0.5, "cubic", [0.5]])
def test_a_pruning_that_is_no_schedule_is_refused(value):
    match = r"`pruning` must be a schedule.* Received: pruning="
    with pytest.raises(ValueError, match=match):
        ksr.RewiringCallback(0.3, pruning=value)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_a_training_of_unknown_length_needs_an_end():
    x, y = tiny.tokens()
    model = full_model()
    before = tiny.state(model)
    with pytest.raises(ValueError, match=r"pass `end=`.* Received: end=None"):
        tiny.fit(
            model,
            ksr.MagnitudePruningCallback(0.8, 2),
            x=((x, y) for _ in range(2)),
            y=None,
        )
    assert tiny.same(tiny.state(model), before)
    batches = ((x[i : i + 8], y[i : i + 8]) for i in range(0, 32, 8))
    callback = ksr.MagnitudePruningCallback(0.8, 2, end=2)
    tiny.fit(model, callback, x=batches, y=None, epochs=1)
    assert_counts(model, 0.8)


def test_granet_prunes_and_then_rewires_by_gradients():
    model, recorder = full_model(sparsity=0.2), tiny.Recorder()
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
        target = cubic(step, 9, initial=0.2)
        assert active == pytest.approx((1 - target) * 600, abs=1)
    assert min(history["connections_moved"][:3]) > 0
    assert history["sparsity"][-1] == pytest.approx(0.8, abs=2e-3)
    tiny.assert_zero_where_empty(model)
