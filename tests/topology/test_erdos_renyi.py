import fractions

import numpy as np
import pytest

from keras_sparse_rnn.topology import ErdosRenyi


@pytest.mark.parametrize(
    ("epsilon", "total"), [(10, 243_520), (2, 48_704), (110, 2_678_720)]
)
def test_counts_of_the_papers_text_model(epsilon, total):
    topology = ErdosRenyi(epsilon)
    table = topology.connections((20_000, 256))
    gates = 2 * 4 * topology.connections((256, 256))
    assert table + gates == total


@pytest.mark.parametrize(
    ("epsilon", "shape", "connections"),
    [
        (1, (10, 20), 30),
        (0.5, (2, 3), 3),  # 2.5: halves go up
        (0.49, (2, 3), 2),
        (1e-9, (100, 100), 1),  # never an empty matrix
        (3, (1, 1), 1),
        (5, (2, 5), 10),  # saturated
        (1, (2, 2), 4),  # just full
    ],
)
def test_connections(epsilon, shape, connections):
    topology = ErdosRenyi(epsilon)
    assert topology.connections(shape) == connections
    mask = topology(shape, np.random.default_rng(0))
    assert np.count_nonzero(mask) == connections


@pytest.mark.parametrize(
    ("epsilon", "kept"),
    [(fractions.Fraction(1, 2), 0.5), (np.float32(2), 2.0), (np.int8(2), 2)],
)
def test_epsilon_is_kept_as_a_number_of_pythons_own(epsilon, kept):
    config = ErdosRenyi(epsilon).get_config()
    assert config == {"epsilon": kept}
    assert type(config["epsilon"]) is type(kept)


def test_requested_tells_how_much_is_asked_for_beyond_the_places():
    assert ErdosRenyi(5).requested((2, 5)) == 35


@pytest.mark.parametrize(
    "epsilon",
    [0, -1, float("nan"), float("inf"), -float("inf"), "3", None, True],
)
def test_epsilon_out_of_range(epsilon):
    with pytest.raises(ValueError, match=rf"Received: epsilon={epsilon!r}$"):
        ErdosRenyi(epsilon)
