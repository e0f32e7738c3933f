"""Runs of every method that are killed and resumed, in their own processes."""

import signal

import numpy as np
import pytest

from tests.callbacks.resumed_runs import assert_ended_the_same
from tests.callbacks.resumed_runs import do_runs
from tests.callbacks.resumed_runs import journal_lines

# Of each method its callback; the optimizer; the order of the callbacks, in
# which `set` stands for it; and where it is killed: epoch, batch, and whether
# at its begin or end. There are four epochs of four batches.
CASES = {
    "RigL, steps": (
        {"name": "RigLCallback", "rewire_rate": 0.5, "frequency": 3},
        "adam",
        "backup set seed kill",
        (2, 1, "end"),
    ),
    "RigL, epochs": (
        {"name": "RigLCallback", "rewire_rate": 0.5, "frequency": "epoch"},
        "rmsprop",
        "seed set backup kill",
        (2, 0, "end"),
    ),
    # Its averaged gradient.
    "SNFS": (
        {"name": "SNFSCallback", "rewire_rate": 0.5, "momentum": 0.95},
        "adamw",
        "seed backup set kill",
        (2, 2, "begin"),
    ),
    # Its threshold.
    "DSR": (
        {"name": "DSRCallback", "rewire_rate": 0.3},
        {"class_name": "SGD", "config": {"momentum": 0.9}},
        "backup seed set kill",
        (2, 1, "end"),
    ),
    # Its signs, and when it walked last.
    "DeepR": (
        {
            "name": "DeepRCallback",
            "l1": 1.0,
            "temperature": 1e-3,
            "frequency": 3,
        },
        "adam",
        "backup set seed kill",
        (2, 1, "end"),
    ),
    "pruning by steps": (
        {
            "name": "MagnitudePruningCallback",
            "final_sparsity": 0.9,
            "frequency": 3,
        },
        "adagrad",
        "seed backup set kill",
        (2, 1, "end"),
    ),
    # What the schedule says at step 7 is done at step 10, and nothing before:
    # a run that is resumed at step 8 must ask about step 7 as well.
    "one shot": (
        {
            "name": "MagnitudePruningCallback",
            "schedule": ["OneShotSparsity", {"final_sparsity": 0.9, "step": 7}],
            "frequency": 5,
        },
        "adam",
        "seed set backup kill",
        (2, 1, "end"),
    ),
    # It ends after the last time, at step 12: the last batch makes up for it.
    "passed over": (
        {
            "name": "MagnitudePruningCallback",
            "schedule": ["CubicSparsity", {"final_sparsity": 0.9, "end": 14}],
            "frequency": 6,
        },
        "adam",
        "seed set backup kill",
        (3, 1, "end"),
    ),
    # The same with epochs: what it says at epoch 1 is done at epoch 2.
    "one shot by epochs": (
        {
            "name": "MagnitudePruningCallback",
            "schedule": ["OneShotSparsity", {"final_sparsity": 0.9, "step": 1}],
            "frequency": "2 epochs",
        },
        "adam",
        "seed set backup kill",
        (2, 0, "begin"),
    ),
    "GraNet": (
        {
            "name": "RewiringCallback",
            "rewire_rate": 0.5,
            "rule": "rigl",
            "frequency": 3,
            "schedule": [
                "CubicSparsity",
                {"final_sparsity": 0.9, "end": 12, "initial_sparsity": 0.5},
            ],
            "pruned_together": True,
        },
        "adam",
        "backup set seed kill",
        (3, 0, "end"),
    ),
}


def runs():
    """All runs, and the exit codes that they must end with."""
    for name, (method, optimizer, order, kill) in CASES.items():
        run = {"method": method, "optimizer": optimizer, "order": order}
        yield {**run, "name": f"whole {name}"}, 0
        yield {**run, "name": name, "kill": kill}, -signal.SIGKILL
        # Another seed in the process that resumes makes no difference.
        yield {**run, "name": name, "seed": 9}, 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all runs are done, each in a process of its own."""
    folder = tmp_path_factory.mktemp("runs")
    do_runs(folder, runs())
    return folder


@pytest.mark.parametrize("name", CASES)
def test_killed_and_resumed_ends_as_if_never_killed(folder, name):
    assert_ended_the_same(folder, name, f"whole {name}")
    assert journal_lines(folder, name)[-1]["rewirings"] > 0


@pytest.mark.parametrize(
    ("name", "kept"),
    [("SNFS", "momentum"), ("DeepR", "signs"), ("DSR", "rewiring_levels")],
)
def test_what_a_method_carries_along_is_there(folder, name, kept):
    whole = np.load(folder / f"whole {name}.npz")
    names = ("embeddings", "kernel", "recurrent_kernel")
    suffixes = tuple(f" {each}_{kept}" for each in names)
    arrays = [whole[file] for file in whole.files if file.endswith(suffixes)]
    assert len(arrays) == 3
    assert all(array.any() for array in arrays)
