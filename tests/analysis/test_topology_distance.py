"""Distances of topologies, against sets written out."""

import itertools
import subprocess
import sys

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import keras_sparse_rnn as ksr
from keras_sparse_rnn.analysis import distance_matrix
from keras_sparse_rnn.analysis import edit_distance
from keras_sparse_rnn.analysis import layer_distances
from keras_sparse_rnn.analysis import match_units
from keras_sparse_rnn.analysis import nnstd
from tests.analysis import networks

seeds = st.integers(0, 10_000)
densities = st.sampled_from([0.0, 0.1, 0.4, 0.9])


@st.composite
def pairs_of_masks(draw):
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=5))
    return draw(hnp.arrays(bool, shape)), draw(hnp.arrays(bool, shape))


def unit_distance(one, two):
    """Of two columns, by sets."""
    one, two = set(np.flatnonzero(one)), set(np.flatnonzero(two))
    return len(one ^ two) / len(one | two) if one | two else 0.0


def distance_in_order(mask, other, order):
    pairs = [(mask[:, j], other[:, k]) for j, k in enumerate(order)]
    return sum(unit_distance(*pair) for pair in pairs) / len(pairs)


@pytest.mark.parametrize(
    ("mask", "other", "edits", "matched"),
    [
        ([[1, 0], [0, 1]], [[1, 0], [0, 1]], 0, 0),
        ([[1, 0], [0, 1]], [[0, 1], [1, 0]], 1, 0),
        ([[1, 0], [0, 1]], [[1, 1], [0, 1]], 1 / 4, 1 / 4),
        ([[0, 0], [0, 0]], [[0, 0], [0, 0]], 0, 0),
        ([[0, 0], [0, 0]], [[1, 1], [1, 1]], 1, 1),
        ([[1, 0], [1, 0]], [[0, 1], [0, 1]], 1, 0),
        ([[1], [1], [0]], [[0], [1], [1]], 2 / 3, 2 / 3),
    ],
)
def test_distances_of_small_masks(mask, other, edits, matched):
    mask, other = np.array(mask), np.array(other)
    assert edit_distance(mask, other) == pytest.approx(edits)
    assert nnstd(mask, other) == pytest.approx(matched)


@given(pair=pairs_of_masks())
def test_of_masks_the_best_of_all_orders_is_found(pair):
    mask, other = pair
    columns = range(mask.shape[1])
    distances = [
        distance_in_order(mask, other, order)
        for order in itertools.permutations(columns)
    ]
    assert nnstd(mask, other) == pytest.approx(min(distances))
    assert edit_distance(mask, other) == pytest.approx(
        distance_in_order(mask, other, columns)
    )


@given(seed=seeds, other_seed=seeds, density=densities)
def test_both_distances_are_symmetric_and_in_bounds(seed, other_seed, density):
    topology = networks.random_network(seed, density)
    other = networks.random_network(other_seed, 0.4)
    edits, matched = edit_distance(topology, other), nnstd(topology, other)
    assert 0 <= matched <= edits <= 1
    assert edits == edit_distance(other, topology)
    assert matched == nnstd(other, topology)


@given(seed=seeds, density=densities)
def test_equal_topologies_are_at_no_distance(seed, density):
    topology = networks.random_network(seed, density)
    again = networks.random_network(seed, density)
    assert edit_distance(topology, again) == nnstd(topology, again) == 0
    for name, order in match_units(topology, again).items():
        assert order.tolist() == [*range(len(order))], name


@pytest.mark.parametrize("seed", range(10))
def test_a_network_in_another_order_is_at_no_distance(seed):
    topology = networks.random_network(seed)
    orders = networks.random_orders(seed)
    other = networks.in_other_order(topology, orders)
    assert edit_distance(topology, other) > 0.3
    assert nnstd(topology, other) == 0
    for name, order in match_units(topology, other).items():
        np.testing.assert_array_equal(order, np.argsort(orders[name]))
    for name, order in match_units(other, topology).items():
        np.testing.assert_array_equal(order, orders[name])


@pytest.mark.parametrize("seed", range(10))
def test_units_that_the_kernel_does_not_tell_apart_are_by_recurrence(seed):
    masks = networks.random_masks(np.random.default_rng(seed))
    kernel = masks[1].reshape(-1, networks.GATES, networks.CELLS.size)
    kernel[:, :, 1] = kernel[:, :, 0]
    topology = networks.network(masks)
    orders = networks.random_orders(seed)
    assert nnstd(topology, networks.in_other_order(topology, orders)) == 0


def test_gates_of_a_unit_are_matched_together():
    topology = networks.random_network(1)
    masks = [mask.copy() for mask in topology.masks]
    # The columns of one gate alone in another order: no order of units.
    size = networks.CELLS.size
    for mask in masks[1:3]:
        mask[:, :size] = np.roll(mask[:, :size], 1, axis=1)
    other = networks.network(masks)
    assert nnstd(topology, other) > 0
    assert layer_distances(topology, other)["embedding"] == 0


def test_rows_and_columns_of_a_recurrent_kernel_are_matched_together():
    topology = networks.random_network(1)
    masks = [*topology.masks]
    masks[2] = np.roll(masks[2], 1, axis=0)
    assert nnstd(topology, networks.network(masks)) > 0


def test_the_matching_of_a_layer_is_the_order_of_the_nexts_inputs():
    topology = networks.random_network(2)
    orders = networks.random_orders(2)
    other = networks.in_other_order(topology, orders)
    # Without the layers before, the inputs of the last are in their order.
    assert nnstd(topology.masks[3], other.masks[3]) > 0
    assert nnstd(topology, other) == 0


def test_distances_of_layers_by_the_units_that_are_given():
    topology = networks.random_network(4)
    orders = networks.random_orders(4)
    other = networks.in_other_order(topology, orders)
    back = {name: np.argsort(order) for name, order in orders.items()}
    by_layer = layer_distances(topology, other)
    assert [*by_layer] == ["embedding", "lstm", "dense"]
    assert edit_distance(topology, other) == pytest.approx(
        np.mean([*by_layer.values()])
    )
    assert set(layer_distances(topology, other, back).values()) == {0.0}


def text_model(seed, **arguments):
    return keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            ksr.SparseEmbedding(40, 6, sparsity=0.5, topology_seed=seed),
            ksr.SparseGRU(5, sparsity=0.5, topology_seed=seed, **arguments),
            keras.layers.Dropout(0.1),
            ksr.SparseDense(3, sparsity=0.5, topology_seed=seed),
        ]
    )


def test_distances_of_models_whose_layers_have_other_names():
    model, other = text_model(1), text_model(2)
    weights, others = ksr.sparse_weights(model), ksr.sparse_weights(other)
    assert weights[0].path != others[0].path
    edits = edit_distance(model, other)
    assert 0 < nnstd(model, other) < edits < 1
    assert edit_distance(weights, others) == edits
    same = text_model(1)
    assert edit_distance(model, same) == nnstd(model, same) == 0


def test_a_model_in_another_order_is_at_no_distance():
    model, other = text_model(1), text_model(1)
    units = np.random.default_rng(1).permutation(5)
    columns = np.concatenate([units, units + 5, units + 10])
    _, kernel, recurrent, dense = ksr.sparse_weights(other)
    kernel.start_with(kernel.mask.numpy()[:, columns])
    recurrent.start_with(recurrent.mask.numpy()[units][:, columns])
    dense.start_with(dense.mask.numpy()[units])
    assert edit_distance(model, other) > 0
    assert nnstd(model, other) == 0


def test_a_matrix_of_distances():
    topologies = [networks.random_network(seed) for seed in range(3)]
    for distance in (nnstd, edit_distance):
        matrix = distance_matrix(topologies, distance)
        for (row, column), value in np.ndenumerate(matrix):
            pair = topologies[row], topologies[column]
            assert value == (0 if row == column else distance(*pair))
    by_epoch = dict(enumerate(topologies))
    np.testing.assert_array_equal(
        distance_matrix(by_epoch), distance_matrix(topologies)
    )


@pytest.mark.parametrize(
    ("topology", "other", "match"),
    [
        (
            np.eye(2),
            np.eye(3),
            r"same shapes .*Received: \[\(2, 2\)\] and \[\(3, 3\)\]",
        ),
        (np.eye(2), [np.eye(2)], "same links of layers"),
        (np.ones(3), np.ones(3), r"Received: mask\.shape=\(3,\)"),
        ("nonsense", np.eye(2), "Received: topology='nonsense'"),
        ([], np.eye(2), r"Received: topology=\[\]"),
    ],
)
def test_what_cannot_be_compared_is_refused(topology, other, match):
    for distance in (edit_distance, nnstd):
        with pytest.raises(ValueError, match=match):
            distance(topology, other)


def test_units_of_unlinked_matrices_are_not_matched():
    masks = [np.eye(2), np.eye(3)]
    assert edit_distance(masks, masks) == 0
    with pytest.raises(
        ValueError, match=r"Received: .* of \['mask 0', 'mask 1'\]"
    ):
        nnstd(masks, masks)


def test_without_scipy_only_matching_is_refused():
    program = (
        "import sys\n"
        "sys.modules['scipy'] = sys.modules['scipy.optimize'] = None\n"
        "import numpy as np\n"
        "from keras_sparse_rnn.analysis import edit_distance, nnstd\n"
        "print(edit_distance(np.eye(2), np.eye(2)))\n"
        "try:\n"
        "    nnstd(np.eye(2), np.eye(2))\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert printed == [
        "0.0",
        "Matching units needs SciPy: `pip install keras_sparse_rnn[analysis]`.",
    ]
