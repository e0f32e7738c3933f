import math

import pytest

from keras_sparse_rnn.rewiring import constant
from keras_sparse_rnn.rewiring import cosine


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
