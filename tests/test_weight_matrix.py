"""Matrices of models: their counts, and how often each is applied."""

import keras
import pytest

import keras_sparse_rnn as ksr

L = keras.layers


def papers_model():
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            ksr.SparseEmbedding(2000, 16, epsilon=10, name="words"),
            ksr.SparseLSTM(16, epsilon=2, name="lstm"),
            L.Dense(2, name="classes"),
        ]
    )


def by_layer(matrices):
    """Applications of each matrix, by the path without the model's name."""
    return {
        matrix.path.split("/", 1)[1]: matrix.applications for matrix in matrices
    }


def test_the_matrices_of_a_text_classifier():
    matrices = ksr.weight_matrices(papers_model(), time_steps=100)
    found = {
        matrix.path.split("/", 1)[1]: (
            matrix.shape,
            matrix.active,
            matrix.applications,
            matrix.sparse,
        )
        for matrix in matrices
    }
    assert found == {
        "words/embeddings": ((2000, 16), 20_160, 0, True),
        "lstm/lstm_cell/kernel": ((16, 64), 256, 100, True),
        "lstm/lstm_cell/recurrent_kernel": ((16, 64), 256, 100, True),
        "classes/kernel": ((16, 2), 32, 1, False),
    }


def test_what_is_applied_at_each_time_step():
    model = keras.Sequential(
        [
            keras.Input((7,), dtype="int32"),
            L.Embedding(9, 4, name="words"),
            L.Bidirectional(
                ksr.SparseGRU(3, sparsity=0.5, return_sequences=True),
                name="both",
            ),
            L.TimeDistributed(L.Dense(5, name="inner"), name="each"),
            L.Dense(6, name="on_sequences"),
            L.RNN([L.SimpleRNNCell(2), L.LSTMCell(3)], name="stack"),
            L.Dense(2, name="last"),
        ]
    )
    applications = by_layer(ksr.weight_matrices(model, time_steps=7))
    assert len(applications) == 1 + 4 + 1 + 1 + 4 + 1
    assert applications.pop("words/embeddings") == 0
    assert applications.pop("last/kernel") == 1
    assert set(applications.values()) == {7}
    one_step = by_layer(ksr.weight_matrices(model))
    assert one_step.pop("words/embeddings") == 0
    assert set(one_step.values()) == {1}


DECODERS = {
    "at every step": (True, 7),
    "of the last state": (False, 1),
}


@pytest.mark.parametrize("kind", [L.ReversibleEmbedding, None])
@pytest.mark.parametrize("tie_weights", [True, False])
@pytest.mark.parametrize(
    ("return_sequences", "expected"), DECODERS.values(), ids=DECODERS
)
def test_a_table_that_decodes_is_applied_as_often_as_it_does(
    kind, tie_weights, return_sequences, expected
):
    arguments = {"tie_weights": tie_weights, "name": "words"}
    if kind is None:
        table = ksr.SparseReversibleEmbedding(9, 4, sparsity=0.5, **arguments)
    else:
        table = kind(9, 4, **arguments)
    tokens = keras.Input((7,), dtype="int32")
    hidden = L.LSTM(4, return_sequences=return_sequences)(table(tokens))
    model = keras.Model(tokens, table(hidden, reverse=True))
    matrices = ksr.weight_matrices(model, time_steps=7)
    found = {each.path: each.applications for each in matrices}
    assert len(found) == 3 + (not tie_weights)
    if tie_weights:
        assert found["words/embeddings"] == expected
    else:
        assert found["words/embeddings"] == 0
        assert found["words/reverse_embeddings"] == expected


def test_a_table_that_only_is_looked_up_multiplies_nothing():
    model = keras.Sequential(
        [
            keras.Input((7,), dtype="int32"),
            ksr.SparseReversibleEmbedding(9, 4, sparsity=0.5, name="words"),
        ]
    )
    [matrix] = ksr.weight_matrices(model, time_steps=7)
    assert matrix.applications == 0


def test_a_table_that_only_code_calls_counts_as_decoding_at_every_step():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.table = ksr.SparseReversibleEmbedding(9, 4, sparsity=0.5)

        def call(self, tokens):
            return self.table(self.table(tokens), reverse=True)

    model = Subclassed()
    model(keras.ops.zeros((2, 7), "int32"))
    [matrix] = ksr.weight_matrices(model, time_steps=7)
    assert matrix.applications == 7


def test_the_layers_of_a_cell_are_applied_at_each_time_step():
    class Cell(L.Layer):
        state_size = 3

        def build(self, input_shape):
            self.inner = L.Dense(3)
            self.inner.build((None, input_shape[-1] + 3))

        def call(self, inputs, states):
            joined = keras.ops.concatenate([inputs, states[0]], axis=-1)
            return (self.inner(joined),) * 2

    model = keras.Sequential([keras.Input((4, 5)), L.RNN(Cell()), L.Dense(2)])
    matrices = ksr.weight_matrices(model, time_steps=4)
    assert [(m.shape, m.applications) for m in matrices] == [
        ((8, 3), 4),
        ((3, 2), 1),
    ]


def test_a_subclassed_model_is_known_by_what_it_was_built_with():
    class Tagger(keras.Model):
        def __init__(self):
            super().__init__()
            self.lstm = ksr.SparseLSTM(3, sparsity=0.5, return_sequences=True)
            self.dense = L.Dense(2)

        def call(self, inputs):
            return self.dense(self.lstm(inputs))

    model = Tagger()
    model(keras.ops.ones((1, 4, 5)))
    matrices = ksr.weight_matrices(model, time_steps=4)
    assert [matrix.applications for matrix in matrices] == [4, 4, 4]


def test_a_shared_matrix_is_there_once():
    one, two = keras.Input((4, 5)), keras.Input((4, 5))
    shared = ksr.SparseLSTM(3, sparsity=0.5)
    model = keras.Model([one, two], L.Add()([shared(one), shared(two)]))
    assert len(ksr.weight_matrices(model)) == 2


def test_other_weights_are_no_matrices():
    model = keras.Sequential(
        [
            keras.Input((8, 5)),
            L.Conv1D(3, 2),
            L.BatchNormalization(),
            L.GRU(4),
            L.LayerNormalization(),
        ]
    )
    shapes = [matrix.shape for matrix in ksr.weight_matrices(model)]
    assert shapes == [(3, 12), (4, 12)]


def test_counts_of_a_matrix():
    matrix = ksr.WeightMatrix("kernel", (3, 4), 5, applications=6)
    assert matrix.places == 12
    assert matrix.multiply_adds == 30
    assert matrix.multiply_adds_dense == 72
    assert matrix.with_active(2).multiply_adds == 12
    assert ksr.WeightMatrix("kernel", (3, 4)).active == 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (3, 0)}, r"`shape` must be.*Received: shape=0"),
        ({"active": -1}, r"`active` must be.*Received: active=-1"),
        ({"active": 13}, r"'kernel' has 12 places\. Received: active=13"),
        ({"active": 2.0}, r"`active` must be an integer"),
        ({"applications": -1}, r"Received: applications=-1"),
    ],
)
def test_impossible_matrices_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ksr.WeightMatrix(**{"path": "kernel", "shape": (3, 4), **arguments})


@pytest.mark.parametrize("time_steps", [0, 1.5, True, None])
def test_impossible_time_steps_are_refused(time_steps):
    with pytest.raises(ValueError, match=r"`time_steps` must be an integer"):
        ksr.weight_matrices(papers_model(), time_steps)


def test_an_unbuilt_layer_is_refused_by_name():
    model = keras.Sequential([ksr.SparseLSTM(3, epsilon=1, name="mine")])
    with pytest.raises(ValueError, match=r"'mine' must be built.*not built"):
        ksr.weight_matrices(model)


def test_what_is_no_model_is_refused():
    with pytest.raises(ValueError, match=r"layer\. Received: model=3$"):
        ksr.weight_matrices(3)
