"""What does a rewiring cost, against a training step?

The paper's text model with Adam, 5.6 million places: one rewiring of all its
weights and slots, by what it does, next to a training step of the same model;
then how it grows with the embedding's rows and with the connections.

    python benchmarks/rewire_time.py
"""

import contextlib
import dataclasses
import time
from unittest import mock

import keras
import numpy as np
from absl import app
from absl import flags
from measuring import print_table
from measuring import seconds
from measuring import write_json

import keras_sparse_rnn as ksr
from keras_sparse_rnn import model_rewiring
from keras_sparse_rnn import optimizer_slots
from keras_sparse_rnn import rewiring

FLAGS = flags.FLAGS
flags.DEFINE_integer("repeats", 15, "Repeats of each measurement.")
flags.DEFINE_integer("units", 256, "Units, and width of the embedding.")
flags.DEFINE_integer("vocabulary_size", 20_000, "Rows of the embedding.")
flags.DEFINE_integer("timesteps", 100, "Length of a text.")
flags.DEFINE_integer("batch_size", 64, "Texts in a batch.")
flags.DEFINE_float("epsilon", 10, "Erdős–Rényi sparsity level.")
flags.DEFINE_float("rewire_rate", 0.4, "Fraction of connections to move.")
flags.DEFINE_string("json", "rewire_time.json", "File to write.")


def text_model(vocabulary_size, epsilon, embedding_epsilon):
    """The paper's text model, compiled, and a function that trains a step."""
    model = keras.Sequential(
        [
            keras.Input((FLAGS.timesteps,), dtype="int32"),
            ksr.SparseEmbedding(
                vocabulary_size, FLAGS.units, epsilon=embedding_epsilon
            ),
            ksr.SparseLSTM(FLAGS.units, epsilon=epsilon, engine="masked"),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    texts = rng.integers(
        vocabulary_size, size=(FLAGS.batch_size, FLAGS.timesteps)
    )
    labels = rng.integers(2, size=FLAGS.batch_size)

    def step():
        model.train_on_batch(texts, labels)

    step()
    return model, step


@contextlib.contextmanager
def timed_parts(spent):
    """Adds up, by part, the time that a rewiring spends, in seconds."""

    def timed(part, function):
        def wrapper(*args, **kwargs):
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent[part] += time.perf_counter() - start

        return wrapper

    rule = rewiring.get("st_rnn")
    rule = dataclasses.replace(
        rule,
        drop=timed("choose what to drop", rule.drop),
        grow=timed("draw new places", rule.grow),
    )
    with (
        mock.patch.object(
            model_rewiring.rules,
            "rewire",
            timed("decide", rewiring.rewire),
        ),
        mock.patch.object(
            ksr.SparseWeight,
            "assign_rewiring",
            timed("assign weights and masks", ksr.SparseWeight.assign_rewiring),
        ),
        mock.patch.object(
            optimizer_slots,
            "restart",
            timed("assign slots", optimizer_slots.restart),
        ),
    ):
        yield rule


def measure(vocabulary_size, epsilon, embedding_epsilon=None):
    """Medians in milliseconds: a training step, a rewiring, its parts."""
    model, step = text_model(
        vocabulary_size, epsilon, embedding_epsilon or epsilon
    )
    steps = [seconds(step) for _ in range(FLAGS.repeats)]
    totals, parts = [], []
    for _ in range(FLAGS.repeats + 1):
        spent = dict.fromkeys(
            (
                "decide",
                "choose what to drop",
                "draw new places",
                "assign weights and masks",
                "assign slots",
            ),
            0.0,
        )
        with timed_parts(spent) as rule:
            totals.append(
                seconds(
                    lambda rule=rule: ksr.rewire(
                        model, None, FLAGS.rewire_rate, rule=rule
                    )
                )
            )
        decide = spent.pop("decide")
        spent["find connections"] = (
            decide - spent["choose what to drop"] - spent["draw new places"]
        )
        spent["read and check"] = (
            totals[-1]
            - decide
            - (spent["assign weights and masks"] + spent["assign slots"])
        )
        parts.append(spent)
    report = ksr.sparsity_report(model)
    return {
        "vocabulary_size": vocabulary_size,
        "epsilon": epsilon,
        "places": report.total,
        "connections": report.active,
        "training_step_ms": 1000 * float(np.median(steps)),
        "rewiring_ms": 1000 * float(np.median(totals[1:])),
        "parts_ms": {
            part: 1000 * float(np.median([each[part] for each in parts[1:]]))
            for part in parts[0]
        },
    }


def main(_):
    whole = measure(FLAGS.vocabulary_size, FLAGS.epsilon)
    print_table(
        ["part of a rewiring", "ms"],
        [
            *(
                [part, f"{ms:.1f}"]
                for part, ms in sorted(whole["parts_ms"].items())
            ),
            ["a rewiring", f"{whole['rewiring_ms']:.1f}"],
            ["a training step", f"{whole['training_step_ms']:.1f}"],
        ],
    )
    print()
    growth = [whole]
    for rows in (FLAGS.vocabulary_size // 4, FLAGS.vocabulary_size * 4):
        # As many connections in a smaller and in a larger table.
        sides = (FLAGS.vocabulary_size + FLAGS.units) / (rows + FLAGS.units)
        growth.append(measure(rows, FLAGS.epsilon, FLAGS.epsilon * sides))
    growth += [measure(FLAGS.vocabulary_size, epsilon) for epsilon in (2, 50)]
    print_table(
        ["places", "connections", "rewiring ms", "training step ms"],
        [
            [
                f"{each['places']:,}",
                f"{each['connections']:,}",
                f"{each['rewiring_ms']:.1f}",
                f"{each['training_step_ms']:.1f}",
            ]
            for each in growth
        ],
    )
    write_json(FLAGS.json, growth)


if __name__ == "__main__":
    app.run(main)
