"""Which units the matrices of models link."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.analysis import Connections
from keras_sparse_rnn.analysis import NetworkTopology
from keras_sparse_rnn.analysis import Units
from keras_sparse_rnn.analysis import network_topology
from keras_sparse_rnn.analysis.network_topology import as_topology

layers = keras.layers


def dense(units, name):
    return ksr.SparseDense(units, sparsity=0.5, name=name)


def lstm(units, name, **arguments):
    return ksr.SparseLSTM(units, sparsity=0.5, name=name, **arguments)


def test_a_text_model():
    model = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            ksr.SparseEmbedding(40, 6, sparsity=0.5, name="table"),
            layers.SpatialDropout1D(0.1),
            layers.RNN(
                ksr.SparseGRUCell(4, sparsity=0.5, name="cell"), name="gru"
            ),
            layers.BatchNormalization(),
            dense(3, "dense"),
        ],
        name="model",
    )
    topology = network_topology(model)
    table = Units("model/table", 6)
    cell = Units("model/gru/cell", 4)
    assert [(m.inputs, m.outputs) for m in topology.matrices] == [
        ((Units("inputs of model/table", 40),), table),
        ((table,), cell),
        ((cell,), cell),
        ((cell,), Units("model/dense", 3)),
    ]
    assert [matrix.gates for matrix in topology.matrices] == [1, 3, 3, 1]
    assert topology.layers == (table, cell, Units("model/dense", 3))
    for matrix, weight in zip(
        topology.matrices, ksr.sparse_weights(model), strict=True
    ):
        assert matrix.path == weight.path
        np.testing.assert_array_equal(matrix.mask, weight.mask.numpy())
    report = ksr.sparsity_report(model)
    assert (topology.active, topology.total) == (report.active, report.total)
    assert topology.places().sum() == topology.active


def functional(call, features=4):
    inputs = keras.Input((5, features))
    return keras.Model(inputs, call(inputs), name="model")


def inputs_of(model, path):
    [inputs] = [
        matrix.inputs
        for matrix in network_topology(model).matrices
        if matrix.path == path
    ]
    return inputs and [units.name for units in inputs]


COMING_IN = {
    "bidirectional": (
        lambda x: layers.Bidirectional(lstm(3, "a"), name="both")(x),
        [
            "both/forward_a/lstm_cell",
            "both/backward_a/lstm_cell",
        ],
    ),
    "sum of directions": (
        lambda x: layers.Bidirectional(lstm(3, "a"), merge_mode="sum")(x),
        ["inputs of last"],
    ),
    "concatenated": (
        lambda x: layers.Concatenate()([lstm(3, "a")(x), lstm(2, "b")(x)]),
        ["a/lstm_cell", "b/lstm_cell"],
    ),
    "concatenated in time": (
        lambda x: lstm(2, "b")(
            layers.Concatenate(axis=1)(
                [lstm(3, "a", return_sequences=True)(x), x[:, :, :3]]
            )
        ),
        ["b/lstm_cell"],
    ),
    "stacked cells": (
        lambda x: layers.RNN(
            [
                ksr.SparseLSTMCell(n, sparsity=0.5, name=f"cell_{n}")
                for n in (2, 3)
            ],
            name="stack",
        )(x),
        ["stack/stacked_rnn_cells/cell_3"],
    ),
    "states": (
        lambda x: lstm(3, "a", return_state=True)(x)[0],
        ["a/lstm_cell"],
    ),
    "time distributed": (
        lambda x: layers.GlobalMaxPooling1D()(
            layers.TimeDistributed(dense(3, "each"), name="over")(x)
        ),
        ["over/each"],
    ),
    "pooled over units": (
        lambda x: layers.GlobalMaxPooling1D(data_format="channels_first")(
            lstm(3, "a", return_sequences=True)(x)
        ),
        ["inputs of last"],
    ),
    "dense between": (
        lambda x: layers.Dense(3)(lstm(3, "a")(x)),
        ["inputs of last"],
    ),
    "sum": (
        lambda x: layers.Add()([lstm(3, "a")(x), lstm(3, "b")(x)]),
        ["inputs of last"],
    ),
    "flattened": (
        lambda x: layers.Flatten()(lstm(3, "a", return_sequences=True)(x)),
        ["inputs of last"],
    ),
}


@pytest.mark.parametrize(
    ("call", "expected"), COMING_IN.values(), ids=COMING_IN
)
def test_what_comes_into_the_last_layer(call, expected):
    model = functional(lambda x: dense(2, "last")(call(x)))
    assert inputs_of(model, "last/kernel") == expected


def test_a_cell_of_a_stack_takes_the_units_of_the_one_before():
    cells = [
        ksr.SparseLSTMCell(n, sparsity=0.5, name=f"cell_{n}") for n in (2, 3)
    ]
    model = functional(layers.RNN(cells, name="stack"))
    path = "stack/stacked_rnn_cells/cell_3/kernel"
    assert inputs_of(model, path) == ["stack/stacked_rnn_cells/cell_2"]


def test_units_that_are_concatenated_with_others_keep_their_number():
    model = functional(
        lambda x: dense(2, "last")(
            layers.Concatenate()([layers.Dense(5)(x[:, 0]), lstm(3, "a")(x)])
        )
    )
    [last] = network_topology(model).matrices[-1:]
    assert [units.size for units in last.inputs] == [5, 3]
    assert last.inputs[1].name == "a/lstm_cell"


def test_a_layer_by_itself():
    layer = lstm(3, "mine")
    layer.build((None, None, 5))
    kernel, recurrent = network_topology(layer).matrices
    assert [units.size for units in kernel.inputs] == [5]
    assert recurrent.inputs == (recurrent.outputs,)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.lstm = lstm(3, "a")

    def call(self, inputs):
        return self.lstm(inputs)


def nested():
    inner = functional(lstm(3, "a", return_sequences=True))
    return functional(lambda x: lstm(2, "b")(inner(x)))


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 5, 4), "float32"))
    return model


@pytest.mark.parametrize("make", [subclassed, nested])
def test_where_keras_does_not_say_inputs_are_not_known(make):
    model = make()
    kernel, recurrent = network_topology(model).matrices[:2]
    assert kernel.inputs is None
    assert recurrent.inputs == (recurrent.outputs,)
    assert ksr.analysis.edit_distance(model, model) == 0
    with pytest.raises(ValueError, match="no inputs known of"):
        ksr.analysis.nnstd(model, model)


def test_layers_of_the_same_path_are_told_apart():
    cells = [ksr.SparseLSTMCell(3, sparsity=0.5, name="c") for _ in range(2)]
    for cell in cells:
        cell.build((None, 3))
    weights = [weight for cell in cells for weight in cell.sparse_weights]
    assert len({weight.layer.path for weight in weights}) == 1
    assert len(as_topology(weights).layers) == 2


def test_a_topology_is_a_copy():
    layer = dense(3, "mine")
    layer.build((None, 4))
    topology = network_topology(layer)
    [weight] = layer.sparse_weights
    before = weight.mask.numpy().copy()
    weight.start_with(~before)
    np.testing.assert_array_equal(topology.masks[0], before)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: lstm(3, "mine"),
        lambda: layers.Dense(3, name="mine"),
    ],
    ids=["unbuilt", "dense"],
)
def test_a_model_without_sparse_weights_is_refused(layer):
    with pytest.raises(ValueError, match="Received: model='mine'"):
        network_topology(layer())


def test_what_is_no_model_is_refused():
    with pytest.raises(ValueError, match="Received: model=3"):
        network_topology(3)


UNITS = Units("a", 2)


@pytest.mark.parametrize(
    ("shape", "inputs", "outputs", "match"),
    [
        ((4,), None, UNITS, r"Received: mask\.shape=\(4,\)"),
        ((4, 0), None, UNITS, r"Received: mask\.shape=\(4, 0\)"),
        ((4, 3), None, UNITS, r"gates of 2 units .* mask\.shape=\(4, 3\)"),
        ((4, 2), (UNITS,), UNITS, r"as its inputs, 2\. Received"),
    ],
)
def test_units_that_do_not_fit_the_mask(shape, inputs, outputs, match):
    with pytest.raises(ValueError, match=match):
        Connections("mine", np.zeros(shape), inputs, outputs)


def test_matrices_that_disagree_on_units():
    matrices = [
        Connections("one", np.eye(2), None, UNITS),
        Connections("two", np.eye(3), None, Units("a", 3)),
    ]
    with pytest.raises(ValueError, match=r"'two' must have 2 .*: size=3"):
        NetworkTopology(matrices)


def test_a_topology_of_nothing():
    with pytest.raises(ValueError, match=r"Received: matrices=\(\)"):
        NetworkTopology(())
