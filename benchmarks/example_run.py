"""Runs an example in a process of its own, or what is left of a run."""

import fcntl
import json
import os
import pathlib
import subprocess
import sys

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "examples"


def run_example(script, output, arguments):
    """Runs an example unless it is done, and reads what it gave.

    Args:
        script: String, the name of the example's file.
        output: `pathlib.Path` of the output folder.
        arguments: List of strings, its flags but the output folder.

    Returns:
        Dictionary from a method's name to its results.

    Raises:
        subprocess.CalledProcessError: If the example fails.
    """
    command = [
        sys.executable,
        str(EXAMPLES / script),
        *arguments,
        f"--output_dir={output}",
    ]
    if (output / "flags.json").exists():
        # One that is done trains nothing again; the flags are compared.
        command.append("--resume")
    run_logged(command, output, {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ})
    return json.loads((output / "results.json").read_text(encoding="utf-8"))


def run_logged(command, output, environment, folder=None):
    """Runs a command, and appends what it prints to a file.

    Args:
        command: List of strings.
        output: `pathlib.Path` of what it writes; the file lies beside it.
        environment: Dictionary of the environment's variables.
        folder: Path to run it in. Defaults to `None`, the present one.

    Raises:
        subprocess.CalledProcessError: If it fails. Its `output` is the last
            line that it printed. Or if another process runs it, as one whose
            benchmark was stopped goes on by itself.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    log = output.with_name(f"{output.name}.log")
    with open(log, "a+", encoding="utf-8", errors="replace") as file:
        try:
            # The command holds the file too, and with it the lock.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise subprocess.CalledProcessError(
                1, command, f"Another process is still writing {log}."
            ) from None
        start = file.seek(0, os.SEEK_END)
        done = subprocess.run(
            command,
            cwd=folder,
            check=False,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        if not done.returncode:
            return
        file.seek(start)
        printed = file.read().split("\n")
    last = next((line for line in reversed(printed) if line.strip()), "")
    raise subprocess.CalledProcessError(done.returncode, command, last)
