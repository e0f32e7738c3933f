"""What `python -m keras_sparse_rnn.info` tells."""

import os
import pathlib
import platform
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn
from keras_sparse_rnn import info
from keras_sparse_rnn.engine import library
from keras_sparse_rnn.engine import threads

ROOT = pathlib.Path(__file__).parent.parent

needs_kernels = pytest.mark.skipif(
    not library.is_available(), reason="The native kernels were not built."
)


def printed(text):
    """The lines as a dict: names and values stand two spaces apart."""
    pairs = [line.split("  ", 1) for line in text.splitlines()]
    return {name.strip(): value.strip() for name, value in pairs}


@pytest.fixture(scope="module")
def found():
    done = subprocess.run(
        [sys.executable, "-m", "keras_sparse_rnn.info"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return printed(done.stdout)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("keras_sparse_rnn", keras_sparse_rnn.__version__),
        ("Keras", keras.__version__),
        ("TensorFlow", tf.__version__),
        ("NumPy", np.__version__),
        ("backend", "tensorflow"),
        ("threads", "1"),
    ],
)
def test_versions_backend_and_threads_are_printed(found, name, value):
    if name == "threads" and not library.is_available():
        pytest.skip("The native kernels were not built.")
    assert found[name] == value


def test_python_and_the_platform_are_printed(found):
    assert found["Python"].startswith(f"{platform.python_version()} on ")


@needs_kernels
def test_instruction_sets_and_the_one_in_use_are_printed(found):
    sets = found["native kernels"].split(", ")
    assert tuple(sets) == library.instruction_sets()
    assert found["instruction set in use"] in sets


@needs_kernels
def test_a_dict_tells_the_same():
    told = info.info()
    assert told["threads"] == str(threads.thread_count())
    assert told["instruction set in use"] == library.instruction_set()


def test_without_kernels_it_says_how_to_get_them(monkeypatch, capsys, tmp_path):
    library.load.cache_clear()
    library.missing_reason.cache_clear()
    with monkeypatch.context() as context:
        context.setattr(library, "_PATH", tmp_path / "missing.so")
        info.main()
    library.load.cache_clear()
    library.missing_reason.cache_clear()
    told = printed(capsys.readouterr().out)
    assert "C++17 compiler" in told["native kernels"]
    assert "instruction set in use" not in told
    assert told["keras_sparse_rnn"] == keras_sparse_rnn.__version__
