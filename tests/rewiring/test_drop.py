"""Drop rules against a full sort."""

import numpy as np
import pytest
from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_sparse_rnn.rewiring import below_threshold
from keras_sparse_rnn.rewiring import changed_sign
from keras_sparse_rnn.rewiring import random_drop
from keras_sparse_rnn.rewiring import smallest_magnitude
from keras_sparse_rnn.rewiring import smallest_magnitude_per_sign
from keras_sparse_rnn.rewiring.drop import smallest

# Few values, so that ties are common.
numbers = st.sampled_from([-2.0, -1.0, -0.5, -0.0, 0.0, 0.25, 0.5, 1.0, 3.0])
weights = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 40), st.integers(1, 4)),
    elements=numbers | st.floats(-10, 10, width=32),
)
rates = st.floats(0, 1) | st.sampled_from([0.0, 0.3, 0.5, 1.0])


def smallest_by_sorting(scores, count):
    order = sorted(range(len(scores)), key=lambda index: (scores[index], index))
    return sorted(order[:count])


@given(hnp.arrays(np.float32, st.integers(1, 40), elements=numbers), st.data())
def test_smallest_cuts_ties_by_index(scores, data):
    count = data.draw(st.integers(0, len(scores)))
    expected = smallest_by_sorting(scores, count)
    assert smallest(scores, count).tolist() == expected


@given(weights, rates)
def test_smallest_magnitude_drops_the_smallest_sums_of_magnitudes(
    weights, rate
):
    dropped = smallest_magnitude(weights, rate)
    magnitude = np.abs(weights).sum(axis=1)
    count = int(np.floor(rate * len(weights) + 0.5))
    assert dropped.tolist() == smallest_by_sorting(magnitude, count)


@given(weights, rates)
def test_per_sign_drops_the_same_share_of_either_sign(weights, rate):
    dropped = smallest_magnitude_per_sign(weights, rate)
    magnitude = np.abs(weights).sum(axis=1)
    negative = weights.sum(axis=1) < 0
    expected = []
    for of_sign in (negative, ~negative):
        indices = np.flatnonzero(of_sign)
        count = int(np.floor(rate * len(indices) + 0.5))
        expected += [
            int(indices[index])
            for index in smallest_by_sorting(magnitude[indices], count)
        ]
    assert dropped.tolist() == sorted(expected)


@pytest.mark.parametrize(
    ("drop", "expected"),
    [
        (smallest_magnitude, [0, 1, 2]),
        # One of two positive ones, two of four negative ones.
        (smallest_magnitude_per_sign, [0, 2, 3]),
    ],
)
def test_where_the_rules_differ(drop, expected):
    weights = np.array([[0.1], [0.2], [-1], [-2], [-3], [-4]], np.float32)
    assert drop(weights, 0.5).tolist() == expected


def test_both_signs_lose_the_share_of_300_weights():
    """The published copies of SET's rule lose 45 to 210 of them."""
    weights = np.random.default_rng(0).normal(size=(300, 1))
    dropped = smallest_magnitude_per_sign(weights, 0.3)
    assert abs(len(dropped) - 90) <= 1
    kept = np.delete(weights, dropped)
    for sign in (1, -1):
        lost = sign * weights[dropped]
        lost = lost[lost > 0]
        left = sign * kept
        assert lost.max() < left[left > 0].min()


@pytest.mark.parametrize(
    "drop", [smallest_magnitude, smallest_magnitude_per_sign]
)
def test_extremes(drop):
    ties = np.ones((6, 2), np.float32)
    assert drop(ties, 0.0).tolist() == []
    assert drop(ties, 0.5).tolist() == [0, 1, 2]
    assert drop(ties, 1.0).tolist() == list(range(6))
    assert drop(ties[:1], 0.4).tolist() == []
    assert drop(ties[:0], 0.7).tolist() == []


def test_a_weight_of_zero_counts_as_positive():
    weights = np.array([[0.0], [-0.0], [-1.0], [-2.0]], np.float32)
    assert smallest_magnitude_per_sign(weights, 0.5).tolist() == [0, 2]


@given(weights, rates, st.integers(0, 100))
def test_random_drop_drops_the_share_and_repeats_itself(weights, rate, seed):
    first, second = (
        random_drop(weights, rate, rng=np.random.default_rng(seed)).tolist()
        for _ in range(2)
    )
    assert len(first) == int(np.floor(rate * len(weights) + 0.5))
    assert first == second == sorted(set(first))
    assert set(first) <= set(range(len(weights)))


def test_random_drop_takes_each_equally_often():
    rng = np.random.default_rng(0)
    weights = np.arange(8.0)[:, None]
    times = np.zeros(8)
    for _ in range(2000):
        times[random_drop(weights, 0.25, rng=rng)] += 1
    # Of 2000 draws with probability 1/4, five standard deviations.
    assert np.abs(times - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)


@given(weights, st.floats(0, 10) | st.sampled_from([0.0, 0.5, 1.0]))
@example(np.zeros((2, 1), np.float32), 5e-324)
def test_below_threshold_drops_what_is_below_but_one(weights, threshold):
    dropped = below_threshold(weights, 0.4, threshold=threshold).tolist()
    sums = [sum(abs(float(each)) for each in row) for row in weights]
    below = [index for index, each in enumerate(sums) if each < threshold]
    if len(below) == len(sums):
        below.remove(int(np.argmax(sums)))
    assert dropped == below


@given(weights, st.integers(0, 100))
def test_changed_sign_drops_what_left_its_sign_but_one(weights, seed):
    rng = np.random.default_rng(seed)
    signs = rng.choice(np.array([-1, 1], np.int8), weights.shape)
    dropped = changed_sign(weights, 1.0, signs=signs).tolist()
    sums = [0.0] * len(weights)
    for (index, part), weight in np.ndenumerate(weights):
        sums[index] += weight if signs[index, part] > 0 else -weight
    gone = [index for index, each in enumerate(sums) if each < -1e-5]
    unsure = [index for index, each in enumerate(sums) if abs(each) <= 1e-5]
    assert len(dropped) < len(weights)
    if len(gone) < len(weights):
        assert set(gone) <= set(dropped) <= set(gone + unsure)
    else:
        (kept,) = set(gone) - set(dropped)
        assert sums[kept] >= max(sums) - 1e-5


def test_a_connection_changes_sign_by_the_sum_of_what_it_carries():
    weights = np.array([[2, -1], [1, -2], [0, 0], [-1, 1]], np.float32)
    signs = np.array([[1, 1], [1, 1], [1, -1], [-1, 1]], np.int8)
    assert changed_sign(weights, 1.0, signs=signs).tolist() == [1]


@pytest.mark.parametrize(
    "drop",
    [
        lambda weights, rate: below_threshold(weights, rate, threshold=9.0),
        lambda weights, rate: changed_sign(
            weights, rate, signs=np.full(weights.shape, -1, np.int8)
        ),
    ],
)
def test_rules_without_a_fraction(drop):
    weights = np.array([[3], [1], [2], [3]], np.float32)
    assert drop(weights, 0.0).tolist() == []
    assert len(drop(weights, 0.5)) == 3
    assert drop(weights[:1], 0.5).tolist() == []
    assert drop(weights[:0], 0.5).tolist() == []


def test_a_sign_is_one_or_minus_one():
    weights = np.ones((3, 1), np.float32)
    with pytest.raises(ValueError, match=r"Received: signs=\[-1, 0, 1\]$"):
        changed_sign(weights, 1.0, signs=np.array([[0], [1], [-1]], np.int8))
