"""Pictures of masks, with matplotlib."""

import numpy as np

from keras_sparse_rnn.analysis.degrees import degree_distribution
from keras_sparse_rnn.analysis.degrees import degrees
from keras_sparse_rnn.analysis.degrees import degrees_by_gate
from keras_sparse_rnn.analysis.degrees import density_image
from keras_sparse_rnn.analysis.degrees import random_degree_distribution
from keras_sparse_rnn.analysis.figure import check_has_matplotlib
from keras_sparse_rnn.analysis.figure import new_figure
from keras_sparse_rnn.analysis.figure import tick_whole_numbers
from keras_sparse_rnn.sparse_layers import sparse_weights

# Characters that fit along an axis.
LONGEST_NAME = 27


def plot_masks(layer):
    """Draws the connectivity of each gate, and the degree distributions.

    A row per sparse weight: an image per gate, white where nothing is
    connected, then two histograms over all gates: of the connections that
    leave an input, into all gates together, and of those that reach an output,
    in each gate by itself. Masks larger than the picture are averaged over
    blocks.

    Args:
        layer: Built layer or model with sparse weights.

    Returns:
        A `matplotlib.figure.Figure`, not tied to a window: save it by
        `figure.savefig(path)`.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If `layer` is no Keras layer or model, has no sparse
            weights, or is not built.

    Example:

    ```python
    ksr.plot_masks(model.layers[1]).savefig("masks.png")
    ```
    """
    check_has_matplotlib("plot_masks")
    weights = _weights_of(layer)
    images = max(len(weight.groups) for weight in weights)
    figure = new_figure(2.6 * (images + 2), 2.9 * len(weights))
    axes = figure.subplots(len(weights), images + 2, squeeze=False)
    for row, weight in zip(axes, weights, strict=True):
        mask = weight.mask.numpy()
        for axis, group in zip(row[:images], weight.groups, strict=False):
            _draw_mask(axis, group.view(mask)[:, 0, :], group.name)
        for axis in row[len(weight.groups) : images]:
            axis.set_axis_off()
        row[0].set_ylabel(f"{_label(weight)}\ninput", fontsize="small")
        leaving, reaching = degrees(mask)
        several = len(weight.layer.gates) > 1
        _draw_degrees(
            row[-2],
            leaving,
            "connections per input" + ",\nall gates" * several,
            "inputs",
        )
        _draw_degrees(
            row[-1],
            reaching,
            "connections per output" + ",\neach gate" * several,
            "outputs" + " of all gates" * several,
        )
    return figure


def plot_degrees(layer):
    """Draws how many connections units have, gate by gate.

    A row per sparse weight: the share of inputs that at least so many
    connections leave, and of outputs that at least so many reach, a line for
    each gate by itself. The dashed line is what connections at random places,
    as many over all gates, would give: where the others are above it on the
    right, there are hubs.

    Args:
        layer: Built layer or model with sparse weights.

    Returns:
        A `matplotlib.figure.Figure`, not tied to a window.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If `layer` is no Keras layer or model, has no sparse
            weights, or is not built.

    Example:

    ```python
    ksr.analysis.plot_degrees(model).savefig("degrees.png")
    ```
    """
    check_has_matplotlib("plot_degrees")
    weights = _weights_of(layer)
    figure = new_figure(9, 2.9 * len(weights))
    axes = figure.subplots(len(weights), 2, squeeze=False)
    for row, weight in zip(axes, weights, strict=True):
        mask = weight.mask.numpy()
        gates = weight.layer.gates
        leaving, reaching = degrees_by_gate(mask, len(gates))
        for axis, counts, places, side in (
            (row[0], leaving, reaching.shape[1], "input"),
            (row[1], reaching, leaving.shape[1], "output"),
        ):
            random = random_degree_distribution(places, mask.mean())
            _draw_distributions(axis, gates, counts, random)
            several = ", each gate" * (len(gates) > 1)
            axis.set_xlabel(f"connections per {side}{several}: at least")
            axis.set_ylabel(f"share of {side}s")
        row[0].set_ylabel(f"{_label(weight)}\nshare of inputs")
    return figure


def _weights_of(layer):
    weights = sparse_weights(layer)
    if not weights:
        raise ValueError(
            "Expected a built layer or model with sparse weights. "
            f"Received: layer={layer.name!r}"
        )
    return weights


def _draw_distributions(axis, gates, counts, random):
    shares = [_at_least(degree_distribution(each)) for each in counts]
    expected = _at_least(random)
    for gate, line in zip(gates, shares, strict=True):
        name = "as it is" if len(gates) == 1 else f"gate {gate}"
        axis.plot(line, marker=".", label=name)
    axis.plot(expected, color="0.3", linestyle="--", label="random")
    # To where next to no unit has so few or so many.
    last = max(np.flatnonzero(expected > 1e-3)[-1], counts.max()) + 1
    first = min(np.flatnonzero(expected < 1 - 1e-3)[0], counts.min()) - 1
    axis.set_xlim(max(first, 0), last)
    axis.set_ylim(0, 1.03)
    axis.grid(color="0.9")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(fontsize="small")


def _at_least(distribution):
    """Share of units of at least each degree, 0 beyond the largest."""
    shares = np.cumsum(distribution[::-1])[::-1]
    return np.append(shares, 0.0)


def _draw_mask(axis, mask, gate):
    inputs, outputs = mask.shape
    image = density_image(mask)
    axis.imshow(
        image,
        cmap="Greys",
        vmin=0,
        vmax=image.max(),
        aspect="auto",
        interpolation="nearest",
        extent=(0, outputs, inputs, 0),
    )
    name = "" if gate == "all" else f"gate {gate}, "
    axis.set_title(f"{name}{mask.mean():.2%}", fontsize="medium")
    axis.set_xlabel("output")
    tick_whole_numbers(axis)


def _draw_degrees(axis, counts, label, counted):
    low, high = int(counts.min()), int(counts.max())
    width = max(1, -(-(high - low + 1) // 40))
    edges = np.arange(low, high + width + 1, width) - 0.5
    axis.hist(counts, bins=edges, color="0.4")
    # Nothing has fewer than no connections.
    axis.set_xlim(left=max(edges[0] - width, -0.5))
    tick_whole_numbers(axis)
    axis.set_xlabel(label)
    axis.set_title(f"mean {counts.mean():.1f}", fontsize="medium")
    axis.set_ylabel(f"number of {counted}")


def _label(weight):
    """What tells the weight's layer from others, and the weight's name.

    A cell is told by the layer around it too: in a `Bidirectional`,
    `forward_lstm/lstm_cell` and `backward_lstm/lstm_cell`.
    """
    *layers, name = weight.path.split("/")
    is_cell = hasattr(weight.layer, "state_size")
    names = [*layers[-2 if is_cell else -1 :], name]
    return "\n".join(_shortened(each) for each in names)


def _shortened(name):
    """A name that is no longer than an axis is high, its ends kept."""
    if len(name) <= LONGEST_NAME:
        return name
    half = (LONGEST_NAME - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
