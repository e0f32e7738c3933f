"""What runs here: `python -m keras_sparse_rnn.info`."""

import platform

import keras
import numpy as np

from keras_sparse_rnn.engine import library
from keras_sparse_rnn.engine.threads import thread_count
from keras_sparse_rnn.version import __version__


def info():
    """Versions, backend, and what the native engine finds.

    Returns:
        Dict from string to string.
    """
    found = {
        "keras_sparse_rnn": __version__,
        "Keras": keras.__version__,
        "backend": keras.backend.backend(),
        **_tensorflow(),
        "NumPy": np.__version__,
        "Python": f"{platform.python_version()} on {platform.platform()}",
    }
    reason = library.missing_reason()
    if reason:
        return {**found, "native kernels": reason}
    return {
        **found,
        "native kernels": ", ".join(library.instruction_sets()),
        "instruction set in use": library.instruction_set(),
        "threads": str(thread_count()),
    }


def _tensorflow():
    if keras.backend.backend() != "tensorflow":
        return {}
    import tensorflow as tf

    return {"TensorFlow": tf.__version__}


def main():
    found = info()
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:{width}}  {value}")


if __name__ == "__main__":
    main()
