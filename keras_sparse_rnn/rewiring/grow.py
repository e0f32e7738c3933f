"""Grow rules: where new connections come.

A grow rule is a function `grow(mask, count, rng)`: `mask` holds the survivors
of the drop, so that a place that was just dropped may be picked again. It
returns flat places of the mask. What else it looks at it asks for by
keyword-only parameters, see `sources.py`.
"""

import numpy as np

from keras_sparse_rnn.rewiring.drop import smallest
from keras_sparse_rnn.topology.random_places import random_places


def random_growth(mask, count, rng):
    """Grows connections at uniformly random empty places (SET, ST-RNN).

    Args:
        mask: Boolean array of shape `(inputs, outputs)`, the survivors.
        count: Integer, how many connections to grow.
        rng: `numpy.random.Generator`.

    Returns:
        Integer array of distinct flat places, `count` of them, or all empty
        ones if there are fewer.

    Reference:
        - Mocanu et al., Nature Communications 9:2383, 2018, algorithm 1
        - Liu et al., Neural Computing and Applications 33:9625–9636, 2021,
          section 3.2
    """
    return random_places(mask, count, rng)


def random_growth_elsewhere(mask, count, rng, *, dropped):
    """Grows at random places that were not just dropped (DSR, DeepR).

    Where there are too few others, all of them are taken, and as many of the
    dropped ones, at random, as are still missing.

    Args:
        mask: Boolean array of shape `(inputs, outputs)`, the survivors.
        count: Integer, how many connections to grow.
        rng: `numpy.random.Generator`.
        dropped: Integer array, flat places that were just dropped.

    Returns:
        Integer array of distinct flat places, `count` of them, or all empty
        ones if there are fewer.

    Reference:
        - Mostafa and Wang, Parameter Efficient Training of Deep Convolutional
          Neural Networks by Dynamic Sparse Reparameterization, ICML 2019: in
          the authors' implementation
    """
    closed = mask.copy()
    closed.reshape(-1)[dropped] = True
    elsewhere = random_places(closed, count, rng)
    missing = count - len(elsewhere)
    if missing <= 0:
        return elsewhere
    closed = mask.copy()
    closed.reshape(-1)[elsewhere] = True
    return np.concatenate([elsewhere, random_places(closed, missing, rng)])


def largest_gradient(mask, count, rng, *, gradient):
    """Grows where the dense gradient is largest (RigL).

    Places that were just dropped are candidates as well.

    Args:
        mask: Boolean array of shape `(inputs, outputs)`, the survivors.
        count: Integer, how many connections to grow.
        rng: `numpy.random.Generator`, not used.
        gradient: Float array of the mask's shape, the gradient's magnitude.

    Returns:
        Integer array of distinct flat places, sorted, `count` of them, or all
        empty ones if there are fewer. Ties go by index.

    Raises:
        ValueError: If the gradient is not finite everywhere.

    Reference:
        - Evci et al., Rigging the Lottery, ICML 2020, section 3 (4)
    """
    del rng
    return _largest_among_empty(mask, count, "gradient", gradient)


def largest_momentum(mask, count, rng, *, momentum):
    """Grows where the averaged dense gradient is largest (SNFS).

    Places that were just dropped are candidates as well.

    Args:
        mask: Boolean array of shape `(inputs, outputs)`, the survivors.
        count: Integer, how many connections to grow.
        rng: `numpy.random.Generator`, not used.
        momentum: Float array of the mask's shape, the magnitude of the dense
            gradient's running average.

    Returns:
        Integer array of distinct flat places, sorted, `count` of them, or all
        empty ones if there are fewer. Ties go by index.

    Raises:
        ValueError: If the momentum is not finite everywhere.

    Reference:
        - Dettmers and Zettlemoyer, Sparse Networks from Scratch,
          arXiv:1907.04840, section 3
    """
    del rng
    return _largest_among_empty(mask, count, "momentum", momentum)


def _largest_among_empty(mask, count, name, scores):
    finite = np.isfinite(scores)
    if not finite.all():
        raise ValueError(
            f"The {name} must be finite everywhere: training has diverged, or "
            "loss scaling has overflowed in this step. Received: "
            f"{np.count_nonzero(~finite)} of {finite.size} not finite"
        )
    # Among empty places only: where all scores are 0 a choice among all
    # places would take occupied ones.
    empty = np.flatnonzero(~mask)
    return empty[smallest(-scores.reshape(-1)[empty], count)]
