import matplotlib.pyplot as plt
import pytest
from methods_figure import columns
from methods_figure import draw


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


def test_every_point_is_drawn_within_its_panel(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plt, "close", drawn.append)
    methods = [("a", 0.08, [0.8, 0.9]), ("b", 0.08, [0.5]), ("c", 1.0, [0.6])]
    draw([("IMDB", methods), ("other", methods[:1])], tmp_path / "figure.png")
    monkeypatch.undo()
    for axis, (low, high) in zip(
        drawn[0].axes, [(50, 92), (78, 92)], strict=True
    ):
        bottom, top = axis.get_ylim()
        assert bottom < low
        assert high < top
        left, right = axis.get_xlim()
        assert left < 0.08 < 1.0 < right
    plt.close(drawn[0])


def test_draws_one_panel_and_several(tmp_path):
    panel = ("IMDB", [("dense", 1.0, [0.8, 0.9]), ("SET", 0.08, [0.85])])
    for count in (1, 3):
        path = tmp_path / f"{count}.png"
        draw([panel] * count, path)
        assert path.read_bytes().startswith(b"\x89PNG")
