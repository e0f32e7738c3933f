"""Sparsity schedules by the papers' formulas, and how they are asked."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_sparse_rnn.rewiring import ConstantSparsity
from keras_sparse_rnn.rewiring import CubicSparsity
from keras_sparse_rnn.rewiring import IterativeSparsity
from keras_sparse_rnn.rewiring import OneShotSparsity
from keras_sparse_rnn.rewiring import RampSparsity
from keras_sparse_rnn.rewiring import ask

ALL = [
    CubicSparsity(0.9, end=20),
    CubicSparsity(0.9, end=31, initial_sparsity=0.5, begin=4, frequency=10),
    RampSparsity(0.9, ramp=12, end=27, begin=3, frequency=5),
    ConstantSparsity(0.9, begin=2, frequency=3),
    ConstantSparsity(0.9, begin=2, frequency=3, end=12),
    OneShotSparsity(0.9, step=7),
    IterativeSparsity(0.9, rounds=4, begin=2, frequency=5),
]
every = pytest.mark.parametrize("schedule", ALL, ids=repr)


def due(schedule, steps=60):
    return [step for step in range(steps) if schedule(step)[0]]


@every
def test_the_last_pruning_is_to_the_final_sparsity_exactly(schedule):
    assert schedule.final_sparsity == 0.9
    assert schedule(due(schedule)[-1])[1] == 0.9
    assert schedule(1000)[1] == 0.9


@every
def test_sparsity_never_falls(schedule):
    sparsities = [schedule(step)[1] for step in range(60)]
    assert sparsities == sorted(sparsities)
    assert all(0 <= sparsity <= 0.9 for sparsity in sparsities)


@pytest.mark.parametrize(
    ("schedule", "steps"),
    [
        (ALL[0], [*range(21)]),
        # At the end in any case, which is no multiple of the frequency.
        (ALL[1], [4, 14, 24, 31]),
        (ALL[2], [3, 8, 13, 18, 23, 27]),
        (ALL[3], [*range(2, 60, 3)]),
        (ALL[4], [2, 5, 8, 11, 12]),
        (ALL[5], [7]),
        (ALL[6], [2, 7, 12, 17]),
        (IterativeSparsity(0.9, rounds=1, begin=5), [5]),
        (ConstantSparsity(0.9, begin=5, end=5), [5]),
    ],
)
def test_when_it_prunes(schedule, steps):
    assert due(schedule) == steps


@given(st.floats(0, 0.99), st.floats(0, 1), st.integers(0, 9), st.data())
def test_the_cubic_is_equation_1_of_the_paper(final, share, begin, data):
    initial = share * final
    end = data.draw(st.integers(begin + 1, 50))
    step = data.draw(st.integers(begin, end))
    schedule = CubicSparsity(final, end, initial, begin)
    paper = (
        final + (initial - final) * (1 - (step - begin) / (end - begin)) ** 3
    )
    assert schedule(step)[1] == pytest.approx(paper, abs=1e-12)
    assert schedule(max(begin - 1, 0))[1] == pytest.approx(initial)


@given(st.floats(0.01, 0.99), st.integers(0, 9), st.data())
def test_the_ramp_has_the_papers_slopes(final, begin, data):
    end = data.draw(st.integers(begin + 1, 50))
    ramp = data.draw(st.integers(begin, end))
    schedule = RampSparsity(final, ramp, end, begin)
    # The start slope for a threshold of q at the end, at frequency 1.
    slope = 2 * final / (2 * (ramp - begin) + 3 * (end - ramp))
    for step in range(begin, end + 1):
        if step < ramp:
            paper = slope * (step - begin)
        else:
            paper = slope * (ramp - begin) + 1.5 * slope * (step - ramp)
        assert schedule(step)[1] == pytest.approx(paper, abs=1e-12)


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_each_round_prunes_the_same_fraction_of_what_is_left(rounds):
    schedule = IterativeSparsity(0.9, rounds, begin=3, frequency=4)
    densities = [1 - schedule(step)[1] for step in (0, *due(schedule))]
    assert densities[0] == 1
    left = [b / a for a, b in itertools.pairwise(densities)]
    assert len(left) == rounds
    assert left == pytest.approx([0.1 ** (1 / rounds)] * rounds)
    # Between two rounds the present sparsity stays.
    assert schedule(4)[1] == schedule(3)[1] == schedule(6)[1]


@every
@pytest.mark.parametrize("stride", [1, 3, 7, 60])
def test_asking_finds_the_last_pruning_since_the_last_time(schedule, stride):
    for first in range(0, 60, stride):
        last = first + stride - 1
        steps = [s for s in due(schedule) if first <= s <= last]
        expected = schedule(steps[-1])[1] if steps else None
        assert ask(schedule, first, last) == expected


def test_asking_about_no_step():
    assert ask(lambda step: 1 / 0, 5, 4) is None


def test_answers_may_be_scalars_of_an_array_library():
    def schedule(step):
        return np.array(step % 100 == 0), np.array(0.5, np.float32)

    assert ask(schedule, 1, 99) is None
    sparsity = ask(schedule, 1, 120)
    assert sparsity == 0.5
    assert type(sparsity) is float


def test_what_is_said_where_nothing_is_pruned_does_not_matter():
    assert ask(lambda step: (step == 3, step / 4), 0, 9) == 0.75
    assert ask(lambda step: (False, None), 0, 9) is None


@pytest.mark.parametrize(
    "answer",
    [None, 0.5, True, (True,), (True, 0.5, 0.5), (True, "high"), (True, None)],
)
def test_an_answer_that_is_no_pair(answer):
    with pytest.raises(
        ValueError, match=r"pair.*Received: .* at step 4 from schedule="
    ):
        ask(lambda step: answer if step == 4 else (False, 0), 0, 9)


@pytest.mark.parametrize("sparsity", [1, -0.1, 1.5, float("nan")])
def test_an_answer_out_of_range(sparsity):
    with pytest.raises(
        ValueError, match=rf"Received: {float(sparsity)} at step 2 from"
    ):
        ask(lambda step: (step == 2, sparsity), 0, 9)


def test_a_schedules_own_error_is_not_covered():
    with pytest.raises(ZeroDivisionError):
        ask(lambda step: (True, 1 / 0), 0, 1)


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (lambda: CubicSparsity(1.0, 5), "final_sparsity=1.0"),
        (lambda: CubicSparsity(True, 5), "final_sparsity=True"),
        (lambda: CubicSparsity(0.5, 0), "end=0"),
        (lambda: CubicSparsity(0.5, 4, begin=4), "end=4"),
        (lambda: CubicSparsity(0.5, 4.0), "end=4.0"),
        (lambda: CubicSparsity(0.5, 4, 0.6), "initial_sparsity=0.6"),
        (lambda: CubicSparsity(0.5, 4, "0"), "initial_sparsity='0'"),
        (lambda: CubicSparsity(0.5, 4, frequency=0), "frequency=0"),
        (lambda: CubicSparsity(0.5, 4, begin=-1), "begin=-1"),
        (lambda: RampSparsity(-0.1, 2, 4), "final_sparsity=-0.1"),
        (lambda: RampSparsity(0.5, 5, 4), "ramp=5"),
        (lambda: RampSparsity(0.5, 1, 4, begin=2), "ramp=1"),
        (lambda: RampSparsity(0.5, 2, 2, begin=2), "end=2"),
        (lambda: ConstantSparsity(None), "final_sparsity=None"),
        (lambda: ConstantSparsity(0.5, 3, end=2), "end=2"),
        (lambda: ConstantSparsity(0.5, frequency=1.5), "frequency=1.5"),
        (lambda: OneShotSparsity(0.5, -1), "step=-1"),
        (lambda: OneShotSparsity("a", 1), "final_sparsity='a'"),
        (lambda: IterativeSparsity(2, 1), "final_sparsity=2"),
        (lambda: IterativeSparsity(0.5, 0), "rounds=0"),
        (lambda: IterativeSparsity(0.5, 2, frequency=0), "frequency=0"),
    ],
)
def test_arguments_out_of_range(make, received):
    with pytest.raises(ValueError, match="Received: ") as error:
        make()
    assert str(error.value).endswith(f"Received: {received}")
