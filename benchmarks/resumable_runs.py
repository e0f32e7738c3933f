"""Runs whose results lie in a JSON file: what is there is not run again."""

import json
import pathlib
import subprocess
import urllib.parse

from example_run import run_example


def stored_results(path):
    """What the JSON file of `measuring.write_json()` holds.

    Args:
        path: String or path.

    Returns:
        Dictionary, empty if there is no file.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return {}
    return json.loads(path.read_text(encoding="utf-8"))["results"]


def changed_by(arguments):
    """What tells the keys of runs with further flags from those without.

    Args:
        arguments: List of strings, flags for an example that the benchmark
            does not give by itself, as `["--units=64"]`.

    Returns:
        String for the end of a key, as `"+units=64"`, also where the key is
        the name of a folder. Empty without flags.
    """
    return "".join(
        f"+{urllib.parse.quote(each.lstrip('-'), safe='=,')}"
        for each in arguments
    )


def run_each(runs, run):
    """Runs one after the other; one that fails does not keep the others.

    Args:
        runs: Iterable, what identifies each run.
        run: Function of one of them, which raises
            `subprocess.CalledProcessError` if it fails.

    Returns:
        List of those that failed.
    """
    failed = []
    for each in runs:
        try:
            run(each)
        except subprocess.CalledProcessError as error:
            # The others must not wait for somebody to see it.
            failed.append(each)
            print(f"failed: {error}\n{error.output or ''}", flush=True)
    return failed


def run_missing(runs, results, result_of, report):
    """Runs what has no result, and reports after each run and in the end.

    Args:
        runs: Dictionary of the runs by key, in their order.
        results: Dictionary of results by key, to which those of the runs are
            added.
        result_of: Function of a key and a run that returns the result, or
            raises `subprocess.CalledProcessError`.
        report: Function of the results.

    Returns:
        List of the keys of runs that failed.
    """

    def run(key):
        print(f"\n{key}", flush=True)
        results[key] = result_of(key, runs[key])
        report(results)

    failed = run_each((key for key in runs if key not in results), run)
    report(results)
    return failed


def only_result(script, output, arguments, data_dir):
    """Runs an example by one method, or what is left of it.

    Args:
        script: String, the name of the example's file.
        output: `pathlib.Path` of the output folder.
        arguments: List of strings, its flags but the folders.
        data_dir: String, the folder of the data sets.

    Returns:
        Dictionary, what it gave.

    Raises:
        subprocess.CalledProcessError: If the example fails.
    """
    [result] = run_example(
        script, output, [*arguments, f"--data_dir={data_dir}"]
    ).values()
    return result
