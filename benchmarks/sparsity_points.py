"""The points of figures 2 and 3: models, rewire rates, sparsities."""

import dataclasses

from language_rows import Row
from methods_table import ANY_EPSILON


@dataclasses.dataclass(frozen=True)
class Task:
    """A model and its text.

    Args:
        title: String.
        measure: String, the label of what is measured.
        script: String, the example's file.
        arguments: Tuple of strings, the example's flags.
        value: String, the measure's key in the example's results.
        level: String, the flag by which its sparsity is set.
        levels: Tuple of numbers, the values of that flag, the sparsest last.
        fixed_level: Number, the one at which rewire rates are compared.
        rates: Tuple of floats, rewire rates.
        fixed_rate: Float, the one at which sparsities are compared.
    """

    title: str
    measure: str
    script: str
    arguments: tuple
    value: str
    level: str
    levels: tuple
    fixed_level: float
    rates: tuple
    fixed_rate: float


TASKS = {
    "ag_news": Task(
        "AG's News (33,740 of 120,000 texts)",
        "test accuracy, %",
        "text_classification.py",
        ("--dataset=ag_news",),
        "chosen",
        "epsilon",
        # Of sparsity 52.5 % to 99.1 %, as in the paper.
        (110, 70, 40, 20, 10, 5, 2),
        10,
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        0.2,
    ),
    "ptb": Task(
        "Penn Treebank, LSTM 2 × 200",
        "test perplexity",
        "language_modeling.py",
        ("--dataset=ptb", "--preset=small", "--jit"),
        "test",
        "sparsity",
        (0.525, 0.67, 0.8, 0.9),
        0.67,
        (0.2, 0.5, 0.8),
        0.8,
    ),
}


@dataclasses.dataclass(frozen=True)
class Point:
    """A run.

    Args:
        task: String, one of `TASKS`.
        level: Number, see `Task.level`, or `None`: the dense model.
        rate: Float, the rewire rate.
        seed: Integer.
    """

    task: str
    level: float | None
    rate: float
    seed: int

    @property
    def key(self):
        """String, by which results are kept."""
        if self.level is None:
            return f"{self.task}-dense-{self.seed}"
        return f"{self.task}-{self.level:g}-{self.rate:g}-{self.seed}"

    @property
    def arguments(self):
        """List of strings, the example's flags."""
        task = TASKS[self.task]
        given = [*task.arguments, f"--seed={self.seed}"]
        if self.level is None:
            return [*given, "--method=dense"]
        return [
            *given,
            "--method=st_rnn",
            f"--{task.level}={self.level:g}",
            f"--rewire_rate={self.rate:g}",
        ]


def points(name, seed):
    """The points of a task, first the dense model, each once."""
    task = TASKS[name]
    found = [
        Point(name, None, 0.0, seed),
        *(Point(name, level, task.fixed_rate, seed) for level in task.levels),
        *(Point(name, task.fixed_level, rate, seed) for rate in task.rates),
    ]
    return list(dict.fromkeys(found))


def result_elsewhere(point, table_results, method_results):
    """The result of a point that another benchmark has run.

    Args:
        point: `Point`.
        table_results: Dictionary, the results of `language_tables.py`.
        method_results: Dictionary, those of `compare_methods.py`.

    Returns:
        Dictionary, or `None` if neither has run it.
    """
    is_dense = point.level is None
    if not is_dense and point.rate != TASKS[point.task].fixed_rate:
        return None
    method = "dense" if is_dense else "st_rnn"
    if point.task == "ptb":
        row = Row("lstm", point.level, method, point.seed)
        return table_results.get(row.key)
    epsilon = ANY_EPSILON if is_dense else f"{point.level:g}"
    found = method_results.get(point.task, {}).get(epsilon, {})
    return found.get(method, {}).get(str(point.seed))


def curve(task, chosen, results, changed=""):
    """What there is of a curve.

    Args:
        task: `Task`.
        chosen: List of `Point`s.
        results: Dictionary from a point's key.
        changed: String, what is added to the keys of runs by further flags.
            Defaults to none.

    Returns:
        List of triples, the rewire rate, the sparsity and the value of each
        point that was run, accuracies in percent.
    """
    scale = 100 if task.measure.endswith("%") else 1
    return [
        (
            point.rate,
            1 - result["weights"] / result["weights_dense"],
            scale * result[task.value],
        )
        for point in chosen
        if (result := results.get(f"{point.key}{changed}"))
    ]
