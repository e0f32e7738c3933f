"""What does a mask cost in a training step?

The paper's text model, 100 time steps, batch 64, Adam. A masked recurrent
layer against the Keras layer of the same name, both on a stock embedding; and
apart from it a sparse embedding against a stock one, both under a stock LSTM.
The ratio is the median over alternating pairs of blocks of steps.

    python benchmarks/step_time.py
"""

import itertools
import sys

import keras
import numpy as np
import tensorflow as tf
from absl import app
from absl import flags
from measuring import alternating_pairs
from measuring import median_interval
from measuring import print_table
from measuring import write_json

import keras_sparse_rnn as ksr

FLAGS = flags.FLAGS
flags.DEFINE_integer("pairs", 40, "Pairs of blocks.", lower_bound=1)
flags.DEFINE_integer(
    "models",
    5,
    "Models of each kind, among which pairs are shared: two of the same kind "
    "may differ by some percent, by where their memory lies.",
    lower_bound=1,
)
flags.DEFINE_list(
    "layers",
    ["SparseLSTM", "SparseGRU", "SparseEmbedding"],
    "What is compared with its namesake.",
)
flags.DEFINE_list("xla", ["no", "yes"], "Without XLA, with it, or both.")
flags.DEFINE_integer("steps", 4, "Training steps in a block.", lower_bound=1)
flags.DEFINE_integer("units", 256, "Units, and width of the embedding.")
flags.DEFINE_integer("vocabulary_size", 20_000, "Rows of the embedding.")
flags.DEFINE_integer("timesteps", 100, "Length of a text.")
flags.DEFINE_integer("batch_size", 64, "Texts in a batch.")
flags.DEFINE_float("epsilon", 10, "Erdős–Rényi sparsity level.")
flags.DEFINE_string("json", "step_time.json", "File to write.")


def stock_embedding():
    return keras.layers.Embedding(FLAGS.vocabulary_size, FLAGS.units)


def sparse_embedding():
    return ksr.SparseEmbedding(
        FLAGS.vocabulary_size, FLAGS.units, epsilon=FLAGS.epsilon
    )


# name: (stock embedding and layer, sparse ones)
CASES = {
    "SparseLSTM / LSTM": (
        (stock_embedding, lambda: keras.layers.LSTM(FLAGS.units)),
        (
            stock_embedding,
            lambda: ksr.SparseLSTM(
                FLAGS.units, epsilon=FLAGS.epsilon, engine="masked"
            ),
        ),
    ),
    "SparseGRU / GRU": (
        (stock_embedding, lambda: keras.layers.GRU(FLAGS.units)),
        (
            stock_embedding,
            lambda: ksr.SparseGRU(
                FLAGS.units, epsilon=FLAGS.epsilon, engine="masked"
            ),
        ),
    ),
    "SparseEmbedding / Embedding": (
        (stock_embedding, lambda: keras.layers.LSTM(FLAGS.units)),
        (sparse_embedding, lambda: keras.layers.LSTM(FLAGS.units)),
    ),
}


def training_block(embedding, layer, jit_compile):
    """A function that makes a block of training steps of a new model."""
    model = keras.Sequential(
        [
            keras.Input((FLAGS.timesteps,), dtype="int32"),
            embedding(),
            layer(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(
        "adam", "sparse_categorical_crossentropy", jit_compile=jit_compile
    )
    rng = np.random.default_rng(0)
    texts = rng.integers(
        FLAGS.vocabulary_size, size=(FLAGS.batch_size, FLAGS.timesteps)
    ).astype("int32")
    labels = rng.integers(2, size=FLAGS.batch_size).astype("int32")
    batches = iter(tf.data.Dataset.from_tensors((texts, labels)).repeat())
    model.make_train_function()
    train_step = model.train_function

    def block():
        for _ in range(FLAGS.steps):
            logs = train_step(batches)
        # Reading the loss waits for the last step.
        float(logs["loss"])

    return block


def pairs_of_new_models(layers, jit_compile, sparse_first):
    """Times of pairs of blocks, of a stock model and a sparse one."""
    blocks = [None, None]
    for index in (1, 0) if sparse_first else (0, 1):
        blocks[index] = training_block(*layers[index], jit_compile)
    for block in (*blocks, *blocks):
        block()  # traces, compiles and warms up
    return alternating_pairs(*blocks, -(-FLAGS.pairs // FLAGS.models))


def main(_):
    rng = np.random.default_rng(0)
    results, rows = [], []
    cases = [name for name in CASES if name.split()[0] in FLAGS.layers]
    compiled = [each == "yes" for each in FLAGS.xla]
    for jit_compile, name in itertools.product(compiled, cases):
        times = np.concatenate(
            [
                pairs_of_new_models(CASES[name], jit_compile, made % 2)
                for made in range(FLAGS.models)
            ]
        )
        ratio, low, high = median_interval(times[:, 1] / times[:, 0], rng)
        milliseconds = 1000 * np.median(times, axis=0) / FLAGS.steps
        results.append(
            {
                "case": name,
                "xla": jit_compile,
                "pairs": len(times),
                "models": FLAGS.models,
                "steps_per_block": FLAGS.steps,
                "ratio": ratio,
                "ratio_95": [low, high],
                "stock_ms": milliseconds[0],
                "sparse_ms": milliseconds[1],
                "seconds": times.tolist(),
            }
        )
        rows.append(
            [
                name,
                "yes" if jit_compile else "no",
                f"{milliseconds[0]:.1f}",
                f"{milliseconds[1]:.1f}",
                f"{ratio:.3f}",
                f"{low:.3f}–{high:.3f}",
            ]
        )
        print(*rows[-1], sep="  ", file=sys.stderr, flush=True)
    print_table(
        ["case", "XLA", "stock ms", "sparse ms", "ratio", "95 % interval"],
        rows,
    )
    write_json(FLAGS.json, results)


if __name__ == "__main__":
    app.run(main)
