"""Runs that are killed and resumed, in processes of their own."""

import signal

import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.analysis import load_topologies
from keras_sparse_rnn.engine import library
from tests.callbacks.resumed_runs import assert_ended_the_same
from tests.callbacks.resumed_runs import do_runs
from tests.callbacks.resumed_runs import journal_lines

# Settings, each of which is also trained without being killed.
SETTINGS = {
    "dropout": {"dropout": 0.3, "shuffles": True},
    "set": {"rewiring": {"rule": "set"}},
    "stateful": {"dropout": 0.3, "stateful": True},
    "steps": {"dropout": 0.3, "shuffles": True, "rewiring": {"frequency": 3}},
    "accumulation": {
        "rewiring": {"frequency": 2, "end": 5},
        "optimizer": {
            "class_name": "SGD",
            "config": {
                "learning_rate": 0.05,
                "momentum": 0.9,
                "gradient_accumulation_steps": 3,
                "use_ema": True,
            },
        },
    },
    "averaging": {
        "optimizer": {
            "module": "keras_sparse_rnn.optimizers.averaged_sgd",
            "class_name": "AveragedSGD",
            "config": {"learning_rate": 0.5, "momentum": 0.9},
            "registered_name": "keras_sparse_rnn>AveragedSGD",
        },
        "averaging": {"patience": 1},
        "dropout": 0.1,
    },
}
# The settings, the order of the callbacks, and where a run is killed: epoch,
# batch, and whether at its begin or end.
KILLED = {
    "in the first epoch": ("dropout", "seed set backup kill", [(0, 2, "end")]),
    "just before the first rewiring": (
        "set",
        "kill seed set backup",
        [(1, 0, "begin")],
    ),
    "just after the first rewiring": (
        "dropout",
        "backup set seed kill",
        [(1, 0, "begin")],
    ),
    "twice": (
        "dropout",
        "set backup seed kill",
        [(1, 3, "end"), (3, 1, "end")],
    ),
    "stateful": ("stateful", "set seed backup kill", [(2, 1, "end")]),
    "every few steps": ("steps", "backup seed set kill", [(2, 2, "begin")]),
    "accumulated gradients": (
        "accumulation",
        "seed backup set kill",
        [(2, 1, "end")],
    ),
    "before weights are averaged": (
        "averaging",
        "backup averaging set seed kill",
        [(1, 2, "end")],
    ),
    "while weights are averaged": (
        "averaging",
        "averaging set backup seed kill",
        [(3, 1, "end")],
    ),
}
if library.is_available():
    SETTINGS["native"] = {**SETTINGS["dropout"], "engine": "native"}
    KILLED["natively, within an epoch"] = (
        "native",
        "seed set backup kill",
        [(2, 1, "end")],
    )
# Backups after so many batches, of four in an epoch, and where it is killed.
FREQUENT = {
    "within an epoch": ({"save_freq": 3}, (2, 2, "end")),
    "at its last batch": ({"save_freq": 4}, (2, 2, "end")),
    "with accumulation": (
        {"save_freq": 4, **SETTINGS["accumulation"], "rewiring": {}},
        (2, 2, "end"),
    ),
    "steps, often": (
        {"save_freq": 2, "rewiring": {"frequency": 3}},
        (1, 3, "end"),
    ),
}


def runs():
    """All runs, and the exit codes that they must end with."""
    for name, settings in SETTINGS.items():
        yield {"name": f"whole {name}", **settings}, 0
    for name, (settings, order, kills) in KILLED.items():
        run = {"name": name, "order": order, **SETTINGS[settings]}
        # Other seeds in the processes that resume must make no difference.
        for seed, kill in enumerate(kills, start=1):
            yield {**run, "seed": seed, "kill": kill}, -signal.SIGKILL
        in_first_epoch = kills[0][0] == 0
        yield {**run, "seed": 1 if in_first_epoch else 9}, 0
    for name, (settings, kill) in FREQUENT.items():
        run = {"name": name, **settings}
        yield {**run, "kill": kill}, -signal.SIGKILL
        yield {**run, "seed": 9}, 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all runs are done, each in a process of its own."""
    folder = tmp_path_factory.mktemp("runs")
    do_runs(folder, runs())
    return folder


def journal(folder, name):
    """What happened, one list for each process."""
    processes = []
    for entry in journal_lines(folder, name):
        if entry["event"] == "begins":
            processes.append([])
        processes[-1].append(entry)
    return processes


def begun_with(folder, name):
    return [process[0]["epoch"] for process in journal(folder, name)]


@pytest.mark.parametrize("name", KILLED)
def test_killed_and_resumed_ends_as_if_never_killed(folder, name):
    settings, _, kills = KILLED[name]
    assert begun_with(folder, name) == [0] + [kill[0] for kill in kills]
    assert_ended_the_same(folder, name, f"whole {settings}")
    [process] = journal(folder, f"whole {settings}")
    assert len(process) > 2


def assert_same_masks(topology, other):
    for mask, its in zip(topology.masks, other.masks, strict=True):
        np.testing.assert_array_equal(mask, its)


@pytest.mark.parametrize("name", KILLED)
def test_killed_and_resumed_has_the_same_record_of_topologies(folder, name):
    settings, _, _ = KILLED[name]
    resumed = load_topologies(folder / f"{name}.topologies")
    whole = load_topologies(folder / f"whole {settings}.topologies")
    assert [*resumed] == [*whole] == [0, 1, 2, 3]
    for epoch, topology in whole.items():
        assert_same_masks(resumed[epoch], topology)
    assert ksr.analysis.edit_distance(whole[0], whole[3]) > 0


def test_averaging_begins_within_training(folder):
    whole = np.load(folder / "whole averaging.npz")
    [since] = [
        whole[file] for file in whole.files if file.endswith("averaging_since")
    ]
    # Four batches in each of four epochs.
    assert since == 12


@pytest.mark.parametrize(
    "other", sorted(SETTINGS.keys() - {"dropout", "accumulation"})
)
def test_settings_make_a_difference(folder, other):
    # Else the tests above would show nothing about them.
    first = np.load(folder / "whole dropout.npz")["0 embeddings"]
    second = np.load(folder / f"whole {other}.npz")["0 embeddings"]
    assert first.shape == second.shape
    assert (first != second).any()


@pytest.mark.parametrize(
    ("name", "begun_again"),
    [
        ("within an epoch", 2),
        ("at its last batch", 1),
        ("with accumulation", 1),
    ],
)
def test_no_epoch_is_rewired_twice_with_frequent_backups(
    folder, name, begun_again
):
    first, second = journal(folder, name)
    assert [entry["epoch"] for entry in first[1:]] == [1, 2]
    # The backup is of an epoch that had been rewired: it is begun again.
    begin = second[0]
    assert begin["epoch"] == begin["rewirings"] == begun_again
    rewired = [entry["epoch"] for entry in second[1:]]
    assert rewired == [*range(begun_again + 1, 4)]


def test_steps_between_rewirings_are_kept_with_frequent_backups(folder):
    first, second = journal(folder, "steps, often")
    begin = second[0]
    assert begin["epoch"] == 1
    assert begin["step"] > 4
    assert begin["rewirings"] == 2
    steps = [begin["last_step"]] + [entry["step"] for entry in second[1:]]
    assert len(steps) > 3
    assert set(np.diff(steps)) == {3}
    assert [entry["step"] for entry in first[1:]] == [3, 6]
