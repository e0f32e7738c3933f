"""Does the runs of `resumable.py`, and compares how they end."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent


def do_runs(folder, runs):
    """Does runs, each in a process of its own.

    Args:
        folder: `pathlib.Path` of an empty folder to write to.
        runs: Iterable of pairs of the arguments of `resumable.train`, a dict,
            and of the exit code that the run must end with.
    """
    listed, codes = zip(*runs, strict=True)
    (folder / "runs.json").write_text(json.dumps(listed))
    subprocess.run(
        [sys.executable, str(HERE / "resumable.py"), str(folder)],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CUDA_VISIBLE_DEVICES": "-1",
        },
        check=True,
    )
    assert json.loads((folder / "codes.json").read_text()) == [*codes]


def journal_lines(folder, name):
    """What a run noted of its rewirings, a list of dicts."""
    lines = (folder / f"{name}.journal").read_text().splitlines()
    return [json.loads(line) for line in lines]


def assert_ended_the_same(folder, name, other):
    """Compares all variables of two runs, bit for bit."""
    resumed = np.load(folder / f"{name}.npz")
    whole = np.load(folder / f"{other}.npz")
    assert resumed.files == whole.files
    different = [
        file
        for file in whole.files
        if resumed[file].tobytes() != whole[file].tobytes()
    ]
    assert not different
