"""Allocation: how a global budget is shared among matrices."""

import math
import operator

import numpy as np

from keras_sparse_rnn.arguments import check_one_of
from keras_sparse_rnn.arguments import check_sparsity
from keras_sparse_rnn.topology.counted_topology import nearest_integer
from keras_sparse_rnn.topology.shares import rounded_to
from keras_sparse_rnn.topology.shares import saturated_shares


def _uniform(shape):
    return math.prod(shape)


def _erdos_renyi(shape):
    inputs, outputs = shape[-2:]
    return math.prod(shape) * (inputs + outputs) / (inputs * outputs)


def _erdos_renyi_kernel(shape):
    return float(sum(shape))


_WEIGHTS = {
    "uniform": _uniform,
    "erdos_renyi": _erdos_renyi,
    "erdos_renyi_kernel": _erdos_renyi_kernel,
}
_ALIASES = {"er": "erdos_renyi", "erk": "erdos_renyi_kernel"}
METHODS = (*_WEIGHTS, *_ALIASES)


def allocate(shapes, sparsity, method="uniform"):
    """Shares a budget of connections among matrices so that the sum is exact.

    Each matrix asks for connections in proportion to a weight: its size
    (uniform), `size * (inputs + outputs) / (inputs * outputs)` (Erdős–Rényi)
    or the sum of its dimensions (Erdős–Rényi kernel, the same for matrices).
    A matrix that is full passes the rest of its share on to the others.

    Args:
        shapes: List of shapes, tuples of at least two integers.
        sparsity: Float in `[0, 1)`, of all places together.
        method: String, one of `"uniform"`, `"erdos_renyi"` (or `"er"`) and
            `"erdos_renyi_kernel"` (or `"erk"`). Defaults to `"uniform"`.

    Returns:
        A list of integers, the connections of each matrix: at least one each,
        at most its size, together the nearest integer to
        `(1 - sparsity) * places`.

    Raises:
        ValueError: If an argument is out of range, or the budget is below one
            connection per matrix.

    Example:

    >>> allocate([(10, 10), (100, 10)], sparsity=0.9)
    [10, 100]
    >>> allocate([(10, 10), (100, 10)], sparsity=0.9, method="er")
    [17, 93]

    Reference:
        - Evci et al., Rigging the Lottery, ICML 2020, section 3 (1)
        - Mocanu et al., Nature Communications 9:2383, 2018
    """
    check_one_of("method", method, METHODS)
    weight_of = _WEIGHTS[_ALIASES.get(method, method)]
    check_sparsity(sparsity)
    shapes = _checked_shapes(shapes)
    sizes = np.array([math.prod(shape) for shape in shapes], dtype=np.int64)
    budget = nearest_integer((1 - sparsity) * int(sizes.sum()))
    if budget < len(shapes):
        raise ValueError(
            "The budget must be at least one connection per matrix: "
            f"sparsity={sparsity} leaves {budget} connections for "
            f"{len(shapes)} matrices. Received: sparsity={sparsity}"
        )
    weights = np.array([weight_of(shape) for shape in shapes], np.float64)
    least = np.ones_like(sizes)
    shares = saturated_shares(weights, least, sizes, budget)
    return rounded_to(budget, shares, least, sizes).tolist()


def _checked_shapes(shapes):
    """The shapes as a list of tuples of integers."""
    try:
        checked = [tuple(map(operator.index, shape)) for shape in shapes]
    except TypeError:
        checked = []
    if not checked or any(len(each) < 2 or min(each) < 1 for each in checked):
        raise ValueError(
            "`shapes` must be a list of shapes with at least two dimensions, "
            f"each an integer of at least 1. Received: shapes={shapes!r}"
        )
    return checked
