"""Degrees: how many connections a unit has on either side."""

import math

import numpy as np

from keras_sparse_rnn.arguments import check_integer
from keras_sparse_rnn.arguments import is_number


def degrees(mask):
    """Numbers of connections that leave each input and reach each output.

    Args:
        mask: Boolean array of shape `(inputs, outputs)`.

    Returns:
        Pair of integer arrays, `(inputs,)` and `(outputs,)`.

    Raises:
        ValueError: If the mask is not of this shape.
    """
    mask = _matrix(mask)
    return mask.sum(axis=1), mask.sum(axis=0)


def degrees_by_gate(mask, gates):
    """Degrees in each gate of a packed matrix by itself.

    Args:
        mask: Boolean array of shape `(inputs, gates * outputs)`, the gates
            side by side as Keras packs them.
        gates: Integer above 0, the number of gates.

    Returns:
        Pair of integer arrays, `(gates, inputs)` and `(gates, outputs)`.

    Raises:
        ValueError: If the mask is not of this shape, or the columns are not
            those of so many gates.
    """
    mask = _matrix(mask)
    check_integer("gates", gates, 1)
    if mask.shape[1] % gates:
        raise ValueError(
            f"`gates` must divide the {mask.shape[1]} columns of the mask. "
            f"Received: gates={gates}"
        )
    by_gate = mask.reshape(mask.shape[0], gates, -1)
    return by_gate.sum(axis=2).T, by_gate.sum(axis=0)


def _matrix(mask):
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise ValueError(
            "`mask` must be an array of shape (inputs, outputs), as the "
            "`.mask` of each of `keras_sparse_rnn.sparse_weights(model)`. "
            f"Received: mask={mask}"
        )
    return mask.astype(bool)


def degree_distribution(counts):
    """Share of units that have each degree.

    Args:
        counts: Integer array `(units,)`, the degree of each unit.

    Returns:
        Float array `(largest degree + 1,)`: element `k` is the share of units
        of degree `k`. It adds up to 1.

    Example:

    >>> leaving, reaching = degrees(mask)
    >>> degree_distribution(reaching)
    """
    counts = np.asarray(counts)
    return np.bincount(counts) / len(counts)


def random_degree_distribution(places, density):
    """Degrees that random connections would have: a binomial distribution.

    Args:
        places: Integer above 0, how many connections a unit may have.
        density: Float in `[0, 1]`, the share of places that are connections.

    Returns:
        Float array `(places + 1,)`, as `degree_distribution` returns it. For a
        mask of an exact number of connections at uniformly random places it is
        very nearly right: each place is then a connection with the probability
        `density`, not quite independent of the others.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - Erdős and Rényi, Publicationes Mathematicae 6:290–297, 1959
    """
    check_integer("places", places, 1)
    if not (is_number(density) and 0 <= density <= 1):
        raise ValueError(
            f"`density` must be in [0, 1]. Received: density={density!r}"
        )
    degree = np.arange(places + 1)
    if density in (0, 1):
        return (degree == places * density).astype(float)
    # In logarithms: the binomial coefficients are beyond any float.
    log_factorial = np.array([math.lgamma(k + 1) for k in degree])
    return np.exp(
        log_factorial[-1]
        - log_factorial
        - log_factorial[::-1]
        + degree * math.log(density)
        + degree[::-1] * math.log1p(-density)
    )


def density_image(mask, largest=256):
    """A mask as an image: the density of connections per picture element.

    Args:
        mask: Boolean array of shape `(inputs, outputs)`.
        largest: Integer, the largest number of picture elements on a side; a
            larger mask is averaged over blocks. Defaults to `256`.

    Returns:
        Float array in `[0, 1]`, at most `largest` on each side.
    """
    image = np.asarray(mask, np.float32)
    for axis in (0, 1):
        size = image.shape[axis]
        if size > largest:
            starts = np.linspace(0, size, largest, endpoint=False).astype(int)
            lengths = np.diff(np.append(starts, size))
            image = np.add.reduceat(image, starts, axis=axis)
            image /= lengths.reshape((-1, 1) if axis == 0 else (1, -1))
    return image
