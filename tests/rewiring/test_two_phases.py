"""Rules that look at sources, step by step, and by slow references.

The references go through a packed matrix place by place, in lists.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_sparse_rnn.rewiring import RewiringRule
from keras_sparse_rnn.rewiring import by_size
from keras_sparse_rnn.rewiring import drop_connections
from keras_sparse_rnn.rewiring import get
from keras_sparse_rnn.rewiring import grow_connections
from keras_sparse_rnn.rewiring import growth_counts
from keras_sparse_rnn.rewiring import shared_growth
from tests.rewiring.packed import make

cases = st.builds(
    make,
    rows=st.integers(1, 7),
    units=st.integers(1, 6),
    gates=st.sampled_from([1, 3, 4]),
    granularity=st.sampled_from(["gate", "kernel", "unit"]),
    density=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
rates = st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0])
seeds = st.integers(0, 100)
rules = st.sampled_from(["rigl", "snfs", "dsr", "deep_r"])


def sources_of(case, seed):
    """Everything that a rule may look at, with ties and zeros."""
    rng = np.random.default_rng(seed)

    def gradient():
        drawn = rng.normal(size=case.mask.shape).astype(np.float32)
        return np.round(2 * drawn) / 2 if seed % 2 else drawn

    return {
        "gradient": gradient(),
        "momentum": gradient(),
        "signs": rng.choice(np.array([-1, 1], np.int8), case.mask.shape),
        "threshold": float(rng.uniform(0, 3)),
    }


def groups_of(case):
    """Per group the bundles of places with and without a connection."""
    mask = case.mask.reshape(-1)
    for bundles in case.bundles():
        yield (
            [places for places in bundles if mask[places[0]]],
            [places for places in bundles if not mask[places[0]]],
        )


def summed(source, places):
    return float(np.abs(source.reshape(-1)[places]).sum())


def flat(bundles):
    return sorted(place for places in bundles for place in places)


@given(cases, rates, seeds)
def test_rigl_by_hand(case, rate, seed):
    sources = sources_of(case, seed)
    dropped, grown = [], []
    for there, empty in groups_of(case):
        if not empty:
            continue
        count = int(np.floor(rate * len(there) + 0.5))
        order = sorted(there, key=lambda p: summed(case.weight, p))
        gone = order[:count]
        if count == len(there):
            gone.remove(max(there, key=lambda p: summed(case.weight, p)))
        # Ties by index: `sorted` is stable, and places are in order.
        candidates = sorted(
            empty + gone, key=lambda p: (-summed(sources["gradient"], p), p)
        )
        dropped += gone
        grown += candidates[: len(gone)]
    rewiring = case.rewire(rate, "rigl", seed, **sources)
    assert sorted(rewiring.dropped.tolist()) == flat(dropped)
    assert sorted(rewiring.grown.tolist()) == flat(grown)
    assert not rewiring.values.any()


@given(cases, rates, seeds)
def test_snfs_by_hand(case, rate, seed):
    momentum = sources_of(case, seed)["momentum"]
    rewiring = case.rewire(rate, "snfs", seed, momentum=momentum)
    grown = set(rewiring.grown.tolist())
    means, counts, dropped = [], [], []
    # What is full everywhere stays as it is.
    rate = 0.0 if case.mask.all() else rate
    for there, empty in groups_of(case):
        count = int(np.floor(rate * len(there) + 0.5))
        order = sorted(there, key=lambda p: summed(case.weight, p))
        gone = order[:count]
        if count == len(there):
            gone.remove(max(there, key=lambda p: summed(case.weight, p)))
        dropped += gone
        means.append(summed(momentum, flat(there)) / len(flat(there)))
        candidates = sorted(
            empty + gone, key=lambda p: (-summed(momentum, p), p)
        )
        counts.append(sum(p[0] in grown for p in candidates))
        # Whatever the count is, it is the largest that come.
        assert grown >= set(flat(candidates[: counts[-1]]))
    assert sorted(rewiring.dropped.tolist()) == flat(dropped)
    assert len(grown) == len(flat(dropped))
    tied = [group.tied for group in case.groups]
    survivors, places = np.transpose(
        [
            (sum(p not in dropped for p in there), len(there) + len(empty))
            for there, empty in groups_of(case)
        ]
    )
    went = [sum(p in dropped for p in there) for there, _ in groups_of(case)]
    expected = growth_counts(means, survivors, went, places, tied)
    # The means' last bits may turn a remainder.
    assert np.abs(expected - counts).max() <= 1


def elsewhere(there, empty, gone, grown, count):
    """Whether so many come at empty places that were not just dropped."""
    came = [p for p in empty + gone if p[0] in grown]
    assert len(came) == count
    assert not [p for p in there if p[0] in grown and p not in gone]
    back = [p for p in gone if p[0] in grown]
    assert len(back) == max(0, count - len(empty))


@given(cases, seeds)
def test_dsr_by_hand(case, seed):
    sources = sources_of(case, seed)
    rewiring = case.rewire(0.3, "dsr", seed, **sources)
    grown = set(rewiring.grown.tolist())
    dropped, left, groups = [], [], []
    for there, empty in groups_of(case):
        gone = [
            p
            for p in there
            if summed(case.weight, p) < sources["threshold"]
            and not case.mask.all()
        ]
        if len(gone) == len(there):
            gone.remove(max(there, key=lambda p: summed(case.weight, p)))
        dropped += gone
        left.append(len(there) - len(gone))
        groups.append((there, empty, gone))
    assert sorted(rewiring.dropped.tolist()) == flat(dropped)
    wanted = [len(dropped) * each / sum(left) for each in left]
    overflow = any(
        share > len(empty) + len(gone)
        for share, (_, empty, gone) in zip(wanted, groups, strict=True)
    )
    for share, (there, empty, gone) in zip(wanted, groups, strict=True):
        count = sum(p[0] in grown for p in empty + gone)
        elsewhere(there, empty, gone, grown, count)
        if not overflow:
            assert abs(count - share) < 1 + 1e-9


@given(cases, rates, seeds)
def test_deep_r_by_hand(case, rate, seed):
    sources = sources_of(case, seed)
    rewiring = case.rewire(rate, "deep_r", seed, **sources)
    grown = set(rewiring.grown.tolist())
    weight, signs = (
        each.reshape(-1) for each in (case.weight, sources["signs"])
    )
    dropped = []
    for there, empty in groups_of(case):
        along = [float((weight[p] * signs[p]).sum()) for p in there]
        gone = [p for p, each in zip(there, along, strict=True) if each < 0]
        if not empty or rate == 0:
            gone = []
        elif len(gone) == len(there):
            gone.remove(there[int(np.argmax(along))])
        dropped += gone
        elsewhere(there, empty, gone, grown, len(gone))
    assert sorted(rewiring.dropped.tolist()) == flat(dropped)


@given(cases, rates, rules, seeds, st.booleans())
def test_what_holds_under_every_rule(case, rate, rule, seed, redistribute):
    rule = get(rule)
    if redistribute and rule.redistribute is None:
        rule = RewiringRule(
            rule.drop, rule.grow, rule.new_values, rule.schedule, by_size
        )
    sources = sources_of(case, seed)
    before = case.weight.copy(), case.mask.copy()
    rewiring = case.rewire(rate, rule, seed, **sources)
    np.testing.assert_array_equal(case.weight, before[0])
    np.testing.assert_array_equal(case.mask, before[1])

    tied = case.groups[0].tied
    assert rewiring.mask.sum() == case.mask.sum()
    if rule.redistribute is None:
        assert case.counts(rewiring.mask) == case.counts(case.mask)
    assert min(case.counts(rewiring.mask)) >= tied
    assert rewiring.connections_moved == rewiring.connections_dropped
    assert rewiring.connections_moved * tied == len(rewiring.grown)

    dropped, grown = set(rewiring.dropped), set(rewiring.grown)
    survivors = set(np.flatnonzero(case.mask)) - dropped
    assert set(np.flatnonzero(rewiring.mask)) == survivors | grown
    assert not grown & survivors
    assert set(rewiring.changed) == dropped | grown
    places = sorted(survivors)
    old, new = case.weight.reshape(-1), rewiring.weight.reshape(-1)
    assert new[places].tobytes() == old[places].tobytes()
    assert not new[~rewiring.mask.reshape(-1)].any()
    for group in case.groups:
        view = group.view(rewiring.mask)
        assert (view == view[:, :1, :]).all()

    again = case.rewire(rate, rule, seed, **sources)
    assert again.weight.tobytes() == rewiring.weight.tobytes()
    assert again.mask.tobytes() == rewiring.mask.tobytes()
    nothing = case.rewire(0.0, rule, seed, **sources)
    assert len(nothing.changed) == 0


def test_a_full_group_gives_only_where_connections_are_redistributed():
    case = make(4, 5, 1, "gate", 1.0, seed=0)
    other = make(4, 5, 1, "gate", 0.2, seed=2)
    plain, shared = RewiringRule(), RewiringRule(redistribute=by_size)
    for rule, counts in ((plain, [0, 2]), (shared, [6, 6])):
        dropped = [
            drop_connections(
                each.weight,
                each.mask,
                each.groups,
                0.5,
                rule,
                np.random.default_rng(0),
            )
            for each in (case, other)
        ]
        grown = shared_growth(dropped, rule)
        assert [each.tolist() for each in grown] == [[n] for n in counts]
        rewired = [
            grow_connections(each, count, rule, np.random.default_rng(0))
            for each, count in zip(dropped, grown, strict=True)
        ]
        moved = [each.connections_moved for each in rewired]
        assert moved == counts
        assert sum(each.mask.sum() for each in rewired) == 24
        lost = [each.connections_dropped for each in rewired]
        assert lost == ([0, 2] if rule is plain else [10, 2])


def test_where_nothing_can_move_no_function_is_asked():
    def never(*arguments):
        raise AssertionError(arguments)

    case = make(4, 5, 3, "gate", 1.0, seed=0)
    rewiring = case.rewire(0.5, RewiringRule(never, never, never))
    assert len(rewiring.changed) == 0
    # Nor where all is full that connections are redistributed over.
    rule = RewiringRule(never, never, never, redistribute=by_size)
    assert len(case.rewire(0.5, rule).changed) == 0


def test_rewire_is_the_two_phases_with_one_generator():
    case = make(5, 4, 4, "gate", 0.4, seed=2)
    once = case.rewire(0.5, "set", seed=3)
    rng = np.random.default_rng(3)
    rule = get("set")
    dropped = drop_connections(
        case.weight, case.mask, case.groups, 0.5, rule, rng
    )
    twice = grow_connections(dropped, dropped.counts, rule, rng)
    assert twice.weight.tobytes() == once.weight.tobytes()
    assert twice.grown.tolist() == once.grown.tolist()
    assert dropped.tied.tolist() == [1] * 4
    assert dropped.places.tolist() == [20] * 4
    assert (dropped.counts + dropped.survivors).tolist() == [8] * 4
    assert dropped.counts.sum() == once.connections_dropped


@pytest.mark.parametrize(
    "counts", [[1, 1, 1], [1, 1, 1, -1], [1.0] * 4, [1, 1, 1, 17], 4]
)
def test_counts_that_cannot_grow(counts):
    case = make(5, 4, 4, "gate", 0.4, seed=2)
    rng = np.random.default_rng(3)
    dropped = drop_connections(
        case.weight, case.mask, case.groups, 0.5, "st_rnn", rng
    )
    with pytest.raises(
        ValueError, match=r"\[16, 16, 16, 16\] here\. Received: counts="
    ):
        grow_connections(dropped, counts, "st_rnn", rng)


def test_a_drop_rule_may_draw():
    case = make(5, 4, 4, "gate", 0.4, seed=2)
    rule = RewiringRule(
        drop=lambda weights, rate, *, rng: rng.choice(len(weights), 3, False)
    )
    drawn = [
        case.rewire(0.5, rule, seed).dropped.tolist() for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 12


@pytest.mark.parametrize("granularity", ["gate", "unit"])
def test_sources_are_cut_for_each_group(granularity):
    case = make(5, 4, 3, granularity, 0.4, seed=2, diagonal=False)
    numbers = np.arange(60.0).reshape(5, 12)
    seen = []

    def drop(weights, rate, *, signs, threshold):
        assert threshold == 0.25
        assert signs.shape == weights.shape
        seen.append(signs)
        return [1, 2]

    def grow(mask, count, rng, *, dropped, gradient, momentum):
        assert not mask.reshape(-1)[dropped].any()
        assert len(dropped) == count
        seen.extend([gradient, momentum, dropped])
        return np.flatnonzero(~mask)[:count]

    rewiring = case.rewire(
        0.5,
        RewiringRule(drop, grow),
        signs=numbers,
        gradient=-numbers,
        momentum=2 * numbers,
        threshold=0.25,
    )
    mask = case.mask.reshape(-1)
    signs, rest = seen[: len(case.groups)], seen[len(case.groups) :]
    gone = []
    for index, bundles in enumerate(case.bundles()):
        there = [places for places in bundles if mask[places[0]]]
        assert signs[index].tolist() == there
        gradient, momentum, dropped = rest[3 * index : 3 * index + 3]
        sums = [sum(places) for places in bundles]
        assert gradient.shape == (5, 4)
        assert gradient.reshape(-1).tolist() == sums
        assert momentum.reshape(-1).tolist() == [2 * each for each in sums]
        gone += [place for where in dropped for place in bundles[where]]
    assert sorted(rewiring.dropped.tolist()) == sorted(gone)


def test_the_diagonal_has_no_signs_to_look_at():
    case = make(4, 4, 4, "gate", 0.5, seed=2, diagonal=True)
    rewiring = case.rewire(
        1.0,
        "deep_r",
        keep_diagonal=True,
        signs=-np.sign(case.weight + 0.1).astype(np.int8),
    )
    for first in range(0, 16, 4):
        assert rewiring.mask[np.arange(4), first + np.arange(4)].all()


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("rigl", "gradient"),
        ("snfs", "momentum"),
        ("dsr", "threshold"),
        ("deep_r", "signs"),
    ],
)
def test_sources_that_are_missing_or_of_another_shape(rule, name):
    case = make(5, 4, 3, "gate", 0.4, seed=2)
    with pytest.raises(ValueError, match=rf"looks at \['{name}'\].*Rec"):
        case.rewire(0.3, rule)
    with pytest.raises(ValueError, match=rf"`{name}` must be .*Received: "):
        case.rewire(0.3, rule, **{name: np.ones((4, 5))})
    with pytest.raises(ValueError, match=r"Received: sources=\['weights'\]$"):
        case.rewire(0.3, "set", weights=1)


def test_a_diverged_gradient_is_an_error():
    case = make(5, 4, 3, "gate", 0.4, seed=2)
    gradient = np.ones(case.mask.shape, np.float32)
    gradient[0, 0] = np.inf
    with pytest.raises(ValueError, match=r"gradient must be finite.*1 of 20"):
        case.rewire(0.3, "rigl", gradient=gradient)
