"""The library of the kernels: found, refused, and as Python takes it to be."""

import ctypes
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from keras_sparse_rnn.engine import compressed
from keras_sparse_rnn.engine import library

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
HEADER_FOLDER = pathlib.Path(library.__file__).with_name("kernels")
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")

needs_kernels = pytest.mark.skipif(
    not library.is_available(), reason="The native kernels were not built."
)
needs_compiler = pytest.mark.skipif(
    COMPILER is None, reason="There is no C compiler."
)


def needs_tool(name):
    return pytest.mark.skipif(
        shutil.which(name) is None, reason=f"There is no {name}."
    )


@pytest.fixture
def fresh(monkeypatch):
    """As in a process that has not loaded anything yet."""

    def forget():
        library.load.cache_clear()
        library.missing_reason.cache_clear()

    before = library.instruction_set() if library.is_available() else None
    forget()
    yield monkeypatch
    monkeypatch.undo()
    forget()
    if before:
        library.use_instruction_set(before)


def refusal():
    """What `load` says, which the other ways to ask must say too."""
    with pytest.raises(library.NativeKernelsError) as caught:
        library.load()
    text = str(caught.value)
    assert library.missing_reason() == text
    assert not library.is_available()
    assert "Received: " in text
    return text


def assert_says_how_to_get_kernels(text):
    assert "C++17 compiler" in text
    assert "--force-reinstall" in text


def test_without_a_file_the_error_says_how_to_get_it(fresh, tmp_path):
    path = tmp_path / "missing.so"
    fresh.setattr(library, "_PATH", path)
    text = refusal()
    assert "were not built" in text
    assert_says_how_to_get_kernels(text)
    assert text.endswith(f"Received: no file {path}")


def test_a_compiler_is_not_advised_where_it_would_not_help():
    assert_says_how_to_get_kernels(library.how_to_get_them("posix"))
    text = library.how_to_get_them("nt")
    assert "compiler" not in text
    assert "runs on Linux and macOS" in text


@pytest.mark.parametrize(
    "content", [b"", b"no library", b"\x7fELF" + bytes(60)], ids=len
)
def test_a_file_that_is_no_library_is_refused(fresh, tmp_path, content):
    path = tmp_path / "broken.so"
    path.write_bytes(content)
    fresh.setattr(library, "_PATH", path)
    text = refusal()
    assert "cannot be loaded" in text
    assert_says_how_to_get_kernels(text)


def build_library(folder, code):
    source, path = folder / "other.c", folder / "other.so"
    source.write_text(code)
    command = [COMPILER, "-shared", "-fPIC", str(source), "-o", str(path)]
    subprocess.run(command, check=True)
    return path


@needs_compiler
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("int other(void) { return 1; }", "cannot be loaded"),
        (
            "int ksr_interface_version(void) { return 999; }",
            "of another version",
        ),
    ],
    ids=["of something else", "of another version"],
)
def test_another_library_is_refused(fresh, tmp_path, code, message):
    fresh.setattr(library, "_PATH", build_library(tmp_path, code))
    text = refusal()
    assert message in text
    assert_says_how_to_get_kernels(text)


@needs_kernels
def test_the_version_received_and_the_one_expected_are_named(fresh):
    fresh.setattr(library, "_INTERFACE_VERSION", 1234)
    assert refusal().endswith("expected 1234")


@needs_kernels
@pytest.mark.parametrize("name", ["sse9", "AVX2", " plain", "plain,avx2"])
def test_an_unknown_instruction_set_in_the_environment_is_refused(fresh, name):
    fresh.setenv(library.INSTRUCTION_SET_VARIABLE, name)
    text = refusal()
    assert f"Received: {name!r}" in text
    assert library.INSTRUCTION_SET_VARIABLE in text
    assert str(library.INSTRUCTION_SETS) in text


@needs_kernels
def test_the_environment_chooses_the_instruction_set(fresh):
    for name in library.instruction_sets():
        fresh.setenv(library.INSTRUCTION_SET_VARIABLE, name)
        library.load.cache_clear()
        assert library.instruction_set() == name


@needs_kernels
def test_an_instruction_set_is_chosen_and_given_back():
    before = library.instruction_set()
    for name in library.instruction_sets():
        library.use_instruction_set(name)
        assert library.instruction_set() == name
    library.use_instruction_set(before)
    with pytest.raises(library.NativeKernelsError, match="Received: 'sse9'"):
        library.use_instruction_set("sse9")
    assert library.instruction_set() == before


@needs_kernels
@pytest.mark.skipif(
    not pathlib.Path("/proc/cpuinfo").exists(),
    reason="The machine does not list its processor's features.",
)
def test_what_the_processor_has_is_listed_the_best_first():
    features = set(pathlib.Path("/proc/cpuinfo").read_text().split())
    needed = {
        "avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl"},
        "avx2": {"avx2", "fma"},
        "plain": set(),
    }
    assert list(needed) == [*library.INSTRUCTION_SETS]
    assert library.instruction_sets() == tuple(
        name for name, all_of in needed.items() if all_of <= features
    )


def of_library(*command):
    """The lines that a tool prints of the library, in English."""
    done = subprocess.run(
        [*command, str(library._PATH)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    return done.stdout.splitlines()


@needs_kernels
@needs_tool("nm")
def test_nothing_but_the_interface_is_exported():
    lines = of_library("nm", "-D", "--defined-only")
    names = {line.split()[-1] for line in lines}
    header = (HEADER_FOLDER / "recurrence.h").read_text()
    assert len(names) > 5
    for name in names:
        assert name.startswith("ksr_"), name
        assert f"{name}(" in header, name


@needs_kernels
@needs_tool("readelf")
def test_no_library_of_python_or_of_a_compiler_is_needed():
    lines = of_library("readelf", "--dynamic")
    needed = {
        line.split("[")[1].split(".so")[0]
        for line in lines
        if "(NEEDED)" in line
    }
    assert "libc" in needed
    assert needed <= {"libc", "libm", "libpthread", "ld-linux-x86-64"} | {
        "ld-linux-aarch64"
    }


@needs_kernels
@needs_tool("readelf")
def test_no_newer_glibc_is_needed_than_threads_are_of():
    lines = of_library("readelf", "--version-info")
    versions = [
        tuple(map(int, version.split(".")))
        for version in re.findall(r"\bGLIBC_([\d.]+)", "\n".join(lines))
    ]
    if not versions:
        pytest.skip("The system's C library is not glibc.")
    # `pthread_create` has been part of the C library itself since then. What
    # a static C++ library would bring along needs newer ones.
    assert max(versions) <= (2, 34)


@needs_kernels
@needs_tool("nm")
def test_no_function_of_python_numpy_tensorflow_or_cpp_is_called():
    lines = of_library("nm", "-D", "--undefined-only")
    names = {line.split()[-1] for line in lines}
    assert any(name.startswith("memset") for name in names)
    # Names of C++ begin with `_Z`.
    foreign = ("Py", "_Py", "npy_", "NPY_", "TF_", "_Z", "_Unwind")
    assert not [name for name in names if name.startswith(foreign)]


STRUCTURES = {
    "KsrLists": library._Lists,
    "KsrRecurrence": library.Recurrence,
    "KsrSizes": library.Sizes,
}


@needs_compiler
def test_structures_are_laid_out_as_in_the_header(tmp_path):
    lines, expected = [], {}
    for name, structure in STRUCTURES.items():
        fields = [field for field, _ in structure._fields_]
        expected[name] = ctypes.sizeof(structure)
        lines.append(f'printf("{name} %zu\\n", sizeof(struct {name}));')
        for field in fields:
            described = getattr(structure, field)
            where = f"{name}.{field}"
            expected[f"{where}.offset"] = described.offset
            expected[f"{where}.size"] = described.size
            lines += [
                f'printf("{where}.offset %zu\\n", '
                f"offsetof(struct {name}, {field}));",
                f'printf("{where}.size %zu\\n", '
                f"sizeof(((struct {name}*)0)->{field}));",
            ]
    constants = {
        "KSR_INTERFACE_VERSION": library._INTERFACE_VERSION,
        "KSR_PADDING": compressed.PADDING,
        "KSR_GROUP": compressed.GROUP,
        "KSR_LSTM": compressed.LSTM.number,
        "KSR_GRU_RESET_AFTER": compressed.GRU_RESET_AFTER.number,
        "KSR_GRU_RESET_BEFORE": compressed.GRU_RESET_BEFORE.number,
        "KSR_SIMPLE_RNN_TANH": compressed.SIMPLE_RNN_TANH.number,
        "KSR_SIMPLE_RNN_RELU": compressed.SIMPLE_RNN_RELU.number,
        "KSR_OK": 0,
    }
    expected |= constants
    lines += [f'printf("{name} %d\\n", {name});' for name in constants]
    source, program = tmp_path / "layout.c", tmp_path / "layout"
    source.write_text(
        "#include <stddef.h>\n#include <stdio.h>\n"
        '#include "recurrence.h"\n'
        "int main(void) {\n" + "\n".join(lines) + "\nreturn 0;\n}\n"
    )
    subprocess.run(
        [
            *(COMPILER, "-std=c99", "-Werror", f"-I{HEADER_FOLDER}"),
            *(str(source), "-o", str(program)),
        ],
        check=True,
    )
    done = subprocess.run(
        [str(program)], capture_output=True, text=True, check=True
    )
    printed = dict(line.split() for line in done.stdout.splitlines())
    assert {name: int(value) for name, value in printed.items()} == expected


@needs_compiler
def test_every_status_of_the_header_has_a_reason():
    header = (HEADER_FOLDER / "recurrence.h").read_text()
    body = header.split("enum KsrStatus {")[1].split("}")[0]
    numbers = {int(line.split("=")[1].rstrip(",")) for line in lines_of(body)}
    assert numbers == {0, *library._REASONS}
    library.check(0, "a layer")
    for number in numbers - {0}:
        with pytest.raises(library.NativeKernelsError) as caught:
            library.check(number, "a layer")
        assert str(caught.value).startswith("a layer: the native engine was")
        assert library._REASONS[number] in str(caught.value)
        assert str(caught.value).endswith(f"Received: status={number}")


def lines_of(text):
    return [line for line in text.splitlines() if line.strip()]


def test_a_status_that_nobody_knows_is_an_error_too():
    with pytest.raises(library.NativeKernelsError, match="status=99"):
        library.check(99, "a layer")
