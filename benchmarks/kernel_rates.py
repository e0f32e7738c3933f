"""How fast are the native kernels, in operations a second and by threads?

The LSTM kernels alone, on arrays, without TensorFlow around them: a product and
a sum for each connection, gate, sample and time step forward, twice as many
backward. A whole call also computes gates, reads the inputs and writes what the
backward pass needs; the rate of the products alone is that of the connections
which a density has more than the one before it. Apart from them: how long it
takes to collect the weights from a layer's matrices and to spread the gradients
to matrices. A dense product of the same run shows what the machine reaches.

    python benchmarks/kernel_rates.py
"""

import dataclasses
import itertools
import time

import numpy as np
import tensorflow as tf
from absl import app
from absl import flags
from measuring import print_table
from measuring import seconds
from measuring import write_json

from keras_sparse_rnn.engine import recurrence
from keras_sparse_rnn.engine.compressed import LSTM
from keras_sparse_rnn.engine.dense_matrices import collect
from keras_sparse_rnn.engine.dense_matrices import compress
from keras_sparse_rnn.engine.dense_matrices import spread

FLAGS = flags.FLAGS
flags.DEFINE_list("units", ["256", "1024"], "Units and inputs.")
flags.DEFINE_list("batch_sizes", ["16", "64"], "Samples in a batch.")
flags.DEFINE_list("densities", ["0.02", "0.1"], "Shares of connections.")
flags.DEFINE_integer("timesteps", 100, "Length of a sequence.")
flags.DEFINE_integer("repeats", 15, "Repeats of each case.", lower_bound=1)
flags.DEFINE_string("json", "kernel_rates.json", "File to write.")


@dataclasses.dataclass
class Case:
    """What is run, and how long it takes, in seconds."""

    units: int
    batch: int
    granularity: str
    density: float
    connections: int = 0
    forward: dict = dataclasses.field(default_factory=dict)
    backward: dict = dataclasses.field(default_factory=dict)
    collect: float = 0.0
    spread: float = 0.0

    def operations(self):
        """Of a forward pass; a backward pass has twice as many."""
        return 2 * self.connections * self.batch * FLAGS.timesteps


def measure(case):
    """Fills in the times of a case, for one thread and two."""
    units, batch = case.units, case.batch
    rng = np.random.default_rng(0)
    gates = LSTM.gates

    def normal(*shape):
        return 0.1 * rng.normal(size=shape).astype("float32")

    drawn = 1 if case.granularity == "unit" else gates
    masks = [
        np.tile(
            rng.random((units, drawn * units)) < case.density,
            (1, gates // drawn),
        )
        for _ in range(2)
    ]
    case.connections = int(sum(mask.sum() for mask in masks))
    connections = compress(LSTM, *masks)
    matrices = [normal(units, gates * units) for _ in masks]
    both = recurrence.Settings("the benchmark", threads=2)
    weights = collect(both, connections, matrices)
    case.collect = median_seconds(lambda: collect(both, connections, matrices))
    case.spread = median_seconds(lambda: spread(both, connections, weights))
    arguments = recurrence.Arguments(
        normal(batch, FLAGS.timesteps, units),
        weights,
        normal(gates * units),
        [normal(batch, units) for _ in range(2)],
    )
    outputs_gradient = normal(batch, FLAGS.timesteps, units)
    state_gradients = [normal(batch, units) for _ in range(2)]
    times = {threads: ([], []) for threads in (1, 2)}
    for _ in range(FLAGS.repeats):
        for threads, (forward, backward) in times.items():
            settings = recurrence.Settings("the benchmark", threads=threads)
            start = time.perf_counter()
            results = recurrence.forward(
                settings, connections, arguments, True, True
            )
            forward.append(time.perf_counter() - start)
            gradients = seconds(
                lambda settings=settings, kept=results.kept: (
                    recurrence.backward(
                        settings,
                        connections,
                        arguments,
                        kept,
                        outputs_gradient,
                        state_gradients,
                    )
                )
            )
            backward.append(gradients)
    for threads, (forward, backward) in times.items():
        case.forward[threads] = float(np.median(forward))
        case.backward[threads] = float(np.median(backward))


def median_seconds(function):
    """The median time of as many calls as there are repeats."""
    return float(np.median([seconds(function) for _ in range(FLAGS.repeats)]))


def row(case, sparser):
    """A case as strings; `sparser` is the case before it, or `None`."""
    cells = [
        f"{case.units} units, {case.granularity}",
        str(case.batch),
        f"{case.density:.1%}",
    ]
    for times, factor in ((case.forward, 1), (case.backward, 2)):
        operations = factor * case.operations()
        of_products = ""
        if sparser:
            before = sparser.forward if factor == 1 else sparser.backward
            more = operations - factor * sparser.operations()
            of_products = f"{more / (times[2] - before[2]) / 1e9:.0f}"
        cells += [
            f"{1000 * times[2]:.2f}",
            f"{operations / times[2] / 1e9:.0f}",
            of_products,
            f"{times[1] / times[2]:.2f}",
        ]
    return [*cells, f"{1000 * case.collect:.2f}", f"{1000 * case.spread:.2f}"]


def dense_rate():
    """Operations a second of a dense product of two square matrices."""
    size = 2048
    matrix = tf.random.normal((size, size))
    return (
        2 * size**3 / median_seconds(lambda: tf.matmul(matrix, matrix).numpy())
    )


def main(_):
    tf.config.threading.set_intra_op_parallelism_threads(2)
    cases, rows = [], []
    for units, batch, granularity in itertools.product(
        map(int, FLAGS.units), map(int, FLAGS.batch_sizes), ("gate", "unit")
    ):
        sparser = None
        for density in map(float, FLAGS.densities):
            case = Case(units, batch, granularity, density)
            measure(case)
            cases.append(case)
            rows.append(row(case, sparser))
            sparser = case
    dense = dense_rate()
    headings = ["LSTM", "batch", "density"]
    for way in ("forward", "backward"):
        headings += [f"{way} ms", "GFLOP/s", "products", "threads"]
    headings += ["collect ms", "spread ms"]
    print_table(headings, rows)
    print(
        "GFLOP/s: on two threads; products: of the connections that this "
        "density has more than the one above; threads: how many times as fast "
        f"two are as one. A dense product: {dense / 1e9:.0f} GFLOP/s."
    )
    write_json(
        FLAGS.json,
        {
            "dense_product_flops": dense,
            "cases": [dataclasses.asdict(case) for case in cases],
        },
    )


if __name__ == "__main__":
    app.run(main)
