"""Magnitude pruning against sorting, within groups and over all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_sparse_rnn.rewiring import pooled_pruned_counts
from keras_sparse_rnn.rewiring import prune
from keras_sparse_rnn.rewiring import pruned_counts
from tests.rewiring.packed import make

gates = st.sampled_from([1, 3, 4])
granularities = st.sampled_from(["gate", "kernel", "unit"])
sparsities = st.floats(0, 0.999) | st.sampled_from([0.0, 0.5, 0.9])


cases = st.builds(
    make,
    rows=st.integers(1, 6),
    units=st.integers(1, 6),
    gates=gates,
    granularity=granularities,
    density=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
square_cases = st.integers(1, 6).flatmap(
    lambda units: st.builds(
        make,
        rows=st.just(units),
        units=st.just(units),
        gates=gates,
        granularity=granularities,
        density=st.floats(0, 1),
        seed=st.integers(0, 1000),
        diagonal=st.just(True),
    )
)


def bundled(case):
    """Per group, `(sum of |w|, places)` of each connection, by index."""
    weight, mask = case.weight.reshape(-1), case.mask.reshape(-1)
    return [
        [
            (np.abs(weight[places]).sum(), places)
            for places in bundles
            if mask[places[0]]
        ]
        for bundles in case.bundles()
    ]


@given(cases, sparsities)
def test_each_group_loses_its_smallest(case, sparsity):
    counts = pruned_counts(case.mask, case.groups, sparsity)
    pruned = prune(case.weight, case.mask, case.groups, counts)
    expected = []
    for bundles, group, count in zip(
        bundled(case), case.groups, counts, strict=True
    ):
        size = group.shape(len(case.mask))
        target = int(np.floor((1 - sparsity) * size[0] * size[1] + 0.5))
        assert count == min(max(target, 1), len(bundles))
        order = sorted(bundles, key=lambda each: each[0])
        gone = order[: len(bundles) - count]
        expected += [place for _, places in gone for place in places]
    assert sorted(pruned.dropped.tolist()) == sorted(expected)
    assert sorted(pruned.emptied.tolist()) == sorted(expected)
    assert sorted(pruned.changed.tolist()) == sorted(expected)


@given(cases, sparsities)
def test_nothing_grows_and_what_stays_is_untouched(case, sparsity):
    weight, mask = case.weight.copy(), case.mask.copy()
    counts = pruned_counts(case.mask, case.groups, sparsity)
    pruned = prune(case.weight, case.mask, case.groups, counts)
    assert len(pruned.grown) == len(pruned.values) == 0
    assert pruned.connections_moved == 0
    tied = case.groups[0].tied
    assert pruned.connections_dropped * tied == len(pruned.dropped)
    assert case.counts(pruned.mask) == [tied * count for count in counts]
    assert not (pruned.mask & ~mask).any()
    assert pruned.weight.dtype == np.float32
    kept = np.where(pruned.mask, weight, 0)
    assert pruned.weight.tobytes() == kept.astype(np.float32).tobytes()
    np.testing.assert_array_equal(case.weight, weight)
    np.testing.assert_array_equal(case.mask, mask)


@given(square_cases, sparsities)
def test_the_diagonal_is_kept_on_request(case, sparsity):
    counts = pruned_counts(case.mask, case.groups, sparsity, True)
    matrix = (case.weight, case.mask, case.groups, True)
    (pooled,) = pooled_pruned_counts([matrix], sparsity)
    diagonal = np.tile(np.eye(len(case.mask), dtype=bool), case.mask.shape[1])
    diagonal = diagonal[:, : case.mask.shape[1]]
    for each in (counts, pooled):
        pruned = prune(case.weight, case.mask, case.groups, each, True)
        assert pruned.mask[diagonal].all()
        tied = case.groups[0].tied
        assert case.counts(pruned.mask) == [tied * count for count in each]
    least = prune(
        case.weight,
        case.mask,
        case.groups,
        [np.count_nonzero(diagonal[g.columns]) // g.tied for g in case.groups],
        True,
    )
    np.testing.assert_array_equal(least.mask, diagonal)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([5, 5, 0], r"from 1 to 10 for group='h'. Received: counts=\[5, 5, 0"),
        ([5, 11, 5], r"from 1 to 10 for group='r'. Received: counts="),
        ([5, 5.0, 5], r"from 1 to 10 for group='r'. Received: counts="),
        ([5, 5], r"each of the 3 groups. Received: counts=\[5, 5\]$"),
    ],
)
def test_counts_that_cannot_be_kept(counts, message):
    case = make(5, 4, 3, "gate", 0.5, seed=0)
    with pytest.raises(ValueError, match=message):
        prune(case.weight, case.mask, case.groups, counts)


def test_fewer_than_the_diagonal_cannot_be_kept():
    case = make(4, 4, 3, "gate", 0.5, seed=0, diagonal=True)
    with pytest.raises(ValueError, match="from 4 to 8 for group='z'"):
        prune(case.weight, case.mask, case.groups, [3, 4, 4], True)


def test_nan_is_an_error():
    case = make(4, 4, 1, "gate", 0.5, seed=0)
    case.weight[case.mask] = np.nan
    matrix = (case.weight, case.mask, case.groups, False)
    for attempt in (
        lambda: prune(*matrix[:3], [3]),
        lambda: pooled_pruned_counts([matrix], 0.9),
    ):
        with pytest.raises(ValueError, match=r"diverged.*NaN in 8 of 8"):
            attempt()


@pytest.mark.parametrize("sparsity", [-0.1, 1, float("nan"), None])
def test_sparsity_out_of_range(sparsity):
    case = make(4, 4, 1, "gate", 0.5, seed=0)
    matrix = (case.weight, case.mask, case.groups, False)
    for attempt in (
        lambda: pruned_counts(case.mask, case.groups, sparsity),
        lambda: pooled_pruned_counts([matrix], sparsity),
    ):
        with pytest.raises(ValueError, match=f"sparsity={sparsity!r}$"):
            attempt()


def pooled_by_sorting(cases, sparsity):
    """What is kept, connection by connection: the strongest first."""
    groups = [group for case in cases for group in bundled(case)]
    tied = [group.tied for case in cases for group in case.groups]
    ranked = []
    kept = [0] * len(groups)
    places = sum(case.mask.size for case in cases)
    unit = int(np.gcd.reduce(tied))
    budget = unit * int(np.floor((1 - sparsity) * places / unit + 0.5))
    for index, group in enumerate(groups):
        sums = [magnitude for magnitude, _ in group]
        strongest = sums.index(max(sums))
        kept[index] += 1
        budget -= tied[index]
        ranked += [
            (magnitude, index, place)
            for place, magnitude in enumerate(sums)
            if place != strongest
        ]
    for _, index, _ in sorted(ranked, reverse=True):
        if tied[index] <= budget:
            kept[index] += 1
            budget -= tied[index]
    return kept


@given(st.lists(cases, min_size=1, max_size=4), sparsities)
def test_all_compete_for_one_budget(cases, sparsity):
    matrices = [(c.weight, c.mask, c.groups, False) for c in cases]
    counts = pooled_pruned_counts(matrices, sparsity)
    assert [len(each) for each in counts] == [len(c.groups) for c in cases]
    expected = pooled_by_sorting(cases, sparsity)
    assert np.concatenate(counts).tolist() == expected
    if all(group.tied == 1 for c in cases for group in c.groups):
        total = np.floor((1 - sparsity) * sum(c.mask.size for c in cases) + 0.5)
        there = sum(np.count_nonzero(c.mask) for c in cases)
        least = sum(len(c.groups) for c in cases)
        assert sum(expected) == min(max(total, least), there)


def test_at_one_threshold_a_weak_matrix_loses_more():
    strong = make(5, 4, 1, "gate", 1.0, seed=0)
    weak = make(5, 4, 1, "gate", 1.0, seed=0)
    weak.weight[...] *= 0.01
    counts = pooled_pruned_counts(
        [(c.weight, c.mask, c.groups, False) for c in (weak, strong)], 0.5
    )
    assert [each.tolist() for each in counts] == [[1], [19]]


def test_what_is_too_dear_is_skipped_so_that_the_sum_is_exact():
    dear = make(4, 3, 4, "unit", 1.0, seed=0)
    cheap = make(4, 3, 1, "gate", 1.0, seed=0)
    dear.weight[...] = 2
    cheap.weight[...] = 1
    counts = pooled_pruned_counts(
        [(c.weight, c.mask, c.groups, False) for c in (dear, cheap)], 0.5
    )
    # Of 60 weights 30 stay: one cheap one, seven dear ones, and a cheap one.
    assert [each.tolist() for each in counts] == [[7], [2]]


def test_connections_of_several_weights_go_to_the_nearest_count():
    case = make(3, 3, 4, "unit", 1.0, seed=0)
    matrix = (case.weight, case.mask, case.groups, False)
    # Half of nine, halves up as in `pruned_counts`.
    (counts,) = pooled_pruned_counts([matrix], 0.5)
    assert counts.tolist() == [5]
    assert pruned_counts(case.mask, case.groups, 0.5).tolist() == [5]
