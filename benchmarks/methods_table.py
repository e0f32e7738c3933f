"""The comparison of methods as tables."""

import numpy as np
from measuring import spread

# Under this key in place of ε: methods that ε says nothing to.
ANY_EPSILON = "any"
HEADINGS = (
    "method",
    "seeds",
    "test accuracy",
    "epoch",
    "best epoch's",
    "weights",
    "FLOPs, training",
    "FLOPs, inference",
    "s/epoch",
)


def by_method(of_dataset, epsilon):
    """The results of one data set and ε.

    Args:
        of_dataset: Dictionary from ε, or `ANY_EPSILON`, to a dictionary from a
            method's name to one from a seed to a run's results.
        epsilon: String, ε.

    Returns:
        Dictionary from a method's name to a list of results, a dictionary
        each.
    """
    found = {**of_dataset.get(ANY_EPSILON, {}), **of_dataset.get(epsilon, {})}
    return {name: [*runs.values()] for name, runs in found.items() if runs}


def epsilons(of_dataset):
    """The ε of a data set's results, the largest first."""
    found = [name for name in of_dataset if name != ANY_EPSILON]
    return sorted(found, key=float, reverse=True)


def mean(runs, column):
    """The mean of a column over seeds, of those that have it, or `None`."""
    values = [run[column] for run in runs if run.get(column) is not None]
    return float(np.mean(values)) if values else None


def row(title, runs):
    """A method's row.

    Args:
        title: String, its name.
        runs: List of results, one for each seed.

    Returns:
        List of strings, as `HEADINGS`.
    """
    epochs = sorted({run["chosen_epoch"] for run in runs})
    weights = mean(runs, "weights")
    return [
        title,
        str(len(runs)),
        spread([run["chosen"] for run in runs]),
        f"{epochs[0]}–{epochs[-1]}" if len(epochs) > 1 else str(epochs[0]),
        spread([run["best"] for run in runs]),
        "" if weights is None else f"{weights:,.0f}",
        f"{mean(runs, 'training_ratio'):.3f}",
        f"{mean(runs, 'inference_ratio'):.3f}",
        f"{np.median([run['seconds'] for run in runs]):.1f}",
    ]


def rows(found, titles):
    """The rows of a table, in the order of `titles`.

    Args:
        found: As `by_method` returns it.
        titles: Dictionary from a method's name to its title.

    Returns:
        List of lists of strings.
    """
    return [
        row(title, found[name])
        for name, title in titles.items()
        if name in found
    ]
