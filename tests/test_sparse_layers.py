"""Finding sparse layers and weights in models of any nesting."""

import keras
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.sparse_layers import sparse_layer_names
from keras_sparse_rnn.sparse_layers import sparse_layers


class Subclassed(keras.Model):
    """Sparse layers in attributes and in a list."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.table = ksr.SparseEmbedding(12, 5, sparsity=0.5)
        self.layers_in_a_list = [
            ksr.SparseGRU(4, sparsity=0.5, return_sequences=True),
            ksr.SparseLSTM(3, sparsity=0.5),
        ]
        self.head = keras.layers.Dense(2)

    def call(self, inputs):
        outputs = self.table(inputs)
        for layer in self.layers_in_a_list:
            outputs = layer(outputs)
        return self.head(outputs)


def tokens():
    return keras.Input((5,), dtype="int32")


def nested():
    inner = keras.Sequential(
        [
            keras.Input((5, 4)),
            keras.layers.Bidirectional(
                ksr.SparseLSTM(3, sparsity=0.5, name="both"), name="around"
            ),
        ],
        name="inner",
    )
    inputs = tokens()
    outputs = ksr.SparseEmbedding(12, 4, sparsity=0.5, name="table")(inputs)
    outputs = keras.layers.Dropout(0.1, name="drop")(inner(outputs))
    outputs = ksr.SparseDense(2, sparsity=0.5, name="head")(outputs)
    return keras.Model(inputs, outputs, name="outer")


def stacked():
    cells = [ksr.SparseGRUCell(3, sparsity=0.5) for _ in range(2)]
    return keras.Sequential(
        [
            keras.Input((5, 4)),
            keras.layers.TimeDistributed(ksr.SparseDense(4, sparsity=0.5)),
            keras.layers.RNN(keras.layers.StackedRNNCells(cells)),
            keras.layers.Dense(2),
        ]
    )


def shared():
    layer = ksr.SparseGRU(3, sparsity=0.5)
    table = ksr.SparseEmbedding(12, 4, sparsity=0.5)
    one, other = tokens(), tokens()
    outputs = keras.layers.Concatenate()(
        [layer(table(one)), layer(table(other))]
    )
    return keras.Model([one, other], outputs)


def built_subclassed():
    model = Subclassed()
    model(keras.ops.zeros((1, 5), "int32"))
    return model


@pytest.mark.parametrize(
    ("make", "kinds"),
    [
        (
            nested,
            [
                "SparseEmbedding",
                "SparseLSTMCell",
                "SparseLSTMCell",
                "SparseDense",
            ],
        ),
        (
            built_subclassed,
            ["SparseEmbedding", "SparseGRUCell", "SparseLSTMCell"],
        ),
        (stacked, ["SparseDense", "SparseGRUCell", "SparseGRUCell"]),
        (shared, ["SparseEmbedding", "SparseGRUCell"]),
    ],
)
def test_every_sparse_layer_is_found_once_in_order(make, kinds):
    model = make()
    found = sparse_layers(model)
    assert [type(layer).__name__ for layer in found] == kinds
    weights = ksr.sparse_weights(model)
    assert [weight.layer for weight in weights] == [
        layer for layer in found for _ in layer.sparse_names
    ]
    assert len({id(weight.value) for weight in weights}) == len(weights)


def test_layers_that_are_not_built_are_found_and_have_no_weights():
    model = Subclassed()
    assert len(sparse_layers(model)) == 3
    assert ksr.sparse_weights(model) == []


def test_a_dense_model_has_none():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    assert sparse_layers(model) == []
    assert ksr.sparse_weights(model) == []


def test_a_layer_on_its_own_will_do():
    layer = ksr.SparseLSTM(3, sparsity=0.5)
    layer.build((None, 5, 4))
    names = [weight.name for weight in ksr.sparse_weights(layer)]
    assert names == ["kernel", "recurrent_kernel"]


@pytest.fixture(scope="module")
def nested_model():
    return nested()


@pytest.mark.parametrize(
    ("layers", "count"),
    [
        (None, 6),
        (["table"], 1),
        ("table", 1),
        (["around"], 4),
        (["inner"], 4),
        (["outer"], 6),
        (["head", "table"], 2),
        (["table", "table", "outer"], 6),
        (("forward_both",), 2),
    ],
)
def test_selection_by_name(nested_model, layers, count):
    weights = ksr.sparse_weights(nested_model, layers)
    assert len({id(weight.value) for weight in weights}) == len(weights)
    assert len(weights) == count


def test_selection_by_object(nested_model):
    model = nested_model
    inner = model.get_layer("inner")
    around = inner.get_layer("around")
    for layer, count in (
        (model.get_layer("table"), 1),
        (inner, 4),
        (around, 4),
        (around.forward_layer, 2),
        (around.backward_layer.cell, 2),
    ):
        for layers in (layer, [layer]):
            weights = ksr.sparse_weights(model, layers)
            assert len(weights) == count
            assert {weight.layer for weight in weights} <= set(
                sparse_layers(layer)
            )


@pytest.mark.parametrize(
    ("layers", "received"),
    [
        (["tabel"], "layers='tabel'"),
        (["table", "tabel"], "layers='tabel'"),
        ("tabel", "layers='tabel'"),
        ([3], "layers=3"),
        ([], "layers=[]"),
        ((), "layers=()"),
        (["drop"], "layers='drop' in ['drop']"),
    ],
)
def test_selection_of_what_is_not_there(nested_model, layers, received):
    with pytest.raises(ValueError, match="`layers` must") as error:
        ksr.sparse_weights(nested_model, layers)
    assert str(error.value).endswith(f"Received: {received}")


@pytest.mark.parametrize("layers", [None, ["table"]])
@pytest.mark.parametrize("model", [3, None, "model", keras.Sequential])
def test_what_is_no_model_is_refused(model, layers):
    with pytest.raises(ValueError, match="Expected a Keras model or") as error:
        ksr.sparse_weights(model, layers)
    assert str(error.value).endswith(f"Received: model={model!r}")


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (nested, ["table", "forward_both", "backward_both", "head"]),
        (Subclassed, ["sparse_embedding", "sparse_gru", "sparse_lstm"]),
        (stacked, ["sparse_dense", "sparse_gru_cell", "sparse_gru_cell_1"]),
        (
            lambda: keras.layers.RNN(ksr.SparseGRUCell(3, epsilon=1), name="r"),
            ["r"],
        ),
    ],
)
def test_names_are_those_that_a_user_gave(make, names):
    assert sparse_layer_names(make()) == names


def test_an_unknown_name_is_answered_by_names_that_can_be_given(nested_model):
    names = sparse_layer_names(nested_model)
    with pytest.raises(ValueError, match="names such as") as error:
        ksr.sparse_weights(nested_model, "lstm_cell_")
    assert str(names) in str(error.value)
    assert len(ksr.sparse_weights(nested_model, names)) == 6


def test_selection_of_a_layer_of_another_model(nested_model):
    other = ksr.SparseEmbedding(12, 4, sparsity=0.5, name="table")
    with pytest.raises(ValueError, match="Received: layers=<SparseEmbedding"):
        ksr.sparse_weights(nested_model, other)
