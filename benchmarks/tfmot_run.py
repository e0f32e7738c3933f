"""Runs `tfmot_peer.py` on what a run of the text example was trained on."""

import json
import os
import pathlib
import sys

import numpy as np
from example_run import run_logged

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples"))

from method_cost import model_cost  # noqa: E402
from method_cost import training_ratio  # noqa: E402
from methods import METHODS  # noqa: E402
from methods import Plan  # noqa: E402
from text_arrays import text_arrays  # noqa: E402
from text_data import limit_train  # noqa: E402
from text_datasets import load_text  # noqa: E402
from text_model import TextModelSize  # noqa: E402
from text_pipeline import ShuffledBatches  # noqa: E402
from training_record import read_history  # noqa: E402
from training_record import summarize  # noqa: E402

import keras_sparse_rnn as ksr  # noqa: E402

# What it does, in our own code.
LIKE = "magnitude_pruning"


def run_tfmot(python, example, folder):
    """Trains by tensorflow-model-optimization, from the beginning.

    Args:
        python: String, an interpreter that has it, with tf_keras.
        example: `pathlib.Path` of the output folder of the text example's run
            by `LIKE`, whose flags hold: the same texts, split, batches, sizes
            and schedule.
        folder: `pathlib.Path` to write to.

    Returns:
        Dictionary of what it gave, as the example's.
    """
    flags = json.loads((example / "flags.json").read_text(encoding="utf-8"))
    size, plan = _hand_over(flags, folder)
    run_logged(
        [python, str(ROOT / "benchmarks" / "tfmot_peer.py"), "settings.json"],
        folder,
        {**os.environ, "TF_USE_LEGACY_KERAS": "1"},
        folder,
    )
    # It is large, and made again in a minute.
    (folder / "arrays.npz").unlink()
    first_candidate = METHODS[LIKE].first_candidate(plan)
    history = read_history(folder / "history.jsonl")
    counts = [line["connections"] for line in history]
    last = [
        matrix.with_active(counts[-1][matrix.path]) for matrix in size.matrices
    ]
    return {
        "epochs": plan.epochs,
        **summarize(history, first_candidate),
        **model_cost(last, size.matrices),
        "training_ratio": training_ratio(
            LIKE, size.matrices, size.matrices, plan, counts
        ),
    }


def _hand_over(flags, folder):
    """Writes arrays and settings; returns the model's size and the plan."""
    data = load_text(
        flags["dataset"],
        flags["data_dir"],
        flags["train_csv"],
        flags["test_csv"],
        flags["text_column"],
        flags["label_column"],
        seed=flags["seed"],
    )
    if flags["train_limit"]:
        data = limit_train(data, flags["train_limit"], flags["seed"])
    arrays = text_arrays(
        data,
        flags["vocabulary_size"],
        flags["sequence_length"],
        flags["validation_fraction"],
        flags["seed"],
    )
    batches = ShuffledBatches(*arrays.train, flags["batch_size"], flags["seed"])
    topology = ksr.topology.ErdosRenyi(flags["epsilon"])
    plan = Plan(topology, flags["rewire_rate"], flags["epochs"], len(batches))
    size = TextModelSize(
        arrays.vectorizer.vocabulary_size,
        flags["sequence_length"],
        flags["embedding_dim"],
        flags["units"],
        len(data.label_names),
        flags["cell"],
    )
    if flags["cell"] != "lstm":
        raise ValueError(
            "The peer has an LSTM only. "
            f"Received: flags={{'cell': {flags['cell']!r}}}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        f"{name}_{letter}": values
        for name in ("train", "validation", "test")
        for letter, values in zip("xy", getattr(arrays, name), strict=True)
    }
    np.savez(folder / "arrays.npz", orders=_orders(batches, plan), **parts)
    embedding, *kernels = size.matrices
    in_embedding = topology.connections(embedding.shape)
    in_kernels = size.connections(topology) - in_embedding
    settings = {
        "arrays": "arrays.npz",
        "history": "history.jsonl",
        "seed": flags["seed"],
        "epochs": plan.epochs,
        "settled_epoch": plan.settled_epoch,
        "steps_per_epoch": plan.steps_per_epoch,
        "batch_size": flags["batch_size"],
        "learning_rate": flags["learning_rate"],
        "vocabulary_size": size.vocabulary_size,
        "sequence_length": size.sequence_length,
        "embedding_dim": size.embedding_dim,
        "units": size.units,
        "classes": size.classes,
        "sparsity_of_embedding": 1 - in_embedding / embedding.places,
        "sparsity_of_lstm": 1
        - in_kernels / sum(each.places for each in kernels),
    }
    (folder / "settings.json").write_text(json.dumps(settings, indent=2))
    return size, plan


def _orders(batches, plan):
    """The order of the training texts in each epoch."""
    orders = []
    for epoch in range(plan.epochs):
        batches.set_epoch(epoch)
        orders.append(batches.order)
    return np.stack(orders)
