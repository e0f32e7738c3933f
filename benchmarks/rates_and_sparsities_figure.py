"""Accuracy and perplexity against rewire rate and sparsity, as a figure."""

import textwrap

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def draw(panels, path):
    """Draws two panels for each task, and saves them.

    Args:
        panels: List of tuples: the task, which has `title`, `measure`,
            `fixed_rate`, and lists of triples, rewire rate, sparsity and
            value, of the dense model, of rewire rates at one sparsity, and of
            sparsities at one rewire rate.
        path: String or path of the PNG.
    """
    figure, axes = plt.subplots(
        len(panels),
        2,
        figsize=(9.6, 3.6 * len(panels)),
        squeeze=False,
        # What seeds differ by looks alike in both panels.
        sharey="row",
        layout="constrained",
    )
    for row, (task, dense, rates, levels) in zip(axes, panels, strict=True):
        sparsity = f", sparsity {rates[0][1]:.1%}" if rates else ""
        _draw_panel(row[0], rates, dense, 0)
        row[0].set(
            title=f"{task.title}{sparsity}",
            xlabel="rewire rate ζ",
            ylabel=task.measure,
            xlim=(0, 1),
        )
        _draw_panel(row[1], levels, dense, 1)
        row[1].set(
            title=f"{task.title}, ζ = {task.fixed_rate:g}",
            xlabel="sparsity, %",
        )
        for axis in row:
            axis.set_title(textwrap.fill(axis.get_title(), 54))
            axis.title.set_fontsize("medium")
            axis.grid(alpha=0.3)
        if any(axis.lines for axis in row):
            row[1].legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _draw_panel(axis, found, dense, column):
    """A curve of the means over seeds, single seeds as dots."""
    scale = 100 if column else 1
    places = np.array([scale * each[column] for each in found])
    values = np.array([each[2] for each in found])
    axis.plot(places, values, "o", color="C0", alpha=0.5, markersize=4)
    unique = np.unique(places)
    means = [values[places == each].mean() for each in unique]
    axis.plot(unique, means, color="C0", label="ST-RNN")
    if dense:
        axis.axhline(
            np.mean([each[2] for each in dense]),
            color="C7",
            linestyle="--",
            label="dense",
        )
