"""The kernels in a program of their own, watched by the compiler's sanitizers.

`kernels/exercise.cpp` runs every cell with every instruction set; here it is
built with the flags of the package's own kernels and must find nothing.
"""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess

import pytest

import kernel_flags
from keras_sparse_rnn.engine import library

HERE = pathlib.Path(__file__).parent
EXERCISE = HERE / "kernels" / "exercise.cpp"
KERNELS = HERE.parent.parent / "keras_sparse_rnn" / "engine" / "kernels"
COMPILER = shutil.which("g++")
TASK_OF_A_THREAD = """
#include <thread>
int main() {
  int result = 1;
  std::thread([&] { result = 0; }).join();
  return result;
}
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(COMPILER is None, reason="There is no g++."),
]


def compiled(source, sanitizer, folder):
    """The object file of a source file."""
    result = folder / f"{source.stem}.o"
    command = [
        *(COMPILER, "-c", str(source), "-o", str(result), f"-I{KERNELS}"),
        *kernel_flags.FLAGS,
        *kernel_flags.FLAGS_OF_FILE.get(source.name, []),
        # Of two that contradict each other the last one holds. Following
        # variables would take longer than everything else.
        *("-O1", "-g", "-fno-var-tracking", "-fno-omit-frame-pointer"),
        *(f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all"),
    ]
    subprocess.run(command, check=True)
    return result


def linked(objects, sanitizer, program):
    command = [COMPILER, *map(str, objects), "-o", str(program)]
    subprocess.run(
        [*command, f"-fsanitize={sanitizer}", "-pthread"],
        check=True,
        capture_output=True,
    )


def skip_without(sanitizer, folder):
    """Skips where not even a program of a few lines runs with it."""
    source, program = folder / "task.cpp", folder / "task"
    source.write_text(TASK_OF_A_THREAD)
    try:
        linked([compiled(source, sanitizer, folder)], sanitizer, program)
        subprocess.run([str(program)], check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip()
        pytest.skip(f"-fsanitize={sanitizer} does not work here: {said}")


@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_the_kernels_give_a_sanitizer_nothing_to_say(sanitizer, tmp_path):
    skip_without(sanitizer, tmp_path)
    sources = [EXERCISE, *sorted(KERNELS.glob("*.cpp"))]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        objects = list(
            pool.map(lambda each: compiled(each, sanitizer, tmp_path), sources)
        )
    program = tmp_path / "exercise"
    linked(objects, sanitizer, program)
    done = subprocess.run(
        [str(program)],
        # The others end at their first finding anyway.
        env={**os.environ, "TSAN_OPTIONS": "halt_on_error=1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    run = done.stdout.split()
    assert "plain" in run
    if library.is_available():
        assert tuple(run) == library.instruction_sets()
