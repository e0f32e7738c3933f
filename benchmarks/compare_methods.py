"""How accurate is each method, and what does it cost, over several seeds?

Runs `examples/text_classification.py` by each method on the same batches, one
run after the other, the first seed of all methods first. After each run the
figures so far are written: as JSON, as Markdown tables between two marker
comments, and as a figure. What the JSON file or a run's folder holds is not run
again, and a run that was stopped in the middle goes on where it was. Runs by
further flags, `--argument`, or another number of `--epochs` are kept beside the
others and shown in tables of their own.

    python benchmarks/compare_methods.py --data_dir=DIR

`small_dense` is the dense model with as many weights as the sparse ones have
connections; `tfmot` is gradual pruning by tensorflow-model-optimization, which
needs `--tfmot_python`, an environment of its own (see `tfmot_peer.py`), and a
run of `magnitude_pruning`, whose settings it takes.
"""

import itertools
import pathlib
import sys

from absl import app
from absl import flags
from example_run import run_example
from markdown_block import markdown_table
from markdown_block import write_block
from measuring import print_table
from measuring import write_json
from methods_figure import draw
from methods_table import ANY_EPSILON
from methods_table import HEADINGS
from methods_table import by_method
from methods_table import epsilons
from methods_table import mean
from methods_table import rows
from resumable_runs import changed_by
from resumable_runs import run_each
from resumable_runs import stored_results
from tfmot_run import LIKE
from tfmot_run import run_tfmot

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples"))

from methods import METHODS  # noqa: E402
from output_folder import paths  # noqa: E402
from training_record import read_history  # noqa: E402
from training_record import summarize  # noqa: E402

TFMOT = "tfmot"
TITLES = {
    **{name: method.title for name, method in METHODS.items()},
    TFMOT: "gradual pruning, tfmot",
}
# To these ε says nothing: they are run once, for all.
WITHOUT_EPSILON = ("dense", "iss")
DATASET_TITLES = {"imdb": "IMDB", "ag_news": "AG's News"}
RESULTS = ROOT / "benchmarks" / "results"
EPOCHS = 10

FLAGS = flags.FLAGS
flags.DEFINE_list("datasets", ["imdb"], "Data sets, as in the example.")
flags.DEFINE_list("epsilon", ["10"], "Erdős–Rényi levels.")
flags.DEFINE_list(
    "methods",
    list(METHODS),
    f"Methods of the example, and {TFMOT}, in the order of running.",
)
flags.DEFINE_integer("seeds", 3, "Seeds 0, 1, …", lower_bound=1)
flags.DEFINE_integer("epochs", EPOCHS, "Epochs of each run.", lower_bound=1)
flags.DEFINE_string(
    "data_dir", None, "Folder that holds the data sets' folders."
)
flags.DEFINE_multi_string(
    "argument", [], "Another flag for the example, as --argument=--units=64."
)
flags.DEFINE_string(
    "dense_runs",
    None,
    "Folder of runs by text_seeds.py of the same settings, from which dense "
    "ones are taken where they are complete.",
)
flags.DEFINE_string(
    "tfmot_python", None, f"Interpreter of the environment of {TFMOT}."
)
flags.DEFINE_string("runs", "compare_methods_runs", "Folder of the runs.")
flags.DEFINE_string("json", str(RESULTS / "methods.json"), "File to write.")
flags.DEFINE_string("figure", str(RESULTS / "methods.png"), "File to write.")
flags.DEFINE_string(
    "markdown",
    str(ROOT / "docs" / "methods.md"),
    "File to write the tables into, between two marker comments.",
)


def key(method, epsilon):
    """ε, or what stands for it where it does not matter."""
    return ANY_EPSILON if method in WITHOUT_EPSILON else epsilon


def compared(dataset):
    """The key of what is compared: a data set, and what flags change."""
    epochs = [f"--epochs={FLAGS.epochs}"] if FLAGS.epochs != EPOCHS else []
    return f"{dataset}{changed_by([*FLAGS.argument, *epochs])}"


def folder(dataset, method, epsilon, seed):
    """Where a run writes."""
    name = f"{method}-{key(method, epsilon)}-{seed}"
    return pathlib.Path(FLAGS.runs, compared(dataset), name)


def result_of(dataset, method, epsilon, seed):
    """Runs a method, or what is left of it, and returns what it gave."""
    output = folder(dataset, method, epsilon, seed)
    if method == "dense" and FLAGS.dense_runs:
        found = dense_result(dataset, seed)
        if found:
            return found
    if method == TFMOT:
        return run_tfmot(
            FLAGS.tfmot_python,
            folder(dataset, LIKE, epsilon, seed),
            output,
        )
    arguments = [
        *(f"--dataset={dataset}", f"--method={method}"),
        *(f"--epsilon={epsilon}", f"--seed={seed}"),
        f"--epochs={FLAGS.epochs}",
        *FLAGS.argument,
    ]
    if FLAGS.data_dir:
        arguments.append(f"--data_dir={FLAGS.data_dir}")
    return run_example("text_classification.py", output, arguments)[method]


def dense_result(dataset, seed):
    """A dense run of `text_seeds.py`, or `None`."""
    run = pathlib.Path(FLAGS.dense_runs, dataset, f"10-{seed}")
    history = read_history(paths(run, "dense")[0])
    if len(history) != FLAGS.epochs:
        return None
    return {
        "epochs": FLAGS.epochs,
        **summarize(history),
        "training_ratio": 1.0,
        "inference_ratio": 1.0,
    }


def with_dense_weights(found):
    """Adds to dense runs taken over their weights, which others' tell."""
    known = [
        run["weights_dense"]
        for runs in found.values()
        for run in runs
        if "weights_dense" in run
    ]
    if known and "dense" in found:
        dense = [{"weights": known[0], **run} for run in found["dense"]]
        return {**found, "dense": dense}
    return found


def comparisons(results):
    """Title and results by method of each data set and ε, a list of pairs."""
    return [
        (
            f"{DATASET_TITLES.get(dataset, dataset)}, ε = {epsilon}",
            with_dense_weights(by_method(of_dataset, epsilon)),
        )
        for dataset, of_dataset in results.items()
        for epsilon in epsilons(of_dataset)
    ]


def report(results):
    """Writes what there is so far, and prints it."""
    write_json(FLAGS.json, results)
    blocks, panels = [], []
    for title, found in comparisons(results):
        lines = rows(found, TITLES)
        print(f"\n{title}")
        print_table(HEADINGS, lines)
        blocks.append(f"### {title}\n\n{markdown_table(HEADINGS, lines)}")
        panels.append(
            (
                title,
                [
                    (
                        TITLES[name],
                        mean(found[name], "training_ratio"),
                        [run["chosen"] for run in found[name]],
                    )
                    for name in TITLES
                    if name in found
                ],
            )
        )
    if panels:
        draw(panels, FLAGS.figure)
        write_block(
            FLAGS.markdown, "\n\n".join(blocks), pathlib.Path(__file__).name
        )


def check_flags():
    """Raises `ValueError` if a method is not known, or cannot be run."""
    unknown = [name for name in FLAGS.methods if name not in TITLES]
    if unknown:
        raise ValueError(
            f"`--methods` must be of {[*TITLES]}. Received: methods={unknown}"
        )
    if TFMOT in FLAGS.methods and not FLAGS.tfmot_python:
        raise ValueError(
            f"The method {TFMOT!r} needs `--tfmot_python`. "
            "Received: tfmot_python=None"
        )


def main(_):
    try:
        check_flags()
    except ValueError as error:
        sys.exit(str(error))
    results = stored_results(FLAGS.json)

    def by_seed(dataset, method, epsilon):
        of_dataset = results.setdefault(compared(dataset), {})
        of_epsilon = of_dataset.setdefault(key(method, epsilon), {})
        return of_epsilon.setdefault(method, {})

    def is_missing(each):
        dataset, epsilon, method, seed = each
        # JSON's keys are strings.
        known = by_seed(dataset, method, epsilon).get(str(seed), {})
        return known.get("epochs") != FLAGS.epochs

    def run(each):
        dataset, epsilon, method, seed = each
        print(f"\n{dataset}, ε = {epsilon}, {method}, seed {seed}", flush=True)
        by_seed(dataset, method, epsilon)[str(seed)] = result_of(
            dataset, method, epsilon, seed
        )
        report(results)

    runs = (
        (*of_seed, seed)
        for seed, *of_seed in itertools.product(
            range(FLAGS.seeds), FLAGS.datasets, FLAGS.epsilon, FLAGS.methods
        )
    )
    # One by one, as a method without ε is there after its first run.
    failed = run_each(filter(is_missing, runs), run)
    report(results)
    if failed:
        sys.exit(f"Failed, see the logs in {FLAGS.runs}: {failed}")


if __name__ == "__main__":
    app.run(main)
