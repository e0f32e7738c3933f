"""Would one product of all time steps' inputs make a masked layer faster?

Keras's loop multiplies the input by the kernel at every time step. Here an LSTM
does so once, before its loop, and takes turns with Keras's own: forward and
backward, with and without XLA, and forward alone.

    python benchmarks/input_product.py
"""

from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl import app
from absl import flags
from keras import ops
from measuring import alternating_pairs
from measuring import median_interval
from measuring import print_table
from measuring import write_json

FLAGS = flags.FLAGS
flags.DEFINE_list("units", ["128", "256", "512", "1024"], "Units and inputs.")
flags.DEFINE_integer("pairs", 15, "Pairs of each case.", lower_bound=2)
flags.DEFINE_integer("batch_size", 64, "Samples in a batch.")
flags.DEFINE_integer("timesteps", 100, "Length of a sequence.")
flags.DEFINE_integer("threads", 2, "Threads of TensorFlow.")
flags.DEFINE_string("json", "input_product.json", "File to write.")


class ProductBeforeLoop(keras.layers.LSTM):
    """An LSTM whose loop is given the product of inputs and kernel."""

    def inner_loop(self, sequences, initial_state, mask, training=False):
        cell = self.cell
        recurrent_kernel = ops.convert_to_tensor(cell.recurrent_kernel)

        def step(projected, states, training=False):
            state, carry = states
            sums = projected + ops.matmul(state, recurrent_kernel)
            gates = ops.split(sums, 4, axis=1)
            i, f, o = map(ops.sigmoid, (gates[0], gates[1], gates[3]))
            carry = f * carry + i * ops.tanh(gates[2])
            state = o * ops.tanh(carry)
            return state, [state, carry]

        projected = ops.matmul(sequences, cell.kernel) + cell.bias
        with mock.patch.object(cell, "call", step):
            return super().inner_loop(projected, initial_state, mask, training)


def stepper(cls, units, xla, trains):
    """A function that runs a layer once."""
    layer = cls(units, return_sequences=True)
    shape = (FLAGS.batch_size, FLAGS.timesteps, units)
    layer.build(shape)
    rng = np.random.default_rng(0)
    inputs = tf.constant(rng.normal(size=shape).astype("float32"))

    @tf.function(jit_compile=xla)
    def run():
        if not trains:
            return layer(inputs)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(tf.square(layer(inputs)))
        return tape.gradient(
            loss, [inputs, *(v.value for v in layer.trainable_variables)]
        )[0]

    def step():
        run().numpy()

    step()
    step()
    return step


def main(_):
    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    rng = np.random.default_rng(0)
    rows, results = [], []
    for units in map(int, FLAGS.units):
        for trains in (True, False):
            for xla in (False, True):
                times = alternating_pairs(
                    stepper(keras.layers.LSTM, units, xla, trains),
                    stepper(ProductBeforeLoop, units, xla, trains),
                    FLAGS.pairs,
                )
                ratio, low, high = median_interval(
                    times[:, 1] / times[:, 0], rng
                )
                loop, before = 1000 * np.median(times, axis=0)
                what = "training" if trains else "forward"
                results.append(
                    {
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
                        f"{units} units, {what}",
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
