"""Aligned arrays whose memory is used again.

A training step needs tens of megabytes for what it keeps of the time steps.
Fresh memory of that size comes from the operating system page by page, which
takes longer than the arithmetic of a sparse layer.
"""

import os
import threading
import weakref

import numpy as np

_ALIGNMENT = 64  # TensorFlow takes over an array that is so aligned.
_KEPT_BYTES = 1 << 30
# What is smaller is left to NumPy.
_SMALLEST_BYTES = 1 << 14

# Memory may be given back by the collector in the middle of `empty`.
_lock = threading.RLock()
_free = {}
_free_bytes = 0


def empty(shape, dtype=np.float32):
    """An array of undefined content, aligned to 64 bytes.

    Its memory is used again once neither it nor any view of it is left.

    Args:
        shape: Integer or tuple of integers.
        dtype: NumPy dtype. Defaults to `float32`.

    Returns:
        Array.

    Raises:
        MemoryError: If there is not that much memory.
    """
    count = int(np.prod(shape, dtype=np.int64))
    dtype = np.dtype(dtype)
    size = count * dtype.itemsize
    owner = _Owner(_take(_class_of(size)))
    if size >= _SMALLEST_BYTES:
        weakref.finalize(owner, _give_back, owner.memory).atexit = False
    return np.asarray(owner)[:size].view(dtype).reshape(shape)


class _Owner:
    """Base of the arrays: it dies with the last of them."""

    def __init__(self, memory):
        self.memory = memory
        start = -memory.ctypes.data % _ALIGNMENT
        self.__array_interface__ = memory[start:].__array_interface__


def _class_of(size):
    """Sizes that are about the same share memory: an eighth is lost at most."""
    step = 1 << max(size.bit_length() - 4, 0)
    return -(-size // step) * step


def _take(size):
    global _free_bytes
    with _lock:
        same = _free.pop(size, None)
        if same:
            _free_bytes -= size
            taken = same.pop()
            if same:
                _free[size] = same
            return taken
    try:
        return np.empty(size + _ALIGNMENT, np.uint8)
    except MemoryError:
        # Perhaps there is enough once nothing is kept for others.
        _forget()
        return np.empty(size + _ALIGNMENT, np.uint8)


def _forget():
    """Gives back to the system what is not in use."""
    global _free_bytes
    with _lock:
        _free.clear()
        _free_bytes = 0


def _start_anew():
    """In the child of a fork, whose parent may have held the lock."""
    global _lock
    _lock = threading.RLock()
    _forget()


def _give_back(memory):
    global _free_bytes
    size = memory.nbytes - _ALIGNMENT
    with _lock:
        if size > _KEPT_BYTES:
            return
        while _free_bytes + size > _KEPT_BYTES:
            # Of a size that has been there longest: its model may be gone.
            oldest = next(iter(_free))
            _free[oldest].pop()
            _free_bytes -= oldest
            if not _free[oldest]:
                del _free[oldest]
        _free.setdefault(size, []).append(memory)
        _free_bytes += size


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
