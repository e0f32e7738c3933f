"""The comparison of methods as a figure: accuracy against training FLOPs."""

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.transforms import offset_copy

# Costs whose logarithms to the base 10 are nearer than this share a column.
SAME_COST = 0.06
# Between what is drawn of a column, in points: less than a marker is wide.
BESIDE = 5
TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
MARKERS = "os^Dv<>Pp*Xhd8"


def draw(panels, path):
    """Draws a panel for each comparison, side by side, and saves them.

    Those of the same cost are drawn a little beside each other, so that their
    deviations can be told apart. All panels have the same axis of costs.

    Args:
        panels: List of pairs: a title, and a list with a tuple for each
            method: title, training FLOPs relative to dense, and list of
            accuracies, one for each seed.
        path: String or path of the PNG.
    """
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(5.4 * len(panels) + 1.8, 4.6),
        squeeze=False,
        sharex=True,
        layout="constrained",
    )
    # The same method looks the same in all panels.
    names = dict.fromkeys(name for _, methods in panels for name, *_ in methods)
    styles = {
        name: {"color": f"C{place % 10}", "marker": MARKERS[place]}
        for place, name in enumerate(names)
    }
    for axis, (title, methods) in zip(axes[0], panels, strict=True):
        _draw_panel(axis, title, methods, styles)
    _mark_costs(axes[0], [cost for _, of in panels for _, cost, _ in of])
    axes[0][0].set_ylabel("test accuracy at the epoch chosen, %")
    handles = {
        name: handle
        for axis in axes[0]
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        [handles[name] for name in names],
        names,
        loc="outside right upper",
        frameon=False,
    )
    figure.savefig(path, dpi=150)
    plt.close(figure)


def columns(costs):
    """Groups costs that are as good as the same.

    Args:
        costs: Sequence of floats above 0.

    Returns:
        List of lists of indices, the lowest cost first.
    """
    found = []
    for index in np.argsort(costs, kind="stable"):
        near = found and np.log10(costs[index] / costs[found[-1][0]])
        if found and near < SAME_COST:
            found[-1].append(int(index))
        else:
            found.append([int(index)])
    return found


def _draw_panel(axis, title, methods, styles):
    names, costs, accuracies = zip(*methods, strict=True)
    ends = []
    for column in columns(costs):
        for place, index in enumerate(sorted(column)):
            beside = offset_copy(
                axis.transData,
                axis.figure,
                x=BESIDE * (place - (len(column) - 1) / 2),
                units="points",
            )
            values = 100 * np.array(accuracies[index])
            mean = values.mean()
            deviation = values.std(ddof=1) if len(values) > 1 else 0
            ends += [mean - deviation, mean + deviation]
            axis.errorbar(
                costs[index],
                mean,
                deviation,
                label=names[index],
                linestyle="",
                capsize=3,
                markersize=7,
                transform=beside,
                **styles[names[index]],
            )
    # What is drawn beside its place does not count in Matplotlib's own limits.
    room = 0.06 * (max(ends) - min(ends)) or 1
    axis.set_ylim(min(ends) - room, max(ends) + room)
    axis.set_xlabel("FLOPs of the training relative to dense")
    axis.set_title(title)
    axis.grid(alpha=0.25)


def _mark_costs(axes, costs):
    """The axis of costs, from the least of all panels to the greatest."""
    least, greatest = min(costs) / 1.5, max(costs) * 1.5
    ticks = [tick for tick in TICKS if least <= tick <= greatest]
    for axis in axes:
        axis.set_xscale("log")
        axis.set_xlim(least, greatest)
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_xticks([], minor=True)
