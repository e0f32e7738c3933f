import numpy as np
import pytest

from keras_sparse_rnn.topology import FixedCount


@pytest.mark.parametrize(
    ("count", "shape", "connections"),
    [
        (1, (1, 1), 1),
        (1, (50, 50), 1),
        (17, (5, 5), 17),
        (25, (5, 5), 25),
        (26, (5, 5), 25),  # saturated
        (3.0, (5, 5), 3),
        (np.int64(3), (5, 5), 3),
    ],
)
def test_connections(count, shape, connections):
    topology = FixedCount(count)
    assert topology.connections(shape) == connections
    mask = topology(shape, np.random.default_rng(0))
    assert np.count_nonzero(mask) == connections


@pytest.mark.parametrize(
    "count",
    [0, -3, 2.5, float("nan"), float("inf"), -float("inf"), "3", None, True],
)
def test_count_out_of_range(count):
    with pytest.raises(ValueError, match=rf"Received: count={count!r}$"):
        FixedCount(count)
