"""Gradual pruning by tensorflow-model-optimization, in a process of its own.

tensorflow-model-optimization knows Keras 2 only, and makes TensorFlow use it
for the whole process. So this runs in an environment of its own, with
tensorflow, tf_keras and tensorflow-model-optimization, and imports nothing of
this project: `compare_methods.py` hands it the arrays and the settings.

    TF_USE_LEGACY_KERAS=1 python tfmot_peer.py settings.json

The history that it writes is one of `training_record.py`.
"""

import json
import os
import pathlib
import sys
import time

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot


def build(settings):
    """The text model, embedding and LSTM to be pruned along a cubic."""
    prune = tfmot.sparsity.keras.prune_low_magnitude

    # At the first step of each epoch: they count from 1.
    def schedule(sparsity):
        steps = settings["steps_per_epoch"]
        if not settings["settled_epoch"]:
            return tfmot.sparsity.keras.ConstantSparsity(
                sparsity, begin_step=1, frequency=steps
            )
        return tfmot.sparsity.keras.PolynomialDecay(
            0.0,
            sparsity,
            begin_step=1,
            end_step=1 + settings["settled_epoch"] * steps,
            frequency=steps,
        )

    model = tf.keras.Sequential(
        [
            prune(
                tf.keras.layers.Embedding(
                    settings["vocabulary_size"],
                    settings["embedding_dim"],
                    input_length=settings["sequence_length"],
                ),
                schedule(settings["sparsity_of_embedding"]),
            ),
            prune(
                tf.keras.layers.LSTM(settings["units"]),
                schedule(settings["sparsity_of_lstm"]),
            ),
            tf.keras.layers.Dense(settings["classes"], activation="softmax"),
        ]
    )
    model.build((None, settings["sequence_length"]))
    model.compile(
        tf.keras.optimizers.Adam(settings["learning_rate"]),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


class Batches(tf.keras.utils.Sequence):
    """The batches of an epoch, in an order that is given."""

    def __init__(self, x, y, order, batch_size):
        self.x = x
        self.y = y
        self.order = order
        self.batch_size = batch_size

    def __len__(self):
        return -(-len(self.x) // self.batch_size)

    def __getitem__(self, index):
        start = index * self.batch_size
        chosen = self.order[start : start + self.batch_size]
        return self.x[chosen], self.y[chosen]


def connections(model):
    """The weights of each pruned matrix that are not masked."""
    counts = {}
    for wrapper in model.layers[:2]:
        for variable, mask, _ in wrapper.pruning_vars:
            name = variable.name.split("/")[-1].split(":")[0]
            counts[name] = int(np.count_nonzero(mask.numpy()))
    return counts


def main(path):
    settings = json.loads(pathlib.Path(path).read_text())
    arrays = np.load(settings["arrays"])
    tf.keras.utils.set_random_seed(settings["seed"])
    model = build(settings)
    pruning = tfmot.sparsity.keras.UpdatePruningStep()
    with open(settings["history"], "w") as history:
        for epoch in range(settings["epochs"]):
            batches = Batches(
                arrays["train_x"],
                arrays["train_y"],
                arrays["orders"][epoch],
                settings["batch_size"],
            )
            start = time.perf_counter()
            # The callback counts the optimizer's steps.
            fitted = model.fit(
                batches,
                initial_epoch=epoch,
                epochs=epoch + 1,
                shuffle=False,
                verbose=2,
                callbacks=[pruning],
            )
            seconds = time.perf_counter() - start
            line = {"epoch": epoch, "seconds": seconds}
            for name, values in fitted.history.items():
                line[name] = float(values[-1])
            for part, prefix in (("validation", "val"), ("test", "test")):
                tested = model.evaluate(
                    arrays[f"{part}_x"],
                    arrays[f"{part}_y"],
                    batch_size=settings["batch_size"],
                    verbose=0,
                    return_dict=True,
                )
                for name, value in tested.items():
                    line[f"{prefix}_{name}"] = float(value)
            line["connections"] = connections(model)
            history.write(json.dumps(line) + "\n")
            history.flush()


if __name__ == "__main__":
    main(sys.argv[1])
