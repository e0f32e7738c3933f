"""One rewiring of one matrix, by properties and by a slow reference."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_sparse_rnn.rewiring import RewiringRule
from keras_sparse_rnn.rewiring import rewire
from tests.rewiring.packed import make

cases = st.builds(
    make,
    rows=st.integers(1, 9),
    units=st.integers(1, 7),
    gates=st.sampled_from([1, 3, 4]),
    granularity=st.sampled_from(["gate", "kernel", "unit"]),
    density=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
square_cases = st.integers(1, 7).flatmap(
    lambda units: st.builds(
        make,
        rows=st.just(units),
        units=st.just(units),
        gates=st.sampled_from([1, 3, 4]),
        granularity=st.sampled_from(["gate", "kernel", "unit"]),
        density=st.floats(0, 1),
        seed=st.integers(0, 1000),
        diagonal=st.just(True),
    )
)
rates = st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0])
rules = st.sampled_from(["st_rnn", "set"])
seeds = st.integers(0, 100)


@given(cases, rates, rules, seeds)
def test_counts_stay_and_survivors_are_untouched(case, rate, rule, seed):
    rewiring = case.rewire(rate, rule, seed)
    assert case.counts(rewiring.mask) == case.counts(case.mask)
    assert rewiring.mask.dtype == bool
    assert rewiring.weight.dtype == np.float32

    before, after = case.mask.reshape(-1), rewiring.mask.reshape(-1)
    dropped, grown = set(rewiring.dropped), set(rewiring.grown)
    survivors = set(np.flatnonzero(before)) - dropped
    assert dropped <= set(np.flatnonzero(before))
    assert not grown & survivors
    assert set(np.flatnonzero(after)) == survivors | grown
    assert len(dropped) == len(rewiring.dropped)
    assert len(grown) == len(rewiring.grown) == len(dropped)

    places = sorted(survivors)
    old, new = case.weight.reshape(-1), rewiring.weight.reshape(-1)
    assert new[places].tobytes() == old[places].tobytes()
    assert not new[~after].any()
    if rule == "st_rnn":
        assert not new[sorted(grown)].any()


@given(cases, rates, rules, seeds)
def test_what_changed_is_told_place_by_place(case, rate, rule, seed):
    rewiring = case.rewire(rate, rule, seed)
    dropped, grown = set(rewiring.dropped), set(rewiring.grown)
    assert set(rewiring.changed) == dropped | grown
    assert len(rewiring.changed) == len(dropped | grown)
    tied = case.groups[0].tied
    assert rewiring.connections_moved * tied == len(grown)


@given(cases, rates, rules, seeds)
def test_arguments_are_not_changed_and_the_result_is_determined(
    case, rate, rule, seed
):
    weight, mask = case.weight.copy(), case.mask.copy()
    first = case.rewire(rate, rule, seed)
    first.weight[...] = 7
    first.mask[...] = True
    np.testing.assert_array_equal(case.weight, weight)
    np.testing.assert_array_equal(case.mask, mask)
    first, second = (case.rewire(rate, rule, seed) for _ in range(2))
    assert first.weight.tobytes() == second.weight.tobytes()
    assert first.mask.tobytes() == second.mask.tobytes()
    assert first.grown.tolist() == second.grown.tolist()


@given(cases, rates, seeds)
def test_the_smallest_go_in_each_group(case, rate, seed):
    """A full sort of each group's connections, ties by index."""
    rewiring = case.rewire(rate, seed=seed)
    expected = []
    rows, columns = case.mask.shape
    flat = np.arange(rows * columns).reshape(rows, columns)
    for group in case.groups:
        places = group.view(flat).transpose(0, 2, 1).reshape(-1, group.tied)
        places = [p for p in places if case.mask.reshape(-1)[p[0]]]
        if len(places) == group.shape(rows)[0] * group.shape(rows)[1]:
            continue
        size = np.abs(case.weight.reshape(-1)[places]).sum(axis=1)
        count = int(np.floor(rate * len(places) + 0.5))
        order = sorted(range(len(places)), key=lambda i: (size[i], i))[:count]
        if count == len(places):
            order.remove(int(np.argmax(size)))
        expected += [int(p) for index in order for p in places[index]]
    assert sorted(rewiring.dropped.tolist()) == sorted(expected)


@given(cases, rates, rules, seeds)
def test_tied_gates_keep_one_mask(case, rate, rule, seed):
    rewiring = case.rewire(rate, rule, seed)
    for group in case.groups:
        view = group.view(rewiring.mask)
        assert (view == view[:, :1, :]).all()


@given(square_cases, rates, rules, seeds)
def test_the_diagonal_is_kept_on_request(case, rate, rule, seed):
    rewiring = case.rewire(rate, rule, seed, keep_diagonal=True)
    rows, columns = case.mask.shape
    units = np.arange(rows)
    for first in range(0, columns, rows):
        diagonal = units * columns + first + units
        assert rewiring.mask.reshape(-1)[diagonal].all()
        assert not np.isin(diagonal, rewiring.changed).any()
    assert case.counts(rewiring.mask) == case.counts(case.mask)


@given(cases, rules, seeds)
def test_a_rate_of_zero_moves_nothing(case, rule, seed):
    rewiring = case.rewire(0.0, rule, seed)
    assert rewiring.connections_moved == 0
    assert len(rewiring.changed) == 0
    assert rewiring.weight.tobytes() == case.weight.tobytes()
    assert rewiring.mask.tobytes() == case.mask.tobytes()


@given(cases, rules, seeds)
def test_a_rate_of_one_leaves_the_strongest_of_each_group(case, rule, seed):
    rewiring = case.rewire(1.0, rule, seed)
    dropped = np.zeros(case.mask.size, bool)
    dropped[rewiring.dropped] = True
    dropped = dropped.reshape(case.mask.shape)
    for group in case.groups:
        mask = group.view(case.mask)
        if mask.all():
            assert not group.view(dropped).any()
            continue
        survivors = mask & ~group.view(dropped)
        assert np.count_nonzero(survivors[:, 0]) == 1
        size = np.abs(group.view(case.weight)).sum(axis=1)
        assert size[survivors[:, 0]] == size[mask[:, 0]].max()


@pytest.mark.parametrize("rule", ["st_rnn", "set"])
@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    ("rows", "units", "gates", "granularity"),
    [(1, 1, 1, "gate"), (1, 1, 4, "unit"), (5, 4, 3, "gate")],
)
def test_nothing_moves_without_an_empty_place(
    rows, units, gates, granularity, rate, rule
):
    case = make(rows, units, gates, granularity, 1.0, seed=0)
    rewiring = case.rewire(rate, rule)
    assert rewiring.connections_moved == 0
    assert rewiring.weight.tobytes() == case.weight.tobytes()


def test_the_only_connection_of_a_group_stays():
    case = make(4, 4, 1, "gate", 0.0, seed=0)
    assert case.counts(case.mask) == [1]
    assert case.rewire(1.0).weight.tobytes() == case.weight.tobytes()


def test_with_one_empty_place_dropped_ones_come_back_as_new():
    case = make(3, 4, 1, "gate", 11 / 12, seed=0)
    rewiring = case.rewire(0.5)
    assert len(rewiring.grown) == len(rewiring.dropped) == 6
    back = np.intersect1d(rewiring.grown, rewiring.dropped)
    assert len(back) >= 5
    assert not rewiring.weight.reshape(-1)[back].any()


def test_new_places_are_spread_evenly_over_what_is_empty_after_the_drop():
    case = make(4, 4, 1, "gate", 0.5, seed=0)
    draws = 3000
    counts = np.zeros(16)
    for seed in range(draws):
        counts[case.rewire(0.5, seed=seed).grown] += 1
    dropped = case.rewire(0.5).dropped
    empty = np.union1d(np.flatnonzero(~case.mask), dropped)
    share = len(dropped) / len(empty)
    spread = np.sqrt(draws * share * (1 - share))
    assert np.abs(counts[empty] - draws * share).max() < 5 * spread


@pytest.mark.parametrize(
    "rate", [-0.1, 1.1, float("nan"), "0.5", None, True, [0.5], 0.5j]
)
def test_rate_out_of_range(rate):
    case = make(3, 3, 1, "gate", 0.5, seed=0)
    received = re.escape(f"Received: rate={rate!r}")
    with pytest.raises(ValueError, match=rf"{received}$"):
        case.rewire(rate)


@pytest.mark.parametrize("rule", ["no_such_rule", None, 0.5, ["set"]])
def test_what_is_no_rule(rule):
    case = make(3, 3, 1, "gate", 0.5, seed=0)
    received = re.escape(f"Received: rule={rule!r}")
    with pytest.raises(ValueError, match=rf"{received}$"):
        rewire(case.weight, case.mask, case.groups, 0.5, rule, None)


@pytest.mark.parametrize("gates", [3, 4])
def test_tied_gates_whose_masks_differ_are_an_error(gates):
    case = make(5, 4, gates, "unit", 0.4, seed=0)
    # In the last gate alone, so that the first one's count is as it was.
    case.mask[0, -1] ^= True
    before = case.weight.copy(), case.mask.copy()
    with pytest.raises(
        ValueError, match=rf"all of its {gates} .* the gates of group='all'$"
    ):
        case.rewire(0.3)
    np.testing.assert_array_equal(case.weight, before[0])
    np.testing.assert_array_equal(case.mask, before[1])


@pytest.mark.parametrize("keep_diagonal", [False, True])
def test_a_weight_that_is_no_number_is_an_error(keep_diagonal):
    case = make(4, 4, 3, "gate", 0.5, seed=0, diagonal=True)
    case.weight[0, 0] = np.nan
    before = case.weight.copy()
    with pytest.raises(
        ValueError,
        match=r"diverged, .*Received: weights=NaN in 1 of 8 connections$",
    ):
        case.rewire(0.3, keep_diagonal=keep_diagonal)
    np.testing.assert_array_equal(case.weight, before)


def test_nan_in_an_empty_place_or_in_a_full_group():
    case = make(4, 4, 1, "gate", 0.5, seed=0)
    case.weight[~case.mask] = np.nan
    assert case.rewire(0.3).connections_moved == 2
    case = make(4, 4, 1, "gate", 1.0, seed=0)
    case.weight[0, 0] = np.nan
    with pytest.raises(
        ValueError, match=r"Received: weights=NaN in 1 of 16 connections$"
    ):
        case.rewire(0.3)


def test_infinite_weights_are_the_strongest():
    case = make(4, 4, 1, "gate", 0.5, seed=0)
    case.weight[case.mask] = np.arange(8) - 3
    first = np.flatnonzero(case.mask)[0]
    case.weight.reshape(-1)[first] = -np.inf
    assert first not in case.rewire(1.0).dropped


def test_a_users_own_functions_decide():
    case = make(4, 5, 4, "gate", 0.4, seed=0)
    rule = RewiringRule(
        drop=lambda weights, rate: np.argsort(-np.abs(weights[:, 0]))[:2],
        grow=lambda mask, count, rng: np.flatnonzero(~mask)[-count:],
        new_values=lambda shape, rng: np.full(shape, 9.0),
    )
    rewiring = case.rewire(0.123, rule)
    assert rewiring.connections_moved == 8
    assert (rewiring.weight.reshape(-1)[rewiring.grown] == 9).all()
    for group in case.groups:
        old = case.weight[group.columns]
        gone = np.isin(np.arange(case.mask.size), rewiring.dropped)
        gone = gone.reshape(case.mask.shape)[group.columns]
        strongest = np.sort(np.abs(old[case.mask[group.columns]]))[-2:]
        assert sorted(np.abs(old[gone])) == strongest.tolist()
        left = rewiring.mask[group.columns].reshape(-1)
        survivors = case.mask[group.columns].reshape(-1) & ~gone.reshape(-1)
        assert (np.flatnonzero(left & ~survivors)).tolist() == (
            np.flatnonzero(~survivors)[-2:].tolist()
        )


def test_lists_and_a_mask_marked_in_place_will_do():
    def grow(mask, count, rng):
        places = np.flatnonzero(~mask)[:count].tolist()
        mask.reshape(-1)[places] = True
        return places

    case = make(4, 5, 1, "gate", 0.4, seed=0)
    rule = RewiringRule(drop=lambda weights, rate: [0, 2], grow=grow)
    assert case.rewire(0.3, rule).connections_moved == 2
    rule = RewiringRule(drop=lambda weights, rate: [], grow=grow)
    assert case.rewire(0.3, rule).connections_moved == 0


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("grow", lambda mask, count, rng: np.flatnonzero(mask)[:count]),
        ("grow", lambda mask, count, rng: np.flatnonzero(~mask)[[0] * count]),
        ("grow", lambda mask, count, rng: np.flatnonzero(~mask)[: count - 1]),
        ("grow", lambda mask, count, rng: np.flatnonzero(~mask)[: count + 1]),
        ("grow", lambda mask, count, rng: -1 - np.arange(count)),
        ("grow", lambda mask, count, rng: mask.size + np.arange(count)),
        ("grow", lambda mask, count, rng: np.argwhere(~mask)[:count]),
        ("grow", lambda mask, count, rng: np.flatnonzero(~mask)[:count] / 1),
        ("grow", lambda mask, count, rng: ~mask),
        ("grow", lambda mask, count, rng: None),
        ("drop", lambda weights, rate: np.array([1, 1, 2])),
        ("drop", lambda weights, rate: np.array([0, -len(weights)])),
        ("new_values", lambda shape, rng: np.zeros(shape[0])),
        ("new_values", lambda shape, rng: 0.0),
    ],
)
def test_what_a_users_function_must_not_return(name, function):
    case = make(4, 5, 3, "unit", 0.4, seed=0)
    rule = RewiringRule(**{name: function})
    with pytest.raises(ValueError, match=rf"Received: .* from {name}="):
        case.rewire(0.5, rule)


@pytest.mark.parametrize(
    ("name", "function", "received"),
    [
        (
            "drop",
            lambda weights, rate: np.abs(weights[:, 0]) < 1,
            r"`np\.flatnonzero` .*Received: dtype=bool, shape=\(2000,\) from",
        ),
        (
            "drop",
            lambda weights, rate: np.arange(len(weights)) + 1,
            r"dtype=int64, shape=\(2000,\), min=1, max=2000 from",
        ),
        (
            "drop",
            lambda weights, rate: np.array(["a"] * len(weights)),
            r"dtype=<U1, shape=\(2000,\) from",
        ),
        (
            "new_values",
            lambda shape, rng: np.full(shape, np.nan),
            r"dtype=float64, shape=\(1000, 1\), min=nan, max=nan from",
        ),
    ],
)
def test_large_arrays_are_described_in_errors(name, function, received):
    case = make(100, 40, 1, "gate", 0.5, seed=0)
    rule = RewiringRule(**{name: function})
    with pytest.raises(ValueError, match=received) as raised:
        case.rewire(0.5, rule)
    assert len(str(raised.value)) < 400
