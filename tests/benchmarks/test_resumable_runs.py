import fcntl
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest
from example_run import run_logged
from hypothesis import given
from hypothesis import strategies as st
from resumable_runs import changed_by
from resumable_runs import run_each
from resumable_runs import run_missing
from resumable_runs import stored_results

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"


def test_what_is_stored_is_read(tmp_path):
    path = tmp_path / "a.json"
    assert stored_results(path) == {}
    path.write_text(json.dumps({"machine": {}, "results": {"a": 1}}))
    assert stored_results(str(path)) == {"a": 1}


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        ([], ""),
        (["--units=64"], "+units=64"),
        (["--epochs=2", "--notied"], "+epochs=2+notied"),
        (["--csv=a/b.csv"], "+csv=a%2Fb.csv"),
        (["--title=a+b c"], "+title=a%2Bb%20c"),
    ],
)
def test_keys_say_what_flags_change(arguments, changed):
    assert changed_by(arguments) == changed


words = st.text(st.sampled_from("ab-+=/%. "), min_size=1, max_size=4)
flags = st.lists(words.map("--f{}".format), max_size=3)


@given(flags, flags)
def test_other_flags_are_other_keys_and_all_are_names_of_folders(one, other):
    assert (changed_by(one) == changed_by(other)) == (one == other)
    assert "/" not in changed_by(one)


def failing(names):
    """A function that notes what it is called with, and fails for some."""

    def run(name):
        run.called.append(name)
        if name in names:
            raise subprocess.CalledProcessError(1, ["python"])

    run.called = []
    return run


def test_a_run_that_fails_does_not_keep_others(capsys):
    run = failing("ac")
    assert run_each(iter("abc"), run) == ["a", "c"]
    assert run.called == ["a", "b", "c"]
    assert capsys.readouterr().out.count("failed: ") == 2


def test_what_a_run_that_failed_printed_last_is_shown(tmp_path, capsys):
    program = "print('before'); raise SystemExit('No such flag.\\n\\n')"

    def run(name):
        command = [sys.executable, "-c", program]
        run_logged(command, tmp_path / name, os.environ)

    assert run_each(["a"], run) == ["a"]
    assert capsys.readouterr().out.endswith("\nNo such flag.\n")
    assert (tmp_path / "a.log").read_text().startswith("before\n")


def test_what_an_earlier_run_printed_is_not_shown(tmp_path):
    earlier, failing = (
        [sys.executable, "-c", program]
        for program in ("print('long ago')", "raise SystemExit(3)")
    )
    run_logged(earlier, tmp_path / "a", os.environ)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run_logged(failing, tmp_path / "a", os.environ)
    assert (caught.value.returncode, caught.value.output) == (3, "")


def test_what_a_stopped_benchmark_left_running_is_not_run_beside_it(tmp_path):
    left = [sys.executable, "-c", "print('here', flush=True); input()"]
    benchmark = f"""
import os, pathlib, sys
sys.path.insert(0, {str(BENCHMARKS)!r})
from example_run import run_logged
run_logged({left!r}, pathlib.Path({str(tmp_path / "a")!r}), os.environ)
"""
    log = tmp_path / "a.log"
    with subprocess.Popen(
        [sys.executable, "-c", benchmark], stdin=subprocess.PIPE
    ) as stopped:
        while not (log.exists() and log.read_text()):
            assert stopped.poll() is None
            time.sleep(0.01)
        stopped.kill()
        stopped.wait()
        with pytest.raises(subprocess.CalledProcessError) as caught:
            run_logged([sys.executable, "-c", ""], tmp_path / "a", os.environ)
    assert "Another process" in caught.value.output
    assert log.read_text() == "here\n"
    # What was left running has its input closed by now, and ends.
    with open(log) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
    run_logged([sys.executable, "-c", ""], tmp_path / "a", os.environ)


def test_any_other_error_is_raised():
    with pytest.raises(ZeroDivisionError):
        run_each([0], lambda each: 1 / each)


def test_what_is_missing_is_run_and_reported():
    reports, run = [], failing(["c"])

    def result_of(key, value):
        run(key)
        return -value

    results = {"b": 7, "z": 9}
    failed = run_missing(
        {"a": 1, "b": 2, "c": 3, "d": 4},
        results,
        result_of,
        lambda found: reports.append(dict(found)),
    )
    assert failed == ["c"]
    assert run.called == ["a", "c", "d"]
    assert results == {"b": 7, "z": 9, "a": -1, "d": -4}
    first = {"b": 7, "z": 9, "a": -1}
    assert reports == [first, results, results]


# Runs a benchmark with a stand-in in the place of the example.
STAND_IN = f"""
import json, runpy, sys
sys.path.insert(0, {str(BENCHMARKS)!r})
import example_run

def run_example(script, output, arguments):
    given = dict(each.lstrip("-").partition("=")[::2] for each in arguments)
    with open("calls", "a") as file:
        file.write(json.dumps([str(output), given]) + "\\n")
    result = dict.fromkeys(
        ("training_ratio", "inference_ratio", "valid", "test", "chosen",
        "best", "last", "seconds", "weights", "weights_dense"), 0.5
    )
    result |= {{"epochs": int(given["epochs"]), "chosen_epoch": 1}}
    return {{given["method"]: result}}

example_run.run_example = run_example
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
REAL = {
    "chosen": 0.25,
    "best": 0.25,
    "last": 0.25,
    "test": 0.25,
    "valid": 0.25,
    "training_ratio": 1.0,
    "inference_ratio": 1.0,
    "weights": 1,
    "weights_dense": 4,
    "seconds": 1.0,
    "chosen_epoch": 1,
    "epochs": 10,
}


# Flags, what is stored, the folders of the runs, and what shows the former.
BY_BENCHMARK = {
    "language_tables": (
        ("--rows=lstm-0.67-set-0", "--epochs=2", "--markdown=a.md"),
        {"lstm-0.67-set-0": REAL},
        ["lstm-0.67-set-0+units=8+epochs=2"],
        "sparsity .67\n",
    ),
    "rates_and_sparsities": (
        ("--tasks=ptb", "--argument=--epochs=2", "--figure=a.png"),
        {"ptb-0.67-0.2-0": REAL},
        [
            f"ptb-{point}-0+units=8+epochs=2"
            for point in (
                "dense",
                *("0.525-0.8", "0.67-0.8", "0.8-0.8", "0.9-0.8"),
                *("0.67-0.2", "0.67-0.5"),
            )
        ],
        "75.00%",
    ),
    "compare_methods": (
        (
            *("--methods=static", "--seeds=1", "--epochs=2"),
            *("--markdown=a.md", "--figure=a.png"),
        ),
        {"imdb": {"10": {"static": {"0": REAL}}}},
        ["imdb+units=8+epochs=2/static-10-0"],
        "IMDB, ε = 10\n",
    ),
}


def run_benchmark(folder, *arguments):
    """Runs Python in a folder, with this package, and without a GPU."""
    path = [os.environ.get("PYTHONPATH"), str(ROOT)]
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "CUDA_VISIBLE_DEVICES": "-1",
        },
    )


@pytest.mark.parametrize("name", BY_BENCHMARK)
def test_runs_by_further_flags_are_kept_beside_the_others(name, tmp_path):
    flags, stored, folders, shown = BY_BENCHMARK[name]
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"results": stored}))
    done = run_benchmark(
        tmp_path,
        *("-c", STAND_IN, BENCHMARKS / f"{name}.py"),
        *("--argument=--units=8", "--runs=runs", "--json=a.json", *flags),
        "--data_dir=none",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    calls = [
        json.loads(line)
        for line in (tmp_path / "calls").read_text().splitlines()
    ]
    assert [folder for folder, _ in calls] == [
        str(pathlib.Path("runs", each)) for each in folders
    ]
    for _, given_flags in calls:
        assert (given_flags["units"], given_flags["epochs"]) == ("8", "2")
    written = stored_results(path)
    assert written.items() >= stored.items()
    keys = {each.partition("/")[0] for each in folders}
    assert written.keys() == stored.keys() | keys
    # Both are shown, these under a name that says what is changed.
    assert "+units=8+epochs=2" in done.stdout
    assert shown in done.stdout


def test_what_is_all_stored_is_shown_without_a_folder(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"results": {"lstm-0.67-set-0": REAL}}))
    done = run_benchmark(
        tmp_path,
        BENCHMARKS / "language_tables.py",
        *("--json=a.json", "--markdown=a.md", "--rows=lstm-0.67-set-0"),
    )
    assert done.returncode == 0, done.stderr
    assert "### LSTM, 2 × 200 units" in (tmp_path / "a.md").read_text()


@pytest.mark.parametrize("name", ["language_tables", "rates_and_sparsities"])
def test_a_folder_is_asked_for_before_anything_runs(name, tmp_path):
    done = run_benchmark(
        tmp_path,
        BENCHMARKS / f"{name}.py",
        *("--runs=runs", "--json=none.json"),
    )
    assert done.returncode == 1
    assert done.stderr.endswith("folder. Received: data_dir=None\n")
    assert not list(tmp_path.iterdir())
