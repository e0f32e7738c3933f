"""The settings of each data set, the paper's where it gives them."""

# batch size, learning rate, rewire rate, epsilon, epochs. Section 4 of the
# paper; it gives no batch size and rewire rate for AG's News and Yelp's
# polarity, which take those of Yelp, and no epochs. `csv` and `docstrings` are
# not in it.
SETTINGS = {
    "docstrings": (64, 0.003, 0.5, 10, 5),
    "imdb": (256, 0.0005, 0.4, 10, 10),
    "ag_news": (64, 0.01, 0.2, 20, 10),
    "csv": (64, 0.001, 0.5, 10, 10),
    "twitter": (64, 0.001, 0.6, 10, 10),
    "yelp": (64, 0.01, 0.2, 10, 10),
    "yelp_polarity": (64, 0.001, 0.2, 20, 10),
    "amazon": (64, 0.001, 0.2, 10, 10),
}
SETTING_NAMES = (
    "batch_size",
    "learning_rate",
    "rewire_rate",
    "epsilon",
    "epochs",
)


def by_dataset(name):
    """Says in a flag's help what it is by default, the commonest value first.

    Args:
        name: String, one of `SETTING_NAMES`.

    Returns:
        String.
    """
    place = SETTING_NAMES.index(name)
    datasets = {}
    for dataset, values in SETTINGS.items():
        datasets.setdefault(values[place], []).append(dataset)
    common = max(datasets, key=lambda value: len(datasets[value]))
    others = [
        f"; {value} for {', '.join(names)}"
        for value, names in datasets.items()
        if value != common
    ]
    return f"By default {common}{''.join(others)}."
