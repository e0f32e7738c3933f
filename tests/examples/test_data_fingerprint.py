import numpy as np
import pytest
from data_fingerprint import fingerprint

WORDS = [b"a", b"bc", b"d"]
ARRAYS = [np.array([1, 2, 3], "int32"), np.array([4], "int32")]


def test_equal_data_have_one_fingerprint():
    # A part of a larger array, and one whose axes are exchanged.
    arrays = [np.arange(8, dtype="int32")[1:4], np.array([4], "int32").T]
    assert fingerprint(iter(WORDS), arrays) == fingerprint(WORDS, ARRAYS)


@pytest.mark.parametrize(
    ("words", "arrays"),
    [
        ([b"bc", b"a", b"d"], ARRAYS),
        ([b"ab", b"c", b"d"], ARRAYS),
        (WORDS[:2], ARRAYS),
        (WORDS, [np.array([1, 2, 4], "int32"), ARRAYS[1]]),
        (WORDS, [np.array([1, 2], "int32"), np.array([3, 4], "int32")]),
        (WORDS, [ARRAYS[0].astype("int64"), ARRAYS[1]]),
        (WORDS, [ARRAYS[0][None], ARRAYS[1]]),
        (WORDS, ARRAYS[::-1]),
        (WORDS, ARRAYS[:1]),
    ],
)
def test_other_data_have_another(words, arrays):
    assert fingerprint(words, arrays) != fingerprint(WORDS, ARRAYS)
