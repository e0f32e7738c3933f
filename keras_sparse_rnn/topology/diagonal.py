"""Keeping the diagonal of a square matrix: each unit sees its own past."""

import numpy as np


def with_diagonal(mask, rng):
    """Moves connections so that the diagonal is full and the count the same.

    Args:
        mask: Boolean array of shape `(units, units)`.
        rng: `numpy.random.Generator`, draws which other connections give way.

    Returns:
        A new mask with as many connections as `mask`.

    Raises:
        ValueError: If the matrix is not square, or has fewer connections than
            its diagonal.
    """
    rows, columns = mask.shape
    if rows != columns:
        raise ValueError(
            "`keep_diagonal=True` needs a square matrix. "
            f"Received: mask.shape={mask.shape}"
        )
    connections = np.count_nonzero(mask)
    if connections < rows:
        raise ValueError(
            "`keep_diagonal=True` needs at least one connection per unit, "
            f"{rows} here. Received: connections={connections}"
        )
    on_diagonal = np.eye(rows, dtype=bool)
    kept = mask | on_diagonal
    movable = np.flatnonzero(kept & ~on_diagonal)
    surplus = np.count_nonzero(kept) - connections
    kept.reshape(-1)[rng.choice(movable, surplus, replace=False)] = False
    return kept
