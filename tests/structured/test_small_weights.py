"""Weights near zero become zero, where units depend on it."""

import math

import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests.structured import models


def test_weights_of_groups_below_the_threshold_become_zero():
    model = models.stack(
        models.L.Dense(4),
        models.L.LSTM(6, name="a"),
        models.L.Dense(3),
        models.L.Dense(2),
    )
    models.randomize(model)
    before = model.get_weights()
    count = ksr.zero_small_weights(model, 0.5)
    expected = 0
    # Kernel and bias; kernel, recurrent kernel and bias; twice the first two.
    in_groups = [False] * 2 + [True, True, False] + [True] + [False] * 3
    for then, now, in_group in zip(
        before, model.get_weights(), in_groups, strict=True
    ):
        small = (np.abs(then) < 0.5) & in_group
        np.testing.assert_array_equal(now, np.where(small, 0, then))
        expected += small.sum()
    assert count == expected > 0
    assert ksr.zero_small_weights(model, 0.5) == 0


def test_the_threshold_itself_is_not_below_it():
    model = models.lstm()
    models.set_rows(model.layers[-1], slice(None), 0.25)
    ksr.zero_small_weights(model, 0.25)
    assert (model.layers[-1].kernel.numpy() == 0.25).all()
    ksr.zero_small_weights(model, 0.2500001)
    assert not model.layers[-1].kernel.numpy().any()


def test_rows_that_read_other_features_stay():
    model = models.branches()
    dense = model.layers[-2]
    models.set_rows(dense, slice(None), 0.25)
    ksr.zero_small_weights(model, 0.5)
    rows = dense.kernel.numpy().any(axis=1)
    assert np.flatnonzero(rows).tolist() == [6, 7, 8, 9]


def test_columns_of_a_table_that_decodes_and_what_reads_its_features():
    model = models.tied()
    for variable in model.trainable_variables:
        variable.assign(np.full(variable.shape, 0.25))
    ksr.zero_small_weights(model, 0.5)
    left = {
        variable.name
        for variable in model.trainable_variables
        if variable.numpy().any()
    }
    assert left
    assert all("bias" in name for name in left)


def test_threshold_0_changes_nothing():
    model = models.sparse()
    before = model.get_weights()
    assert ksr.zero_small_weights(model, 0) == 0
    for then, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(then, now)


def test_sparse_layers_keep_their_connections():
    model = models.sparse()
    active = [weight.active for weight in ksr.sparse_weights(model)]
    ksr.zero_small_weights(model, 10)
    assert [weight.active for weight in ksr.sparse_weights(model)] == active
    assert not models.layer(model, "a").cell._kernel.numpy().any()
    assert models.matrix(model.layers[0], "embeddings").numpy().any()


@pytest.mark.parametrize("threshold", [-1e-4, math.nan, "1", None, True])
def test_a_threshold_that_is_none_is_refused(threshold):
    with pytest.raises(ValueError, match=r"`threshold` must.*Received: thr"):
        ksr.zero_small_weights(models.lstm(), threshold)
    with pytest.raises(ValueError, match=r"`threshold` must.*Received: thr"):
        ksr.ISSCallback(0.1, threshold)
