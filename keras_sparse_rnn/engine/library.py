"""The native kernels, loaded by ctypes.

The library is compiled when the package is installed (`setup.py`). It knows
neither Python nor NumPy nor TensorFlow, so one binary serves all versions.
"""

import ctypes
import functools
import os
import pathlib

INSTRUCTION_SETS = ("avx512", "avx2", "plain")
INSTRUCTION_SET_VARIABLE = "KERAS_SPARSE_RNN_INSTRUCTION_SET"

_INTERFACE_VERSION = 5
_PATH = pathlib.Path(__file__).with_name("_native_kernels.so")


def how_to_get_them(system=os.name):
    """What to do where there are no kernels.

    Args:
        system: String, the system's name as `os.name` gives it. Defaults to
            this one's.

    Returns:
        String, the end of a sentence.
    """
    if system == "nt":
        # They are compiled with flags of GCC's and Clang's.
        return "the native engine runs on Linux and macOS, not on Windows"
    return (
        "install a C++17 compiler (Debian and Ubuntu: `apt-get install g++`), "
        "then install keras_sparse_rnn again with `--force-reinstall "
        "--no-cache-dir`"
    )


class NativeKernelsError(RuntimeError):
    """The native kernels are not there, or refused what they were given."""


class _Lists(ctypes.Structure):
    _fields_ = [
        ("sums", ctypes.c_int64),
        ("starts", ctypes.c_void_p),
        ("sources", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
        ("order", ctypes.c_void_p),
    ]


class Recurrence(ctypes.Structure):
    """`KsrRecurrence` of `kernels/recurrence.h`, which says what is what."""

    _fields_ = [
        *(
            (name, ctypes.c_int32)
            for name in (
                "cell",
                "threads",
                "backwards",
                "keeps_steps",
                "keeps_gates",
                "tied",
            )
        ),
        *(
            (name, ctypes.c_int64)
            for name in (
                "batch",
                "steps",
                "inputs",
                "units",
                "input_copies",
                "state_copies",
            )
        ),
        ("rows", _Lists),
        ("features", _Lists),
        *(
            (name, ctypes.c_void_p)
            for name in (
                "bias",
                "sequences",
                "counts",
                "input_dropout",
                "recurrent_dropout",
                "initial_state",
                "initial_carry",
                "outputs",
                "final_state",
                "final_carry",
                "kept",
                "scratch",
                "outputs_gradient",
                "final_state_gradient",
                "final_carry_gradient",
                "sequences_gradient",
                "initial_state_gradient",
                "initial_carry_gradient",
                "weights_gradient",
                "bias_gradient",
            )
        ),
    ]


class Sizes(ctypes.Structure):
    """`KsrSizes` of `kernels/recurrence.h`."""

    _fields_ = [
        (name, ctypes.c_int64)
        for name in (
            "rows_per_unit",
            "features",
            "connections",
            "gradient_copies",
            "kept",
            "forward_scratch",
            "backward_scratch",
        )
    ]


BAD_CONNECTIONS = 2
_REASONS = {
    1: "sizes that do not fit together",
    BAD_CONNECTIONS: "connections that are out of range or not in order",
    3: "an instruction set that this machine does not have",
}


def check(status, owner):
    """Raises for anything but success.

    Args:
        status: Integer that a kernel returned.
        owner: String that names the layer.

    Raises:
        NativeKernelsError: If the status is not 0.
    """
    if status:
        raise NativeKernelsError(
            f"{owner}: the native engine was given "
            f"{_REASONS.get(status, 'something it does not know')}. "
            f"Received: status={status}"
        )


@functools.cache
def load():
    """The library.

    Returns:
        `ctypes.CDLL` whose functions are those of `kernels/recurrence.h`.

    Raises:
        NativeKernelsError: If it was not built, cannot be loaded, is of
            another version, or lacks the instruction set asked for.
    """
    if not _PATH.exists():
        raise NativeKernelsError(
            "The native kernels were not built when keras_sparse_rnn was "
            f"installed: {how_to_get_them()}. Received: no file {_PATH}"
        )
    try:
        library = ctypes.CDLL(str(_PATH))
        version = library.ksr_interface_version()
    except (OSError, AttributeError) as error:
        raise NativeKernelsError(
            f"The native kernels cannot be loaded: {how_to_get_them()}. "
            f"Received: {error}"
        ) from error
    if version != _INTERFACE_VERSION:
        raise NativeKernelsError(
            f"The native kernels are of another version: {how_to_get_them()}. "
            f"Received: version={version}, expected {_INTERFACE_VERSION}"
        )
    _declare(library)
    wanted = os.environ.get(INSTRUCTION_SET_VARIABLE)
    if wanted:
        _use(library, wanted)
    return library


def is_available():
    """Whether the kernels can be loaded."""
    return missing_reason() is None


@functools.cache
def missing_reason():
    """String that says why the kernels cannot be loaded, or `None`."""
    try:
        load()
    except NativeKernelsError as error:
        return str(error)
    return None


def instruction_set():
    """String, the instruction set of the kernels in use."""
    return load().ksr_instruction_set().decode()


def instruction_sets():
    """Tuple of the instruction sets that this machine has kernels for."""
    library = load()
    return tuple(
        name
        for name in INSTRUCTION_SETS
        if library.ksr_has_instruction_set(name.encode())
    )


def use_instruction_set(name):
    """Chooses the kernels of an instruction set, for comparison and tests.

    Args:
        name: String, one of `instruction_sets()`.

    Raises:
        NativeKernelsError: If the machine lacks it.
    """
    _use(load(), name)


def _use(library, name):
    if library.ksr_use_instruction_set(name.encode()):
        raise NativeKernelsError(
            f"The instruction set must be one of {INSTRUCTION_SETS} that this "
            f"machine has. Received: {name!r}, in {INSTRUCTION_SET_VARIABLE} "
            "or `use_instruction_set()`"
        )


def _declare(library):
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    threads = ctypes.c_int32
    recurrence = ctypes.POINTER(Recurrence)
    matrices = [pointer, count, pointer, count, pointer, count]
    for name, result, arguments in (
        ("ksr_has_instruction_set", ctypes.c_int32, [ctypes.c_char_p]),
        ("ksr_use_instruction_set", ctypes.c_int32, [ctypes.c_char_p]),
        ("ksr_instruction_set", ctypes.c_char_p, []),
        (
            "ksr_sizes",
            ctypes.c_int32,
            [recurrence, ctypes.POINTER(Sizes)],
        ),
        ("ksr_check_connections", ctypes.c_int32, [recurrence]),
        ("ksr_forward", ctypes.c_int32, [recurrence]),
        ("ksr_backward", ctypes.c_int32, [recurrence]),
        ("ksr_checksum", ctypes.c_uint64, [pointer, count]),
        ("ksr_gather", ctypes.c_int32, [*matrices, pointer, threads]),
        ("ksr_scatter", ctypes.c_int32, [*matrices, pointer, threads]),
    ):
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
