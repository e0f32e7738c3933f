import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_sparse_rnn.rewiring import adapted_threshold
from keras_sparse_rnn.rewiring import below_threshold
from keras_sparse_rnn.rewiring import first_threshold


@given(
    st.lists(st.floats(1e-3, 10), min_size=1, max_size=50, unique=True),
    st.floats(0, 1),
)
def test_the_first_threshold_drops_the_wanted_share(magnitudes, rate):
    threshold = first_threshold(np.array(magnitudes), rate)
    wanted = int(np.floor(rate * len(magnitudes) + 0.5))
    below = sum(each < threshold for each in magnitudes)
    assert below == min(wanted, len(magnitudes) - 1)


def test_of_equal_ones_none_is_below():
    assert first_threshold(np.array([1, 2, 2, 2, 3]), 0.6) == 2


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5])
def test_a_quantile_of_0_would_never_grow(rate):
    magnitudes = np.array([0, 0.5, 0, 0.25, 0, 0])
    threshold = first_threshold(magnitudes, rate)
    assert threshold == 0.25
    assert adapted_threshold(threshold, 0, 1) == 0.5


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan"), None, True])
def test_rate_out_of_range(rate):
    with pytest.raises(ValueError, match=rf"Received: rate={rate!r}$"):
        first_threshold(np.ones(3), rate)


@pytest.mark.parametrize("magnitudes", [[], [0.0, 0.0]])
def test_nothing_above_0(magnitudes):
    with pytest.raises(ValueError, match=r"Received: magnitudes of \d conn"):
        first_threshold(magnitudes, 0.5)


@pytest.mark.parametrize(
    ("removed", "factor"),
    [(0, 2), (89, 2), (90, 1), (100, 1), (110, 1), (111, 0.5), (400, 0.5)],
)
def test_the_threshold_is_doubled_or_halved_outside_of_a_tenth(removed, factor):
    assert adapted_threshold(0.3, removed, 100) == 0.3 * factor


def test_the_threshold_finds_a_share_that_it_did_not_start_with():
    rng = np.random.default_rng(0)
    weights = rng.exponential(size=(4000, 1))
    threshold, wanted = 1e-5, 0.3 * 4000
    for _ in range(30):
        removed = len(below_threshold(weights, 0.3, threshold=threshold))
        threshold = adapted_threshold(threshold, removed, wanted)
    # A factor of two is as near as doubling and halving come.
    assert 0.5 < removed / wanted < 2
