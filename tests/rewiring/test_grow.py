import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_sparse_rnn.rewiring import random_growth


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.floats(0, 1),
    st.integers(0, 100),
    st.integers(0, 100),
)
def test_growth_fills_as_many_empty_places_as_there_are(
    rows, columns, share, count, seed
):
    mask = np.random.default_rng(seed).random((rows, columns)) < share
    grown = random_growth(mask, count, np.random.default_rng(seed))
    empty = np.flatnonzero(~mask)
    assert len(grown) == len(set(grown.tolist())) == min(count, len(empty))
    assert set(grown.tolist()) <= set(empty.tolist())
