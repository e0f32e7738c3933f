"""How long connections live, against lives told one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import keras_sparse_rnn as ksr
from keras_sparse_rnn.analysis import cohort_survival
from keras_sparse_rnn.analysis import newborn_survival
from keras_sparse_rnn.analysis import survival_curve

# Rows are epochs, columns places.
HISTORY = [
    [1, 1, 1, 0],
    [1, 1, 0, 1],
    [1, 0, 0, 1],
    [1, 0, 1, 0],
]

histories = hnp.arrays(
    bool, st.tuples(st.integers(2, 6), st.integers(1, 8))
).filter(lambda history: history[:-1].any())


def as_masks(history):
    """A mask of one row for each epoch."""
    return [np.array(row, bool)[np.newaxis] for row in history]


def lives(history):
    """Epochs that each life lasted after its first, and whether it ended."""
    for column in np.transpose(history):
        first = None
        for epoch, active in enumerate(column):
            if active and first is None:
                first = epoch
            if not active and first is not None:
                yield epoch - 1 - first, True
                first = None
        if first is not None:
            yield len(column) - 1 - first, False


def kaplan_meier(history, epochs):
    """The textbook's product, over lives instead of epochs."""
    share = 1.0
    for lasted in range(epochs):
        ended = sum(life == (lasted, True) for life in lives(history))
        longer = sum(epochs > lasted for epochs, _ in lives(history))
        share *= 1 - ended / (ended + longer)
    return share


def test_a_small_history():
    curve = survival_curve(as_masks(HISTORY))
    # Lives: 3 and 0 censored; 1, 0, 1 ended.
    assert sorted(lives(HISTORY)) == [
        (0, False),
        (0, True),
        (1, True),
        (1, True),
        (3, False),
    ]
    assert curve.at_risk.tolist() == [4, 3, 1]
    assert curve.dropped.tolist() == [1, 2, 0]
    np.testing.assert_allclose(curve.survival, [1, 3 / 4, 1 / 4, 1 / 4])


@given(history=histories)
def test_the_curve_is_that_of_kaplan_and_meier(history):
    curve = survival_curve(as_masks(history))
    assert curve.survival[0] == 1
    for epochs, share in enumerate(curve.survival):
        assert share == pytest.approx(kaplan_meier(history, epochs))
    longest = max(
        epochs + ended
        for epochs, ended in lives(history)
        if (epochs, ended) != (0, False)
    )
    assert len(curve.survival) == longest + 1


@given(history=histories)
def test_curves_never_rise_and_shares_end_with_the_last_epoch(history):
    masks = as_masks(history)
    assert (np.diff(survival_curve(masks).survival) <= 0).all()
    for epoch, active in enumerate(history):
        if active.any():
            shares = cohort_survival(masks, epoch)
            assert len(shares) == len(history) - epoch
            assert (np.diff(shares) <= 0).all()


def test_of_the_connections_of_an_epoch():
    masks = as_masks(HISTORY)
    np.testing.assert_allclose(
        cohort_survival(masks, 0), [1, 2 / 3, 1 / 3, 1 / 3]
    )
    np.testing.assert_allclose(cohort_survival(masks, 1), [1, 2 / 3, 1 / 3])
    assert cohort_survival(masks, 3).tolist() == [1]


def test_of_the_connections_that_came_in_an_epoch():
    masks = as_masks(HISTORY)
    np.testing.assert_allclose(
        newborn_survival(masks, 0), cohort_survival(masks, 0)
    )
    assert newborn_survival(masks, 1).tolist() == [1, 1, 0]
    # It was there before, went, and came again.
    assert newborn_survival(masks, 3).tolist() == [1]


def test_epochs_are_those_of_a_mapping():
    masks = {5 + epoch: mask for epoch, mask in enumerate(as_masks(HISTORY))}
    np.testing.assert_allclose(cohort_survival(masks, 6), [1, 2 / 3, 1 / 3])
    assert survival_curve(masks).at_risk.tolist() == [4, 3, 1]


@pytest.mark.parametrize("follow", [cohort_survival, newborn_survival])
@pytest.mark.parametrize("epoch", [4, -1, "first"])
def test_an_epoch_that_is_none(follow, epoch):
    with pytest.raises(ValueError, match=f"Received: epoch={epoch!r}"):
        follow(as_masks(HISTORY), epoch)


def test_an_epoch_in_which_nothing_came():
    with pytest.raises(ValueError, match="epoch=2, which has none"):
        newborn_survival(as_masks(HISTORY), 2)


@pytest.mark.parametrize(
    ("topologies", "match"),
    [
        ([], r"Received: len\(topologies\)=0"),
        (as_masks(HISTORY[:1]), r"Received: len\(topologies\)=1"),
        (as_masks([[0], [0], [1]]), r"Received: len\(topologies\)=3, without"),
        ("run_1", r"`load_topologies` returns.* Received: topologies='run_1'"),
        (ksr.TopologyHistory(), r"`\.topologies` of a `TopologyHistory`"),
        (
            {0: np.eye(2), 2: np.eye(2)},
            r"consecutive epochs\. Received: epochs=\[0, 2\]",
        ),
        (
            [np.eye(2), np.eye(3)],
            r"shapes \[\(2, 2\)\]\. Received: \[\(3, 3\)\] of epoch 1",
        ),
    ],
)
def test_a_history_that_is_none(topologies, match):
    with pytest.raises(ValueError, match=match):
        survival_curve(topologies)
