"""Models that the tests of `ksr.rewire` rewire."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

import keras_sparse_rnn as ksr

TOKENS = np.random.default_rng(0).integers(0, 12, (8, 5))


def make_model(seed=1, **arguments):
    """A model of an embedding, an LSTM and a dense layer."""
    return keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            ksr.SparseEmbedding(
                12, 5, sparsity=0.5, topology_seed=seed, name="table"
            ),
            ksr.SparseLSTM(
                4, sparsity=0.5, topology_seed=seed, name="lstm", **arguments
            ),
            keras.layers.Dense(2, name="head"),
        ]
    )


def train(model, optimizer, steps=2):
    """Trains a few steps on the tokens."""
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = ops.mean(ops.square(model(TOKENS) - 1.0))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)


def make_trained():
    """A model and the optimizer that trained it."""
    model, optimizer = make_model(), keras.optimizers.Adam(0.02)
    train(model, optimizer)
    return model, optimizer


def everything(model, optimizer):
    """All that a rewiring could change, as bytes."""
    variables = [*model.variables, *optimizer.variables]
    return [variable.numpy().tobytes() for variable in variables]


def masks(model):
    """The masks of a model, a list of arrays."""
    return [weight.mask.numpy() for weight in ksr.sparse_weights(model)]
