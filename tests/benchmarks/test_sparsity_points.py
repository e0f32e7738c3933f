import types

import matplotlib.image
import pytest
from rates_and_sparsities_figure import draw
from sparsity_points import TASKS
from sparsity_points import Point
from sparsity_points import curve
from sparsity_points import points
from sparsity_points import result_elsewhere


@pytest.mark.parametrize("name", list(TASKS))
def test_each_point_is_run_once_the_dense_model_first(name):
    found = points(name, 0)
    task = TASKS[name]
    assert found[0].level is None
    assert len({point.key for point in found}) == len(found)
    # The point that both curves share is there once.
    assert len(found) == len(task.levels) + len(task.rates)


def test_curve_holds_what_was_run():
    chosen = [Point("ag_news", 10, rate, 0) for rate in (0.1, 0.2)]
    run = {"chosen": 0.9, "weights": 1, "weights_dense": 4}
    found = curve(TASKS["ag_news"], chosen, {chosen[1].key: run})
    assert found == [(0.2, 0.75, 90.0)]
    changed = {f"{chosen[0].key}+units=8": run, chosen[1].key: run}
    found = curve(TASKS["ag_news"], chosen, changed, "+units=8")
    assert found == [(0.1, 0.75, 90.0)]


def test_flags_of_a_dense_point_name_no_rate():
    dense, sparse = (
        Point("ptb", level, 0.5, 3).arguments for level in (None, 0.8)
    )
    assert "--method=dense" in dense
    assert not any("rewire_rate" in each for each in dense)
    assert {"--sparsity=0.8", "--rewire_rate=0.5", "--seed=3"} <= set(sparse)


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        (Point("ptb", None, 0.0, 1), "dense row"),
        (Point("ptb", 0.67, 0.8, 1), "row"),
        (Point("ptb", 0.67, 0.5, 1), None),
        (Point("ptb", 0.67, 0.8, 0), None),
        (Point("ptb", 0.9, 0.8, 1), None),
        (Point("ag_news", None, 0.0, 0), "dense"),
        (Point("ag_news", 10, 0.2, 0), "ten"),
        (Point("ag_news", 10, 0.3, 0), None),
        (Point("ag_news", 5, 0.2, 0), None),
    ],
)
def test_what_other_benchmarks_have_run_is_taken_from_there(point, expected):
    rows = {"lstm-any-dense-1": "dense row", "lstm-0.67-st_rnn-1": "row"}
    methods = {
        "ag_news": {
            "any": {"dense": {"0": "dense"}},
            "10": {"st_rnn": {"0": "ten"}, "set": {"0": "other"}},
        }
    }
    assert result_elsewhere(point, rows, methods) == expected


def test_figure_is_drawn_of_any_part_of_the_points(tmp_path):
    task = types.SimpleNamespace(title="t", measure="m", fixed_rate=0.5)
    some = [(0.1, 0.5, 80.0), (0.5, 0.5, 82.0), (0.5, 0.5, 83.0)]
    path = tmp_path / "figure.png"
    draw([(task, some[:1], some, []), (task, [], [], some)], path)
    image = matplotlib.image.imread(path)
    assert image.shape[:2] == (1080, 1440)
