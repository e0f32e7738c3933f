import numpy as np
import pytest

from keras_sparse_rnn.rewiring import NormalValues
from keras_sparse_rnn.rewiring import zero_values


def test_zero_values():
    values = zero_values((5, 3), np.random.default_rng(0))
    assert values.shape == (5, 3)
    assert not values.any()


@pytest.mark.parametrize("stddev", [0.1, 2.0])
def test_normal_values_have_the_spread_asked_for(stddev):
    values = NormalValues(stddev)((5000, 2), np.random.default_rng(0))
    assert values.shape == (5000, 2)
    assert values.dtype == np.float32
    assert abs(values.std() / stddev - 1) < 0.04
    assert abs(values.mean() / stddev) < 0.05


def test_the_spread_is_by_default_the_authors():
    assert NormalValues().stddev == 0.1


@pytest.mark.parametrize("stddev", [0, -1, float("nan"), float("inf"), "x"])
def test_spread_out_of_range(stddev):
    with pytest.raises(ValueError, match=rf"Received: stddev={stddev!r}$"):
        NormalValues(stddev)
