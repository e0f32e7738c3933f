import inspect

import pytest

import keras_sparse_rnn as ksr

PRESETS = (
    ksr.RigLCallback,
    ksr.SNFSCallback,
    ksr.DSRCallback,
    ksr.DeepRCallback,
    ksr.MagnitudePruningCallback,
)
EVERY_PRESET = (*PRESETS, ksr.SETCallback)


@pytest.mark.parametrize("preset", PRESETS)
def test_what_a_preset_takes_is_what_the_callback_takes(preset):
    signature = inspect.signature(preset)
    callbacks = inspect.signature(ksr.RewiringCallback).parameters
    added = [
        each
        for each in signature.parameters.values()
        if each.kind == each.KEYWORD_ONLY
    ]
    assert {"layers", "log_dir", "pruned_together"} <= {e.name for e in added}
    assert all(callbacks[each.name].default == each.default for each in added)


@pytest.mark.parametrize("preset", EVERY_PRESET)
def test_an_argument_that_a_preset_does_not_take_is_refused_by_name(preset):
    with pytest.raises(
        TypeError, match=rf"^{preset.__name__} expects .*Received: ofteness=3"
    ):
        preset(0.3, ofteness=3)


def test_options_reach_the_callback():
    callback = ksr.RigLCallback(0.2, "2 epochs", end=7, layers=["lstm"])
    assert callback.rewire_rate == 0.2
    assert callback.frequency.count == 2
    assert callback.end == 7
    assert callback.layers == ["lstm"]


def test_the_options_of_set_may_be_passed_by_place():
    callback = ksr.SETCallback(0.2, "set", 3, 5, 7, ["lstm"], "survivors_mean")
    assert callback.frequency.count == 3
    assert (callback.start, callback.end) == (5, 7)
    assert callback.layers == ["lstm"]
    assert callback.new_slots == "survivors_mean"


@pytest.mark.parametrize(
    ("arguments", "options", "problem"),
    [
        ((), {}, "rewire_rate"),
        ((0.2, "set", 3), {"frequency": 3}, "frequency"),
        ((0.2, *[None] * 8), {}, "too many"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name(
    arguments, options, problem
):
    with pytest.raises(TypeError, match=rf"^SETCallback expects .*{problem}"):
        ksr.SETCallback(*arguments, **options)
