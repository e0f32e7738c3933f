"""The same layer, or model, on the native engine and on the masked one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from keras_sparse_rnn.engine import library

needs_kernels = pytest.mark.skipif(
    not library.is_available(), reason="The native kernels were not built."
)
CELLS = {
    "LSTM": (ksr.SparseLSTM, {}),
    "GRU": (ksr.SparseGRU, {}),
    "GRU reset before": (ksr.SparseGRU, {"reset_after": False}),
    "SimpleRNN": (ksr.SparseSimpleRNN, {}),
    "SimpleRNN relu": (ksr.SparseSimpleRNN, {"activation": "relu"}),
}
# Units that do not fill the kernels' vectors.
BATCH, STEPS, FEATURES, UNITS = 5, 6, 7, 19
ENGINES = ("native", "masked")


def sequences(batch=BATCH, steps=STEPS, features=FEATURES, seed=0):
    """Random sequences."""
    shape = (batch, steps, features)
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def step_mask():
    """Which time steps count: all, the first, the last, some, and none."""
    rows = ["tttttt", "tttfff", "ffffft", "ftfftf", "ffffff"]
    return np.array([[letter == "t" for letter in row] for row in rows])


def make(kind, engine, units=UNITS, features=FEATURES, **arguments):
    """A built layer; of the same weights on both engines."""
    keras.utils.set_random_seed(3)
    cls, own = CELLS[kind]
    layer = cls(units, engine=engine, **{"sparsity": 0.5, **own, **arguments})
    layer.build((BATCH, STEPS, features))
    assert layer.engine_in_use == engine
    if layer.use_bias:
        # Keras starts with zeros, which would hide much.
        bias = layer.cell.bias
        noise = np.random.default_rng(4).normal(size=bias.shape)
        bias.assign(bias + 0.3 * noise)
    return layer


def states(kind, seed=1):
    """Initial states for a layer of `make()`."""
    rng = np.random.default_rng(seed)
    shape = (2 if kind == "LSTM" else 1, BATCH, UNITS)
    return list(rng.normal(size=shape).astype("float32"))


def run(layer, inputs, initial=(), compiled=False, calls=1, **options):
    """What comes of a call, and all gradients.

    Args:
        layer: Built layer or model.
        inputs: Array.
        initial: List of arrays, initial states. Defaults to `()`.
        compiled: Boolean, whether to run in a graph. Defaults to `False`.
        calls: Integer, how often to call; what comes last is returned.
        **options: Of the call.

    Returns:
        Dict of arrays.
    """
    inputs = tf.constant(inputs)
    initial = [tf.constant(each) for each in initial]
    if initial:
        options["initial_state"] = initial
    sources = {
        **({"inputs": inputs} if inputs.dtype.is_floating else {}),
        **{f"state {index}": each for index, each in enumerate(initial)},
        # Paths differ: Keras numbers the names of layers.
        **{
            f"{each.name} {index}": each.value
            for index, each in enumerate(layer.trainable_variables)
        },
    }

    def step():
        with tf.GradientTape() as tape:
            tape.watch(list(sources.values()))
            outputs = tf.nest.flatten(layer(inputs, **options))
            # Each value has a weight of its own, or errors might cancel.
            total = tf.add_n(
                [
                    tf.reduce_sum(output * _weights(output, index))
                    for index, output in enumerate(outputs)
                ]
            )
        return outputs, tape.gradient(total, sources)

    if compiled:
        step = tf.function(step, autograph=False)
    for _ in range(calls):
        outputs, gradients = step()
    # `convert_to_tensor`: gradients of embeddings are slices.
    named = {f"output {index}": each for index, each in enumerate(outputs)}
    named |= {
        f"gradient of {name}": tf.convert_to_tensor(each)
        for name, each in gradients.items()
    }
    if getattr(layer, "stateful", False):
        for index, each in enumerate(layer.states):
            named[f"kept state {index}"] = each
    return {name: np.array(each) for name, each in named.items()}


def errors(found, expected):
    """The largest difference of each array, relative to its largest value."""
    assert found.keys() == expected.keys()
    result = {}
    for name, right in expected.items():
        assert found[name].shape == right.shape, name
        assert found[name].dtype == right.dtype, name
        difference = np.abs(found[name] - right).max(initial=0)
        size = np.abs(right).max(initial=0)
        result[name] = difference / size if size else difference
    return result


def assert_close(found, expected, limit=1e-5):
    """Every array within `limit` times its largest value, and finite."""
    for name, error in errors(found, expected).items():
        assert error <= limit, f"{name}: {error}"


def assert_zero_outside(layer):
    """No weight where there is no connection."""
    weights = ksr.sparse_weights(layer)
    assert weights
    for weight in weights:
        assert (weight.value.numpy()[~weight.mask.numpy()] == 0).all()


def _weights(output, index):
    places = tf.range(tf.size(output), dtype=tf.float32) + index
    return tf.reshape(tf.sin(places), tf.shape(output))
