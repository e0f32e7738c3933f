import dataclasses
import functools

import numpy as np
import pytest

from keras_sparse_rnn import rewiring
from keras_sparse_rnn import topology


def test_st_rnn_is_magnitude_random_growth_from_zero_and_cosine():
    rule = rewiring.get("st_rnn")
    assert rule == rewiring.st_rnn_rule() == rewiring.RewiringRule()
    assert rule.drop is rewiring.smallest_magnitude
    assert rule.grow is rewiring.random_growth
    assert rule.new_values is rewiring.zero_values
    assert rule.schedule is rewiring.cosine


def test_set_is_per_sign_normal_values_and_a_constant_rate():
    rule = rewiring.get("set")
    assert rule.drop is rewiring.smallest_magnitude_per_sign
    assert rule.grow is rewiring.random_growth
    assert rule.new_values.stddev == 0.1
    assert rule.schedule is rewiring.constant
    assert rewiring.set_rule(0.02).new_values.stddev == 0.02


@pytest.mark.parametrize(
    ("name", "drop", "grow", "schedule", "redistribute", "walk", "needs"),
    [
        (
            "rigl",
            rewiring.smallest_magnitude,
            rewiring.largest_gradient,
            rewiring.cosine,
            None,
            None,
            {"gradient"},
        ),
        (
            "snfs",
            rewiring.smallest_magnitude,
            rewiring.largest_momentum,
            rewiring.cosine,
            rewiring.by_momentum,
            None,
            {"momentum"},
        ),
        (
            "dsr",
            rewiring.below_threshold,
            rewiring.random_growth_elsewhere,
            rewiring.constant,
            rewiring.by_survivors,
            None,
            {"threshold"},
        ),
        (
            "deep_r",
            rewiring.changed_sign,
            rewiring.random_growth_elsewhere,
            rewiring.constant,
            None,
            rewiring.RandomWalk(),
            {"signs"},
        ),
    ],
)
def test_presets_are_compositions(
    name, drop, grow, schedule, redistribute, walk, needs
):
    rule = rewiring.get(name)
    assert rule == getattr(rewiring, f"{name}_rule")()
    assert rule == rewiring.RewiringRule(
        drop, grow, rewiring.zero_values, schedule, redistribute, walk
    )
    assert rule.needs == needs


def test_the_rules_with_random_growth_need_nothing():
    assert rewiring.st_rnn_rule().needs == frozenset()
    assert rewiring.set_rule().needs == frozenset()
    rule = rewiring.RewiringRule(
        drop=rewiring.random_drop, grow=rewiring.random_growth_elsewhere
    )
    assert rule.needs == frozenset()


def test_a_rule_needs_what_any_of_its_functions_asks_for():
    rule = rewiring.RewiringRule(
        drop=rewiring.changed_sign,
        grow=rewiring.largest_gradient,
        redistribute=rewiring.by_momentum,
    )
    assert rule.needs == {"signs", "gradient", "momentum"}
    fixed = functools.partial(rewiring.below_threshold, threshold=0.1)
    assert rewiring.RewiringRule(drop=fixed).needs == frozenset()


@pytest.mark.parametrize(
    ("role", "function", "name"),
    [
        ("drop", lambda weights, rate, *, gradient: [], "gradient"),
        ("grow", lambda mask, count, rng, *, hessian: [], "hessian"),
        ("new_values", lambda shape, rng, *, gradient: [], "gradient"),
        ("schedule", lambda progress, *, threshold: 1.0, "threshold"),
        ("redistribute", lambda s, d, p, *, rng: p, "rng"),
    ],
)
def test_what_a_function_cannot_have_is_refused(role, function, name):
    with pytest.raises(ValueError, match=rf"asks for \['{name}'\]$"):
        rewiring.RewiringRule(**{role: function})


def test_a_rule_is_passed_through():
    rule = dataclasses.replace(rewiring.st_rnn_rule(), schedule=lambda p: 0.5)
    assert rewiring.get(rule) is rule


@pytest.mark.parametrize(
    "rule", ["no_such_rule", None, 3, ["set"], rewiring.cosine]
)
def test_unknown_rules(rule):
    with pytest.raises(ValueError, match="Received: rule=") as error:
        rewiring.get(rule)
    assert str(error.value).endswith(f"Received: rule={rule!r}")


@pytest.mark.parametrize(
    "drop",
    [
        lambda weights, rate: [len(weights)],
        lambda weights, rate: [-1],
        lambda weights, rate: [0.0],
        lambda weights, rate: np.ones(len(weights), bool),
    ],
)
def test_a_drop_rule_must_return_indices(drop):
    weight = np.ones((3, 4), np.float32)
    mask = np.eye(3, 4, dtype=bool)
    rule = rewiring.RewiringRule(drop=drop)
    with pytest.raises(ValueError, match=r"drop rule.*Received: "):
        rewiring.rewire(
            weight,
            mask,
            topology.matrix_groups(4),
            0.5,
            rule,
            np.random.default_rng(0),
        )


def test_new_values_must_be_finite():
    rule = rewiring.RewiringRule(
        new_values=lambda shape, rng: np.full(shape, np.nan)
    )
    with pytest.raises(ValueError, match=r"finite.*Received: "):
        rewiring.rewire(
            np.ones((3, 4), np.float32),
            np.eye(3, 4, dtype=bool),
            topology.matrix_groups(4),
            0.5,
            rule,
            np.random.default_rng(0),
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name in ("drop", "grow", "new_values", "schedule", "redistribute")
        for value in (None, "cosine", 0.5)
        if (name, value) != ("redistribute", None)
    ],
)
def test_what_is_no_function_is_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be") as error:
        rewiring.RewiringRule(**{name: value})
    assert str(error.value).endswith(f"Received: {name}={value!r}")
