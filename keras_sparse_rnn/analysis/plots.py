"""Pictures of masks, with matplotlib."""

import numpy as np

from keras_sparse_rnn.analysis.degrees import degrees
from keras_sparse_rnn.analysis.degrees import density_image
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
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "`plot_masks` needs matplotlib: "
            "`pip install keras_sparse_rnn[plots]`."
        ) from error
    weights = sparse_weights(layer)
    if not weights:
        raise ValueError(
            "Expected a built layer or model with sparse weights. "
            f"Received: layer={layer.name!r}"
        )
    images = max(len(weight.groups) for weight in weights)
    figure = Figure(
        figsize=(2.6 * (images + 2), 2.9 * len(weights)),
        layout="constrained",
    )
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
    _tick_whole_numbers(axis)


def _draw_degrees(axis, counts, label, counted):
    low, high = int(counts.min()), int(counts.max())
    width = max(1, -(-(high - low + 1) // 40))
    edges = np.arange(low, high + width + 1, width) - 0.5
    axis.hist(counts, bins=edges, color="0.4")
    # Nothing has fewer than no connections.
    axis.set_xlim(left=max(edges[0] - width, -0.5))
    _tick_whole_numbers(axis)
    axis.set_xlabel(label)
    axis.set_title(f"mean {counts.mean():.1f}", fontsize="medium")
    axis.set_ylabel(f"number of {counted}")


def _tick_whole_numbers(axis):
    for each in (axis.xaxis, axis.yaxis):
        each.get_major_locator().set_params(integer=True)


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
