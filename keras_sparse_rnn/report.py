"""What is sparse in a model, and what that saves."""

import dataclasses

import numpy as np

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn.masked_weight import is_kept_with_mask
from keras_sparse_rnn.model_rewiring import exploration_rate
from keras_sparse_rnn.sparse_layers import sparse_weights
from keras_sparse_rnn.weight_matrix import weight_matrices

_INDEX_BYTES = 4


@dataclasses.dataclass(frozen=True)
class Row:
    """Connections of one matrix, or of one gate of it.

    Args:
        path: String, the weight's path.
        group: String, the gate's name, or `"all"`.
        shape: Tuple of two integers, of the matrix or the gate's part.
        active: Integer, weights that are connections.
        total: Integer, places.
    """

    path: str
    group: str
    shape: tuple
    active: int
    total: int

    @property
    def sparsity(self):
        """Float, the share of places that are empty."""
        return 1 - self.active / self.total


@dataclasses.dataclass(frozen=True)
class SparsityReport:
    """Counts of a model's connections. Printing it gives a table.

    Args:
        name: String, the model's name.
        rows: Tuple of `Row`s, one per matrix, followed by one per gate where
            counts are exact per gate. A matrix that is shared is there once.
        biases: Integer, bias weights of sparse layers; they are dense.
        dense_weights: Integer, weights of the other layers.
        bytes_dense: Integer, bytes of the sparse weights were they dense.
        bytes_masked: Integer, bytes that they take now: the matrix, its mask,
            and the places ever active.
        bytes_connections: Integer, bytes of the connections alone, a value and
            an index each.
        multiply_adds: Integer, multiply-adds of a forward step of one sample:
            each recurrent and dense matrix once, that is one time step. A
            look-up in an embedding multiplies nothing; what decodes by it
            multiplies as a dense layer does.
        multiply_adds_dense: Integer, the same were the model dense.
        exploration_rate: Float, the share of places that were connections at
            any time.
    """

    name: str
    rows: tuple
    biases: int
    dense_weights: int
    bytes_dense: int
    bytes_masked: int
    bytes_connections: int
    multiply_adds: int
    multiply_adds_dense: int
    exploration_rate: float

    @property
    def matrices(self):
        """Tuple of `Row`s, one per matrix."""
        return tuple(row for row in self.rows if row.group == "all")

    @property
    def active(self):
        """Integer, weights that are connections."""
        return sum(row.active for row in self.matrices)

    @property
    def total(self):
        """Integer, places of all sparse weights."""
        return sum(row.total for row in self.matrices)

    @property
    def sparsity(self):
        """Float, the share of places that are empty; 0 with none sparse."""
        return 1 - self.active / self.total if self.total else 0.0

    @property
    def forward_ratio(self):
        """Float, multiply-adds of a forward step relative to dense."""
        if not self.multiply_adds_dense:
            return 1.0
        return self.multiply_adds / self.multiply_adds_dense

    @property
    def training_multiply_adds(self):
        """Integer, multiply-adds of a training step of one sample.

        The forward step, the gradient of the inputs and that of the weights
        take as many each; random growth adds none.
        """
        return 3 * self.multiply_adds

    @property
    def training_ratio(self):
        """Float, multiply-adds of a training step relative to dense."""
        return self.forward_ratio

    def __str__(self):
        headings = ("matrix", "gate", "shape", "active", "total", "sparsity")
        table = [headings]
        for row in self.rows:
            whole = row.group == "all"
            table.append(
                (
                    row.path if whole else "",
                    "" if whole else row.group,
                    "×".join(f"{size:,}" for size in row.shape),
                    f"{row.active:,}",
                    f"{row.total:,}",
                    f"{row.sparsity:.2%}",
                )
            )
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if index < 2 else cell.rjust(width)
                for index, (cell, width) in enumerate(
                    zip(cells, widths, strict=True)
                )
            ).rstrip()
            for cells in table
        ]
        lines.insert(1, "  ".join("─" * width for width in widths))
        if not self.rows:
            lines = [f"'{self.name}' has no sparse layers."]
        return "\n".join(
            [
                f"{self.active:,} of {self.total:,} connections, "
                f"{100 * self.sparsity:.2f} %",
                "",
                *lines,
                "",
                f"Not counted above: {self.biases:,} biases of sparse layers, "
                f"{self.dense_weights:,} weights of other layers.",
                f"Ever active: {self.exploration_rate:.2%} of the places.",
                "Bytes of these matrices, without biases, other layers and "
                f"optimizer: {self.bytes_masked:,} now (matrix and mask), "
                f"{self.bytes_connections:,} for the connections alone, "
                f"{self.bytes_dense:,} dense.",
                "Multiply-adds per sample and time step, of these matrices and "
                "other layers' (no look-ups, no convolutions): forward "
                f"{self.multiply_adds:,} ({self.forward_ratio:.1%} of dense), "
                f"training {self.training_multiply_adds:,} "
                f"({self.training_ratio:.1%} of dense).",
                "Keras's `summary()` counts the masks, and what is kept with "
                "them, as non-trainable parameters.",
            ]
        )


def sparsity_report(model):
    """Reports a model's connections, per matrix and per gate.

    Args:
        model: Built Keras model, or layer. A model with no sparse layer gives
            a report without rows: its weights are all `dense_weights`, and its
            multiply-adds those of a dense model.

    Returns:
        A `SparsityReport`: an object with the counts, which prints as a table.

    Raises:
        ValueError: If `model` is no Keras model or layer, or it or a sparse
            layer in it is not built.

    Example:

    >>> report = ksr.sparsity_report(model)
    >>> report.active, report.total, report.sparsity
    (243520, 5644288, 0.9568555...)
    >>> print(report)
    """
    matrices = weight_matrices(model)
    weights = sparse_weights(model)
    biases, dense_weights = _dense_counts(model)
    return SparsityReport(
        name=model.name,
        rows=tuple(row for weight in weights for row in _rows(weight)),
        biases=biases,
        dense_weights=dense_weights,
        bytes_dense=sum(_float_bytes(w) * w.total for w in weights),
        bytes_masked=sum(
            (_float_bytes(w) + 1) * w.total + -(-w.total // 8) for w in weights
        ),
        bytes_connections=sum(
            (_float_bytes(w) + _INDEX_BYTES) * w.active for w in weights
        ),
        multiply_adds=sum(each.multiply_adds for each in matrices),
        multiply_adds_dense=sum(each.multiply_adds_dense for each in matrices),
        exploration_rate=exploration_rate(weights),
    )


def _float_bytes(weight):
    return weight.value.numpy().dtype.itemsize


def _rows(weight):
    mask = weight.mask.numpy()
    yield Row(
        weight.path, "all", mask.shape, int(np.count_nonzero(mask)), mask.size
    )
    if len(weight.groups) > 1:
        for group in weight.groups:
            part = mask[group.columns]
            yield Row(
                weight.path,
                group.name,
                part.shape,
                int(np.count_nonzero(part)),
                part.size,
            )


def _dense_counts(model):
    """Biases of sparse layers, and weights of others."""
    biases, others, seen = 0, 0, set()
    for layer in keras_internals.flatten_layers(model):
        is_sparse = bool(getattr(layer, "sparse_names", None))
        sparse = {id(weight.value) for weight in sparse_weights(layer)}
        for variable in keras_internals.own_variables(layer):
            if id(variable) in seen or id(variable) in sparse:
                continue
            seen.add(id(variable))
            size = int(np.prod(variable.shape))
            if not is_sparse:
                others += size
            elif not is_kept_with_mask(layer, variable):
                biases += size
    return biases, others
