"""Pictures of what becomes of topologies over time, with matplotlib."""

from collections.abc import Mapping

import numpy as np

from keras_sparse_rnn.analysis.figure import check_has_matplotlib
from keras_sparse_rnn.analysis.figure import new_figure
from keras_sparse_rnn.analysis.figure import tick_whole_numbers
from keras_sparse_rnn.analysis.survival import SurvivalCurve

# As many rows have room for their numbers, and for all of their labels.
_MOST_NUMBERS, _MOST_LABELS = 12, 30


def plot_topology_distance(distances, labels=None):
    """Draws the distances between the topologies of epochs or of runs.

    Args:
        distances: Float array of shape `(n, n)`, as of `distance_matrix`.
        labels: Iterable of `n` labels, for instance names of runs or the
            epochs of `load_topologies`. Defaults to `None`: 0, 1, ….

    Returns:
        A `matplotlib.figure.Figure`, not tied to a window: save it by
        `figure.savefig(path)`.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the distances are no square matrix in `[0, 1]`, or the
            labels are not as many.

    Example:

    ```python
    recorded = ksr.analysis.load_topologies("run_1")
    distances = ksr.analysis.distance_matrix(recorded)
    figure = ksr.analysis.plot_topology_distance(distances, labels=recorded)
    figure.savefig("distances.png")
    ```
    """
    check_has_matplotlib("plot_topology_distance")
    distances = np.asarray(distances, float)
    if (
        distances.ndim != 2
        or len(set(distances.shape)) != 1
        or not distances.size
        or not ((distances >= 0) & (distances <= 1)).all()
    ):
        raise ValueError(
            "`distances` must be a square matrix of numbers in [0, 1]. "
            f"Received: distances={distances}"
        )
    count = len(distances)
    labels = [
        str(each) for each in (range(count) if labels is None else labels)
    ]
    if len(labels) != count:
        raise ValueError(
            f"`labels` must be {count}, one per row of `distances`. "
            f"Received: labels={labels}"
        )
    side = min(3.5 + 0.35 * count, 9)
    # The one for images, whose sides have a ratio to each other.
    figure = new_figure(side + 1, side, layout="compressed")
    axis = figure.subplots()
    image = axis.imshow(distances, cmap="viridis", vmin=0)
    figure.colorbar(image, label="topology distance")
    every = -(-count // _MOST_LABELS)
    places = np.arange(0, count, every)
    upright = max(map(len, labels)) > 3
    axis.set_xticks(
        places, labels[::every], rotation="vertical" if upright else None
    )
    axis.set_yticks(places, labels[::every])
    if count <= _MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(distances):
            dark = value < 0.6 * distances.max()
            axis.text(
                column,
                row,
                f"{value:.2f}",
                ha="center",
                va="center",
                fontsize="small",
                color="white" if dark or not value else "black",
            )
    return figure


def plot_survival(curves):
    """Draws the share of connections that live for a number of epochs.

    Args:
        curves: `SurvivalCurve`, or array as of `cohort_survival`; or dict from
            labels to such, a line each.

    Returns:
        A `matplotlib.figure.Figure`, not tied to a window.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there is nothing to draw.

    Example:

    ```python
    recorded = ksr.analysis.load_topologies("run_1")
    curve = ksr.analysis.survival_curve(recorded)
    ksr.analysis.plot_survival({"SET": curve}).savefig("survival.png")
    ```
    """
    check_has_matplotlib("plot_survival")
    figure, axis = _lines(curves, "curves", _shares_of)
    axis.set_xlabel("epochs since the connection came")
    axis.set_ylabel("share of connections still there")
    axis.set_ylim(0, 1.03)
    return figure


def plot_exploration(rates):
    """Draws the share of places that were connections at any time.

    Args:
        rates: Float array, as of `exploration_rates`; or dict from labels to
            such, a line each.

    Returns:
        A `matplotlib.figure.Figure`, not tied to a window.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there is nothing to draw.

    Example:

    ```python
    runs = {name: ksr.analysis.load_topologies(name) for name in names}
    rates = {
        name: ksr.analysis.exploration_rates(runs[name]) for name in names
    }
    ksr.analysis.plot_exploration(rates).savefig("exploration.png")
    ```
    """
    check_has_matplotlib("plot_exploration")
    figure, axis = _lines(rates, "rates", np.asarray)
    axis.set_xlabel("epoch")
    axis.set_ylabel("exploration rate $R_s$")
    axis.set_ylim(bottom=0)
    return figure


def _shares_of(curve):
    if isinstance(curve, SurvivalCurve):
        return curve.survival
    return np.asarray(curve)


def _lines(curves, name, values_of):
    """A figure with a line of points per curve, on whole numbers."""
    if not isinstance(curves, Mapping):
        curves = {None: curves}
    lines = {label: values_of(curve) for label, curve in curves.items()}
    if not lines or any(
        line.ndim != 1 or not line.size for line in lines.values()
    ):
        raise ValueError(
            f"`{name}` must be a line of numbers, or a dict of such. "
            f"Received: {name}={curves!r}"
        )
    figure = new_figure(6, 4)
    axis = figure.subplots()
    for label, line in lines.items():
        axis.plot(line, marker=".", label=label)
    axis.grid(color="0.9")
    tick_whole_numbers(axis)
    axis.yaxis.get_major_locator().set_params(integer=False)
    axis.set_xlim(left=0)
    if None not in lines:
        axis.legend()
    return figure, axis
