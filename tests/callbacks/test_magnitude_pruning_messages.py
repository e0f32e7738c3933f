"""What magnitude pruning warns of, notes and refuses."""

import logging
import warnings

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests.callbacks import pruning_models
from tests.callbacks import tiny

schedules = ksr.rewiring


@pytest.mark.parametrize(
    "schedule", [pruning_models.Asked(()), schedules.OneShotSparsity(0.5, 99)]
)
def test_a_schedule_that_never_says_so_is_warned_of(schedule):
    model = pruning_models.full_model()
    match = r"MagnitudePruningCallback pruned nothing: .* Received: pruning="
    with pytest.warns(UserWarning, match=match):
        tiny.fit(model, ksr.MagnitudePruningCallback(schedule, 2))
    assert pruning_models.sparsity(model) == 0


@pytest.mark.parametrize("frequency", ["epoch", 6])
def test_a_schedule_whose_unit_is_another_is_warned_of(frequency):
    """At its first step it prunes to 0; no other comes."""
    model = pruning_models.full_model()
    schedule = schedules.CubicSparsity(0.9, end=1000, frequency=100)
    callback = ksr.MagnitudePruningCallback(schedule, frequency)
    with pytest.warns(UserWarning, match="pruned nothing") as caught:
        tiny.fit(model, callback)
    hint = "needs a `frequency` in steps"
    assert (hint in str(caught[0].message)) is (frequency == "epoch")
    assert pruning_models.sparsity(model) == 0


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_sparsity_below_the_present_one_is_warned_of(epochs):
    model = pruning_models.full_model(sparsity=0.5)
    callback = ksr.MagnitudePruningCallback(lambda step: (True, 0.3))
    match = r"named a sparsity of 0\.3, and the layers had one of 0\.5000 alr"
    with pytest.warns(UserWarning, match=match):
        tiny.fit(model, callback, epochs=epochs)
    assert pruning_models.sparsity(model) == 0.5


def test_a_sparsity_that_falls_after_something_was_pruned_is_not():
    model = pruning_models.full_model()
    callback = ksr.MagnitudePruningCallback(
        lambda step: (True, 0.2 if step else 0.8)
    )
    tiny.fit(model, callback)
    pruning_models.assert_counts(model, 0.8)


def test_a_fit_of_no_epochs_is_warned_of():
    callback = ksr.MagnitudePruningCallback(0.5, end=3)
    with pytest.warns(UserWarning, match=r"before epoch 0, those"):
        tiny.fit(pruning_models.full_model(), callback, epochs=0)


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
        tiny.fit(pruning_models.full_model(), callback, epochs=epochs)
    notes = [r for r in caplog.records if r.name == "keras_sparse_rnn"]
    assert len(notes) == (noted is not None)
    assert all(noted in note.getMessage() for note in notes)


def test_a_second_fit_that_has_nothing_left_to_prune_is_not_warned_of():
    model = pruning_models.full_model()
    callback = ksr.MagnitudePruningCallback(
        schedules.OneShotSparsity(0.5, 3), 1
    )
    tiny.fit(model, callback)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        tiny.fit(model, callback)
    pruning_models.assert_counts(model, 0.5)


@pytest.mark.parametrize(
    "target",
    [
        0.3,
        schedules.OneShotSparsity(0.3, 1),
        pruning_models.LikeTfmot(0.3, 0, 1),
    ],
)
@pytest.mark.parametrize("frequency", ["epoch", 2])
def test_a_target_below_the_present_sparsity_is_refused(target, frequency):
    model = pruning_models.full_model(sparsity=0.6)
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
    model = pruning_models.full_model(sparsity=0.601)
    tiny.fit(model, ksr.MagnitudePruningCallback(0.6))
    assert pruning_models.sparsity(model) == pytest.approx(0.601, abs=3e-3)


@pytest.mark.parametrize("answer", [None, True, (True,), (True, 1.0), (1, "x")])
def test_a_schedule_that_answers_something_else_is_refused(answer):
    model = pruning_models.full_model()
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
    model = pruning_models.full_model()
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
    pruning_models.assert_counts(model, 0.8)
