"""How many threads the native engine may use."""

import os
import pathlib

_GROUPS = pathlib.Path("/sys/fs/cgroup")


def thread_count(environment=None):
    """The threads that a call of the kernels may use.

    The smallest of: the cores this process may run on, the container's quota
    of processor time, `OMP_NUM_THREADS`, and TensorFlow's
    `intra_op_parallelism_threads`, the latter two where they are set.

    Args:
        environment: Mapping, in place of `os.environ`. Defaults to `None`.

    Returns:
        Integer of at least 1.
    """
    environment = os.environ if environment is None else environment
    limits = [
        _cores(),
        _quota(_GROUPS),
        _number(environment.get("OMP_NUM_THREADS")),
        _tensorflow_threads(),
    ]
    return max(1, min(limit for limit in limits if limit))


def _cores():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(groups):
    """Whole cores of processor time that the control group gives, or `None`."""
    try:
        quota, period = (groups / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (groups / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (groups / "cpu" / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    quota, period = _number(quota), _number(period)
    return -(-quota // period) if quota and period else None


def _number(text):
    """A positive integer, of a list as `4,2` the first; `None` otherwise."""
    first = (text or "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


def _tensorflow_threads():
    import tensorflow as tf

    return tf.config.threading.get_intra_op_parallelism_threads() or None
