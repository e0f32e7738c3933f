"""Degrees and images of masks, against sums written out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_sparse_rnn.analysis.degrees import degree_distribution
from keras_sparse_rnn.analysis.degrees import degrees
from keras_sparse_rnn.analysis.degrees import degrees_by_gate
from keras_sparse_rnn.analysis.degrees import density_image
from keras_sparse_rnn.analysis.degrees import random_degree_distribution


def test_degrees_of_a_small_mask():
    leaving, reaching = degrees([[1, 1, 0], [0, 1, 0]])
    assert leaving.tolist() == [2, 1]
    assert reaching.tolist() == [1, 2, 0]


masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))


@given(mask=masks)
def test_both_sides_have_all_connections(mask):
    leaving, reaching = degrees(mask)
    assert leaving.sum() == reaching.sum() == mask.sum()
    assert (len(leaving), len(reaching)) == mask.shape


@given(mask=masks, largest=st.integers(1, 12))
def test_an_image_is_small_and_within_bounds(mask, largest):
    image = density_image(mask, largest)
    assert image.shape == tuple(min(size, largest) for size in mask.shape)
    assert image.min() >= 0
    assert image.max() <= 1 + 1e-6
    if largest >= max(mask.shape):
        np.testing.assert_array_equal(image, mask)


def test_blocks_are_averaged():
    mask = np.zeros((4, 6), bool)
    mask[:2, :3] = True
    mask[3, 5] = True
    image = density_image(mask, largest=2)
    np.testing.assert_allclose(image, [[1, 0], [0, 1 / 6]])


@pytest.mark.parametrize("size", [5, 7, 10])
def test_blocks_of_unequal_size_are_averaged_each(size):
    mask = np.ones((size, size), bool)
    np.testing.assert_allclose(density_image(mask, largest=3), 1)


@given(mask=masks, gates=st.integers(1, 4))
def test_degrees_in_each_gate_by_itself(mask, gates):
    packed = np.tile(mask, gates)
    packed[:, : mask.shape[1]] = False
    leaving, reaching = degrees_by_gate(packed, gates)
    for gate in range(gates):
        expected = degrees(mask & (gate > 0))
        np.testing.assert_array_equal(leaving[gate], expected[0])
        np.testing.assert_array_equal(reaching[gate], expected[1])


@pytest.mark.parametrize("mask", [np.ones(3), np.ones((2, 3, 4)), "mask"])
def test_what_is_no_mask(mask):
    match = r"`mask` must be an array of shape \(inputs, outputs\)"
    with pytest.raises(ValueError, match=match):
        degrees(mask)
    with pytest.raises(ValueError, match=match):
        degrees_by_gate(mask, 1)


@pytest.mark.parametrize("gates", [0, 4, 1.5])
def test_columns_that_are_not_those_of_so_many_gates(gates):
    with pytest.raises(ValueError, match=f"Received: gates={gates}"):
        degrees_by_gate(np.ones((2, 6)), gates)


@given(counts=hnp.arrays(int, st.integers(1, 9), elements=st.integers(0, 6)))
def test_a_distribution_is_the_share_of_units_of_each_degree(counts):
    shares = degree_distribution(counts)
    assert len(shares) == counts.max() + 1
    for degree, share in enumerate(shares):
        assert share == sum(counts == degree) / len(counts)


@pytest.mark.parametrize("density", [0, 1, 0.3, 0.999])
@pytest.mark.parametrize("places", [1, 2, 7])
def test_degrees_at_random_against_the_binomial_formula(places, density):
    expected = [
        math.comb(places, k) * density**k * (1 - density) ** (places - k)
        for k in range(places + 1)
    ]
    np.testing.assert_allclose(
        random_degree_distribution(places, density), expected, rtol=1e-10
    )


def test_degrees_at_random_of_many_places():
    shares = random_degree_distribution(20_000, 0.01)
    assert shares.sum() == pytest.approx(1)
    assert shares @ np.arange(20_001) == pytest.approx(200)


@pytest.mark.parametrize(
    ("places", "density", "received"),
    [
        (0, 0.5, "places=0"),
        (3, 1.5, r"density=1\.5"),
        (3, math.nan, "density=nan"),
        (3, "half", "density='half'"),
    ],
)
def test_random_degrees_out_of_range(places, density, received):
    with pytest.raises(ValueError, match=f"Received: {received}"):
        random_degree_distribution(places, density)
