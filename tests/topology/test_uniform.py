import fractions

import numpy as np
import pytest

from keras_sparse_rnn.topology import Uniform


@pytest.mark.parametrize(
    ("sparsity", "shape", "connections"),
    [
        (0, (7, 9), 63),
        (0.0, (1, 1), 1),
        (0.5, (4, 4), 8),
        (0.5, (3, 3), 5),  # 4.5: halves go up
        (0.9, (20, 30), 60),
        (0.999, (10, 10), 1),  # never an empty matrix
        (0.75, (256, 1024), 65_536),
    ],
)
def test_connections(sparsity, shape, connections):
    topology = Uniform(sparsity)
    assert topology.connections(shape) == connections
    mask = topology(shape, np.random.default_rng(0))
    assert np.count_nonzero(mask) == connections


@pytest.mark.parametrize(
    ("sparsity", "kept"),
    [(fractions.Fraction(9, 10), 0.9), (np.float32(0.5), 0.5), (np.int8(0), 0)],
)
def test_sparsity_is_kept_as_a_number_of_pythons_own(sparsity, kept):
    config = Uniform(sparsity).get_config()
    assert config == {"sparsity": kept}
    assert type(config["sparsity"]) is type(kept)


@pytest.mark.parametrize(
    "sparsity", [1, -0.1, 1.5, float("nan"), -1, "0.5", None, False]
)
def test_sparsity_out_of_range(sparsity):
    with pytest.raises(ValueError, match=rf"Received: sparsity={sparsity!r}$"):
        Uniform(sparsity)
