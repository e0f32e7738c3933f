"""How much do the rewire rate and the sparsity matter?

Figures 2 and 3 of Liu et al. 2021: test accuracy on AG's News, and perplexity
of the small language model on Penn Treebank, against the rewire rate ζ at one
sparsity, and against sparsity at one rewire rate; the dense model beside them.
Runs the two examples, one point after the other. After each point the figures
so far are written, as JSON and drawn. What the JSON file holds is not run
again, and a run that was stopped in the middle goes on where it was.

    python benchmarks/rates_and_sparsities.py --data_dir=DIR
"""

import json
import pathlib
import subprocess
import sys

from absl import app
from absl import flags
from example_run import run_example
from measuring import print_table
from measuring import write_json
from rates_and_sparsities_figure import draw
from sparsity_points import TASKS
from sparsity_points import Point
from sparsity_points import curve
from sparsity_points import points

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
    "figure", str(RESULTS / "rates_and_sparsities.png"), "File to write."
)


def stored_results():
    """What the JSON file holds, a dictionary from a point's key."""
    path = pathlib.Path(FLAGS.json)
    if not path.exists():
        return {}
    return json.loads(path.read_text(encoding="utf-8"))["results"]


def result_of(point):
    """Runs a point, or what is left of it, and returns what it gave."""
    arguments = [*point.arguments, *FLAGS.argument]
    if FLAGS.data_dir:
        arguments.append(f"--data_dir={FLAGS.data_dir}")
    output = pathlib.Path(FLAGS.runs, point.key)
    [result] = run_example(TASKS[point.task].script, output, arguments).values()
    return result


def report(results):
    """Writes what there is so far, and prints it."""
    write_json(FLAGS.json, results)
    panels, lines = [], []
    for name, task in TASKS.items():
        seeds = range(FLAGS.seeds)
        dense, rates, levels = (
            [
                each
                for seed in seeds
                for each in curve(task, chosen(seed), results)
            ]
            for chosen in (
                lambda seed, name=name: [Point(name, None, 0.0, seed)],
                lambda seed, name=name, task=task: [
                    Point(name, task.fixed_level, rate, seed)
                    for rate in task.rates
                ],
                lambda seed, name=name, task=task: [
                    Point(name, level, task.fixed_rate, seed)
                    for level in task.levels
                ],
            )
        )
        lines.extend(
            [task.title, f"{rate:g}", f"{sparsity:.2%}", f"{value:.2f}"]
            for rate, sparsity, value in (*dense, *rates, *levels)
        )
        if dense or rates or levels:
            panels.append((task, dense, rates, levels))
    print_table(("task", "rewire rate", "sparsity", "value"), lines)
    if panels:
        draw(panels, FLAGS.figure)


def main(_):
    unknown = [name for name in FLAGS.tasks if name not in TASKS]
    if unknown:
        sys.exit(f"`--tasks` must be of {[*TASKS]}. Received: tasks={unknown}")
    results = stored_results()
    failed = []
    for seed in range(FLAGS.seeds):
        for name in FLAGS.tasks:
            for point in points(name, seed):
                if point.key in results:
                    continue
                print(f"\n{point.key}", flush=True)
                try:
                    results[point.key] = result_of(point)
                except subprocess.CalledProcessError as error:
                    # The others must not wait for somebody to see it.
                    failed.append(point.key)
                    print(f"failed: {error}", flush=True)
                    continue
                report(results)
    report(results)
    if failed:
        sys.exit(f"Failed, see the logs in {FLAGS.runs}: {failed}")


if __name__ == "__main__":
    app.run(main)
