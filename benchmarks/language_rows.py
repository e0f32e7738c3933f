"""The rows of the papers' tables of language models, and what each shows."""

import dataclasses

HEADINGS = (
    "method",
    "start",
    "seed",
    "FLOPs, training",
    "FLOPs, inference",
    "weights",
    "validation",
    "test",
    "epoch",
    "minutes",
)

# The example's flags for each table. What is the same for all rows was tuned
# on the dense model. On one core XLA saves a third of a sparse model's step.
MODELS = {
    "lstm": ("--preset=small", "--jit"),
    "rhn": ("--preset=small_rhn", "--jit"),
}
TITLES = {
    ("lstm", 0.67): "LSTM, 2 × 200 units, sparsity .67",
    ("lstm", 0.8): "LSTM, 2 × 200 units, sparsity .80",
    ("rhn", 0.53): "RHN, 200 units, depth 4, sparsity .53",
}
# Title of a method, and where its connections are at first.
METHODS = {
    "dense": ("dense", "dense"),
    "small_dense": ("small dense", "dense"),
    "static": ("static masks", "uniform"),
    "st_rnn": ("ST-RNN", "uniform"),
    "st_rnn_er": ("ST-RNN", "Erdős–Rényi"),
    "set": ("SET", "Erdős–Rényi"),
    "rigl": ("RigL", "Erdős–Rényi"),
    "snfs": ("SNFS", "uniform"),
    "iss": ("ISS", "dense"),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """A run.

    Args:
        model: String, one of `MODELS`.
        sparsity: Float.
        method: String, one of `METHODS`.
        seed: Integer.
    """

    model: str
    sparsity: float
    method: str
    seed: int = 0

    @property
    def key(self):
        """String, by which results are kept, and flags name the row."""
        # To a dense model sparsity says nothing.
        sparsity = "any" if self.method == "dense" else f"{self.sparsity:g}"
        return f"{self.model}-{sparsity}-{self.method}-{self.seed}"

    @property
    def arguments(self):
        """List of strings, the example's flags."""
        name = self.method.removesuffix("_er")
        _, start = METHODS[self.method]
        topology = "uniform" if start == "uniform" else "erdos_renyi"
        return [
            "--dataset=ptb",
            *MODELS[self.model],
            f"--method={name}",
            f"--topology={topology}",
            f"--sparsity={self.sparsity}",
            f"--seed={self.seed}",
        ]


_FIRST = ("dense", "st_rnn", "st_rnn_er", "set", "rigl")
ROWS = (
    *(Row("lstm", 0.67, method) for method in _FIRST),
    *(
        Row("lstm", 0.67, method)
        for method in ("static", "small_dense", "snfs", "iss")
    ),
    *(Row("lstm", 0.67, method, seed=1) for method in _FIRST),
    *(Row("lstm", 0.8, method) for method in ("st_rnn", "set")),
    *(Row("rhn", 0.53, method) for method in ("dense", "st_rnn", "static")),
)


def cells(row, result):
    """A row of a table, a list of strings."""
    title, start = METHODS[row.method]
    return [
        title,
        start,
        str(row.seed),
        f"{result['training_ratio']:.3f}",
        f"{result['inference_ratio']:.3f}",
        f"{result['weights'] / 1e6:.2f} M",
        f"{result['valid']:.2f}",
        f"{result['test']:.2f}",
        f"{result['chosen_epoch']} of {result['epochs']}",
        f"{result['seconds'] * result['epochs'] / 60:.0f}",
    ]


def tables(results, changed=""):
    """The tables of what was run.

    Args:
        results: Dictionary from a row's key.
        changed: String, what is added to the keys of runs by further flags,
            and so to the titles. Defaults to none.

    Returns:
        Dictionary from a table's title to its rows.
    """
    found = {}
    for (model, sparsity), title in TITLES.items():
        lines = [
            cells(row, results[f"{row.key}{changed}"])
            for row in sorted(ROWS, key=lambda row: row.seed)
            if (row.model, row.sparsity) == (model, sparsity)
            and f"{row.key}{changed}" in results
        ]
        if lines:
            found[f"{title} {changed}".strip()] = lines
    return found
