import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_sparse_rnn.rewiring import connection_magnitudes
from keras_sparse_rnn.rewiring.connections import connections_of
from tests.rewiring.packed import make


@given(
    st.sampled_from([1, 3, 4]),
    st.sampled_from(["gate", "kernel", "unit"]),
    st.floats(0, 1),
    st.integers(0, 50),
)
def test_connections_are_cut_out_one_by_one(gates, granularity, density, seed):
    case = make(4, 5, gates, granularity, density, seed)
    numbers = np.arange(case.mask.size).reshape(case.mask.shape)
    weight, mask = case.weight.reshape(-1), case.mask.reshape(-1)
    pooled = []
    for group, bundles in zip(case.groups, case.bundles(), strict=True):
        cut = connections_of(case.weight, case.mask, group)
        there = [places for places in bundles if mask[places[0]]]
        assert cut.count == len(cut.places) == len(there)
        assert cut.least == 1
        assert cut.weights.tolist() == weight[there].tolist()
        assert cut.cut(numbers, group).tolist() == there
        sums = np.abs(weight[there]).sum(axis=1)
        assert cut.magnitudes.tolist() == sums.tolist()
        pooled += sums.tolist()
    matrix = (case.weight, case.mask, case.groups, False)
    assert connection_magnitudes([matrix, matrix]).tolist() == 2 * pooled


@pytest.mark.parametrize("granularity", ["gate", "kernel", "unit"])
def test_the_diagonal_is_no_candidate_on_request(granularity):
    case = make(4, 4, 3, granularity, 0.5, seed=0, diagonal=True)
    for group in case.groups:
        everything = connections_of(case.weight, case.mask, group)
        movable = connections_of(case.weight, case.mask, group, True)
        on_diagonal = (group.stop - group.start) // group.tied
        assert movable.count == everything.count
        assert movable.least == on_diagonal
        assert len(movable.places) == everything.count - on_diagonal
        numbers = np.arange(case.mask.size).reshape(case.mask.shape)
        places = movable.cut(numbers, group).reshape(-1)
        assert not (places // 12 == places % 12 % 4).any()


def test_what_is_cut_out_is_a_copy():
    case = make(4, 4, 1, "gate", 0.5, seed=0)
    before = case.mask.copy()
    cut = connections_of(case.weight, case.mask, case.groups[0])
    cut.mask[...] = True
    cut.weights[...] = 7
    np.testing.assert_array_equal(case.mask, before)
    assert not (case.weight == 7).any()
