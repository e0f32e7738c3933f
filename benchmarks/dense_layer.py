"""From which size and density on is `SparseDense` faster natively?

The layer alone on both engines in turns, forward and backward with the
gradients of inputs, weights and biases. What is printed are medians, and that
of the pairs' ratios with its 95 % interval: above 1 the native engine is
faster.

    python benchmarks/dense_layer.py
"""

import itertools
import time

import numpy as np
import tensorflow as tf
from absl import app
from absl import flags
from measuring import alternating_pairs
from measuring import median_interval
from measuring import print_table
from measuring import seconds
from measuring import write_json

import keras_sparse_rnn as ksr

FLAGS = flags.FLAGS
flags.DEFINE_multi_string(
    "shape",
    ["64x64", "256x256", "512x512", "1024x1024", "2048x2048"],
    "Inputs and units of a layer.",
)
flags.DEFINE_multi_integer("rows", [64, 1024, 6400], "Samples of a batch.")
flags.DEFINE_multi_float(
    "density", [0.01, 0.02, 0.05, 0.1, 0.2], "Share of connections."
)
flags.DEFINE_integer("pairs", 15, "Pairs of a case.", lower_bound=1)
flags.DEFINE_float("case_seconds", 6, "Fewer pairs if they take longer.")
flags.DEFINE_integer("threads", 2, "Threads of both engines.")
flags.DEFINE_string("json", "dense_layer.json", "File to write.")


def step(engine, inputs, units, rows, density):
    """A function that runs a layer forward and backward once."""
    layer = ksr.SparseDense(
        units, sparsity=1 - density, topology_seed=0, engine=engine
    )
    layer.build((None, inputs))
    rng = np.random.default_rng(0)
    batch = tf.constant(rng.normal(size=(rows, inputs)).astype("float32"))
    upstream = tf.constant(rng.normal(size=(rows, units)).astype("float32"))

    @tf.function
    def gradients(batch, upstream):
        with tf.GradientTape() as tape:
            tape.watch(batch)
            outputs = layer(batch, training=True)
        return tape.gradient(
            outputs,
            [batch, *(each.value for each in layer.trainable_variables)],
            upstream,
        )

    # Reading waits for the result.
    return lambda: gradients(batch, upstream)[0].numpy()


def times_of(function, count):
    def several():
        for _ in range(count):
            function()

    return several


def measure(inputs, units, rows, density):
    """Seconds of both engines, a pair a row."""
    native, masked = (
        step(engine, inputs, units, rows, density)
        for engine in ("native", "masked")
    )
    for each in (native, masked):
        each()
        each()
    # What takes less than a clock can tell is done several times.
    pair = seconds(native) + seconds(masked)
    count = max(1, round(0.02 / pair))
    pairs = min(FLAGS.pairs, max(3, round(FLAGS.case_seconds / pair / count)))
    times = alternating_pairs(
        times_of(native, count), times_of(masked, count), pairs
    )
    return times / count


def main(_):
    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    rng = np.random.default_rng(0)
    results, table = [], []
    start = time.perf_counter()
    for shape, rows, density in itertools.product(
        FLAGS.shape, FLAGS.rows, FLAGS.density
    ):
        inputs, units = map(int, shape.split("x"))
        times = measure(inputs, units, rows, density)
        native, masked = np.median(times, axis=0) * 1e3
        ratio, low, high = median_interval(times[:, 1] / times[:, 0], rng)
        results.append(
            {
                "inputs": inputs,
                "units": units,
                "rows": rows,
                "density": density,
                "pairs": len(times),
                "native_ms": native,
                "masked_ms": masked,
                "ratio": ratio,
                "interval": [low, high],
            }
        )
        table.append(
            [
                shape,
                f"{rows:,}",
                f"{density:.3g}",
                f"{native:.2f}",
                f"{masked:.2f}",
                f"{ratio:.2f}",
                f"{low:.2f}-{high:.2f}",
            ]
        )
        print(*table[-1], flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s\n")
    print_table(
        ["shape", "rows", "density", "native, ms", "masked, ms", "faster", ""],
        table,
    )
    write_json(FLAGS.json, results)


if __name__ == "__main__":
    app.run(main)
