"""Native calls that are interrupted, and in processes that fork."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from keras_sparse_rnn.engine import library

HERE = pathlib.Path(__file__).parent

pytestmark = pytest.mark.skipif(
    not library.is_available(), reason="The native kernels were not built."
)


def started(name):
    return subprocess.Popen(
        [sys.executable, str(HERE / "native_processes.py"), name],
        env={
            **os.environ,
            "PYTHONPATH": str(HERE.parent.parent),
            "CUDA_VISIBLE_DEVICES": "-1",
        },
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("name", ["interrupt_a_call", "interrupt_training"])
def test_after_an_interrupt_native_calls_work_again(name):
    with started(name) as process:
        try:
            assert process.stdout.readline() == "works\n"
            # Into the middle of a call, not of what is before it.
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=100)
        finally:
            process.kill()
    assert said.splitlines() == ["interrupted", "works again"]
    assert process.returncode == 0


def said_by(name):
    with started(name) as process:
        try:
            said, _ = process.communicate(timeout=100)
        finally:
            process.kill()
    return said.splitlines()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Nothing forks here.")
def test_a_process_forks_after_native_calls():
    assert said_by("fork") == [
        "works in the child",
        "works in the parent, 0 from the child",
    ]


@pytest.mark.skipif(
    not pathlib.Path("/proc/self/task").exists(),
    reason="The machine does not list a process's threads.",
)
def test_a_child_that_was_forked_during_a_call_has_as_many_threads():
    assert said_by("fork_during_a_call") == [
        "2 threads in the child",
        "0 from the child",
    ]
