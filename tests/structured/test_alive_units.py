"""Units that have an effect, and units that have none."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests.structured import models


def simple_rnn(recurrent, dense):
    model = models.stack(
        models.L.SimpleRNN(len(recurrent), name="a"), models.L.Dense(1)
    )
    model.layers[0].cell.recurrent_kernel.assign(recurrent)
    model.layers[1].kernel.assign(np.array(dense, float)[:, None])
    return model


# Row k of the recurrent kernel is what reads unit k.
@pytest.mark.parametrize(
    ("recurrent", "dense", "alive"),
    [
        ([[0, 0], [0, 0]], [1, 0], [True, False]),
        # Itself is no reader, and two that read each other are none.
        ([[0, 0], [0, 3]], [1, 0], [True, False]),
        ([[0, 0, 0], [0, 0, 2], [0, 2, 0]], [1, 0, 0], [True, False, False]),
        # By way of others, in either order of the units.
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [1, 0, 0], [True, True, True]),
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], [0, 0, 1], [True, True, True]),
        # What an alive unit writes into a dead one does not keep that alive.
        ([[0, 1], [0, 0]], [1, 0], [True, False]),
        ([[0, 0], [0, 0]], [0, 0], [False, False]),
        ([[0, 0], [0, 0]], [-1e-30, np.nan], [True, True]),
    ],
)
def test_alive_is_what_the_outputs_depend_on(recurrent, dense, alive):
    model = simple_rnn(np.array(recurrent, float), dense)
    assert {name: [*each] for name, each in ksr.alive_units(model).items()} == {
        model.layers[0].path: alive
    }


def test_units_are_matched_across_layers():
    model = models.three()
    models.randomize(model)
    one, two, three = (models.layer(model, name) for name in "abc")
    models.set_rows(model.layers[-1], [3])
    models.set_rows(three.cell, [3], name="recurrent_kernel")
    # Unit 1 of the GRU is read by unit 3 of the last layer alone.
    models.set_rows(two.cell, [1], name="recurrent_kernel")
    models.set_rows(three.cell, [1], [0, 0, 0, 5])
    # Unit 4 of the LSTM by gate r of unit 1 of the GRU alone.
    models.set_rows(one.cell, [4], name="recurrent_kernel")
    models.set_rows(two.cell, [4], np.eye(15)[5 + 1])
    alive = ksr.alive_units(model)
    assert [np.flatnonzero(~each).tolist() for each in alive.values()] == [
        [4],
        [1],
        [3],
    ]


def test_a_unit_is_alive_if_its_column_of_a_tied_table_is_not_zero():
    model = models.tied_stack()
    models.randomize(model)
    table, gru = models.layer(model, "table"), models.layer(model, "b")
    table.embeddings_mask.assign(np.ones((9, 6), bool))
    models.set_rows(gru.cell, [2, 4], name="recurrent_kernel")
    models.set_columns(table, [1, 2])
    # What reads the feature that column 2 embeds reads zeros.
    alive = ksr.alive_units(model)[gru.path]
    # Unit 1 is read by other units.
    assert np.flatnonzero(~alive).tolist() == [2]


def test_a_connection_that_is_masked_reads_nothing():
    model = models.stack(
        ksr.SparseSimpleRNN(4, sparsity=0.5, name="a"), models.L.Dense(1)
    )
    cell = models.layer(model, "a").cell
    models.set_rows(model.layers[-1], [0])
    cell.recurrent_kernel_mask.assign(np.eye(4, dtype=bool))
    cell._recurrent_kernel.assign(np.ones((4, 4)))
    [alive] = ksr.alive_units(model).values()
    assert [*alive] == [False, True, True, True]


def test_layers_of_one_name_are_told_apart():
    def inner(units):
        inputs = keras.Input((5, 4))
        hidden = models.L.LSTM(units, name="a")(inputs)
        return keras.Model(inputs, models.L.Dense(1)(hidden))

    inputs = keras.Input((5, 4))
    both = models.L.Add()([inner(3)(inputs), inner(4)(inputs)])
    alive = ksr.alive_units(keras.Model(inputs, both))
    assert {name: len(each) for name, each in alive.items()} == {
        "a": 3,
        "a_1": 4,
    }
