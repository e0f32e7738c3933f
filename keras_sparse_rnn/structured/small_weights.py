"""Weights of hidden units' groups that are as good as zero."""

import numpy as np

from keras_sparse_rnn.arguments import is_number
from keras_sparse_rnn.arguments import plain_number
from keras_sparse_rnn.structured.removable_units import removable_units


def zero_small_weights(model, threshold):
    """Sets weights that hidden units are made of or read by to 0 if small.

    The group lasso brings the weights of a unit near zero; a gradient step
    does not make them zero. Biases stay, and so do the weights of layers
    without units that can be removed.

    Args:
        model: Built Sequential or Functional model, of any nesting.
        threshold: Float of at least 0: weights with |w| below it become 0. The
            authors' is 1e-4.

    Returns:
        Integer, how many weights became 0.

    Raises:
        ValueError: If `threshold` is no number of at least 0, the model is not
            built or not Sequential or Functional, or no layer has units that
            can be removed.

    Reference:
        - Wen et al., Learning Intrinsic Sparse Structures within Long
          Short-Term Memory, ICLR 2018
    """
    check_threshold(threshold)
    return zero_small_weights_of(
        removable_units(model), plain_number(threshold)
    )


def check_threshold(threshold):
    """Raises `ValueError` unless a threshold is a number of at least 0."""
    if not (is_number(threshold) and threshold >= 0):
        raise ValueError(
            "`threshold` must be a number of at least 0. "
            f"Received: threshold={threshold!r}"
        )


def zero_small_weights_of(removable, threshold):
    """As `zero_small_weights`, for a list of `HiddenUnits`."""
    count = 0
    for units in removable:
        places = [
            (weight, slice(None))
            for weight in (*units.kernels, *units.recurrent_kernels)
        ]
        for weight, rows in (*places, *units.removed_rows):
            value = weight.variable.numpy()
            place = weight.place(rows)
            small = np.zeros(value.shape, bool)
            small[place] = np.abs(value[place]) < threshold
            small &= value != 0
            if small.any():
                weight.variable.assign(np.where(small, 0, value))
            count += np.count_nonzero(small)
    return int(count)
