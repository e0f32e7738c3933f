import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_sparse_rnn.rewiring import largest_gradient
from keras_sparse_rnn.rewiring import largest_momentum
from keras_sparse_rnn.rewiring import random_growth
from keras_sparse_rnn.rewiring import random_growth_elsewhere


def grow_largest(name, mask, count, scores):
    grow = {"gradient": largest_gradient, "momentum": largest_momentum}[name]
    return grow(mask, count, None, **{name: scores})


names = pytest.mark.parametrize("name", ["gradient", "momentum"])


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.floats(0, 1),
    st.integers(0, 100),
    st.integers(0, 100),
)
def test_growth_fills_as_many_empty_places_as_there_are(
    rows, columns, share, count, seed
):
    mask = np.random.default_rng(seed).random((rows, columns)) < share
    grown = random_growth(mask, count, np.random.default_rng(seed))
    empty = np.flatnonzero(~mask)
    assert len(grown) == len(set(grown.tolist())) == min(count, len(empty))
    assert set(grown.tolist()) <= set(empty.tolist())


@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 40),
    st.integers(0, 100),
)
def test_elsewhere_takes_dropped_places_only_as_the_last_resort(
    rows, columns, share, share_dropped, count, seed
):
    rng = np.random.default_rng(seed)
    mask = rng.random((rows, columns)) < share
    empty = np.flatnonzero(~mask)
    dropped = empty[rng.random(len(empty)) < share_dropped]
    before = mask.copy()
    grown = random_growth_elsewhere(mask, count, rng, dropped=dropped)
    np.testing.assert_array_equal(mask, before)
    others = set(empty.tolist()) - set(dropped.tolist())
    assert len(grown) == len(set(grown.tolist())) == min(count, len(empty))
    assert set(grown.tolist()) <= set(empty.tolist())
    if count <= len(others):
        assert set(grown.tolist()) <= others
    else:
        assert others <= set(grown.tolist())


def test_dropped_places_that_must_come_back_are_drawn_at_random():
    mask = np.zeros((2, 5), bool)
    dropped = np.arange(8)
    times = np.zeros(10)
    rng = np.random.default_rng(0)
    for _ in range(1000):
        times[random_growth_elsewhere(mask, 4, rng, dropped=dropped)] += 1
    assert times[8:].tolist() == [1000, 1000]
    spread = np.sqrt(1000 * 0.25 * 0.75)
    assert np.abs(times[:8] - 250).max() < 5 * spread


@names
@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    share=st.floats(0, 1),
    levels=st.integers(1, 4),
    count=st.integers(0, 40),
    seed=st.integers(0, 100),
)
def test_the_largest_of_the_empty_places_by_sorting(
    name, rows, columns, share, levels, count, seed
):
    rng = np.random.default_rng(seed)
    mask = rng.random((rows, columns)) < share
    # Few levels, so that there are ties, and zeros.
    scores = rng.integers(levels, size=mask.shape).astype(np.float32)
    grown = grow_largest(name, mask, count, scores).tolist()
    flat = scores.reshape(-1)
    empty = sorted(
        np.flatnonzero(~mask).tolist(), key=lambda place: (-flat[place], place)
    )
    assert grown == sorted(empty[:count])


@names
def test_an_occupied_place_is_never_taken_though_all_others_are_at_0(name):
    mask = np.array([[True, False, True], [False, True, False]])
    scores = np.where(mask, 9.0, 0.0)
    assert grow_largest(name, mask, 2, scores).tolist() == [1, 3]
    assert grow_largest(name, mask, 5, scores).tolist() == [1, 3, 5]


@names
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", [(0, 0), (1, 1)])
def test_what_is_not_finite_is_an_error(name, value, place):
    mask = np.eye(2, dtype=bool)
    scores = np.ones((2, 2), np.float32)
    scores[place] = value
    with pytest.raises(
        ValueError, match=rf"The {name} must be .*Received: 1 of 4 not finite$"
    ):
        grow_largest(name, mask, 1, scores)
