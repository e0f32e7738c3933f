"""The comparison of methods as a figure: accuracy against training FLOPs."""

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# Costs whose logarithms to the base 10 are nearer than this share a column.
SAME_COST = 0.06
# Between points of a column, and from a column to its names, in decades.
BESIDE = 0.022
TO_NAMES = 0.03
# Between two names, as a share of the axis.
LINE = 0.052


def draw(panels, path):
    """Draws a panel for each comparison, side by side, and saves them.

    Points of the same cost are set side by side, so that their deviations can
    be told apart.

    Args:
        panels: List of pairs: a title, and a list with a tuple for each
            method: title, training FLOPs relative to dense, and list of
            accuracies, one for each seed.
        path: String or path of the PNG.
    """
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(6.4 * len(panels), 5),
        squeeze=False,
        layout="constrained",
    )
    for axis, (title, methods) in zip(axes[0], panels, strict=True):
        _draw_panel(axis, title, methods)
    axes[0][0].set_ylabel("test accuracy at the epoch chosen, %")
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


def spaced(heights, gap):
    """Moves heights apart until neighbours are a gap apart, as little.

    Args:
        heights: Sequence of floats, in ascending order.
        gap: Float above 0.

    Returns:
        Float array.
    """
    # A stack of names that touch is centred on the mean of where they belong.
    stacks = []
    for height in heights:
        stacks.append([height])
        while len(stacks) > 1 and _bottom(stacks[-1], gap) < gap + _top(
            stacks[-2], gap
        ):
            stacks[-2:] = [stacks[-2] + stacks[-1]]
    return np.concatenate(
        [_bottom(stack, gap) + gap * np.arange(len(stack)) for stack in stacks]
    )


def _bottom(stack, gap):
    return np.mean(stack) - gap * (len(stack) - 1) / 2


def _top(stack, gap):
    return np.mean(stack) + gap * (len(stack) - 1) / 2


def _draw_panel(axis, title, methods):
    names, costs, accuracies = zip(*methods, strict=True)
    means = [100 * np.mean(values) for values in accuracies]
    deviations = [
        100 * np.std(values, ddof=1) if len(values) > 1 else 0
        for values in accuracies
    ]
    colours = plt.get_cmap("tab20")(np.arange(0, 20) % 20)
    low = min(m - d for m, d in zip(means, deviations, strict=True))
    high = max(m + d for m, d in zip(means, deviations, strict=True))
    margin = 0.06 * max(high - low, 0.1)
    axis.set_ylim(low - margin, high + margin)
    gap = LINE * (high - low + 2 * margin)
    for column in columns(costs):
        by_height = sorted(column, key=lambda index: means[index])
        places = {}
        for place, index in enumerate(sorted(column)):
            offset = BESIDE * (place - (len(column) - 1) / 2)
            places[index] = costs[index] * 10**offset
        at = max(places.values()) * 10**TO_NAMES
        for index, height in zip(
            by_height,
            spaced([means[index] for index in by_height], gap),
            strict=True,
        ):
            colour = colours[2 * index % 20 + (index >= 10)]
            axis.errorbar(
                places[index],
                means[index],
                deviations[index],
                fmt="o",
                color=colour,
                capsize=3,
                markersize=6,
            )
            axis.annotate(
                names[index],
                (places[index], means[index]),
                (at, height),
                va="center",
                fontsize=9,
                arrowprops={
                    "arrowstyle": "-",
                    "color": colour,
                    "linewidth": 0.6,
                    "shrinkA": 1,
                    "shrinkB": 3,
                },
            )
    axis.set_xscale("log")
    axis.set_xlim(min(costs) / 1.3, max(costs) * 2.2)
    ticks = [
        tick
        for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
        if min(costs) / 1.3 <= tick
    ]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_xticks([], minor=True)
    axis.set_xlabel("FLOPs of the training relative to dense")
    axis.set_title(title)
    axis.grid(alpha=0.25)
