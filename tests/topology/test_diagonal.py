import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_sparse_rnn.topology import on_diagonal
from keras_sparse_rnn.topology import random_mask
from keras_sparse_rnn.topology import with_diagonal


@st.composite
def masks(draw):
    units = draw(st.integers(1, 12))
    columns = units * draw(st.integers(1, 4))
    count = draw(st.integers(columns, units * columns))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    return random_mask((units, columns), count, rng)


@given(masks(), st.integers(0, 100), st.sampled_from("CF"))
def test_the_diagonal_is_full_and_the_count_the_same(mask, seed, order):
    mask = np.asarray(mask, order=order)
    before = mask.copy()
    kept = with_diagonal(mask, np.random.default_rng(seed))
    units, columns = mask.shape
    for first in range(0, columns, units):
        assert kept[:, first : first + units].diagonal().all()
    assert np.count_nonzero(kept) == np.count_nonzero(mask)
    np.testing.assert_array_equal(mask, before)


@given(masks(), st.integers(0, 100))
def test_no_connection_comes_off_the_diagonal(mask, seed):
    kept = with_diagonal(mask, np.random.default_rng(seed))
    came = kept & ~mask
    gates = mask.shape[1] // len(mask)
    assert not came[~np.tile(np.eye(len(mask), dtype=bool), gates)].any()


def test_a_mask_with_its_diagonal_stays_as_it_is():
    mask = random_mask((6, 6), 20, np.random.default_rng(0)) | np.eye(
        6, dtype=bool
    )
    np.testing.assert_array_equal(
        with_diagonal(mask, np.random.default_rng(1)), mask
    )


def test_each_other_connection_is_equally_likely_to_give_way():
    mask = np.zeros((5, 5), bool)
    mask[0, 1:] = mask[1, 2:] = mask[2, 3:] = True
    rng = np.random.default_rng(0)
    draws = 4000
    kept = sum(with_diagonal(mask, rng).astype(int) for _ in range(draws))
    # Five of nine give way for the diagonal.
    expected = draws * 4 / 9
    spread = np.sqrt(expected * 5 / 9)
    assert np.abs(kept[mask] - expected).max() < 5 * spread


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (4, 6)])
def test_a_matrix_that_is_not_of_square_gates(shape):
    with pytest.raises(ValueError, match=r"Received: mask.shape=\(\d, \d\)$"):
        with_diagonal(np.ones(shape, bool), np.random.default_rng(0))


def test_fewer_connections_than_units():
    mask = np.zeros((3, 3), bool)
    mask[0, :2] = True
    with pytest.raises(ValueError, match=r"Received: connections=2$"):
        with_diagonal(mask, np.random.default_rng(0))


def test_fewer_connections_than_units_and_gates():
    mask = np.zeros((3, 6), bool)
    mask[0, :5] = True
    with pytest.raises(
        ValueError, match=r"6 here in 2 gates\. Received: connections=5$"
    ):
        with_diagonal(mask, np.random.default_rng(0))


def test_the_diagonal_of_two_gates():
    expected = [[True, False, True, False], [False, True, False, True]]
    assert on_diagonal(2, 4).tolist() == expected
