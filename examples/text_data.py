"""Labelled texts in memory: strings and numbers, no framework."""

import dataclasses
import re
from decimal import Decimal

import numpy as np
from text_split import check_splittable
from text_split import stratified_split

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")


@dataclasses.dataclass(frozen=True)
class TextData:
    """Texts with their labels, split into a training and a test part.

    Args:
        name: String, the data set.
        train_texts: List of strings.
        train_labels: int32 array of shape `(len(train_texts),)` with indices
            into `label_names`.
        test_texts: List of strings.
        test_labels: int32 array of shape `(len(test_texts),)`.
        label_names: Tuple of strings.
        description: String, one line for people: what was read, and whether
            it is all of it.
        train_groups: Integer array of shape `(len(train_texts),)` that tells
            which training texts belong together, as those of one file do: a
            validation part should have all of a group or nothing. Defaults to
            `None`: each text stands for itself.
    """

    name: str
    train_texts: list
    train_labels: np.ndarray
    test_texts: list
    test_labels: np.ndarray
    label_names: tuple
    description: str
    train_groups: np.ndarray | None = None


def text_data(
    name, train_texts, train_labels, test_texts, test_labels, names, description
):
    """Labelled texts whose labels are a list or an array of any integers.

    Args:
        name, train_texts, train_labels, test_texts, test_labels, names,
            description: As for `TextData`; `names` are its `label_names`.

    Returns:
        A `TextData`.
    """
    return TextData(
        name,
        train_texts,
        np.asarray(train_labels, "int32"),
        test_texts,
        np.asarray(test_labels, "int32"),
        names,
        description,
    )


def limit_train(data, size, seed):
    """Keeps a stratified part of the training texts, for quick tries.

    Args:
        data: A `TextData`.
        size: Integer, how many texts to keep, about.
        seed: Integer.

    Returns:
        A `TextData` whose description names the part; `data` itself where it
        has no more than `size` training texts.

    Raises:
        ValueError: If a label has only one training text.
    """
    total = len(data.train_texts)
    if size >= total:
        return data
    # Groups do not matter here: all that is kept is training data.
    check_splittable(
        data.train_labels,
        label_names=data.label_names,
        what=f"The data set '{data.name}': a part of the training texts",
    )
    _, kept = stratified_split(data.train_labels, size / total, seed)
    groups = data.train_groups
    return dataclasses.replace(
        data,
        train_groups=None if groups is None else groups[kept],
        train_texts=[data.train_texts[i] for i in kept],
        train_labels=data.train_labels[kept],
        description=f"{data.description}; {len(kept):,} of {total:,} used",
    )


def check_several(label_names, expected):
    """Raises `ValueError`, that says what was expected, below two labels."""
    if len(label_names) < 2:
        raise ValueError(f"{expected}. Received: labels={list(label_names)}")


def check_trained(test_file, tested, train_file, trained):
    """Raises `ValueError` if a label is only in the test file."""
    unseen = sorted_labels(set(tested) - set(trained))
    if unseen:
        raise ValueError(
            f"{test_file}: expected only labels that the training file "
            f"{train_file} has too: {', '.join(sorted_labels(trained))}. "
            f"Received: labels={list(unseen)}"
        )


def sorted_labels(labels):
    """Sorts different labels, as numbers where all of them are."""
    labels = set(labels)
    if not all(NUMBER.fullmatch(label) for label in labels):
        return tuple(sorted(labels))
    return tuple(sorted(labels, key=lambda label: (Decimal(label), label)))
