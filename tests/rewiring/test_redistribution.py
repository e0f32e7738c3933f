"""How what was dropped is shared: exact sums, bounds, shares."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_sparse_rnn.rewiring import RewiringRule
from keras_sparse_rnn.rewiring import by_momentum
from keras_sparse_rnn.rewiring import by_size
from keras_sparse_rnn.rewiring import by_survivors
from keras_sparse_rnn.rewiring import drop_connections
from keras_sparse_rnn.rewiring import growth_counts
from keras_sparse_rnn.rewiring import shared_growth
from tests.rewiring.packed import make


@st.composite
def drops(draw, kinds=(1, 3, 4)):
    """Shares, survivors, dropped, places and tied of a few groups."""
    n = draw(st.integers(1, 6))

    def integers(low, high):
        drawn = st.lists(st.integers(low, high), min_size=n, max_size=n)
        return np.array(draw(drawn))

    survivors = integers(0, 20)
    dropped = np.maximum(integers(0, 20), survivors == 0)
    places = survivors + dropped + integers(0, 20)
    share = st.sampled_from([0.0, 1.0]) | st.floats(0, 1e6)
    shares = np.array(draw(st.lists(share, min_size=n, max_size=n)))
    tied = draw(st.lists(st.sampled_from(kinds), min_size=n, max_size=n))
    return shares, survivors, dropped, places, np.array(tied)


@given(drops() | drops(kinds=(1, 2, 20)) | drops(kinds=(3, 7)))
def test_as_many_weights_come_as_went_and_every_group_can_hold_them(case):
    _, survivors, dropped, places, tied = case
    counts = growth_counts(*case)
    assert counts.dtype == np.int64
    assert (counts * tied).sum() == (dropped * tied).sum()
    assert (counts >= 0).all()
    assert (survivors + counts <= places).all()
    assert (survivors + counts >= 1).all()


@given(drops(kinds=(1,)) | drops(kinds=(4,)), st.floats(1e-3, 1e3))
def test_a_larger_share_of_two_like_groups_does_not_get_less(case, scale):
    shares, survivors, dropped, places, tied = case
    places = np.full_like(places, places.max())
    survivors = np.full_like(survivors, max(1, survivors.min()))
    dropped = np.minimum(dropped, places - survivors)
    case = (survivors, dropped, places, tied)
    counts = growth_counts(shares, *case)
    if not shares.any():
        assert counts.tolist() == dropped.tolist()
        return
    for i, j in itertools.combinations(range(len(shares)), 2):
        if shares[i] >= shares[j]:
            assert counts[i] >= counts[j]
        else:
            assert counts[i] <= counts[j] + 1
    # And the scale of the shares has no meaning.
    scaled = growth_counts(shares * scale, *case)
    assert np.abs(scaled - counts).max() <= 1


@given(drops())
def test_counts_are_near_to_the_shares_where_nothing_is_full(case):
    shares, survivors, dropped, places, tied = case
    survivors = np.maximum(survivors, 1)
    places = places + 10_000
    counts = growth_counts(shares, survivors, dropped, places, tied)
    if not shares.any():
        return
    wanted = shares / shares.sum() * (dropped @ tied) / tied
    # With one kind less than one; with several the sum costs a few more.
    bound = 1 + 1e-6 if len(set(tied)) == 1 else 10
    assert np.abs(counts - wanted).max() < bound


@given(drops())
def test_shares_as_it_was_change_nothing(case):
    _, survivors, dropped, places, tied = case
    counts = growth_counts(dropped * tied, survivors, dropped, places, tied)
    assert counts.tolist() == dropped.tolist()


@pytest.mark.parametrize(
    ("shares", "survivors", "dropped", "places", "tied", "counts"),
    [
        # In proportion.
        ([1, 3], [2, 2], [4, 4], [10, 10], [1, 1], [2, 6]),
        # In weights: a connection of the first carries four.
        ([1, 1], [2, 2], [2, 8], [10, 20], [4, 1], [2, 8]),
        ([3, 1], [2, 2], [2, 8], [10, 20], [4, 1], [3, 4]),
        # A full group passes the rest on, by the others' shares.
        ([8, 1, 1], [9, 5, 5], [1, 4, 5], [10, 50, 50], [1] * 3, [1, 5, 4]),
        # Whoever asks for nothing gets what nobody else can take, by room.
        ([1, 0, 0], [5, 5, 5], [1, 4, 5], [7, 9, 21], [1] * 3, [2, 2, 6]),
        # Largest remainders: 1.5, 1.5 and 3; the tie goes to the first.
        ([1, 1, 2], [5, 5, 5], [2, 2, 2], [30] * 3, [1] * 3, [2, 1, 3]),
        # The last connection of a group must come back.
        ([1, 0], [5, 0], [2, 3], [10, 10], [1, 1], [4, 1]),
        # Nothing to share by, and nothing to share.
        ([0, 0], [5, 5], [2, 3], [10, 10], [1, 4], [2, 3]),
        ([1, 2], [5, 5], [0, 0], [10, 10], [1, 4], [0, 0]),
        # Shares of any scale.
        ([5e-324, 5e-324], [5, 5], [0, 4], [10, 10], [1, 1], [2, 2]),
        ([1e308, 1e308], [5, 5], [0, 4], [10, 10], [1, 1], [2, 2]),
        # Three and seven weights: 24 are 3 + 21 or 24, no other way.
        ([1, 1], [5, 5], [1, 3], [20, 20], [3, 7], [1, 3]),
        ([1, 0], [5, 5], [1, 3], [20, 20], [3, 7], [8, 0]),
    ],
)
def test_points(shares, survivors, dropped, places, tied, counts):
    grown = growth_counts(shares, survivors, dropped, places, tied)
    assert grown.tolist() == counts


@pytest.mark.parametrize(
    "shares",
    [[1.0], [1.0, -1.0], [1.0, np.nan], [np.inf, 1.0], 1.0, [[1.0, 1.0]]],
)
def test_what_are_no_shares(shares):
    with pytest.raises(ValueError, match=r"2 groups\. Received: shares="):
        growth_counts(shares, [1, 1], [1, 1], [5, 5], [1, 1])


@pytest.mark.parametrize(
    ("survivors", "dropped"), [([1, 0], [1, 0]), ([1, 4], [1, 2])]
)
def test_groups_that_cannot_be(survivors, dropped):
    with pytest.raises(ValueError, match=r"Received: survivors=.*places=\[5"):
        growth_counts([1, 1], survivors, dropped, [5, 5], [1, 1])


def test_the_rules_shares():
    groups = np.array([3, 4]), np.array([1, 2]), np.array([10, 20])
    assert by_survivors(*groups).tolist() == [3, 4]
    assert by_size(*groups).tolist() == [10, 20]
    assert by_momentum(*groups, momentum=[0.5, 0.25]).tolist() == [0.5, 0.25]


def two_matrices():
    """Four gates, and the same place in three gates."""
    return [
        make(6, 5, 4, "gate", 0.4, seed=2),
        make(5, 7, 3, "unit", 0.5, seed=4),
    ]


def drop(cases, rule):
    rng = np.random.default_rng(0)
    return [
        drop_connections(case.weight, case.mask, case.groups, 0.5, rule, rng)
        for case in cases
    ]


def test_a_redistribution_is_asked_in_weights_of_all_matrices():
    asked = {}

    def redistribute(survivors, dropped, places, *, momentum):
        asked.update(locals())
        return places

    cases = two_matrices()
    rule = RewiringRule(redistribute=redistribute)
    rng = np.random.default_rng(1)
    momenta = [rng.normal(size=case.mask.shape) for case in cases]
    dropped = drop(cases, rule)
    counts = shared_growth(dropped, rule, momenta)

    assert [len(each) for each in counts] == [4, 1]
    assert asked["places"].tolist() == [30] * 4 + [3 * 35]
    assert asked["dropped"].tolist() == [6] * 4 + [3 * 9]
    assert asked["survivors"].tolist() == [6] * 4 + [3 * 9]
    # 51 weights by size: 6.8 in each gate, 7.9 connections in all three.
    assert counts[0].sum() + 3 * counts[1].sum() == 51
    assert set(counts[0].tolist()) <= {6, 7}
    assert counts[1].tolist() == [8]

    means = []
    for case, momentum in zip(cases, momenta, strict=True):
        for bundles in case.bundles():
            there = [
                abs(momentum.reshape(-1)[place])
                for places in bundles
                for place in places
                if case.mask.reshape(-1)[place]
            ]
            means.append(sum(there) / len(there))
    assert asked["momentum"] == pytest.approx(means)


def test_without_a_redistribution_each_grows_what_it_dropped():
    rule = RewiringRule()
    dropped = drop(two_matrices(), rule)
    counts = shared_growth(dropped, rule)
    assert [each.tolist() for each in counts] == [[6] * 4, [9]]
    assert shared_growth([], rule) == []
    assert shared_growth([], RewiringRule(redistribute=by_size)) == []


@pytest.mark.parametrize(
    "momentum", [None, [None, None], [np.ones((6, 20)), np.ones((5, 20))]]
)
def test_a_momentum_that_is_missing_or_does_not_fit(momentum):
    rule = RewiringRule(redistribute=by_momentum)
    dropped = drop(two_matrices(), rule)
    with pytest.raises(ValueError, match=r"momentum.*Received: "):
        shared_growth(dropped, rule, momentum)


def test_a_diverged_momentum_is_an_error():
    rule = RewiringRule(redistribute=by_momentum)
    cases = two_matrices()
    momenta = [np.ones(case.mask.shape) for case in cases]
    momenta[1][cases[1].mask] = np.nan
    with pytest.raises(ValueError, match=r"5 groups\. Received: shares="):
        shared_growth(drop(cases, rule), rule, momenta)
