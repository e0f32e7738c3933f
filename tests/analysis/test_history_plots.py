"""Pictures of distances, survival and exploration."""

import subprocess
import sys

import numpy as np
import pytest

from keras_sparse_rnn.analysis import plot_exploration
from keras_sparse_rnn.analysis import plot_survival
from keras_sparse_rnn.analysis import plot_topology_distance
from keras_sparse_rnn.analysis import survival_curve

DISTANCES = np.array([[0, 0.25, 0.5], [0.25, 0, 0.75], [0.5, 0.75, 0]])


def lines(figure):
    return {
        line.get_label(): line.get_ydata().tolist()
        for line in figure.axes[0].get_lines()
    }


def test_distances_are_an_image_with_numbers_and_labels():
    figure = plot_topology_distance(DISTANCES, labels=["one", "two", "three"])
    axis, colorbar = figure.axes
    [image] = axis.get_images()
    np.testing.assert_array_equal(image.get_array(), DISTANCES)
    numbers = [text.get_text() for text in axis.texts]
    assert numbers == [f"{value:.2f}" for value in DISTANCES.reshape(-1)]
    for ticks in (axis.get_xticklabels(), axis.get_yticklabels()):
        assert [t.get_text() for t in ticks] == ["one", "two", "three"]
    assert colorbar.get_ylabel() == "topology distance"


def test_labels_of_distances_are_places_or_the_epochs_of_a_mapping():
    axis = plot_topology_distance(DISTANCES).axes[0]
    assert [t.get_text() for t in axis.get_xticklabels()] == ["0", "1", "2"]
    epochs = {5: None, 6: None, 7: None}
    axis = plot_topology_distance(DISTANCES, labels=epochs).axes[0]
    assert [t.get_text() for t in axis.get_xticklabels()] == ["5", "6", "7"]


def test_many_distances_have_no_numbers_and_fewer_labels(tmp_path):
    figure = plot_topology_distance(np.zeros((100, 100)))
    axis = figure.axes[0]
    assert not axis.texts
    assert len(axis.get_xticklabels()) <= 30
    figure.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "distances",
    [[1, 2], [[0, 1]], [[0, 2], [2, 0]], [[np.nan]], np.zeros((0, 0))],
)
def test_what_is_no_matrix_of_distances(distances):
    with pytest.raises(ValueError, match="Received: distances="):
        plot_topology_distance(distances)


def test_labels_of_another_number():
    with pytest.raises(ValueError, match=r"must be 3, .*: labels=\['a'\]"):
        plot_topology_distance(DISTANCES, labels="a")


def test_survival_is_a_line_per_run():
    masks = [np.array([row], bool) for row in ([1, 1], [1, 0], [1, 1])]
    curve = survival_curve(masks)
    figure = plot_survival({"SET": curve, "static": np.ones(3)})
    assert lines(figure) == {"SET": [1, 0.5, 0.5], "static": [1, 1, 1]}
    [axis] = figure.axes
    assert axis.get_ylim()[0] == 0
    texts = axis.get_legend().get_texts()
    assert [text.get_text() for text in texts] == ["SET", "static"]
    [line] = lines(plot_survival(curve)).values()
    assert line == [1, 0.5, 0.5]


def test_exploration_is_a_line_per_run():
    figure = plot_exploration({"SET": np.array([0.1, 0.2]), "two": [0.3]})
    assert lines(figure) == {"SET": [0.1, 0.2], "two": [0.3]}
    figure = plot_exploration(np.array([0.1, 0.2]))
    [axis] = figure.axes
    assert axis.get_legend() is None
    assert axis.get_ylim()[0] == 0


@pytest.mark.parametrize("plot", [plot_survival, plot_exploration])
@pytest.mark.parametrize("lines", [{}, {"a": []}, 0.5, [[0.1], [0.2]]])
def test_nothing_to_draw(plot, lines):
    with pytest.raises(ValueError, match=r"must be a line of numbers.*Recei"):
        plot(lines)


def test_without_matplotlib_plots_alone_are_refused():
    program = (
        "import sys\n"
        "sys.modules['matplotlib'] = None\n"
        "from keras_sparse_rnn import analysis\n"
        "for plot in ('topology_distance', 'survival', 'exploration',\n"
        "             'degrees'):\n"
        "    try:\n"
        "        getattr(analysis, 'plot_' + plot)([[0]])\n"
        "    except ImportError as error:\n"
        "        print(error)\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert printed == [
        f"`plot_{plot}` needs matplotlib: "
        "`pip install keras_sparse_rnn[plots]`."
        for plot in ("topology_distance", "survival", "exploration", "degrees")
    ]
