"""Figures of matplotlib, which is optional, that no window shows."""


def check_has_matplotlib(function):
    """Raises `ImportError` if matplotlib is not installed.

    Args:
        function: String, the name of the function that needs it.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"`{function}` needs matplotlib: "
            "`pip install keras_sparse_rnn[plots]`."
        ) from error


def new_figure(width, height, layout="constrained"):
    """An empty `matplotlib.figure.Figure`, of a size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout)


def tick_whole_numbers(axis):
    """Lets both sides of an axis count in whole numbers."""
    for each in (axis.xaxis, axis.yaxis):
        each.get_major_locator().set_params(integer=True)
