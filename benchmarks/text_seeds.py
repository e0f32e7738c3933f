"""How accurate is ST-LSTM, over several seeds, and how long does it train?

Runs `examples/text_classification.py` for each seed: ST-LSTM, a sparser
one, and the dense one on the same batches. What a run has written stays, so a
benchmark that was stopped goes on where it was.

    python benchmarks/text_seeds.py --dataset=imdb --data_dir=DIR
"""

import pathlib
import subprocess
import sys

import numpy as np
from absl import app
from absl import flags
from measuring import print_table
from measuring import spread
from measuring import write_json

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples"))

from output_folder import paths  # noqa: E402
from training_record import read_history  # noqa: E402
from training_record import summarize  # noqa: E402

FLAGS = flags.FLAGS
flags.DEFINE_integer("seeds", 5, "Seeds 0, 1, …", lower_bound=1)
flags.DEFINE_string("dataset", "imdb", "Data set, as in the example.")
flags.DEFINE_string("data_dir", None, "Its folder, as in the example.")
flags.DEFINE_integer("epochs", 10, "Epochs of each run.", lower_bound=1)
flags.DEFINE_string("engine", "native", "Engine of the sparse layer.")
flags.DEFINE_string("runs", "text_seeds_runs", "Folder that runs write to.")
flags.DEFINE_string("json", "text_seeds.json", "File to write.")

# What is trained, in this order: name, method, ε of the run.
MODELS = (
    ("ST-LSTM, ε = 10", "st_rnn", 10),
    ("ST-LSTM, ε = 2", "st_rnn", 2),
    ("dense LSTM", "dense", 10),
)


def folder(epsilon, seed):
    """Where a run writes."""
    return pathlib.Path(FLAGS.runs, FLAGS.dataset, f"{epsilon}-{seed}")


def is_complete(seed, epsilon, method):
    """Whether all epochs of a model are on record."""
    history = read_history(paths(folder(epsilon, seed), method)[0])
    return len(history) == FLAGS.epochs


def run(seed, epsilon, *arguments):
    """Runs the example, or what is left of it."""
    if is_complete(seed, epsilon, "dense" if arguments else "st_rnn"):
        return
    command = [
        *(sys.executable, str(ROOT / "examples" / "text_classification.py")),
        f"--dataset={FLAGS.dataset}",
        *([f"--data_dir={FLAGS.data_dir}"] if FLAGS.data_dir else []),
        *(f"--epochs={FLAGS.epochs}", f"--engine={FLAGS.engine}"),
        *(f"--seed={seed}", f"--epsilon={epsilon}", *arguments),
        f"--output_dir={folder(epsilon, seed)}",
    ]
    if folder(epsilon, seed).exists():
        command.append("--resume")
    print(f"seed {seed}, ε = {epsilon}", *arguments, flush=True)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def histories(method, epsilon):
    """The histories of a model's complete runs, a list."""
    return [
        read_history(paths(folder(epsilon, seed), method)[0])
        for seed in range(FLAGS.seeds)
        if is_complete(seed, epsilon, method)
    ]


def report():
    """Writes what there is so far, and prints it as a table."""
    rows, results = [], {}
    for name, method, epsilon in MODELS:
        found = histories(method, epsilon)
        if not found:
            continue
        summaries = [summarize(history) for history in found]
        results[name] = summaries
        minutes = [
            sum(line["seconds"] for line in history) / 60 for history in found
        ]
        columns = (
            [each[column] for each in summaries]
            for column in ("chosen", "last", "best")
        )
        rows.append(
            [
                name,
                str(len(found)),
                *map(spread, columns),
                f"{np.median([each['seconds'] for each in summaries]):.1f}",
                f"{np.median(minutes):.1f}",
            ]
        )
    headings = ["model", "seeds", "chosen epoch", "last epoch", "best epoch"]
    print_table([*headings, "s/epoch", "minutes"], rows)
    write_json(FLAGS.json, results)


def main(_):
    for seed in range(FLAGS.seeds):
        run(seed, 10)
        run(seed, 2)
        report()
    # The dense runs last, as they take longest.
    for seed in range(FLAGS.seeds):
        run(seed, 10, "--compare_dense")
        report()


if __name__ == "__main__":
    app.run(main)
