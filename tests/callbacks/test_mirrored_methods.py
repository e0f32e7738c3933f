"""Every method on two logical CPU devices, in a process of their own."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests.callbacks.mirrored_methods import METHODS

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mirrored")
    subprocess.run(
        [sys.executable, str(HERE / "mirrored_methods.py"), str(folder)],
        env={
            **os.environ,
            "PYTHONPATH": str(HERE.parent.parent),
            "CUDA_VISIBLE_DEVICES": "-1",
        },
        check=True,
    )
    return folder


@pytest.mark.parametrize("name", METHODS)
def test_replicas_are_the_same_at_all_times(folder, name):
    read = dict(np.load(folder / f"{name}.npz"))
    assert {each.split(" ")[1] for each in read} >= {"mask", "value", "slot"}
    for values in read.values():
        assert values.shape[1] == 2
        np.testing.assert_array_equal(values[:, 0], values[:, 1])
    changed = [
        (mask[1:] != mask[:-1]).any()
        for each, mask in read.items()
        if each.endswith("mask")
    ]
    assert changed == [True, True]


@pytest.mark.parametrize("name", METHODS)
def test_weights_and_slots_are_0_where_there_is_no_connection(folder, name):
    read = dict(np.load(folder / f"{name}.npz"))
    for each, values in read.items():
        index, kind = each.split(" ")[:2]
        if kind in ("value", "slot", "signs"):
            mask = read[f"{index} mask"][-len(values) :]
            assert not values[~mask].any(), each
            assert values[mask].any(), each


@pytest.mark.parametrize("momentum", ["0", "0.8"])
def test_gradients_are_those_of_all_replicas_together(folder, momentum):
    arrays = np.load(folder / "gradients.npz")
    for index in range(2):
        noted, expected = arrays[f"{momentum} {index}"]
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(
            noted, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max()
        )
