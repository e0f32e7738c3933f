"""Who takes part in `engine.py`: a function that does one step, for each."""

import contextlib
import json
import subprocess

import keras
import numpy as np
import tensorflow as tf

import keras_sparse_rnn as ksr


def recurrent_layer(case, kind, **arguments):
    """A recurrent layer of a case: Keras's own, or ours."""
    if kind == "keras":
        cls = getattr(keras.layers, case["layer"])
        return cls(case["units"], **arguments)
    return getattr(ksr, f"Sparse{case['layer']}")(
        case["units"],
        sparsity=1 - case["density"],
        granularity=case["granularity"],
        topology_seed=0,
        engine=kind,
        **arguments,
    )


def layer_step(case, kind, xla):
    """One pass of a recurrent layer alone, with gradients if it trains."""
    layer = recurrent_layer(case, kind, return_sequences=case["trains"])
    rng = np.random.default_rng(0)
    shape = (case["batch"], case["steps"], case["units"])
    inputs = tf.constant(rng.normal(size=shape).astype("float32"))
    layer.build(shape)

    @tf.function(jit_compile=xla)
    def train(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(tf.square(layer(inputs, training=True)))
        return tape.gradient(
            loss, [inputs, *(v.value for v in layer.trainable_variables)]
        )

    @tf.function(jit_compile=xla)
    def predict(inputs):
        return layer(inputs, training=False)

    function = train if case["trains"] else predict

    def step():
        results = function(inputs)
        # Reading waits for all results; the bias has the smallest gradient.
        (results[-1] if case["trains"] else results).numpy()

    return step


def model_step(case, kind, xla):
    """One training step of the paper's text model, with Adam."""
    model = keras.Sequential(
        [
            keras.Input((case["steps"],), dtype="int32"),
            keras.layers.Embedding(case["vocabulary"], case["units"]),
            recurrent_layer(case, kind),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=xla)
    rng = np.random.default_rng(0)
    texts = rng.integers(
        case["vocabulary"], size=(case["batch"], case["steps"])
    ).astype("int32")
    labels = rng.integers(2, size=case["batch"]).astype("int32")
    batches = iter(tf.data.Dataset.from_tensors((texts, labels)).repeat())
    model.make_train_function()
    train_step = model.train_function

    def step():
        float(train_step(batches)["loss"])

    return step


@contextlib.contextmanager
def torch_step(case, python):
    """A function that lets the PyTorch process do one step.

    Args:
        case: Dict, the case.
        python: String, the interpreter of an environment with PyTorch.

    Yields:
        Tuple of a function without arguments that returns the seconds of a
        step, and a string, PyTorch's version.
    """
    script = __file__.replace("contestants.py", "torch_peer.py")
    process = subprocess.Popen(
        [python, script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def answer(line):
        process.stdin.write(line + "\n")
        process.stdin.flush()
        reply = process.stdout.readline()
        if not reply:
            raise RuntimeError(f"PyTorch's process ended. Received: {case}")
        return json.loads(reply)

    try:
        version = answer(json.dumps(case))["torch"]
        yield (lambda: answer("")), version
    finally:
        process.stdin.close()
        process.wait()
