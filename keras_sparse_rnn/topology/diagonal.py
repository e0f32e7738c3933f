"""Keeping the diagonal of a recurrent matrix: each unit sees its own past."""

import numpy as np


def on_diagonal(rows, columns):
    """The places where a unit is connected to itself.

    Args:
        rows: Integer, the number of units.
        columns: Integer, a multiple of it: gates lie side by side, and each
            has its diagonal.

    Returns:
        Boolean array of shape `(rows, columns)`.
    """
    return np.arange(rows)[:, None] == np.arange(columns) % rows


def with_diagonal(mask, rng):
    """Moves connections so that the diagonal is full and the count the same.

    Args:
        mask: Boolean array of shape `(units, units)`, or of several gates side
            by side, each of which has its diagonal.
        rng: `numpy.random.Generator`, draws which other connections give way.

    Returns:
        A new mask with as many connections as `mask`.

    Raises:
        ValueError: If the matrix is not of square gates, or has fewer
            connections than its diagonal.
    """
    rows, columns = mask.shape
    if columns % rows:
        raise ValueError(
            "`keep_diagonal=True` needs a square matrix, or one of square "
            f"gates. Received: mask.shape={mask.shape}"
        )
    connections = np.count_nonzero(mask)
    if connections < columns:
        raise ValueError(
            "`keep_diagonal=True` needs at least one connection per unit, "
            f"{columns} here{_of_gates(rows, columns)}. "
            f"Received: connections={connections}"
        )
    diagonal = on_diagonal(rows, columns)
    kept = mask | diagonal
    movable = np.flatnonzero(kept & ~diagonal)
    surplus = np.count_nonzero(kept) - connections
    kept.reshape(-1)[rng.choice(movable, surplus, replace=False)] = False
    return kept


def _of_gates(rows, columns):
    gates = columns // rows
    return f" in {gates} gates" if gates > 1 else ""
