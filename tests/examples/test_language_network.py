import math

import keras
import numpy as np
import pytest
from language_network import Dropout
from language_network import LanguageModelSize
from language_network import build_language_model
from language_network import size_of
from language_network import topology_of
from language_network import with_states

import keras_sparse_rnn as ksr

LSTM = LanguageModelSize(10_000, 1500, (1500, 1500))
RHN = LanguageModelSize(10_000, 830, (830,), "rhn", depth=10, is_tied=True)
SMALL = LanguageModelSize(11, 5, (6, 6))


@pytest.mark.parametrize(("size", "millions"), [(LSTM, 66.0), (RHN, 23.46)])
def test_weights_are_the_paper_s(size, millions):
    assert size.weights / 1e6 == pytest.approx(millions, abs=0.006)


@pytest.mark.parametrize("is_uniform", [True, False])
@pytest.mark.parametrize(
    ("size", "sparsity", "millions"),
    [(LSTM, 0.67, 21.78), (LSTM, 0.8, 13.2), (RHN, 0.528, 11.07)],
)
def test_connections_are_the_paper_s(size, sparsity, millions, is_uniform):
    topology = topology_of(size.matrices, sparsity, is_uniform)
    shapes = [matrix.shape for matrix in size.matrices]
    found = sum(map(topology.connections, shapes))
    assert found / 1e6 == pytest.approx(millions, abs=0.006)
    exact = (1 - sparsity) * sum(map(math.prod, shapes))
    assert found == pytest.approx(exact, abs=len(shapes))


@pytest.mark.parametrize(
    ("sparsity", "is_uniform", "expected"),
    [
        (0.67, True, 0.330),
        (0.67, False, 0.334),
        (0.8, True, 0.200),
        (0.8, False, 0.203),
    ],
)
def test_flops_are_the_paper_s(sparsity, is_uniform, expected):
    # Table 2 has .333 and .202 for Erdős–Rényi; these are .334 and .203.
    topology = topology_of(LSTM.matrices, sparsity, is_uniform)
    active = [
        each.with_active(topology.connections(each.shape))
        for each in LSTM.matrices
    ]
    found = sum(each.multiply_adds for each in active) / sum(
        each.multiply_adds_dense for each in active
    )
    assert found == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(("sparsity", "millions"), [(0.67, 21.8), (0.8, 13.2)])
def test_small_dense_model_has_as_many_weights(sparsity, millions):
    small = LSTM.narrowed((1 - sparsity) * LSTM.weights)
    assert small.weights / 1e6 == pytest.approx(millions, abs=0.05)
    assert small.embedding_dim == small.units[0] == small.units[1]


@pytest.mark.parametrize("cell", ["lstm", "rhn"])
@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize("is_sparse", [True, False])
def test_matrices_are_those_of_the_model(cell, is_tied, is_sparse):
    size = LanguageModelSize(11, 6, (6, 6), cell, 3, is_tied)
    arguments = {"sparsity": 0.5, "granularity": "kernel"}
    model = build_language_model(size, 2, 3, arguments if is_sparse else None)
    found = ksr.weight_matrices(model)
    assert [each.shape for each in found] == [
        each.shape for each in size.matrices
    ]
    assert [each.multiply_adds_dense for each in found] == [
        each.multiply_adds_dense for each in size.matrices
    ]


def test_sizes_that_cannot_be_tied_are_refused():
    with pytest.raises(ValueError, match="Received: units=7, embedding_dim=6"):
        LanguageModelSize(11, 6, (6, 7), is_tied=True)


@pytest.mark.parametrize("cell", ["lstm", "rhn"])
@pytest.mark.parametrize("is_tied", [True, False])
def test_states_given_and_returned_are_those_carried(cell, is_tied):
    size = LanguageModelSize(11, 6, (6, 6), cell, 2, is_tied)
    model = build_language_model(size, 2, 3, initial_scale=0.5)
    stepped, sizes = with_states(model, size_of(model, size))
    ids = keras.ops.convert_to_tensor(
        np.random.default_rng(0).integers(0, 11, (2, 9)), "int32"
    )
    first = [keras.ops.zeros((2, each)) for each in sizes]
    states = first
    for start in range(0, 9, 3):
        window = ids[:, start : start + 3]
        logits, *states = stepped([window, *states])
        np.testing.assert_allclose(model(window), logits, atol=1e-6)
    whole, *_ = stepped([ids, *first])
    np.testing.assert_allclose(whole[:, -3:], logits, atol=1e-6)


def test_initial_scale_is_that_of_every_matrix():
    model = build_language_model(SMALL, 2, 3, initial_scale=0.1)
    for weight in model.weights:
        if len(weight.shape) == 2 and "rnn_state" not in weight.path:
            values = np.abs(weight.numpy())
            assert 0.05 < values.max() <= 0.1
    kernels = [each.numpy() for each in model.weights if len(each.shape) == 2]
    assert not np.array_equal(kernels[2], kernels[5])


@pytest.mark.parametrize("is_locked", [True, False])
def test_dropout_is_where_it_is_asked_for(is_locked):
    model = build_language_model(
        SMALL, 2, 30, dropout=Dropout(inputs=0.5, is_locked=is_locked)
    )
    kind = keras.layers.SpatialDropout1D if is_locked else keras.layers.Dropout
    assert [type(each) for each in model.layers].count(kind) == 1
    dropped = model.layers[2]
    features = np.asarray(dropped(np.ones((2, 30, 5)), training=True))
    assert (features == features[:, :1]).all() == is_locked
