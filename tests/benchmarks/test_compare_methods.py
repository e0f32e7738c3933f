import json
import os
import pathlib
import subprocess
import sys

import pytest
from resumable_runs import changed_by

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "compare_methods.py"


@pytest.fixture
def arguments(tmp_path):
    """The example's flags, of which keys and folders are made."""
    return [
        f"--train_csv={tmp_path / 'texts.csv'}",
        "--units=8",
        "--embedding_dim=8",
        "--sequence_length=5",
    ]


@pytest.fixture
def compare(tmp_path, arguments):
    """Returns a function that runs the benchmark on a few texts."""
    texts = tmp_path / "texts.csv"
    rows = [
        f"the film {'is fine' if i % 2 else 'was dull'},{i % 2}\n" * 2
        for i in range(40)
    ]
    texts.write_text("text,label\n" + "".join(rows))

    def run(*flags, status=0):
        path = [os.environ.get("PYTHONPATH"), str(ROOT)]
        done = subprocess.run(
            [
                *(sys.executable, str(SCRIPT), "--datasets=csv"),
                *("--epsilon=1", "--seeds=1", "--runs=runs", "--json=a.json"),
                *("--figure=a.png", "--markdown=a.md"),
                *(f"--argument={each}" for each in arguments),
                *flags,
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, path)),
                "CUDA_VISIBLE_DEVICES": "-1",
            },
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return run


@pytest.mark.slow
def test_what_is_there_is_not_run_again(compare, tmp_path):
    def written():
        results = json.loads((tmp_path / "a.json").read_text())["results"]
        [of_dataset] = results.values()
        return of_dataset

    methods = "--methods=static,small_dense"
    compare("--methods=static", "--epochs=1")
    first = written()
    compare(methods, "--epochs=1")
    both = written()
    # Not even the seconds are others.
    assert both["1"]["static"] == first["1"]["static"]
    assert set(both["1"]) == {"static", "small_dense"}
    table = (tmp_path / "a.md").read_text()
    assert "| static masks | 1 |" in table
    assert "| small dense | 1 |" in table
    assert (tmp_path / "a.png").exists()

    # The run's folder serves where the file is gone.
    (tmp_path / "a.json").unlink()
    compare("--methods=static", "--epochs=1")
    again = written()["1"]["static"]["0"]
    assert again == first["1"]["static"]["0"]


@pytest.mark.slow
def test_a_method_that_fails_does_not_keep_others(compare, tmp_path, arguments):
    # Where the folder of a run should be there is a file.
    changed = changed_by([*arguments, "--epochs=1"])
    runs = tmp_path / "runs" / f"csv{changed}"
    runs.mkdir(parents=True)
    (runs / "static-1-0").write_text("")
    done = compare("--methods=static,small_dense", "--epochs=1", status=1)
    assert "('csv', '1', 'static', 0)" in done.stderr
    assert "small dense" in (tmp_path / "a.md").read_text()
    assert "static" not in (tmp_path / "a.md").read_text()


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--methods=static,sets", "Received: methods=['sets']"),
        ("--methods=tfmot", "Received: tfmot_python=None"),
    ],
)
def test_wrong_methods_are_answered_by_a_message(compare, flag, message):
    failed = compare(flag, status=1)
    assert "Traceback" not in failed.stderr
    assert failed.stderr.endswith(f"{message}\n")
