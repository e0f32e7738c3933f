import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_sparse_rnn.topology import GRANULARITIES
from keras_sparse_rnn.topology import Group
from keras_sparse_rnn.topology import matrix_groups

LSTM = ("i", "f", "c", "o")
GRU = ("z", "r", "h")

sizes = st.integers(1, 7)
gates = st.sampled_from([LSTM, GRU, ("all",)])
granularities = st.sampled_from(GRANULARITIES)


@pytest.mark.parametrize(
    ("granularity", "expected"),
    [
        (
            "gate",
            (
                Group("i", 0, 5),
                Group("f", 5, 10),
                Group("c", 10, 15),
                Group("o", 15, 20),
            ),
        ),
        ("kernel", (Group("all", 0, 20),)),
        ("unit", (Group("all", 0, 20, tied=4),)),
    ],
)
def test_groups_of_an_lstm(granularity, expected):
    assert matrix_groups(20, LSTM, granularity) == expected


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_a_matrix_without_gates_is_one_group(granularity):
    assert matrix_groups(20, granularity=granularity) == (Group("all", 0, 20),)


def test_unknown_granularity():
    with pytest.raises(ValueError, match=r"Received: granularity='row'$"):
        matrix_groups(20, LSTM, "row")


@given(sizes, sizes, gates, granularities)
def test_views_cover_the_matrix_once(rows, units, names, granularity):
    matrix = np.zeros((rows, units * len(names)), int)
    for group in matrix_groups(matrix.shape[1], names, granularity):
        group.view(matrix)[...] += 1
        assert group.view(matrix).shape == (
            group.shape(rows)[0],
            group.tied,
            group.shape(rows)[1],
        )
        np.testing.assert_array_equal(
            matrix[group.columns], group.view(matrix).reshape(rows, -1)
        )
    assert (matrix == 1).all()


@given(sizes, sizes, gates, granularities)
def test_a_view_shares_memory_with_the_matrix(rows, units, names, granularity):
    matrix = np.arange(rows * units * len(names)).reshape(rows, -1)
    for group in matrix_groups(matrix.shape[1], names, granularity):
        assert np.shares_memory(group.view(matrix), matrix)


@given(sizes, sizes, gates, granularities, st.data())
def test_packed_places_are_those_of_the_index_arrays(
    rows, units, names, granularity, data
):
    columns = units * len(names)
    flat = np.arange(rows * columns).reshape(rows, columns)
    for group in matrix_groups(columns, names, granularity):
        height, width = group.shape(rows)
        places = np.array(
            data.draw(
                st.lists(
                    st.integers(0, height * width - 1), unique=True, max_size=9
                )
            ),
            np.int64,
        )
        expected = [
            flat[place // width, group.start + block * width + place % width]
            for place in places
            for block in range(group.tied)
        ]
        packed = group.packed_places(places, rows, columns)
        assert packed.tolist() == expected


def test_a_connection_of_a_unit_pair_lies_at_the_same_place_of_each_gate():
    (group,) = matrix_groups(12, GRU, "unit")
    assert group.shape(5) == (5, 4)
    mask = np.zeros((5, 12), bool)
    # Input 2 to unit 3.
    mask.reshape(-1)[group.packed_places(np.array([11]), 5, 12)] = True
    assert np.argwhere(mask).tolist() == [[2, 3], [2, 7], [2, 11]]
    assert group.is_tied_in(mask)
    mask[2, 3] = False
    assert not group.is_tied_in(mask)
    assert all(each.is_tied_in(mask) for each in matrix_groups(12, GRU))
