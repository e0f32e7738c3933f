"""Degrees and images of masks, against sums written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_sparse_rnn.analysis.degrees import degrees
from keras_sparse_rnn.analysis.degrees import density_image


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
