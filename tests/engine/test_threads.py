"""Limits on threads: the smallest one holds."""

import os
import subprocess
import sys

import pytest

from keras_sparse_rnn.engine import threads

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("1,4", 1),
        ("100000", CORES),
        ("", CORES),
        ("0", CORES),
        ("many", CORES),
    ],
)
def test_the_users_limit(monkeypatch, text, expected):
    monkeypatch.setattr(threads, "_quota", lambda _: None)
    assert threads.thread_count({"OMP_NUM_THREADS": text}) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max 100000", None),
        ("100000 100000", 1),
        ("250000 100000", 3),
        ("50000 100000", 1),
        ("broken", None),
    ],
)
def test_a_quota_of_the_second_version(tmp_path, text, expected):
    (tmp_path / "cpu.max").write_text(text + "\n")
    assert threads._quota(tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", None), ("200000", 2)])
def test_a_quota_of_the_first_version(tmp_path, quota, expected):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota + "\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert threads._quota(tmp_path) == expected


def test_no_quota(tmp_path):
    assert threads._quota(tmp_path) is None


def test_tensorflows_limit_and_the_cores_of_the_process():
    code = (
        "import tensorflow as tf\n"
        "tf.config.threading.set_intra_op_parallelism_threads(1)\n"
        "from keras_sparse_rnn.engine.threads import thread_count\n"
        "print(thread_count({}))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert done.stdout.strip() == "1"
