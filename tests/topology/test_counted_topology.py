"""What Erdős–Rényi, uniform and fixed-count topologies have in common."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_sparse_rnn.topology import ErdosRenyi
from keras_sparse_rnn.topology import FixedCount
from keras_sparse_rnn.topology import Uniform

shapes = st.tuples(st.integers(1, 30), st.integers(1, 30))
topologies = st.one_of(
    st.floats(1e-3, 1e3).map(ErdosRenyi),
    st.floats(0, 1, exclude_max=True).map(Uniform),
    st.integers(1, 2000).map(FixedCount),
)


@given(topologies, shapes, st.integers(0, 100))
def test_a_mask_has_exactly_the_connections_stated(topology, shape, seed):
    mask = topology(shape, np.random.default_rng(seed))
    assert mask.shape == shape
    assert mask.dtype == bool
    assert np.count_nonzero(mask) == topology.connections(shape)


@given(topologies, shapes)
def test_connections_are_those_requested_within_the_places(topology, shape):
    size = math.prod(shape)
    connections = topology.connections(shape)
    assert type(connections) is int
    assert 1 <= connections <= size
    if 1 <= topology.requested(shape) <= size:
        assert connections == topology.requested(shape)


@given(topologies, shapes, st.integers(0, 100))
def test_the_same_generator_draws_the_same_mask(topology, shape, seed):
    first, second = (
        topology(shape, np.random.default_rng(seed)) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "topology", [ErdosRenyi(2.0), Uniform(0.6), FixedCount(80)], ids=repr
)
def test_another_generator_draws_another_mask(topology):
    masks = {
        topology((20, 20), np.random.default_rng(seed)).tobytes()
        for seed in range(10)
    }
    assert len(masks) == 10


@given(topologies)
def test_a_topology_equals_the_one_made_from_its_configuration(topology):
    copy = type(topology).from_config(topology.get_config())
    assert copy == topology
    assert hash(copy) == hash(topology)
    assert repr(copy) == repr(topology)


def test_topologies_of_other_kinds_or_settings_differ():
    several = [
        ErdosRenyi(0.5),
        ErdosRenyi(1.0),
        Uniform(0.5),
        Uniform(0.25),
        FixedCount(1),
        FixedCount(2),
    ]
    assert len(set(several)) == len(several)
    assert FixedCount(1) != 1
