import dataclasses

import pytest

from keras_sparse_rnn import rewiring


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


def test_a_rule_is_passed_through():
    rule = dataclasses.replace(rewiring.st_rnn_rule(), schedule=lambda p: 0.5)
    assert rewiring.get(rule) is rule


@pytest.mark.parametrize("rule", ["rigl", None, 3, ["set"], rewiring.cosine])
def test_unknown_rules(rule):
    with pytest.raises(ValueError, match="Received: rule=") as error:
        rewiring.get(rule)
    assert str(error.value).endswith(f"Received: rule={rule!r}")
