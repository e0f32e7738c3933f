"""Labelled texts from a CSV file."""

from pathlib import Path

import numpy as np
from text_data import check_several
from text_data import check_trained
from text_data import sorted_labels
from text_data import text_data
from text_files import read_columns
from text_split import check_splittable
from text_split import stratified_split


def load_csv(
    train_csv,
    test_csv=None,
    text_column="text",
    label_column="label",
    test_fraction=0.2,
    seed=0,
    name="csv",
):
    """Loads any CSV file with a column of texts and a column of labels.

    Args:
        train_csv: String or path of a CSV file in UTF-8, also compressed as
            `.gz` or `.xz`.
        test_csv: String or path. Defaults to `None`: a part of `train_csv` is
            split off.
        text_column: String, the name of the text's column in the header, or
            its number counted from 0 in a file without a header.
        label_column: String, name or number of the label's column.
        test_fraction: Float between 0 and 1, the share of each label that is
            split off where there is no `test_csv`.
        seed: Integer, the seed of that split.
        name: String, the data set's name in messages.

    Returns:
        A `TextData`. Its labels are sorted, as numbers where all are.

    Raises:
        ValueError: If a file cannot be read, is empty, lacks a column or a
            row's label, has no word in its texts or fewer than two labels,
            tests a label it does not train, or is to be split and has only
            one text of a label.
    """
    columns = (str(text_column), str(label_column))
    texts, labels = _read_labelled(train_csv, columns)
    label_names = sorted_labels(labels)
    check_several(
        label_names,
        f"{train_csv}: expected at least two different labels in the column "
        f"{columns[1]!r}",
    )
    index = {label: i for i, label in enumerate(label_names)}
    ids = np.array([index[label] for label in labels])
    if test_csv:
        test_texts, test_labels = _read_labelled(test_csv, columns)
        check_trained(test_csv, test_labels, train_csv, label_names)
        test_ids = [index[label] for label in test_labels]
        return text_data(
            name,
            texts,
            ids,
            test_texts,
            test_ids,
            label_names,
            f"{Path(train_csv).name}, tested on {Path(test_csv).name}",
        )
    check_splittable(
        ids, label_names=label_names, what=f"{train_csv}: a test part"
    )
    kept, split_off = stratified_split(ids, test_fraction, seed)
    return text_data(
        name,
        [texts[i] for i in kept],
        ids[kept],
        [texts[i] for i in split_off],
        ids[split_off],
        label_names,
        f"{Path(train_csv).name}, {test_fraction:.0%} of it for the test",
    )


def _read_labelled(path, columns):
    """Reads texts and labels of a CSV file, of which a text has a word."""
    texts, labels = read_columns(path, columns, columns[1])
    if not any(character.isalnum() for text in texts for character in text):
        raise ValueError(
            f"{path}: expected texts with words in the column {columns[0]!r}. "
            f"Received: texts={texts[:3]}"
        )
    return texts, [label.strip() for label in labels]
