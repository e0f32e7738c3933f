"""Plain models of every kind that can be converted, small."""

import keras
import numpy as np

import keras_sparse_rnn as ksr

L = keras.layers


def sequences():
    return np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")


def tokens():
    return np.random.default_rng(1).integers(0, 7, (2, 4)).astype("int32")


def sequential():
    return keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            L.Embedding(7, 3, mask_zero=True),
            L.LSTM(4, return_sequences=True, dropout=0.2),
            L.GRU(3, seed=4, recurrent_dropout=0.2),
            L.Dense(2),
        ]
    )


def called_inside_and_outside(layer, wrapper):
    """A model that calls a wrapper and what is inside of it."""
    inputs = keras.Input((4, 3))
    outer = wrapper(layer)
    inner = getattr(outer, "forward_layer", layer)
    outputs = L.Concatenate()([outer(inputs), inner(inputs)])
    return keras.Model(inputs, outputs, name="twice"), inner.name


def without_input():
    model = keras.Sequential([L.SimpleRNN(4), L.Dense(2)])
    model(sequences())
    return model


def functional():
    """Two inputs and outputs, an embedding and an LSTM shared."""
    one = keras.Input((4,), dtype="int32", name="one")
    two = keras.Input((4,), dtype="int32", name="two")
    table, shared = L.Embedding(7, 3), L.LSTM(4)
    both = L.Concatenate()([shared(table(one)), shared(table(two))])
    return keras.Model(
        {"one": one, "two": two}, {"sum": L.Dense(2)(both), "both": both}
    )


def decoding_by_the_table(**arguments):
    tokens = keras.Input((4,), dtype="int32")
    table = L.ReversibleEmbedding(7, 3, **arguments)
    hidden = L.LSTM(3, return_sequences=True)(table(tokens))
    return keras.Model(tokens, table(hidden, reverse=True))


def nested():
    inner = keras.Sequential(
        [keras.Input((4, 3)), L.LSTM(4, return_sequences=True), L.GRU(3)],
        name="inner",
    )
    inputs = keras.Input((4, 3))
    return keras.Model(inputs, L.Dense(2)(inner(inputs)))


def bidirectional():
    return keras.Sequential(
        [
            keras.Input((4, 3)),
            L.Bidirectional(L.LSTM(4, return_sequences=True)),
            L.Bidirectional(
                L.LSTM(3), backward_layer=L.GRU(3, go_backwards=True)
            ),
        ]
    )


def cells():
    return keras.Sequential(
        [
            keras.Input((4, 3)),
            L.RNN(L.SimpleRNNCell(3), return_sequences=True),
            L.RNN([L.LSTMCell(4, name="first"), L.GRUCell(3, name="second")]),
        ]
    )


def time_distributed():
    inputs = keras.Input((2, 4, 3))
    return keras.Model(inputs, L.TimeDistributed(L.LSTM(4))(inputs))


def stateful():
    return keras.Sequential(
        [keras.Input(batch_shape=(2, 4, 3)), L.GRU(4, stateful=True)]
    )


def mixed():
    return keras.Sequential(
        [
            keras.Input((4, 3)),
            L.LSTM(4, dtype="mixed_bfloat16", use_cudnn=False),
            L.Dense(2, dtype="float64"),
        ]
    )


def highways():
    return keras.Sequential(
        [
            keras.Input((4, 3)),
            L.Bidirectional(ksr.RHN(4, depth=3, return_sequences=True)),
            L.RNN(ksr.RHNCell(3, depth=2, coupled=False, name="cell")),
        ]
    )


MODELS = {
    "sequential": (sequential, tokens),
    "without input": (without_input, sequences),
    "functional": (
        functional,
        lambda: {"one": tokens(), "two": tokens()[::-1]},
    ),
    "tied decoder": (decoding_by_the_table, tokens),
    "untied decoder": (
        lambda: decoding_by_the_table(tie_weights=False),
        tokens,
    ),
    "nested": (nested, sequences),
    "bidirectional": (bidirectional, sequences),
    "cells": (cells, sequences),
    "highways": (highways, sequences),
    "time distributed": (
        time_distributed,
        lambda: np.stack([sequences(), -sequences()], axis=1),
    ),
    "stateful": (stateful, sequences),
    "mixed precision": (mixed, sequences),
}


def outputs(model, inputs, **kwargs):
    """The model's outputs as a flat list of arrays."""
    return [
        keras.ops.convert_to_numpy(output)
        for output in keras.tree.flatten(model(inputs, **kwargs))
    ]


def assert_same_outputs(one, other, inputs, **kwargs):
    for a, b in zip(
        outputs(one, inputs, **kwargs),
        outputs(other, inputs, **kwargs),
        strict=True,
    ):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
