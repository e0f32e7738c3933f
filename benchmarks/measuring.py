"""What the benchmarks share: pairs, intervals, tables and JSON."""

import json
import os
import pathlib
import platform
import random
import time

import numpy as np

from keras_sparse_rnn.info import info


def seconds(function):
    """Wall-clock time of one call, in seconds."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def alternating_pairs(first, second, pairs):
    """Times two functions in turns, which of them begins alternating too.

    On a machine that others use as well, times drift; the two times of a pair
    lie close together.

    Args:
        first: Function without arguments.
        second: Function without arguments.
        pairs: Integer, how many pairs.

    Returns:
        Float array of shape `(pairs, 2)`, seconds.
    """
    times = []
    for pair in range(pairs):
        if pair % 2:
            later, earlier = seconds(second), seconds(first)
            times.append((earlier, later))
        else:
            times.append((seconds(first), seconds(second)))
    return np.array(times)


def in_turns(timed, rounds, most_seconds):
    """Times several functions round by round.

    In another order each round: threads of one may still be spinning when the
    next begins.

    Args:
        timed: Dictionary from a name to a function without arguments that
            returns the seconds of one step.
        rounds: Integer.
        most_seconds: Float, of all steps together, after which rounds end
            early, three at the least.

    Returns:
        Dictionary from a name to a list of seconds.
    """
    times = {name: [] for name in timed}
    spent = 0.0
    rng = random.Random(0)
    for turn in range(rounds):
        if turn > 2 and spent > most_seconds:
            break
        for name, step in rng.sample([*timed.items()], len(timed)):
            times[name].append(step())
            spent += times[name][-1]
    return times


def median_interval(values, rng, resamples=10_000):
    """The median and its 95 % interval, by the bootstrap.

    Args:
        values: Float array of shape `(n,)`.
        rng: `numpy.random.Generator`.
        resamples: Integer. Defaults to 10,000.

    Returns:
        Tuple of three floats: median, lower and upper end.
    """
    drawn = rng.choice(values, (resamples, len(values)))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
    return float(np.median(values)), float(low), float(high)


def spread(values):
    """The mean and the standard deviation of some shares, as percentages.

    Args:
        values: Sequence of floats, one for each seed.

    Returns:
        String. The deviation is that of a sample; a single value has none.
    """
    if len(values) == 1:
        return f"{values[0]:.2%}"
    return f"{np.mean(values):.2%} ± {100 * np.std(values, ddof=1):.2f}"


def print_table(headings, rows):
    """Prints rows of strings, the first column left, the others right."""
    columns = zip(headings, *rows, strict=True)
    widths = [max(map(len, column)) for column in columns]
    for cells in (headings, ["-" * width for width in widths], *rows):
        print(
            "  ".join(
                cell.rjust(width) if index else cell.ljust(width)
                for index, (cell, width) in enumerate(
                    zip(cells, widths, strict=True)
                )
            )
        )


def write_json(path, results):
    """Writes results with what they were measured on.

    Args:
        path: String.
        results: Anything that JSON holds.
    """
    document = {
        "machine": {
            "cores": os.cpu_count(),
            "processor": _processor(),
            **info(),
        },
        "results": results,
    }
    # At once, so that a kill leaves no half of it.
    partial = pathlib.Path(f"{path}.partial")
    partial.write_text(json.dumps(document, indent=2) + "\n")
    partial.replace(path)
    print(f"\nWritten to {path}")


def _processor():
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()
