"""The papers' tables of language models, at a size that two cores manage.

Runs `examples/language_modeling.py` on Penn Treebank, one row after the other:
the stacked LSTM of Zaremba et al.'s small model (Table 2 of Liu et al. 2021),
and a recurrent highway network of 200 units and depth 4 (Table 3). After each
row the figures so far are written, as JSON and as Markdown tables between two
marker comments. What the JSON file holds is not run again, and a run that was
stopped in the middle goes on where it was. Runs by further flags, `--argument`
or `--epochs`, are kept beside the others and shown in tables of their own.

    python benchmarks/language_tables.py --data_dir=DIR
"""

import pathlib
import sys

from absl import app
from absl import flags
from language_rows import HEADINGS
from language_rows import ROWS
from language_rows import tables
from markdown_block import markdown_table
from markdown_block import write_block
from measuring import print_table
from measuring import write_json
from resumable_runs import changed_by
from resumable_runs import only_result
from resumable_runs import run_missing
from resumable_runs import stored_results

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "Folder of Penn Treebank's files.")
flags.DEFINE_list("rows", [], "Keys of rows to run. By default all.")
flags.DEFINE_bool("list", False, "Only print the keys of the rows.")
flags.DEFINE_integer(
    "epochs", None, "Epochs of each run. By default the table's.", lower_bound=1
)
flags.DEFINE_multi_string(
    "argument", [], "Another flag for the example, as --argument=--units=64."
)
flags.DEFINE_string("runs", "language_tables_runs", "Folder of the runs.")
flags.DEFINE_string(
    "json",
    str(ROOT / "benchmarks" / "results" / "language_tables.json"),
    "File to write.",
)
flags.DEFINE_string(
    "markdown",
    str(ROOT / "docs" / "language_models.md"),
    "File to write the tables into, between two marker comments.",
)


def further_arguments():
    """The example's flags that are not those of the table, a list."""
    epochs = [f"--epochs={FLAGS.epochs}"] if FLAGS.epochs else []
    return [*FLAGS.argument, *epochs]


def result_of(key, row):
    """Runs a row, or what is left of it, and returns what it gave."""
    return only_result(
        "language_modeling.py",
        pathlib.Path(FLAGS.runs, key),
        [*row.arguments, *further_arguments()],
        FLAGS.data_dir,
    )


def report(results):
    """Writes what there is so far, and prints it."""
    write_json(FLAGS.json, results)
    blocks = []
    changed = changed_by(further_arguments())
    for title, lines in (tables(results) | tables(results, changed)).items():
        print(f"\n{title}")
        print_table(HEADINGS, lines)
        blocks.append(f"### {title}\n\n{markdown_table(HEADINGS, lines)}")
    write_block(
        FLAGS.markdown, "\n\n".join(blocks), pathlib.Path(__file__).name
    )


def main(_):
    keys = [row.key for row in ROWS]
    if FLAGS.list:
        print("\n".join(keys))
        return
    unknown = [key for key in FLAGS.rows if key not in keys]
    if unknown:
        sys.exit(f"`--rows` must be of {keys}. Received: rows={unknown}")
    changed = changed_by(further_arguments())
    runs = {
        f"{row.key}{changed}": row
        for row in ROWS
        if not FLAGS.rows or row.key in FLAGS.rows
    }
    results = stored_results(FLAGS.json)
    if FLAGS.data_dir is None and runs.keys() - results:
        sys.exit("Expected Penn Treebank's folder. Received: data_dir=None")
    failed = run_missing(runs, results, result_of, report)
    if failed:
        sys.exit(f"Failed, see the logs in {FLAGS.runs}: {failed}")


if __name__ == "__main__":
    app.run(main)
