"""Sharing a budget among matrices."""

import math

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import given
from hypothesis import strategies as st

from keras_sparse_rnn.topology import allocate

# What a matrix asks for connections in proportion to, written anew.
WEIGHT_OF = {
    "uniform": lambda shape: math.prod(shape),
    "er": lambda shape: math.prod(shape[:-2]) * (shape[-2] + shape[-1]),
    "erk": sum,
}

dimensions = st.integers(1, 40)
matrices = st.lists(
    st.lists(dimensions, min_size=2, max_size=3).map(tuple),
    min_size=1,
    max_size=8,
)
sparsities = st.floats(0, 1, exclude_max=True)
methods = st.sampled_from(list(WEIGHT_OF))


def sizes_of(shapes):
    return np.array([math.prod(shape) for shape in shapes])


def budget_of(shapes, sparsity):
    return math.floor((1 - sparsity) * int(sizes_of(shapes).sum()) + 0.5)


def exact_shares(shapes, budget, method):
    """Shares `clip(scale * weight, 1, size)` of the sum `budget`: bisection."""
    sizes = sizes_of(shapes)
    weights = np.array([WEIGHT_OF[method](shape) for shape in shapes], float)
    low, high = 0.0, float(sizes.max())
    for _ in range(200):
        scale = (low + high) / 2
        if np.clip(scale * weights, 1, sizes).sum() < budget:
            low = scale
        else:
            high = scale
    return np.clip(high * weights, 1, sizes)


@given(matrices, sparsities, methods)
def test_the_budget_is_met_exactly_and_no_matrix_is_empty_or_overfull(
    shapes, sparsity, method
):
    budget = budget_of(shapes, sparsity)
    assume(budget >= len(shapes))
    counts = allocate(shapes, sparsity, method)
    assert all(type(count) is int for count in counts)
    assert sum(counts) == budget
    assert (np.array(counts) >= 1).all()
    assert (np.array(counts) <= sizes_of(shapes)).all()


@given(matrices, sparsities, methods)
def test_counts_are_the_exact_shares_rounded(shapes, sparsity, method):
    """The law of the method, where nothing saturates and where it does."""
    budget = budget_of(shapes, sparsity)
    assume(budget >= len(shapes))
    counts = allocate(shapes, sparsity, method)
    shares = exact_shares(shapes, budget, method)
    assert np.abs(np.array(counts) - shares).max() < 1 + 1e-6


@given(matrices, st.floats(0, 0.4), methods)
def test_a_budget_below_one_per_matrix_is_an_error(shapes, share, method):
    shapes = [*shapes, (2, 2)]
    wanted = len(shapes) - 1 + share
    sparsity = 1 - wanted / int(sizes_of(shapes).sum())
    with pytest.raises(ValueError, match=r"Received: sparsity=[^ ]+$"):
        allocate(shapes, sparsity, method)


@given(matrices, sparsities, methods)
def test_allocation_is_deterministic(shapes, sparsity, method):
    assume(budget_of(shapes, sparsity) >= len(shapes))
    first = allocate(shapes, sparsity, method)
    assert allocate(list(shapes), sparsity, method) == first


@given(matrices, sparsities, methods, st.randoms(use_true_random=False))
def test_the_order_of_matrices_matters_for_rounding_alone(
    shapes, sparsity, method, random
):
    assume(budget_of(shapes, sparsity) >= len(shapes))
    order = list(range(len(shapes)))
    random.shuffle(order)
    counts = allocate(shapes, sparsity, method)
    shuffled = allocate([shapes[i] for i in order], sparsity, method)
    for position, index in enumerate(order):
        assert abs(shuffled[position] - counts[index]) <= 1


@given(
    st.lists(st.tuples(st.integers(50, 300), st.integers(50, 300)), min_size=2)
)
def test_erdos_renyi_counts_go_with_inputs_plus_outputs(shapes):
    """Where nothing saturates: the same ε for every matrix."""
    sparsity = 0.97
    counts = allocate(shapes, sparsity, "er")
    dimensions = np.array([sum(shape) for shape in shapes])
    epsilon = budget_of(shapes, sparsity) / dimensions.sum()
    assume((epsilon * dimensions < sizes_of(shapes)).all())
    assert np.abs(counts - epsilon * dimensions).max() < 1


@given(matrices, sparsities)
def test_erdos_renyi_kernel_is_erdos_renyi_for_matrices(shapes, sparsity):
    shapes = [shape[:2] for shape in shapes]
    assume(budget_of(shapes, sparsity) >= len(shapes))
    both = [allocate(shapes, sparsity, method) for method in ("er", "erk")]
    assert both[0] == both[1]


def test_erdos_renyi_kernel_counts_the_window_of_a_convolution():
    shapes = [(3, 3, 16, 32), (1, 1, 64, 64)]
    budget = budget_of(shapes, 0.95)
    assert allocate(shapes, 0.95, "er") == [
        round(budget * 432 / 560),
        round(budget * 128 / 560),
    ]
    assert allocate(shapes, 0.95, "erk") == [
        round(budget * 54 / 184),
        round(budget * 130 / 184),
    ]


def test_a_full_matrix_passes_its_share_on():
    # Without saturation the first would get 33 of its 4 places.
    shapes = [(1, 4), (100, 100)]
    counts = allocate(shapes, 1 - 1_400 / 10_004, "er")
    assert counts == [4, 1_396]


def test_saturation_of_one_matrix_can_saturate_the_next():
    shapes = [(1, 2), (2, 8), (40, 40)]
    budget = budget_of(shapes, 0.7)
    weights = np.array([3, 10, 80])
    # The second one fits by its first share, and no more once the first is
    # full.
    shares = budget * weights / weights.sum()
    assert shares[0] > 2
    counts = allocate(shapes, 0.7, "er")
    assert counts == [2, 16, budget - 18]


@pytest.mark.parametrize("method", ["uniform", "er", "erk"])
@pytest.mark.parametrize(
    ("shapes", "sparsity", "counts"),
    [
        ([(1, 1)], 0.0, [1]),
        ([(1, 1)], 0.4, [1]),
        ([(3, 5), (1, 1), (2, 2)], 0.0, [15, 1, 4]),
        ([(1, 1), (1, 1)], 0.0, [1, 1]),
        ([(10, 10)], 0.99, [1]),
        ([(10, 10), (1, 1)], 0.98, [1, 1]),
    ],
)
def test_extremes(method, shapes, sparsity, counts):
    assert allocate(shapes, sparsity, method) == counts


def test_full_names_and_short_names_mean_the_same():
    shapes = [(10, 20), (5, 5), (3, 40)]
    for name, alias in (
        ("erdos_renyi", "er"),
        ("erdos_renyi_kernel", "erk"),
    ):
        assert allocate(shapes, 0.8, name) == allocate(shapes, 0.8, alias)


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        (([(2, 2)], 1.0), "sparsity=1.0"),
        (([(2, 2)], -0.1), "sparsity=-0.1"),
        (([(2, 2)], float("nan")), "sparsity=nan"),
        (([(2, 2)], "0.9"), "sparsity='0.9'"),
        (([(2, 2)], 0.5, "random"), "method='random'"),
        (([(2, 2)], 0.5, None), "method=None"),
        (([(2, 2)], 0.5, ["er"]), r"method=\['er'\]"),
        (([], 0.5), r"shapes=\[\]"),
        ((3, 0.5), "shapes=3"),
        ((None, 0.5), "shapes=None"),
        (([3], 0.5), r"shapes=\[3\]"),
        (("ab", 0.5), "shapes='ab'"),
        (([("a", "b")], 0.5), r"shapes=\[\('a', 'b'\)\]"),
        (([(2.5, 3)], 0.5), r"shapes=\[\(2.5, 3\)\]"),
        (([(None, 3)], 0.5), r"shapes=\[\(None, 3\)\]"),
        (([(2,)], 0.5), r"shapes=\[\(2,\)\]"),
        (([(2, 0)], 0.5), r"shapes=\[\(2, 0\)\]"),
        (([(2, 2)] * 9, 0.9), "sparsity=0.9"),
    ],
)
def test_arguments_out_of_range(arguments, received):
    with pytest.raises(ValueError, match=f"Received: {received}$"):
        allocate(*arguments)
