import math

import pytest

from keras_sparse_rnn.rewiring import Exponential
from keras_sparse_rnn.rewiring import InversePower
from keras_sparse_rnn.rewiring import constant
from keras_sparse_rnn.rewiring import cosine
from keras_sparse_rnn.rewiring import linear


def test_cosine_is_the_papers_formula():
    epochs = 10
    for epoch in range(epochs + 1):
        rate = 0.4 * cosine(epoch / epochs)
        paper = 0.4 * (1 + math.cos(math.pi * epoch / epochs)) / 2
        assert rate == pytest.approx(paper, abs=1e-15)


@pytest.mark.parametrize(
    ("progress", "factor"), [(0, 1), (1 / 3, 0.75), (0.5, 0.5), (1, 0)]
)
def test_points_of_the_cosine(progress, factor):
    assert cosine(progress) == pytest.approx(factor, abs=1e-15)


def test_cosine_falls_and_stays_between_one_and_zero():
    factors = [cosine(progress / 100) for progress in range(101)]
    assert factors == sorted(factors, reverse=True)
    assert factors[0] == 1
    assert 0 <= factors[-1] < 1e-15


def test_constant_stays():
    assert [constant(progress) for progress in (0, 0.3, 1)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (linear, [1, 0.75, 0.5, 0]),
        (InversePower(1), [1, 0.75, 0.5, 0]),
        (InversePower(), [1, 0.421875, 0.125, 0]),
        (InversePower(0.5), [1, 0.8660254038, 0.7071067812, 0]),
        (Exponential(4 * math.log(2)), [1, 0.5, 0.25, 0.0625]),
        (Exponential(), [1, 0.2865047969, 0.0820849986, 0.006737946999]),
    ],
)
def test_points_of_the_others(schedule, factors):
    points = [schedule(progress) for progress in (0, 0.25, 0.5, 1)]
    assert points == pytest.approx(factors)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "x"])
@pytest.mark.parametrize(
    ("schedule", "name"), [(Exponential, "rate"), (InversePower, "power")]
)
def test_parameters_out_of_range(schedule, name, value):
    with pytest.raises(ValueError, match=rf"Received: {name}={value!r}$"):
        schedule(value)


def test_schedules_of_equal_parameters_are_equal():
    assert Exponential(2.0) == Exponential(2.0) != Exponential(3.0)
    assert InversePower(2.0) == InversePower(2.0) != InversePower(3.0)
