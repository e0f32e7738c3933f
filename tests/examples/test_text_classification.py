import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401, registers the tokeniser's operations

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPT = EXAMPLES / "text_classification.py"
SMALL = (
    "--units=8",
    "--embedding_dim=8",
    "--sequence_length=12",
    "--epsilon=2",
    "--batch_size=16",
    "--learning_rate=0.02",
)

# Runs a script where this package cannot be imported. (Keras cannot be hidden
# as well: tensorflow-text imports it.)
WITHOUT_PACKAGE = """
import runpy, sys
class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "keras_sparse_rnn":
            raise ImportError(f"{name} is refused")
sys.meta_path.insert(0, Refusing())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """Returns a CSV file of 200 texts that a word or two give away."""
    rng = np.random.default_rng(0)
    words = {"good": ["great", "fine", "nice"], "bad": ["dull", "poor", "ugly"]}
    rows = ["review,stars"]
    for i in range(200):
        label = ("good", "bad")[i % 2]
        text = rng.choice(["the", "film", "is", "a", "was", *words[label]], 8)
        rows.append(f"{' '.join([*text, words[label][i % 3]])},{label}")
    path = tmp_path_factory.mktemp("reviews") / "reviews.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def arguments(reviews, tmp_path):
    return (
        SCRIPT,
        "--dataset=csv",
        f"--train_csv={reviews}",
        "--text_column=review",
        "--label_column=stars",
        f"--output_dir={tmp_path}",
        *SMALL,
    )


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_from_a_csv_to_served_answers(run_python, arguments, tmp_path):
    done = run_python(*arguments, "--epochs=2", "--compare_dense")
    for method in ("st_rnn", "dense"):
        lines = read_lines(tmp_path / f"history-{method}.jsonl")
        assert [line["epoch"] for line in lines] == [0, 1]
        for line in lines:
            assert 0 <= line["test_accuracy"] <= 1
            assert 0 <= line["val_accuracy"] <= 1
            assert line["seconds"] > 0
        assert ("connections_moved" in lines[1]) == (method == "st_rnn")
        assert re.search(rf"^{method} lstm +[\d,]+ ", done.stdout, re.M)
    saved_model = tmp_path / "saved_model"
    serve = f"{sys.executable} examples/serve.py {saved_model}"
    assert done.stdout.endswith(f"\nServe it: {serve}\n")
    assert done.stdout.count("(is good)") == 1
    assert done.stdout.count("(is bad)") == 1

    served = run_python(
        "-c",
        WITHOUT_PACKAGE,
        EXAMPLES / "serve.py",
        saved_model,
        stdin="a great film\n\nthe film is poor\n",
    )
    first, empty, last = served.stdout.splitlines()
    for line in (first, last):
        assert re.fullmatch(r"(good|bad)\t[01]\.\d{4}", line)
    assert empty == ""


@pytest.mark.parametrize("cell", ["gru", "simple_rnn"])
def test_other_cells_learn(run_python, arguments, tmp_path, cell):
    run_python(*arguments, f"--cell={cell}", "--epochs=8")
    last = read_lines(tmp_path / "history-st_rnn.jsonl")[-1]
    assert last["test_accuracy"] > 0.8


def test_engines_lose_the_same_until_the_first_rewiring(
    run_python, arguments, tmp_path
):
    losses = []
    for engine in ("masked", "native"):
        run_python(
            *arguments,
            *(f"--engine={engine}", f"--output_dir={tmp_path / engine}"),
            *("--units=64", "--epochs=2"),
        )
        first = read_lines(tmp_path / engine / "history-st_rnn.jsonl")[0]
        losses.append([first["loss"], first["val_loss"], first["test_loss"]])
    masked, native = losses
    assert native == pytest.approx(masked, abs=1e-4)


@pytest.mark.slow
def test_resume_goes_on_and_ends_as_a_run_that_was_not_stopped(
    run_python, arguments, tmp_path
):
    def answers(folder):
        path = str(folder / "saved_model")
        classify = tf.saved_model.load(path).signatures["serving_default"]
        result = classify(text=tf.constant(["a fine film", "poor", ""]))
        return result["probabilities"].numpy()

    whole = tmp_path / "whole"
    run_python(*arguments, "--epochs=3", f"--output_dir={whole}")

    # Killed between the record of epoch 1 and its backup, in the middle of
    # a line.
    killer = f"""
import os, signal, sys
sys.path.insert(0, {str(EXAMPLES)!r})
import training_record
record = training_record.EpochRecord.on_epoch_end
def on_epoch_end(self, epoch, logs=None):
    record(self, epoch, logs)
    if epoch == 1:
        with open(self.history_path, "a") as file:
            file.write('{{"epoch": 2, "va')
        os.kill(os.getpid(), signal.SIGKILL)
training_record.EpochRecord.on_epoch_end = on_epoch_end
import runpy
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    killed = tmp_path / "killed"
    flags = (*arguments, "--epochs=3", f"--output_dir={killed}")
    run_python("-c", killer, *flags, status=-9)
    assert not (killed / "saved_model").exists()
    run_python(*flags, "--resume")
    lines = read_lines(killed / "history-st_rnn.jsonl")
    assert [line["epoch"] for line in lines] == [0, 1, 1, 2]
    expected = read_lines(whole / "history-st_rnn.jsonl")
    for line, other in zip(
        lines[1:], [expected[1], *expected[1:]], strict=True
    ):
        for name in ("loss", "val_loss", "test_loss"):
            assert line[name] == pytest.approx(other[name], rel=1e-5)
    np.testing.assert_allclose(answers(killed), answers(whole), rtol=1e-4)

    # A finished run trains nothing again.
    run_python(*flags, "--resume")
    again = read_lines(killed / "history-st_rnn.jsonl")
    assert again == [lines[0], *lines[2:]]


@pytest.mark.slow
def test_resume_with_more_epochs_ends_as_a_run_begun_with_as_many(
    run_python, arguments, tmp_path
):
    whole = tmp_path / "whole"
    run_python(*arguments, "--epochs=2", f"--output_dir={whole}")
    # After one epoch nothing was rewired yet: the rewire rate, which falls
    # until the last epoch, was not used.
    run_python(*arguments, "--epochs=1")
    run_python(*arguments, "--epochs=2", "--resume")
    lines = read_lines(tmp_path / "history-st_rnn.jsonl")
    expected = read_lines(whole / "history-st_rnn.jsonl")
    for line in (*lines, *expected):
        del line["seconds"]
    assert expected[1]["connections_moved"] > 0
    for line, other in zip(lines, expected, strict=True):
        assert line.pop("connections") == other.pop("connections")
        assert line == pytest.approx(other, rel=1e-5)


@pytest.mark.slow
def test_resume_needs_a_run_with_the_same_flags_and_texts(
    run_python, arguments, tmp_path, reviews
):
    failed = run_python(*arguments, "--resume", status=1)
    assert "`--resume` expects the output folder" in failed.stderr
    run_python(*arguments, "--epochs=1")
    failed = run_python(
        *arguments, "--epochs=1", "--resume", "--units=9", status=1
    )
    assert "Received: flags={'units': 9}" in failed.stderr
    text = reviews.read_text()
    reviews.write_text(text.replace("dull", "grey"))
    failed = run_python(*arguments, "--epochs=1", "--resume", status=1)
    reviews.write_text(text)
    assert "Received: data_fingerprint=" in failed.stderr
    history = read_lines(tmp_path / "history-st_rnn.jsonl")
    # Without --resume it starts anew, and so do the logs for TensorBoard.
    events = set((tmp_path / "logs").rglob("events.*"))
    own = tmp_path / "own"
    own.mkdir()
    (own / "events.out").write_bytes(b"")
    flags = ("--epochs=1", "--train_limit=50", f"--log_dir={own}")
    run_python(*arguments, *flags)
    assert len(read_lines(tmp_path / "history-st_rnn.jsonl")) == len(history)
    assert events
    assert not set((tmp_path / "logs").rglob("events.*"))
    # A folder of the user's own is added to.
    assert (own / "events.out").exists()
    assert list((own / "st_rnn").rglob("events.*"))


def test_mirrored_strategy(run_python, arguments, tmp_path):
    run_python(*arguments, "--epochs=1", "--strategy=mirrored")
    assert (tmp_path / "saved_model" / "saved_model.pb").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--dataset=imbd"], "Received: dataset='imbd'"),
        (["--train_csv="], "Received: train_csv=''"),
        (
            ["--dataset=imdb", "--train_csv=", "--data_dir=nowhere"],
            "no such folder. Received: data_dir='nowhere'",
        ),
        (
            ["--dataset=docstrings", "--train_csv=a.csv"],
            "Received: dataset='docstrings', train_csv='a.csv'",
        ),
    ],
)
def test_wrong_data_is_answered_by_a_message(
    run_python, arguments, flags, message
):
    failed = run_python(*arguments, "--epochs=1", *flags, status=1)
    assert "Traceback" not in failed.stderr
    assert failed.stderr.endswith(f"{message}\n")


def test_what_granet_cannot_train_is_answered_by_a_message(
    run_python, arguments, tmp_path
):
    kept = tmp_path / "history-granet.jsonl"
    kept.write_text("{}\n")
    failed = run_python(*arguments, "--method=granet", "--epsilon=9", status=1)
    assert "Traceback" not in failed.stderr
    assert "GraNet begins with a density of 0.5" in failed.stderr
    assert kept.exists()


@pytest.mark.parametrize(
    ("method", "flags"),
    [
        ("dense", ["rewire_rate=0.1", "compare_dense"]),
        ("iss", ["epsilon=2"]),
    ],
)
def test_flags_that_a_method_makes_no_use_of_are_named(
    run_python, arguments, method, flags
):
    done = run_python(
        *(each for each in arguments if not str(each).startswith("--epsilon")),
        *(f"--{flag}" for flag in flags),
        *(f"--method={method}", "--epochs=1"),
    )
    said = re.findall(r"(.*) makes no use of --(.*)\.$", done.stdout, re.M)
    names = [flag.partition("=")[0] for flag in flags]
    assert said == [(f"--method={method}", name) for name in names]


@pytest.mark.parametrize(
    "flag",
    [
        "--rewire_rate=2",
        "--epsilon=-1",
        "--epsilon=nan",
        "--learning_rate=-1",
        "--validation_fraction=0",
        "--embedding_dim=0",
        "--sequence_length=0",
    ],
)
def test_wrong_settings_leave_the_last_run_alone(
    run_python, arguments, tmp_path, flag
):
    kept = tmp_path / "history-st_rnn.jsonl"
    kept.write_text("{}\n")
    failed = run_python(*arguments, flag, status=1)
    assert flag in failed.stderr
    assert kept.exists()


def test_a_label_that_validation_cannot_have_leaves_the_last_run_alone(
    run_python, arguments, tmp_path
):
    kept = tmp_path / "history-st_rnn.jsonl"
    kept.write_text("{}\n")
    train = tmp_path / "films.csv"
    # One of the two texts that are bad goes to the test part.
    train.write_text("review,stars\n" + "fine,good\n" * 9 + "dull,bad\n" * 2)
    failed = run_python(*arguments, f"--train_csv={train}", status=1)
    assert "The data set 'csv': a validation part expects" in failed.stderr
    assert "Received: label='bad' with 1" in failed.stderr
    assert kept.exists()


def test_runs_without_tensorboard(run_python, arguments):
    hidden = """
import importlib.util, runpy, sys
find = importlib.util.find_spec
importlib.util.find_spec = (
    lambda name, *a: None if name == "tensorboard" else find(name, *a)
)
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    done = run_python("-c", hidden, *arguments, "--epochs=1")
    assert "tensorboard is not installed" in done.stdout
