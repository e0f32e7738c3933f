"""Degrees: how many connections a unit has on either side."""

import numpy as np


def degrees(mask):
    """Numbers of connections that leave each input and reach each output.

    Args:
        mask: Boolean array of shape `(inputs, outputs)`.

    Returns:
        Pair of integer arrays, `(inputs,)` and `(outputs,)`.
    """
    mask = np.asarray(mask, bool)
    return mask.sum(axis=1), mask.sum(axis=0)


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
