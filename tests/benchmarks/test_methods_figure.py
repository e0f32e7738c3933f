import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from methods_figure import columns
from methods_figure import draw
from methods_figure import spaced


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ([1.0], [[0]]),
        ([1.0, 0.08, 0.5], [[1], [2], [0]]),
        ([0.081, 1.0, 0.078, 0.084], [[2, 0, 3], [1]]),
    ],
)
def test_columns(costs, expected):
    assert columns(costs) == expected


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ([5.0], [5.0]),
        ([1.0, 3.0, 9.0], [1.0, 3.0, 9.0]),
        ([4.0, 4.0], [3.5, 4.5]),
        ([4.0, 4.0, 4.2], [3.0667, 4.0667, 5.0667]),
        # The stack of the last two reaches the first one.
        ([4.0, 4.8, 4.8], [3.5333, 4.5333, 5.5333]),
    ],
)
def test_spaced(heights, expected):
    np.testing.assert_allclose(spaced(heights, 1.0), expected, atol=1e-3)


@hypothesis.given(
    st.lists(st.floats(-100, 100), min_size=1, max_size=12), st.floats(0.1, 9)
)
def test_spaced_are_a_gap_apart_around_the_same_mean(heights, gap):
    heights = sorted(heights)
    places = spaced(heights, gap)
    assert (np.diff(places) >= gap - 1e-6).all()
    np.testing.assert_allclose(places.mean(), np.mean(heights), atol=1e-6)


def test_draws_one_panel_and_several(tmp_path):
    panel = ("IMDB", [("dense", 1.0, [0.8, 0.9]), ("SET", 0.08, [0.85])])
    for count in (1, 3):
        path = tmp_path / f"{count}.png"
        draw([panel] * count, path)
        assert path.read_bytes().startswith(b"\x89PNG")
