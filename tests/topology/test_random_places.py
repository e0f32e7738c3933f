"""Drawing places without replacement, by both ways of the code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_sparse_rnn.topology import random_mask
from keras_sparse_rnn.topology import random_places


@st.composite
def masks(draw):
    shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    share = draw(st.sampled_from([0, 0.05, 0.4, 0.6, 0.95, 1]))
    seed = draw(st.integers(0, 1000))
    return np.random.default_rng(seed).random(shape) < share


@given(masks(), st.integers(0, 200), st.integers(0, 100))
def test_places_are_distinct_empty_and_as_many_as_asked_for(mask, count, seed):
    before = mask.copy()
    places = random_places(mask, count, np.random.default_rng(seed))
    empty = np.flatnonzero(~mask)
    assert len(places) == min(count, len(empty))
    assert len(np.unique(places)) == len(places)
    assert np.isin(places, empty).all()
    np.testing.assert_array_equal(mask, before)


@given(masks(), st.integers(0, 200), st.integers(0, 100))
def test_the_same_generator_draws_the_same_places(mask, count, seed):
    first, second = (
        random_places(mask, count, np.random.default_rng(seed))
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_a_negative_count_draws_nothing():
    mask = np.zeros((3, 3), bool)
    assert len(random_places(mask, -1, np.random.default_rng(0))) == 0


# Drawn and thrown away if taken: (24, 2). Listed and chosen from: the others.
@pytest.mark.parametrize(
    ("size", "taken", "count"), [(24, 2, 3), (12, 7, 2), (8, 0, 5)]
)
def test_every_place_and_every_pair_is_equally_likely(size, taken, count):
    draws = 10_000
    mask = np.zeros(size, bool)
    mask[:taken] = True
    rng = np.random.default_rng(7)
    drawn = np.zeros((draws, size), int)
    for row in drawn:
        row[random_places(mask, count, rng)] = 1
    pairs = drawn.T @ drawn
    singles = pairs.diagonal()
    empty = size - taken
    assert not singles[:taken].any()
    _assert_even(singles[taken:], draws, count / empty)
    upper = np.triu_indices(empty, 1)
    share = count * (count - 1) / (empty * (empty - 1))
    _assert_even(pairs[taken:, taken:][upper], draws, share)


def test_the_order_of_places_says_nothing_about_them():
    """Cutting the drawn places at the count must not prefer small ones."""
    mask = np.zeros(1000, bool)
    rng = np.random.default_rng(3)
    first = np.array([random_places(mask, 5, rng)[0] for _ in range(4000)])
    counts = np.bincount(first // 100, minlength=10)
    _assert_even(counts, 4000, 0.1)


def _assert_even(counts, draws, share):
    """Each count within five standard deviations, their spread as expected."""
    deviations = (counts - draws * share) / np.sqrt(draws * share * (1 - share))
    assert np.abs(deviations).max() < 5
    # Chi-square over its degrees of freedom, which correlate only slightly.
    assert (deviations**2).mean() < 1 + 6 * np.sqrt(2 / len(counts))


@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.floats(0, 1),
    st.integers(0, 100),
)
def test_a_random_mask_has_exactly_the_count(shape, share, seed):
    count = round(share * shape[0] * shape[1])
    mask = random_mask(shape, count, np.random.default_rng(seed))
    assert mask.shape == shape
    assert mask.dtype == bool
    assert np.count_nonzero(mask) == count


@pytest.mark.parametrize("count", [2, 7])  # below and above one half
def test_every_place_of_a_random_mask_is_equally_likely(count):
    rng = np.random.default_rng(5)
    draws = 10_000
    counts = sum(
        random_mask((3, 3), count, rng).astype(int) for _ in range(draws)
    )
    _assert_even(counts.reshape(-1), draws, count / 9)
