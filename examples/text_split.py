"""Splitting labelled examples in two, without a framework."""

import numpy as np


def stratified_split(labels, fraction, seed, groups=None):
    """Draws the same share of every label, at least one example of each.

    Args:
        labels: Integer array of shape `(n,)`.
        fraction: Float between 0 and 1, the share to draw.
        seed: Integer.
        groups: Integer array of shape `(n,)`. Whole groups are drawn then,
            until a label has its share or more. Groups must not cross labels.
            Defaults to `None`: each example stands for itself.

    Returns:
        Tuple `(rest, drawn)` of sorted index arrays. Together they hold every
        index once.

    Raises:
        ValueError: If the fraction is out of range, or a label has only one
            example or group and cannot be in both parts.
    """
    if not 0 < fraction < 1:
        raise ValueError(
            "`fraction` must be between 0 and 1, both excluded. "
            f"Received: fraction={fraction}"
        )
    check_splittable(labels, groups)
    labels = np.asarray(labels)
    if groups is None:
        groups = np.arange(len(labels))
    rng = np.random.default_rng(seed)
    drawn = []
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        names, sizes = np.unique(groups[places], return_counts=True)
        order = rng.permutation(len(names))
        # As many as reach the share; one at least stays.
        share = max(round(fraction * len(places)), 1)
        count = 1 + np.searchsorted(np.cumsum(sizes[order]), share)
        chosen = names[order[: min(count, len(names) - 1)]]
        drawn.append(places[np.isin(groups[places], chosen)])
    drawn = np.sort(np.concatenate(drawn))
    return np.setdiff1d(np.arange(len(labels)), drawn), drawn


def check_splittable(labels, groups=None, label_names=None, what="A split"):
    """Raises `ValueError` unless each label can be in both parts of a split.

    Args:
        labels: Integer array of shape `(n,)`.
        groups: As for `stratified_split`.
        label_names: Sequence of strings, by which the error names a label.
            Defaults to `None`: by its integer.
        what: String, the split's name in the error. Defaults to `"A split"`.
    """
    labels = np.asarray(labels)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        count = len(places if groups is None else np.unique(groups[places]))
        if count < 2:
            name = label if label_names is None else repr(label_names[label])
            raise ValueError(
                f"{what} expects at least two examples, or two groups of them, "
                f"of each label. Received: label={name} with {count}"
            )
