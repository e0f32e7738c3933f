"""Memory that is used again: never while anything still reads it."""

import gc
import os
import signal
import threading

import numpy as np
import pytest

from keras_sparse_rnn.engine import memory


@pytest.mark.parametrize("shape", [3, (5, 7), (1000, 300), (0, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, bool])
def test_arrays_are_aligned_and_writable(shape, dtype):
    array = memory.empty(shape, dtype)
    assert array.shape == (shape if isinstance(shape, tuple) else (shape,))
    assert array.dtype == dtype
    assert array.ctypes.data % 64 == 0 or not array.size
    assert array.flags.c_contiguous
    assert array.flags.writeable


def test_memory_is_used_again_when_the_last_view_is_gone():
    array = memory.empty((123, 457))
    address = array.ctypes.data
    view = array[3:].T
    del array
    gc.collect()
    other = memory.empty((123, 457))
    assert other.ctypes.data != address
    del view
    gc.collect()
    assert memory.empty((123, 457)).ctypes.data == address


def test_two_arrays_at_a_time_never_share_memory():
    arrays = [memory.empty(20_011) for _ in range(8)]
    for index, array in enumerate(arrays):
        array[:] = index
    del arrays[::2]
    gc.collect()
    arrays += [memory.empty(20_011) for _ in range(8)]
    for array in arrays[4:]:
        array[:] = -1
    assert [array[0] for array in arrays[:4]] == [1, 3, 5, 7]
    assert len({array.ctypes.data for array in arrays}) == len(arrays)


def test_sizes_that_are_about_the_same_share_memory():
    array = memory.empty(1_000_003)
    address = array.ctypes.data
    del array
    gc.collect()
    other = memory.empty(1_000_500)
    assert other.ctypes.data == address
    other[:] = 1


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1000, (1 << 20) + 1])
def test_little_is_lost_by_sharing(size):
    assert size <= memory._class_of(size) <= size * 9 / 8 + 1


def test_what_is_kept_is_limited(monkeypatch):
    monkeypatch.setattr(memory, "_KEPT_BYTES", 1 << 20)
    for size in range(100_000, 100_040):
        memory.empty(size)
    assert memory._free_bytes <= 1 << 20
    held = sum(
        each.nbytes - 64 for free in memory._free.values() for each in free
    )
    assert held == memory._free_bytes


def test_more_than_there_is_raises():
    with pytest.raises(MemoryError):
        memory.empty(1 << 50)


def test_what_is_kept_is_given_up_where_memory_is_short(monkeypatch):
    memory.empty(50_000)
    gc.collect()
    assert memory._free
    allocate, failures = np.empty, [MemoryError()]

    def short(*arguments):
        if failures:
            raise failures.pop()
        return allocate(*arguments)

    monkeypatch.setattr(memory.np, "empty", short)
    array = memory.empty(70_000_000)
    assert array.shape == (70_000_000,)
    assert not memory._free
    assert memory._free_bytes == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Nothing forks here.")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning")
def test_a_child_does_not_wait_for_a_thread_of_its_parent():
    held, done = threading.Event(), threading.Event()

    def hold():
        with memory._lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        child = os.fork()
        if not child:
            signal.alarm(20)  # ends a child that waits
            memory.empty(50_000)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        done.set()
        thread.join()
