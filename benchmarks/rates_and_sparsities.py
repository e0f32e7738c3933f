"""How much do the rewire rate and the sparsity matter?

Figures 2 and 3 of Liu et al. 2021: test accuracy on AG's News, and perplexity
of the small language model on Penn Treebank, against the rewire rate ζ at one
sparsity, and against sparsity at one rewire rate; the dense model beside them.
Runs the two examples, one point after the other. After each point the figures
so far are written, as JSON and drawn. What the JSON file holds is not run
again, nor what `language_tables.py` or `compare_methods.py` have run, and a run
that was stopped in the middle goes on where it was. Runs by further flags,
`--argument`, are kept beside the others and drawn apart.

    python benchmarks/rates_and_sparsities.py --data_dir=DIR
"""

import dataclasses
import pathlib
import sys

from absl import app
from absl import flags
from measuring import print_table
from measuring import write_json
from rates_and_sparsities_figure import draw
from resumable_runs import changed_by
from resumable_runs import only_result
from resumable_runs import run_missing
from resumable_runs import stored_results
from sparsity_points import TASKS
from sparsity_points import Point
from sparsity_points import curve
from sparsity_points import points
from sparsity_points import result_elsewhere

# What `curves()` returns.
CURVES = ("dense", "by rewire rate", "by sparsity")
RESULTS = pathlib.Path(__file__).resolve().parent / "results"

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "Folder of the data sets' folders.")
flags.DEFINE_list("tasks", ["ag_news", "ptb"], "Of ag_news and ptb.")
flags.DEFINE_integer("seeds", 1, "Seeds 0, 1, …", lower_bound=1)
flags.DEFINE_multi_string(
    "argument", [], "Another flag for the examples, as --argument=--epochs=2."
)
flags.DEFINE_string("runs", "rates_and_sparsities_runs", "Folder of the runs.")
flags.DEFINE_string(
    "json", str(RESULTS / "rates_and_sparsities.json"), "File to write."
)
flags.DEFINE_string(
    "tables_json",
    str(RESULTS / "language_tables.json"),
    "File of language_tables.py, from which points are taken that it has.",
)
flags.DEFINE_string(
    "methods_json",
    str(RESULTS / "methods.json"),
    "File of compare_methods.py, likewise.",
)
flags.DEFINE_string(
    "figure", str(RESULTS / "rates_and_sparsities.png"), "File to write."
)


def result_of(key, point):
    """Runs a point, or what is left of it, and returns what it gave."""
    return only_result(
        TASKS[point.task].script,
        pathlib.Path(FLAGS.runs, key),
        [*point.arguments, *FLAGS.argument],
        FLAGS.data_dir,
    )


def elsewhere(runs, table_results, method_results):
    """What other benchmarks have of these runs, a dictionary by key."""
    found = {
        key: result_elsewhere(point, table_results, method_results)
        for key, point in runs.items()
    }
    return {key: result for key, result in found.items() if result is not None}


def curves(name, results, changed):
    """What there is of a task's curves.

    Args:
        name: String, one of `TASKS`.
        results: Dictionary from a point's key.
        changed: String, see `curve()`.

    Returns:
        Tuple of three lists as of `curve()`: the dense model, rewire rates at
        one sparsity, and sparsities at one rewire rate.
    """
    task = TASKS[name]
    chosen = (
        [(None, 0.0)],
        [(task.fixed_level, rate) for rate in task.rates],
        [(level, task.fixed_rate) for level in task.levels],
    )
    return tuple(
        curve(
            task,
            [
                Point(name, level, rate, seed)
                for seed in range(FLAGS.seeds)
                for level, rate in of_curve
            ],
            results,
            changed,
        )
        for of_curve in chosen
    )


def report(results):
    """Writes what there is so far, and prints it."""
    write_json(FLAGS.json, results)
    panels, lines = [], []
    for changed in dict.fromkeys(("", changed_by(FLAGS.argument))):
        for name, task in TASKS.items():
            title = f"{task.title} {changed}".strip()
            found = curves(name, results, changed)
            lines.extend(
                [title, of, f"{rate:g}", f"{sparsity:.2%}", f"{value:.2f}"]
                for of, each in zip(CURVES, found, strict=True)
                for rate, sparsity, value in each
            )
            if any(found):
                panels.append((dataclasses.replace(task, title=title), *found))
    print_table(("task", "curve", "rewire rate", "sparsity", "value"), lines)
    if panels:
        draw(panels, FLAGS.figure)


def main(_):
    unknown = [name for name in FLAGS.tasks if name not in TASKS]
    if unknown:
        sys.exit(f"`--tasks` must be of {[*TASKS]}. Received: tasks={unknown}")
    changed = changed_by(FLAGS.argument)
    runs = {
        f"{point.key}{changed}": point
        for seed in range(FLAGS.seeds)
        for name in FLAGS.tasks
        for point in points(name, seed)
    }
    results = stored_results(FLAGS.json)
    if not changed:
        others = map(stored_results, (FLAGS.tables_json, FLAGS.methods_json))
        results = elsewhere(runs, *others) | results
    if FLAGS.data_dir is None and runs.keys() - results:
        sys.exit("Expected the data sets' folder. Received: data_dir=None")
    failed = run_missing(runs, results, result_of, report)
    if failed:
        sys.exit(f"Failed, see the logs in {FLAGS.runs}: {failed}")


if __name__ == "__main__":
    app.run(main)
