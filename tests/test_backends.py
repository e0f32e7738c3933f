import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent


def run(backend, *command):
    path = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, *command],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": os.pathsep.join(path),
        },
        capture_output=True,
        text=True,
        check=False,
    )


# Keras's NumPy backend imports JAX too.
needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed."
)


@needs_jax
def test_layers_rewiring_stripping_and_saving_work_on_jax(tmp_path):
    done = run("jax", str(HERE / "jax_backend.py"), str(tmp_path))
    assert done.returncode == 0, done.stderr


@needs_jax
def test_import_says_in_one_line_that_a_backend_is_untested():
    done = run("numpy", "-W", "always", "-c", "import keras_sparse_rnn")
    lines = [line for line in done.stderr.splitlines() if "UserWarning" in line]
    assert len(lines) == 1, done.stderr
    assert lines[0].endswith("Received: KERAS_BACKEND=numpy")
