"""Arrays as the kernels are given them, checked before that."""

import numpy as np

from keras_sparse_rnn.engine import library


def check_array(owner, name, array, shape, dtype=np.float32):
    """Raises if something is no array that the kernels can read.

    Args:
        owner: String that names the layer.
        name: String that names the array.
        array: What was given.
        shape: Tuple of integers that it should have.
        dtype: NumPy dtype that it should have. Defaults to `float32`.

    Raises:
        ValueError: If it is no array, is not contiguous, or has another shape
            or type.
    """
    check_is_array(owner, name, array)
    if (
        array.shape != tuple(shape)
        or array.dtype != dtype
        or not array.flags.c_contiguous
    ):
        raise ValueError(
            f"{owner} expects `{name}` as a contiguous array of "
            f"{np.dtype(dtype).name} and of shape {tuple(shape)}. "
            f"Received: dtype={array.dtype}, shape={array.shape}, "
            f"contiguous={array.flags.c_contiguous}"
        )


def check_is_array(owner, name, array):
    """Raises a `ValueError` if something is no array.

    Args:
        owner: String that names the layer.
        name: String that names the array.
        array: What was given.
    """
    if not isinstance(array, np.ndarray):
        raise ValueError(
            f"{owner} expects `{name}` as a NumPy array. "
            f"Received: {name} of type {type(array).__name__}"
        )


def check_finite(owner, name, array):
    """Raises a `NativeKernelsError` if a number is infinite or none.

    Args:
        owner: String that names the layer.
        name: String that names the array.
        array: Float array.
    """
    is_good = np.isfinite(array)
    if not is_good.all():
        raise library.NativeKernelsError(
            f"{owner} expects a `{name}` of finite numbers in the native "
            f"engine. Received: {name}={array[~is_good][0]}"
        )
