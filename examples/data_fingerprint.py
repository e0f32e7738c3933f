"""A number that tells whether data are those that a run began with."""

import zlib


def fingerprint(words, arrays):
    """Computes the CRC-32 of words in their order, and of arrays.

    Args:
        words: Iterable of bytes, such as a vocabulary.
        arrays: Iterable of NumPy arrays.

    Returns:
        Integer of at least 0.
    """
    number = zlib.crc32(b"\n".join(words))
    for array in arrays:
        # Where one array ends and the next begins, too.
        kind = f"{array.dtype.str}{array.shape}"
        number = zlib.crc32(array.tobytes(), zlib.crc32(kind.encode(), number))
    return number
