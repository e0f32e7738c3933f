import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401, registers the tokeniser's operations

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPT = EXAMPLES / "language_modeling.py"
SMALL = (
    "--units=8",
    "--embedding_dim=8",
    "--batch_size=4",
    "--time_steps=5",
    "--layers=1",
    "--learning_rate=10",
    "--clip_norm=1",
    "--sparsity=0.5",
)

# Kills itself between the record of epoch 1 and its backup.
KILLER = f"""
import os, signal, sys
sys.path.insert(0, {str(EXAMPLES)!r})
import training_record
record = training_record.EpochRecord.on_epoch_end
def on_epoch_end(self, epoch, logs=None):
    record(self, epoch, logs)
    if epoch == 1:
        os.kill(os.getpid(), signal.SIGKILL)
training_record.EpochRecord.on_epoch_end = on_epoch_end
import runpy
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """Returns a file of 200 lines in a language of a few words."""
    rng = np.random.default_rng(0)
    nouns = ("cat", "dog", "bird", "fish")
    verbs = {"cat": "sleeps", "dog": "barks", "bird": "sings", "fish": "swims"}
    lines = []
    for noun in rng.choice(nouns, 200):
        lines.append(f"the {rng.choice(['old', 'red'])} {noun} {verbs[noun]} .")
    path = tmp_path_factory.mktemp("book") / "book.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def arguments(book, tmp_path):
    return (
        SCRIPT,
        f"--text_file={book}",
        f"--output_dir={tmp_path}",
        *SMALL,
    )


def history(folder, method="st_rnn"):
    lines = (folder / f"history-{method}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_from_a_text_to_served_answers(run_python, arguments, tmp_path, book):
    done = run_python(*arguments, "--epochs=4", "--prompt=the old")
    lines = history(tmp_path)
    assert [line["epoch"] for line in lines] == [0, 1, 2, 3]
    # Of 14 tokens; of six in a line two say something new.
    assert lines[-1]["val_perplexity"] < 6 < lines[0]["perplexity"]
    assert lines[1]["connections_moved"] > 0
    assert {sum(line["connections"].values()) for line in lines} == {368}
    [result] = json.loads((tmp_path / "results.json").read_text()).values()
    assert result["weights"] == 368
    assert result["weights_dense"] == 2 * 368
    found = re.search(r"test perplexity ([\d.]+);", done.stdout)
    assert float(found[1]) == pytest.approx(result["test"], abs=0.006)
    # States are carried over: parts read side by side are nearly the same.
    assert result["valid"] == pytest.approx(result["valid_in_batches"], rel=0.2)
    assert "It goes on: the old" in done.stdout

    saved_model = tmp_path / "saved_model"
    serve = f"{sys.executable} examples/serve_language.py {saved_model}"
    assert f"Serve it: {serve}" in done.stdout
    # The test text in one piece is scored as the example did.
    score = tf.saved_model.load(str(saved_model)).signatures["serving_default"]
    test = "\n".join(book.read_text().splitlines()[-10:])
    assert score(text=tf.constant([test]))["perplexity"].numpy()[
        0
    ] == pytest.approx(result["test"], rel=1e-4)
    # The example tries it on the first of these lines.
    [(tried, of_tried)] = re.findall(
        r"SavedModel's perplexity of '(.*)', .*: ([\d.]+)\n", done.stdout
    )
    assert tried == test.splitlines()[0]
    assert score(text=tf.constant([tried]))["perplexity"].numpy()[
        0
    ] == pytest.approx(float(of_tried), abs=0.006)
    served = run_python(
        EXAMPLES / "serve_language.py",
        saved_model,
        stdin="the old cat sleeps .\nsleeps sleeps sleeps\n",
    )
    likely, unlikely = served.stdout.splitlines()
    assert float(likely.split("\t")[0]) < 5 < float(unlikely.split("\t")[0])
    assert likely.endswith("\t6 tokens, 0 unknown")
    written = run_python(
        EXAMPLES / "serve_language.py",
        saved_model,
        "--continue=4",
        "--temperature=0",
        stdin="the old cat\n",
    )
    assert written.stdout.startswith("the old cat ")


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags",
    [
        ("--preset=paper_lstm",),
        ("--preset=selfish_lstm",),
        ("--preset=paper_rhn", "--depth=2"),
        ("--preset=selfish_rhn", "--depth=2"),
        ("--method=dense",),
        ("--method=small_dense", "--sparsity=0.7"),
        ("--method=iss",),
        ("--method=iss", "--preset=paper_rhn", "--depth=2"),
        ("--method=rigl", "--topology=erdos_renyi"),
        ("--method=snfs",),
        ("--method=magnitude_pruning",),
        ("--clipping=sparse", "--engine=native"),
        ("--tied",),
    ],
    ids=" ".join,
)
def test_presets_and_methods_train(run_python, arguments, tmp_path, flags):
    done = run_python(*arguments, "--epochs=2", *flags)
    assert re.search(r"test perplexity [\d.]+; ", done.stdout)
    # A penalty that is too strong leaves none.
    for path in tmp_path.glob("history-iss.jsonl"):
        assert json.loads(path.read_text().splitlines()[-1])["alive_units"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["paper_lstm", "selfish_rhn"])
def test_resumed_run_ends_as_one_that_was_not_stopped(
    run_python, arguments, tmp_path, preset
):
    flags = (
        f"--preset={preset}",
        "--depth=2",
        "--decay=2",
        "--epochs=4",
        "--seed=3",
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run_python(*arguments, *flags, f"--output_dir={whole}")
    there = f"--output_dir={killed}"
    run_python("-c", KILLER, *arguments, *flags, there, status=-9)
    run_python(*arguments, *flags, there, "--resume")
    lines, expected = history(killed), history(whole)
    assert [line["epoch"] for line in lines] == [0, 1, 1, 2, 3]
    del lines[1]
    for line in (*lines, *expected):
        del line["seconds"]
    assert lines == expected
    results = [
        json.loads((folder / "results.json").read_text())["st_rnn"]
        for folder in (whole, killed)
    ]
    for each in results:
        del each["seconds"]
    assert results[0] == results[1]


@pytest.mark.slow
def test_a_run_is_not_resumed_with_another_text_or_another_window_of_epochs(
    run_python, arguments, tmp_path, book
):
    text = tmp_path / "text.txt"
    text.write_text(book.read_text())
    flags = (*arguments, f"--text_file={text}", "--method=iss", "--epochs=1")
    run_python(*flags)
    before = (tmp_path / "history-iss.jsonl").read_text()
    failed = run_python(*flags, "--epochs=2", "--resume", status=1)
    assert "Received: flags={'epochs': 2}" in failed.stderr
    # As many tokens, and as many of each.
    text.write_text(book.read_text().replace("cat", "cow"))
    failed = run_python(*flags, "--resume", status=1)
    assert "Received: data_fingerprint=" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert (tmp_path / "history-iss.jsonl").read_text() == before
    text.write_text(book.read_text())
    run_python(*flags, "--resume")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--dataset=ptb",), "expected `dataset='text'` with it"),
        (("--text_file=none.txt",), "path='none.txt'"),
        (("--time_steps=500",), "500 time steps"),
        (("--tied", "--units=9"), "units=9, embedding_dim=8"),
        (("--vocabulary_size=2",), "--vocabulary_size=2"),
        (("--depth=0",), "--depth=0"),
        (("--dropout_hidden=1",), "--dropout_hidden=1"),
        (("--sparsity=nan",), "--sparsity=nan"),
        (("--temperature=nan",), "--temperature=nan"),
        (("--temperature=inf",), "must be a finite number"),
        (("--generate=3000000000",), "--generate=3000000000"),
        # A byte that is no character.
        (("--prompt=caf\udce9",), "must be text in UTF-8"),
        (("--data_dir=none",), "data_dir='none'"),
        (("--time_steps=30",), "'valid' of the text"),
        (("--engine=native",), "engine='native', clipping='dense'"),
        (("--engine=native", "--model=rhn"), "engine='native', model='rhn'"),
    ],
)
def test_wrong_flags_are_answered_by_a_message(
    run_python, arguments, tmp_path, flags, message
):
    kept = tmp_path / "history-st_rnn.jsonl"
    kept.write_text("{}\n")
    failed = run_python(*arguments, *flags, status=1)
    assert message in failed.stderr
    assert "Traceback" not in failed.stderr
    assert kept.exists()


@pytest.mark.slow
def test_batch_size_changes_perplexity_on_penn_treebank_little(
    run_python, shared_data, tmp_path
):
    done = run_python(
        SCRIPT,
        "--dataset=ptb",
        f"--data_dir={shared_data}",
        f"--output_dir={tmp_path}",
        "--method=dense",
        "--units=16",
        "--embedding_dim=16",
        "--epochs=1",
        "--layers=1",
    )
    assert "82,430 test tokens, vocabulary of 10,000" in done.stdout
    result = json.loads((tmp_path / "results.json").read_text())["dense"]
    assert result["valid"] == pytest.approx(
        result["valid_in_batches"], rel=0.005
    )
