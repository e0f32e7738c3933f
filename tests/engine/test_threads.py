"""Limits on threads: the smallest one holds."""

import os
import subprocess
import sys

import pytest

from keras_sparse_rnn.engine import threads

VARIABLES = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "TF_NUM_INTRAOP_THREADS")


@pytest.fixture
def _many_cores(monkeypatch):
    monkeypatch.setattr(threads, "_cores", lambda: 16)
    monkeypatch.setattr(threads, "_quota", lambda *_: None)
    monkeypatch.setattr(threads, "_tensorflow_threads", lambda: None)


@pytest.mark.usefixtures("_many_cores")
@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        (" 3 ", 3),
        ("2,4", 2),
        ("100000", 16),
        ("", 16),
        ("0", 16),
        ("-2", 16),
        ("many", 16),
    ],
)
def test_the_users_limit(variable, text, expected):
    assert threads.thread_count({variable: text}) == expected


@pytest.mark.usefixtures("_many_cores")
@pytest.mark.parametrize("smallest", VARIABLES)
def test_the_smallest_of_the_users_limits_holds(smallest):
    limits = {**dict.fromkeys(VARIABLES, "8"), smallest: "5"}
    assert threads.thread_count(limits) == 5


def quota(folder, limits, own):
    """The quota where these groups have limits of the second version."""
    for group, text in limits.items():
        (folder / group).mkdir(parents=True, exist_ok=True)
        (folder / group / "cpu.max").write_text(text + "\n")
    listed = folder / "cgroup"
    listed.write_text(own)
    return threads._quota(folder, threads._own_group(listed))


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
    assert quota(tmp_path, {"": text}, "0::/\n") == expected


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"a/b/c": "300000 100000"}, 3),
        ({"a": "200000 100000", "a/b/c": "max 100000"}, 2),
        ({"": "max 100000", "a/b": "100000 50000", "a": "9 1"}, 2),
        ({"a/b/c": "broken", "a/b": "400000 100000"}, 4),
        ({"a/other": "100000 100000"}, None),
    ],
)
def test_the_quotas_of_the_own_group_and_of_those_around_it(
    tmp_path, limits, expected
):
    own = "3:cpuset:/a/other\n0::/a/b/c\n"
    assert quota(tmp_path, limits, own) == expected


@pytest.mark.parametrize("own", ["", "nothing known\n", "0::/../../other\n"])
def test_without_a_group_of_its_own_the_first_groups_quota_holds(tmp_path, own):
    limits = {"": "300000 100000", "other": "100000 100000"}
    assert quota(tmp_path, limits, own) == 3


@pytest.mark.parametrize(("of_time", "expected"), [("-1", None), ("200000", 2)])
def test_a_quota_of_the_first_version(tmp_path, of_time, expected):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(of_time + "\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert threads._quota(tmp_path, "") == expected


def test_no_quota(tmp_path):
    assert threads._own_group(tmp_path / "missing") == ""
    assert threads._quota(tmp_path, "") is None


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
