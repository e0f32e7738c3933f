"""How many threads the native engine may use."""

import os
import pathlib

_GROUPS = pathlib.Path("/sys/fs/cgroup")
_OWN_GROUPS = pathlib.Path("/proc/self/cgroup")
_VARIABLES = (
    "OMP_NUM_THREADS",
    "OMP_THREAD_LIMIT",
    "TF_NUM_INTRAOP_THREADS",
)


def thread_count(environment=None):
    """The threads that a call of the kernels may use.

    The smallest of: the cores this process may run on, the container's quota
    of processor time, and, where they are set, `OMP_NUM_THREADS`,
    `OMP_THREAD_LIMIT`, `TF_NUM_INTRAOP_THREADS` and TensorFlow's
    `intra_op_parallelism_threads`.

    Args:
        environment: Mapping, in place of `os.environ`. Defaults to `None`.

    Returns:
        Integer of at least 1.
    """
    environment = os.environ if environment is None else environment
    limits = [
        _cores(),
        _quota(_GROUPS, _own_group(_OWN_GROUPS)),
        *(_number(environment.get(name)) for name in _VARIABLES),
        _tensorflow_threads(),
    ]
    return max(1, min(limit for limit in limits if limit))


def _cores():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _own_group(list_of_groups):
    """The process's control group of the second version, a relative path."""
    try:
        lines = list_of_groups.read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        hierarchy, _, path = line.partition("::")
        # What lies outside the container's groups cannot be seen.
        if hierarchy == "0" and ".." not in path:
            return path.lstrip("/")
    return ""


def _quota(groups, own):
    """Whole cores of processor time that the control group gives, or `None`.

    Of the second version each group around it limits it too.
    """
    own = pathlib.PurePosixPath(own)
    quotas = [_second_version(groups / each) for each in (own, *own.parents)]
    quotas.append(_first_version(groups / "cpu"))
    return min(filter(None, quotas), default=None)


def _second_version(group):
    try:
        quota, period = (group / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return _whole_cores(quota, period)


def _first_version(group):
    try:
        quota = (group / "cpu.cfs_quota_us").read_text()
        period = (group / "cpu.cfs_period_us").read_text()
    except OSError:
        return None
    return _whole_cores(quota, period)


def _whole_cores(quota, period):
    quota, period = _number(quota), _number(period)
    return -(-quota // period) if quota and period else None


def _number(text):
    """A positive integer, of a list as `4,2` the first; `None` otherwise."""
    first = (text or "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


def _tensorflow_threads():
    import tensorflow as tf

    return tf.config.threading.get_intra_op_parallelism_threads() or None
