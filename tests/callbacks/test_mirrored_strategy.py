"""Two logical CPU devices, in a process that was started for them."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from keras_sparse_rnn.engine import library

HERE = pathlib.Path(__file__).parent
BATCHES = 4 * 3 + 4 * 2


@pytest.fixture(scope="module", params=["masked", "native"])
def engine(request):
    if request.param == "native" and not library.is_available():
        pytest.skip("The native kernels were not built.")
    return request.param


@pytest.fixture(scope="module")
def folder(tmp_path_factory, engine):
    folder = tmp_path_factory.mktemp("mirrored")
    subprocess.run(
        [sys.executable, str(HERE / "mirrored.py"), str(folder), engine],
        env={
            **os.environ,
            "PYTHONPATH": str(HERE.parent.parent),
            "CUDA_VISIBLE_DEVICES": "-1",
        },
        check=True,
    )
    return folder


@pytest.fixture(scope="module")
def replicas(folder):
    return dict(np.load(folder / "replicas.npz"))


def test_masks_are_the_same_on_both_replicas_at_all_times(replicas):
    for index in range(3):
        mask = replicas[f"{index} mask"]
        # Read before each batch, and after each of the two trainings.
        assert mask.shape[:2] == (BATCHES + 2, 2)
        np.testing.assert_array_equal(mask[:, 0], mask[:, 1])
        counts = mask.sum(axis=(1, 2, 3))
        assert (counts == counts[0]).all()
        changed = (mask[1:] != mask[:-1]).any(axis=(1, 2, 3))
        # By epochs, then every 3 steps; the state at the end of the first
        # training, before step 12, is there twice.
        assert np.flatnonzero(changed).tolist() == [3, 7, 12, 15, 18]


def test_weights_and_slots_are_the_same_and_0_where_empty(replicas):
    seen = set()
    for name, values in replicas.items():
        index, kind = name.split(" ")[:2]
        if kind == "mask":
            continue
        mask = replicas[f"{index} mask"]
        values = values[-len(mask) :]
        # Slots are there after the first batch only.
        mask = mask[-len(values) :]
        np.testing.assert_array_equal(values[:, 0], values[:, 1])
        assert values[mask].any(), name
        assert not values[~mask].any(), name
        seen.add((index, name.rsplit("_", 1)[-1] if kind == "slot" else kind))
    kinds = ("value", "momentum", "velocity", "average")
    assert seen == {(str(i), kind) for i in range(3) for kind in kinds}


def test_loss_before_the_first_rewiring_is_that_of_one_replica(folder):
    two, one = json.loads((folder / "losses.json").read_text())
    assert abs(two - one) < 1e-4
    assert one > 0.1


def test_native_calls_of_replicas_run_at_the_same_time(folder, engine):
    met, missed = json.loads((folder / "meetings.json").read_text())
    # In each of four batches both meet, and never one alone.
    assert (met, missed) == ((8, 0) if engine == "native" else (0, 0))
