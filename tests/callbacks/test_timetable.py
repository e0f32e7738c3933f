import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_sparse_rnn.callbacks.timetable import EpochTimetable
from keras_sparse_rnn.callbacks.timetable import StepTimetable

counts = st.integers(1, 5)
maybe = st.none() | st.integers(0, 12)


@pytest.mark.parametrize(
    ("arguments", "due"),
    [
        ((1, None, None, 4), [1, 2, 3]),
        ((2, None, None, 7), [2, 4, 6]),
        ((2, 1, None, 7), [1, 3, 5]),
        ((1, 0, 2, 7), [0, 1]),
        ((3, 0, 40, 7), [0, 3, 6]),
        ((1, 5, None, 4), []),
    ],
)
def test_epochs_at_whose_beginning_it_is_due(arguments, due):
    timetable = EpochTimetable(*arguments)
    assert [epoch for epoch in range(9) if timetable.is_due(epoch)] == due


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        ((2, None, None, 7), [6]),
        ((2, 0, None, 4), [3]),
        ((1, 0, 2, 7), [1]),
        ((3, 0, 40, 7), [6]),
        ((1, 5, None, 4), []),
        ((2, 5, None, 6), [5]),
    ],
)
def test_the_last_epoch_is_that_before_the_end(arguments, last):
    timetable = EpochTimetable(*arguments)
    assert [epoch for epoch in range(9) if timetable.is_last(epoch)] == last


@pytest.mark.parametrize(
    ("start", "end", "last", "open_steps"),
    [
        (None, None, -1, range(3, 9)),
        (0, 5, -1, range(5)),
        # Rewirings before make no difference.
        (2, 7, 5, range(2, 7)),
    ],
)
def test_steps_between_start_and_end_are_open(start, end, last, open_steps):
    timetable = StepTimetable(3, start, end, last, None)
    found = [step for step in range(9) if timetable.is_open(step)]
    assert found == [*open_steps]


@given(counts, maybe, maybe, st.integers(1, 12), st.integers(0, 14))
def test_the_last_epoch_before_one_is_found_by_looking(
    count, start, end, epochs, epoch
):
    timetable = EpochTimetable(count, start, end, epochs)
    due = [each for each in range(epoch) if timetable.is_due(each)]
    assert timetable.last_before(epoch) == (due[-1] if due else -1)


@pytest.mark.parametrize(
    ("end", "epochs", "progress"), [(None, 8, 0.25), (4, 8, 0.5)]
)
def test_progress_in_epochs_is_1_at_the_end(end, epochs, progress):
    timetable = EpochTimetable(1, None, end, epochs)
    assert timetable.progress(2) == progress
    assert timetable.progress(end or epochs) == 1


def times(timetable, steps):
    found = []
    for step in steps:
        if timetable.is_time(step):
            timetable.note(step)
            found.append(step)
    return found


@pytest.mark.parametrize(
    ("arguments", "steps", "expected"),
    [
        ((3, None, None, -1, 12), range(12), [3, 6, 9]),
        ((3, 0, None, -1, 12), range(12), [0, 3, 6, 9]),
        # Hooks come every four steps, or after the first was passed.
        ((3, None, None, -1, 12), range(0, 12, 4), [4, 8]),
        ((3, 2, None, -1, 20), range(7, 20), [7, 10, 13, 16, 19]),
        # The last time was before: at step 5.
        ((3, None, None, 5, 20), range(6, 13), [8, 11]),
        ((3, 10, None, 5, 20), range(6, 15), [10, 13]),
    ],
)
def test_steps_at_which_it_is_time(arguments, steps, expected):
    timetable = StepTimetable(*arguments)
    assert timetable.last_of(steps) == expected[-1]
    assert times(timetable, steps) == expected


@given(
    counts,
    maybe,
    st.integers(-1, 12),
    st.lists(st.integers(0, 30), max_size=20).map(sorted),
)
def test_the_last_time_to_come_is_found_by_going_there(
    count, start, last, steps
):
    timetable = StepTimetable(count, start, None, last, None)
    expected = timetable.last_of(steps)
    found = times(timetable, steps)
    assert expected == (found[-1] if found else -1)
    assert all(b - a >= count for a, b in itertools.pairwise(found))


def test_steps_are_over_at_the_end():
    timetable = StepTimetable(2, None, 6, -1, 40)
    assert [timetable.is_over(step) for step in (5, 6, 7)] == [
        False,
        True,
        True,
    ]
    assert timetable.stop == 6
    assert timetable.progress(3, 0.9) == 0.5
    endless = StepTimetable(2, None, None, -1, None)
    assert not endless.is_over(10**9)
    assert endless.stop is None
    assert endless.progress(3, 0.9) == 0.9
