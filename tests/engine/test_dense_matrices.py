"""From a layer's masks and matrices to its connections, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from keras_sparse_rnn.engine import compressed
from keras_sparse_rnn.engine import dense_matrices
from keras_sparse_rnn.engine import library
from keras_sparse_rnn.engine import recurrence
from tests.engine import sequences
from tests.engine.sequences import KINDS

needs_kernels = pytest.mark.skipif(
    not library.is_available(), reason="The native kernels were not built."
)
SETTINGS = recurrence.Settings("a layer")
ALL_KINDS = {**KINDS, "product": compressed.PRODUCT}


def drawn_matrices(kind, inputs=7, units=9, density=0.3, tied=False, seed=0):
    """Masks and matrices of a cell, lists of two, or of one for a product."""
    rng = np.random.default_rng(seed)
    rows = (inputs, units) if kind.states else (inputs,)
    masks = [
        sequences.draw_mask(rng, each, kind.gates, units, density, tied=tied)
        for each in rows
    ]
    return masks, [
        rng.normal(size=mask.shape).astype(np.float32) for mask in masks
    ]


@pytest.mark.parametrize("name", ["lstm", "gru_reset_after"])
def test_gates_are_tied_only_where_all_agree(name):
    kind = KINDS[name]
    rng = np.random.default_rng(0)
    masks = [
        sequences.draw_mask(rng, 9, kind.gates, 9, 0.4, tied=True)
        for _ in range(2)
    ]
    assert dense_matrices.compress(kind, *masks).tied
    assert not dense_matrices.compress(kind, *masks, kind.gates, 1).tied
    masks[1][3, 4] ^= True
    assert not dense_matrices.compress(kind, *masks).tied


@pytest.mark.parametrize(
    ("kernel_mask", "recurrent_mask", "message"),
    [
        (np.ones((3, 8)), np.ones((2, 8), bool), "kernel_mask.dtype=float64"),
        (np.ones(8, bool), np.ones((2, 8), bool), r"kernel_mask.shape=\(8,\)"),
        (np.ones((3, 9), bool), np.ones((2, 8), bool), "must have 8 columns"),
        (np.ones((3, 8), bool), np.ones((3, 8), bool), "must have 12 columns"),
    ],
)
def test_masks_that_do_not_fit_are_refused(
    kernel_mask, recurrent_mask, message
):
    with pytest.raises(ValueError, match=message):
        dense_matrices.compress(compressed.LSTM, kernel_mask, recurrent_mask)


def test_masks_of_more_places_than_int32_numbers_are_refused(monkeypatch):
    masks = np.ones((3, 8), bool), np.ones((2, 8), bool)
    monkeypatch.setattr(compressed, "MOST_PLACES", 40)
    assert dense_matrices.compress(compressed.LSTM, *masks).places.max() == 39
    monkeypatch.setattr(compressed, "MOST_PLACES", 39)
    with pytest.raises(
        ValueError, match=r"of 39 places .*Received: shapes=\(\(3, 8\), "
    ):
        dense_matrices.compress(compressed.LSTM, *masks)


def test_a_recurrent_layer_needs_both_masks():
    with pytest.raises(ValueError, match=r"recurrent_mask.shape=\(0, 8\)"):
        dense_matrices.compress(compressed.LSTM, np.ones((3, 8), bool))


@needs_kernels
@pytest.mark.parametrize("name", ALL_KINDS)
@hypothesis_settings(max_examples=40)
@given(data=st.data())
def test_weights_of_connections_there_and_back(name, data):
    masks, matrices = drawn_matrices(
        ALL_KINDS[name],
        data.draw(st.integers(1, 300)),
        data.draw(st.integers(1, 60)),
        data.draw(st.floats(0, 1)),
        data.draw(st.booleans()),
        data.draw(st.integers(0, 1000)),
    )
    connections = dense_matrices.compress(ALL_KINDS[name], *masks)
    weights = dense_matrices.collect(SETTINGS, connections, matrices)
    np.testing.assert_array_equal(
        weights, sequences.weights_at(connections.places, *matrices)
    )
    back = dense_matrices.spread(SETTINGS, connections, weights)
    for found, matrix, mask in zip(back, matrices, masks, strict=True):
        np.testing.assert_array_equal(found, matrix * mask)


@needs_kernels
def test_weights_of_so_many_connections_that_threads_share_them():
    # Clearing a matrix is shared from 2²⁰ places on.
    masks, matrices = drawn_matrices(compressed.LSTM, 1000, 300, density=0.5)
    connections = dense_matrices.compress(compressed.LSTM, *masks)
    for threads in (1, 3):
        settings = recurrence.Settings("a layer", threads=threads)
        weights = dense_matrices.collect(settings, connections, matrices)
        back = dense_matrices.spread(settings, connections, weights)
        for found, matrix, mask in zip(back, matrices, masks, strict=True):
            np.testing.assert_array_equal(found, matrix * mask)


@needs_kernels
def test_a_weight_that_is_no_connection_is_not_read():
    masks, matrices = drawn_matrices(compressed.LSTM)
    connections = dense_matrices.compress(compressed.LSTM, *masks)
    expected = dense_matrices.collect(SETTINGS, connections, matrices)
    for matrix, mask in zip(matrices, masks, strict=True):
        matrix[~mask] = np.nan
    found = dense_matrices.collect(SETTINGS, connections, matrices)
    np.testing.assert_array_equal(found, expected)


@needs_kernels
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: [x[0].T.copy(), x[1]], r"`kernel`.*shape=\(36, 7\)"),
        (lambda x: [x[0], np.float16(x[1])], "`recurrent_kernel`.*=float16"),
        (lambda x: [x[0][::-1], x[1]], "`kernel`.*contiguous=False"),
        (lambda x: [x[0].tolist(), x[1]], "`kernel` as a NumPy.*type list"),
        (lambda x: [x[0], None], "`recurrent_kernel` as a NumPy.*NoneType"),
        (
            lambda x: x[:1],
            r"list of `kernel` and `recurrent_kernel`\..*len\(matrices\)=1",
        ),
        (lambda x: [*x, x[0]], r"len\(matrices\)=3"),
    ],
)
def test_matrices_that_do_not_fit_are_refused(change, message):
    masks, matrices = drawn_matrices(compressed.LSTM)
    connections = dense_matrices.compress(compressed.LSTM, *masks)
    with pytest.raises(ValueError, match=f"a layer expects.*{message}"):
        dense_matrices.collect(SETTINGS, connections, change(matrices))


@needs_kernels
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[1:].copy(), "shape="),
        (np.float64, "dtype=float64"),
        (lambda x: x[::-1], "contiguous=False"),
        (np.ndarray.tolist, "of type list"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change, message):
    masks, matrices = drawn_matrices(compressed.LSTM)
    connections = dense_matrices.compress(compressed.LSTM, *masks)
    weights = dense_matrices.collect(SETTINGS, connections, matrices)
    with pytest.raises(ValueError, match=f"expects `weights`.*{message}"):
        dense_matrices.spread(SETTINGS, connections, change(weights))


@needs_kernels
def test_a_product_has_no_recurrent_kernel():
    masks, matrices = drawn_matrices(compressed.PRODUCT)
    connections = dense_matrices.compress(compressed.PRODUCT, *masks)
    with pytest.raises(ValueError, match=r"list of `kernel`\..*\)=2"):
        dense_matrices.collect(SETTINGS, connections, matrices * 2)
