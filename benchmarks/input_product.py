"""How much faster is a masked layer with one product of all its inputs?

Keras's loop multiplies the input by the kernel at every time step. On a CPU a
masked layer with a large kernel does so once, before its loop, when it is
trained. Both ways take turns here: forward and backward, with and without XLA,
and forward alone.

    python benchmarks/input_product.py
"""

import itertools
from unittest import mock

import numpy as np
import tensorflow as tf
from absl import app
from absl import flags
from measuring import alternating_pairs
from measuring import median_interval
from measuring import print_table
from measuring import write_json

import keras_sparse_rnn as ksr
from keras_sparse_rnn.engine import choice

FLAGS = flags.FLAGS
flags.DEFINE_list("layers", ["LSTM", "GRU"], "Kinds of layers.")
flags.DEFINE_list("units", ["128", "256", "512", "1024"], "Units and inputs.")
flags.DEFINE_integer("pairs", 15, "Pairs of each case.", lower_bound=2)
flags.DEFINE_integer("batch_size", 64, "Samples in a batch.")
flags.DEFINE_integer("timesteps", 100, "Length of a sequence.")
flags.DEFINE_integer("threads", 2, "Threads of TensorFlow.")
flags.DEFINE_string("json", "input_product.json", "File to write.")


LAYERS = {"LSTM": ksr.SparseLSTM, "GRU": ksr.SparseGRU}


def stepper(layer_name, units, xla, trains, product_first):
    """A function that runs a layer once."""
    layer = LAYERS[layer_name](
        units, sparsity=0.5, engine="masked", return_sequences=True
    )
    shape = (FLAGS.batch_size, FLAGS.timesteps, units)
    layer.build(shape)
    rng = np.random.default_rng(0)
    inputs = tf.constant(rng.normal(size=shape).astype("float32"))

    @tf.function(jit_compile=xla)
    def run():
        if not trains:
            return [layer(inputs, training=True)]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(tf.square(layer(inputs, training=True)))
        return tape.gradient(
            loss, [inputs, *(v.value for v in layer.trainable_variables)]
        )

    def step():
        # Reading waits for all results; the last is the smallest.
        run()[-1].numpy()

    fewest = 1 if product_first else 1 << 30
    with mock.patch.object(choice, "FEWEST_COLUMNS_OF_ONE_PRODUCT", fewest):
        step()
    step()
    return step


def main(_):
    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    rng = np.random.default_rng(0)
    rows, results = [], []
    for layer, units, trains, xla in itertools.product(
        FLAGS.layers, map(int, FLAGS.units), (True, False), (False, True)
    ):
        times = alternating_pairs(
            stepper(layer, units, xla, trains, product_first=False),
            stepper(layer, units, xla, trains, product_first=True),
            FLAGS.pairs,
        )
        ratio, low, high = median_interval(times[:, 1] / times[:, 0], rng)
        loop, before = 1000 * np.median(times, axis=0)
        what = "training" if trains else "forward"
        results.append(
            {
                "layer": layer,
                "units": units,
                "what": what,
                "xla": xla,
                "in_loop_ms": loop,
                "before_loop_ms": before,
                "ratio": ratio,
                "interval": [low, high],
            }
        )
        rows.append(
            [
                f"{layer}, {units} units, {what}",
                "yes" if xla else "no",
                f"{loop:.1f}",
                f"{before:.1f}",
                f"{ratio:.3f}",
                f"{low:.3f}–{high:.3f}",
            ]
        )
        write_json(FLAGS.json, results)
    headings = ["", "XLA", "in the loop, ms", "before it, ms", "ratio"]
    print_table([*headings, "95 % interval"], rows)


if __name__ == "__main__":
    app.run(main)
