"""The papers' tables of language models, at a size that two cores manage.

Runs `examples/language_modeling.py` on Penn Treebank, one row after the other:
the stacked LSTM of Zaremba et al.'s small model (Table 2 of Liu et al. 2021),
and a recurrent highway network of 200 units and depth 4 (Table 3). After each
row the figures so far are written, as JSON and as Markdown tables between two
marker comments. What the JSON file holds is not run again, and a run that was
stopped in the middle goes on where it was.

    python benchmarks/language_tables.py --data_dir=DIR
"""

import json
import pathlib
import subprocess
import sys

from absl import app
from absl import flags
from example_run import run_example
from language_rows import HEADINGS
from language_rows import ROWS
from language_rows import tables
from markdown_block import markdown_table
from markdown_block import write_block
from measuring import print_table
from measuring import write_json

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


def stored_results():
    """What the JSON file holds, a dictionary from a row's key."""
    path = pathlib.Path(FLAGS.json)
    if not path.exists():
        return {}
    return json.loads(path.read_text(encoding="utf-8"))["results"]


def result_of(row):
    """Runs a row, or what is left of it, and returns what it gave."""
    arguments = [*row.arguments, *FLAGS.argument]
    if FLAGS.data_dir:
        arguments.append(f"--data_dir={FLAGS.data_dir}")
    if FLAGS.epochs:
        arguments.append(f"--epochs={FLAGS.epochs}")
    output = pathlib.Path(FLAGS.runs, row.key)
    [result] = run_example("language_modeling.py", output, arguments).values()
    return result


def report(results):
    """Writes what there is so far, and prints it."""
    write_json(FLAGS.json, results)
    blocks = []
    for title, lines in tables(results).items():
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
    results = stored_results()
    failed = []
    for row in ROWS:
        if row.key in results or (FLAGS.rows and row.key not in FLAGS.rows):
            continue
        print(f"\n{row.key}", flush=True)
        try:
            results[row.key] = result_of(row)
        except subprocess.CalledProcessError as error:
            # The others must not wait for somebody to see it.
            failed.append(row.key)
            print(f"failed: {error}", flush=True)
            continue
        report(results)
    report(results)
    if failed:
        sys.exit(f"Failed, see the logs in {FLAGS.runs}: {failed}")


if __name__ == "__main__":
    app.run(main)
