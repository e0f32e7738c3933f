"""Models with hidden units that can be removed, and ways to kill some."""

import keras
import numpy as np

import keras_sparse_rnn as ksr
from keras_sparse_rnn import keras_internals

L = keras.layers


def sequences():
    return np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")


def tokens():
    x = np.random.default_rng(1).integers(1, 9, (3, 5)).astype("int32")
    x[0, 3:] = x[1, 1:] = 0
    return x


def stack(*layers, inputs=(5, 4), **kwargs):
    return keras.Sequential([keras.Input(inputs, **kwargs), *layers])


def lstm():
    return stack(L.LSTM(6, name="a"), L.Dense(2))


def gru():
    return stack(L.GRU(6, name="a"), L.Dense(2))


def gru_reset_before():
    return stack(L.GRU(6, reset_after=False, name="a"), L.Dense(2))


def simple_rnn():
    return stack(L.SimpleRNN(6, name="a"), L.Dense(2))


def rhn():
    return stack(ksr.RHN(6, depth=3, name="a"), L.Dense(2))


def rhn_with_a_carry_gate():
    layer = ksr.RHN(6, depth=2, coupled=False, name="a")
    return stack(layer, L.Dense(2))


def sparse_rhn():
    """Into a dense one, of another depth."""
    return stack(
        ksr.SparseRHN(
            6, depth=2, sparsity=0.4, return_sequences=True, name="a"
        ),
        L.RNN(ksr.RHNCell(5, depth=3, coupled=False), name="b"),
        L.Dense(2),
    )


def without_bias():
    return stack(L.LSTM(6, use_bias=False, name="a"), L.Dense(2))


def without_input():
    model = keras.Sequential([L.GRU(6, name="a"), L.Dense(2)])
    model(sequences())
    return model


def three():
    """Masks of time steps, dropout, and three kinds of layers in a row."""
    return stack(
        L.Embedding(9, 4, mask_zero=True),
        L.LSTM(6, return_sequences=True, dropout=0.2, name="a"),
        L.SpatialDropout1D(0.2),
        L.GRU(5, return_sequences=True, recurrent_dropout=0.1, name="b"),
        L.Dropout(0.2),
        L.Activation("sigmoid"),
        L.SimpleRNN(4, name="c"),
        L.Dense(2, activation="softmax"),
        inputs=(5,),
        dtype="int32",
    )


def sparse():
    return stack(
        ksr.SparseEmbedding(9, 4, sparsity=0.2, mask_zero=True),
        ksr.SparseLSTM(6, sparsity=0.4, return_sequences=True, name="a"),
        ksr.SparseGRU(5, sparsity=0.4, return_sequences=True, name="b"),
        ksr.SparseSimpleRNN(4, sparsity=0.4, name="c"),
        ksr.SparseDense(2, sparsity=0.2),
        inputs=(5,),
        dtype="int32",
    )


def bidirectional():
    return stack(
        L.Bidirectional(L.LSTM(6, return_sequences=True, name="a")),
        L.Bidirectional(L.GRU(5, name="b")),
        L.Dense(2),
    )


def cells():
    return stack(
        L.RNN(L.LSTMCell(6), return_sequences=True, name="a"),
        L.RNN(L.GRUCell(5), name="b"),
        L.Dense(2),
    )


def every_step():
    return stack(
        L.LSTM(6, return_sequences=True, name="a"),
        L.TimeDistributed(L.Dropout(0.3)),
        L.TimeDistributed(L.Dense(3)),
        L.Dense(2),
    )


def encoder_decoder():
    return stack(
        L.LSTM(6, name="a"),
        L.RepeatVector(3),
        L.GRU(5, return_sequences=True, name="b"),
        L.Dense(2),
    )


def branches():
    """Several consumers, two ways of pooling side by side."""
    inputs = keras.Input((5, 4))
    hidden = L.LSTM(6, return_sequences=True, name="a")(inputs)
    pooled = L.Concatenate()(
        [
            L.GlobalAveragePooling1D()(hidden),
            L.GlobalAveragePooling1D()(inputs),
            L.GlobalMaxPooling1D()(hidden),
            L.GRU(5, name="b")(hidden),
        ]
    )
    return keras.Model(inputs, [L.Dense(2)(pooled), L.Dense(1)(hidden)])


def nested():
    inner = stack(
        L.LSTM(6, return_sequences=True, name="a"),
        L.GRU(5, return_sequences=True, name="b"),
        L.Dropout(0.1),
    )
    inputs = keras.Input((5, 4))
    again = keras.Input((5, 4))
    middle = keras.Model(again, L.Dense(4)(inner(again)))
    return keras.Model(inputs, L.Dense(2)(inner(middle(inputs))))


def shared():
    """An LSTM and the layer that reads it, both called twice."""
    inputs = keras.Input((5, 4))
    recurrent, dense = L.LSTM(6, name="a"), L.Dense(2)
    one = dense(recurrent(inputs))
    other = dense(recurrent(L.Rescaling(-1.0)(inputs)))
    return keras.Model(inputs, L.Add()([one, other]))


def by_keyword():
    inputs = keras.Input((5, 4))
    hidden = L.LSTM(6, name="a")(sequences=inputs)
    return keras.Model(inputs, L.Dense(2)(inputs=hidden))


def stateful():
    return stack(
        L.LSTM(6, stateful=True, return_sequences=True, name="a"),
        L.GRU(5, stateful=True, name="b"),
        L.Dense(2),
        batch_size=3,
    )


def tied():
    """A highway network whose embedding decodes, with all kinds of dropout."""
    inputs = keras.Input((5,), dtype="int32")
    table = L.ReversibleEmbedding(9, 6, mask_zero=True, name="table")
    x = ksr.WordDropout(0.2, 9)(table(inputs), inputs)
    x = L.SpatialDropout1D(0.2)(x)
    x = ksr.RHN(6, depth=2, return_sequences=True, name="a")(x)
    return keras.Model(inputs, table(L.Dropout(0.2)(x), reverse=True))


def tied_stack():
    """Sparse; what is looked up is read twice, once beside something else."""
    inputs = keras.Input((5,), dtype="int32")
    table = ksr.SparseReversibleEmbedding(
        9, 6, sparsity=0.2, logit_soft_cap=30.0, name="table"
    )
    x = ksr.SparseLSTM(5, sparsity=0.4, return_sequences=True, name="a")(
        table(inputs)
    )
    x = L.Concatenate()([L.Embedding(9, 2)(inputs), x, table(inputs)])
    x = ksr.SparseGRU(6, sparsity=0.4, return_sequences=True, name="b")(x)
    return keras.Model(inputs, table(x, reverse=True))


def tied_in_both_directions():
    inputs = keras.Input((5,), dtype="int32")
    table = L.ReversibleEmbedding(9, 6, name="table")
    x = L.Bidirectional(L.LSTM(3, return_sequences=True))(table(inputs))
    return keras.Model(inputs, table(x, reverse=True))


def mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    return stack(
        L.LSTM(6, return_sequences=True, use_cudnn=False, name="a"),
        L.GRU(5, name="b"),
        L.Dense(2, dtype="float32"),
    )


MODELS = {
    "lstm": (lstm, sequences),
    "gru": (gru, sequences),
    "gru, reset before": (gru_reset_before, sequences),
    "simple rnn": (simple_rnn, sequences),
    "rhn": (rhn, sequences),
    "rhn with a carry gate": (rhn_with_a_carry_gate, sequences),
    "sparse rhn": (sparse_rhn, sequences),
    "without bias": (without_bias, sequences),
    "without input": (without_input, sequences),
    "three, masked": (three, tokens),
    "sparse": (sparse, tokens),
    "bidirectional": (bidirectional, sequences),
    "cells": (cells, sequences),
    "every step": (every_step, sequences),
    "encoder and decoder": (encoder_decoder, sequences),
    "branches": (branches, sequences),
    "nested": (nested, sequences),
    "shared": (shared, sequences),
    "by keyword": (by_keyword, sequences),
    "stateful": (stateful, sequences),
    "tied": (tied, tokens),
    "tied stack": (tied_stack, tokens),
    "tied in both directions": (tied_in_both_directions, tokens),
    "mixed precision": (mixed_precision, sequences),
}


def layer(model, name):
    """A layer by its name, however deep."""
    [found] = [
        each
        for each in keras_internals.flatten_layers(model)
        if each.name == name
    ]
    return found


def randomize(model, scale=0.7):
    """Other values everywhere, biases among it, so that every part counts."""
    rng = np.random.default_rng(2)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, scale, variable.shape))


def matrix(owner, name="kernel"):
    """The variable of a weight, not masked."""
    of_sparse_or_dense = getattr(owner, f"_{name}", None)
    if of_sparse_or_dense is not None:
        return of_sparse_or_dense
    return getattr(owner, name)


def set_rows(owner, rows, value=0.0, name="kernel"):
    """Sets rows of a layer's kernel."""
    variable = matrix(owner, name)
    changed = variable.numpy().copy()
    changed[rows] = value
    variable.assign(changed)


def set_columns(table, columns, value=0.0):
    """Sets columns of an embedding's table."""
    variable = matrix(table, "embeddings")
    changed = variable.numpy().copy()
    changed[:, columns] = value
    variable.assign(changed)


def recurrent_names(cell):
    """Names of the matrices whose rows are units."""
    return getattr(cell, "recurrent_kernel_names", ("recurrent_kernel",))


def recurrent_layers(model):
    """Recurrent layers, innermost, in the order of the model."""
    return [
        each
        for each in keras_internals.flatten_layers(model)
        if isinstance(each, L.RNN)
    ]


def sizes(model):
    return [each.cell.units for each in recurrent_layers(model)]


def outputs(model, inputs):
    return [np.asarray(each) for each in keras.tree.flatten(model(inputs))]


def assert_close(one, other, inputs, rtol=1e-5, atol=1e-6):
    for a, b in zip(outputs(one, inputs), outputs(other, inputs), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)
