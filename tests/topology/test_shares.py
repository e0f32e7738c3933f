import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_sparse_rnn.topology.shares import rounded_to
from keras_sparse_rnn.topology.shares import saturated_shares


@st.composite
def budgets(draw):
    """Weights, least, most, and a total that fits between them."""
    n = draw(st.integers(1, 8))
    numbers = st.lists(st.integers(0, 30), min_size=n, max_size=n)
    weights = np.array(draw(numbers), float)
    least = np.array(draw(numbers))
    most = least + np.array(draw(numbers))
    total = draw(st.integers(int(least.sum()), int(most.sum())))
    return weights, least, most, total


@given(budgets())
def test_shares_sum_up_and_keep_to_the_bounds(budget):
    _, least, most, total = budget
    shares = saturated_shares(*budget)
    assert shares.sum() == pytest.approx(total)
    assert (shares >= least - 1e-9).all()
    assert (shares <= most + 1e-9).all()


@given(budgets())
def test_shares_within_the_bounds_are_in_proportion(budget):
    weights, least, most, _ = budget
    shares = saturated_shares(*budget)
    inside = (shares > least + 1e-9) & (shares < most - 1e-9)
    if weights[inside].any():
        ratio = shares[inside].sum() / weights[inside].sum()
        assert shares[inside] == pytest.approx(weights[inside] * ratio)
        # Those at a bound would be beyond it at the same ratio.
        open_ = most > least
        at_most = (shares >= most - 1e-9) & open_
        assert (weights * ratio >= shares - 1e-6)[at_most].all()
        at_least = (shares <= least + 1e-9) & open_
        assert (weights * ratio <= shares + 1e-6)[at_least].all()


def test_what_nobody_asks_for_goes_by_room():
    shares = saturated_shares(
        np.array([1.0, 0, 0]), np.zeros(3), np.array([4, 10, 20]), 10
    )
    assert shares.tolist() == [4, 2, 4]


@given(budgets())
def test_rounding_moves_by_less_than_one_where_it_may(budget):
    _, least, most, total = budget
    shares = saturated_shares(*budget)
    counts = rounded_to(total, shares, least, most)
    assert counts.sum() == total
    assert (np.abs(counts - shares) < 1 + 1e-9).all()
    assert (least <= counts).all()
    assert (counts <= most).all()


def test_ties_go_to_the_earlier_one():
    least, most = np.zeros(3, int), np.full(3, 9)
    assert rounded_to(4, np.full(3, 4 / 3), least, most).tolist() == [2, 1, 1]


def test_ties_of_many_go_to_the_earlier_ones():
    least, most = np.zeros(50, int), np.full(50, 9)
    counts = rounded_to(10, np.full(50, 0.2), least, most)
    assert counts.tolist() == [1] * 10 + [0] * 40
