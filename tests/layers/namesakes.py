"""A sparse layer of density 1 beside its plain namesake."""

import keras
import numpy as np
import tensorflow as tf

import keras_sparse_rnn as ksr

NATIVE_LAYERS = {
    "LSTM": (keras.layers.LSTM, ksr.SparseLSTM),
    "GRU": (keras.layers.GRU, ksr.SparseGRU),
    "SimpleRNN": (keras.layers.SimpleRNN, ksr.SparseSimpleRNN),
}
LAYERS = {**NATIVE_LAYERS, "RHN": (ksr.RHN, ksr.SparseRHN)}
CELLS = {
    "LSTM": (keras.layers.LSTMCell, ksr.SparseLSTMCell),
    "GRU": (keras.layers.GRUCell, ksr.SparseGRUCell),
    "SimpleRNN": (keras.layers.SimpleRNNCell, ksr.SparseSimpleRNNCell),
    "RHN": (ksr.RHNCell, ksr.SparseRHNCell),
}
SPARSE = {
    **{kind: pair[1] for kind, pair in LAYERS.items()},
    "Dense": ksr.SparseDense,
    "Embedding": ksr.SparseEmbedding,
    "ReversibleEmbedding": ksr.SparseReversibleEmbedding,
}
STATES = {"LSTM": 2, "GRU": 1, "SimpleRNN": 1, "RHN": 1}
BATCH, STEPS, FEATURES, UNITS = 2, 4, 3, 3


def sequences(seed=0):
    """Small random sequences."""
    shape = (BATCH, STEPS, FEATURES)
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def states(kind, seed=1):
    """Initial states for a recurrent layer."""
    rng = np.random.default_rng(seed)
    return [
        rng.normal(size=(BATCH, UNITS)).astype("float32")
        for _ in range(STATES[kind])
    ]


def pair(classes, *args, **kwargs):
    """Both layers, each made from the same global seed."""
    made = []
    for cls, sparsity in zip(classes, ({}, {"sparsity": 0}), strict=True):
        keras.utils.set_random_seed(3)
        made.append(cls(*args, **kwargs, **sparsity))
    return made


def run(layer, inputs, initial=None, compiled=False, **kwargs):
    """Outputs, states, losses and gradients of a call, as a flat list."""
    inputs = tf.constant(inputs)
    initial = [] if initial is None else [tf.constant(s) for s in initial]
    if initial:
        kwargs["initial_state"] = initial

    def step():
        with tf.GradientTape() as tape:
            watched = [t for t in [inputs, *initial] if t.dtype.is_floating]
            tape.watch(watched)
            outputs = tf.nest.flatten(layer(inputs, **kwargs))
            total = sum(tf.cast(loss, tf.float64) for loss in layer.losses)
            for index, output in enumerate(outputs):
                flat = tf.reshape(tf.cast(output, tf.float64), [-1])
                size = tf.size(flat)
                places = tf.range(size) + index
                signs = tf.sin(tf.cast(places, tf.float64))
                total += tf.reduce_sum(flat * signs)
        sources = [*watched, *(v.value for v in layer.trainable_variables)]
        gradients = tape.gradient(total, sources)
        return outputs, total, [g for g in gradients if g is not None]

    return tf.nest.flatten(
        tf.function(step)() if compiled else step(), expand_composites=True
    )


def assert_same_bits(ours, theirs):
    """Equal types, shapes and bits, NaN and the sign of zero included."""
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours, theirs, strict=True):
        if a is None or b is None:
            assert a is b
            continue
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        np.testing.assert_array_equal(a, b)
        assert a.tobytes() == b.tobytes()


def assert_same_start(ours, theirs):
    """Equal initial weights, in the same order."""
    for a, b in zip(
        ours.trainable_variables, theirs.trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
