"""Loaders of labelled texts: strings in, strings out, no framework.

Each loader returns a `TextData`. The order of the texts is the same on every
machine; shuffling is the training's business.
"""

import dataclasses
import html
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
from docstring_data import read_docstrings
from text_files import archive_members
from text_files import decode
from text_files import find_file
from text_files import folder_members
from text_files import read_columns
from text_files import read_rows
from text_files import read_text
from text_files import shown
from text_split import check_splittable
from text_split import stratified_split

# Sets that are distributed as a table, or easily made into one. They share
# the loader of `csv`; the name only selects the settings of the paper.
CSV_DATASETS = ("csv", "twitter", "yelp", "yelp_polarity", "amazon")
FOLDER_DATASETS = ("imdb", "ag_news")
DATASETS = ("docstrings", *FOLDER_DATASETS, *CSV_DATASETS)

IMDB_MEMBER = re.compile(r"aclImdb/(train|test)/(neg|pos)/(\d+)_\d+\.txt$")
IMDB_ARCHIVES = ("aclImdb_v1.tar.gz", "aclImdb_labelled.tar.xz")
AG_NEWS_TRAIN_SIZE = 120_000
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
# " #39;" and " quot;" in AG's News were "&#39;" and "&quot;" once.
BROKEN_ENTITY = re.compile(r"[ &](#\d+|amp|gt|lt|nbsp|quot);")


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


def load_text(
    dataset,
    data_dir=None,
    train_csv=None,
    test_csv=None,
    text_column="text",
    label_column="label",
    test_fraction=0.2,
    seed=0,
):
    """Loads a data set by name.

    Args:
        dataset: String, one of `DATASETS`.
        data_dir: String or path. The folder that holds `imdb` or `ag_news`.
        train_csv: String or path, for the data sets in `CSV_DATASETS`: a CSV
            file in UTF-8, also compressed as `.gz` or `.xz`.
        test_csv: String or path. Defaults to `None`: a part of `train_csv` is
            split off.
        text_column: String, the name of the text's column in the header, or
            its number counted from 0 in a file without a header.
        label_column: String, name or number of the label's column.
        test_fraction: Float between 0 and 1, the share that is split off
            where there is no `test_csv`.
        seed: Integer, the seed of that split.

    Returns:
        A `TextData`.

    Raises:
        ValueError: If the data set is unknown, an argument it needs is
            missing, there is one that it does not read, or a file is not what
            it should be.
    """
    if dataset not in DATASETS:
        raise ValueError(
            f"`dataset` must be one of {', '.join(DATASETS)}. "
            f"Received: dataset={dataset!r}"
        )
    # What a data set does not read was meant for another one.
    for name, path, readers in (
        ("data_dir", data_dir, FOLDER_DATASETS),
        ("train_csv", train_csv, CSV_DATASETS),
        ("test_csv", test_csv, CSV_DATASETS),
    ):
        if path and dataset not in readers:
            raise ValueError(
                f"The data set '{dataset}' reads no `{name}`: expected it "
                f"only with one of {', '.join(readers)}. "
                f"Received: dataset={dataset!r}, {name}={shown(path)}"
            )
    if dataset == "docstrings":
        return load_docstrings()
    if dataset in FOLDER_DATASETS:
        if not data_dir:
            raise ValueError(
                f"The data set '{dataset}' expects `data_dir` to be the folder "
                f"that holds it. Received: data_dir={shown(data_dir)}"
            )
        if not Path(data_dir).is_dir():
            problem = (
                "it is a file"
                if Path(data_dir).exists()
                else "there is no such folder"
            )
            raise ValueError(
                f"The data set '{dataset}' expects `data_dir` to be the folder "
                f"that holds it, but {problem}. "
                f"Received: data_dir={shown(data_dir)}"
            )
        load = load_imdb if dataset == "imdb" else load_ag_news
        return load(Path(data_dir))
    if not train_csv:
        raise ValueError(
            f"The data set '{dataset}' expects `train_csv` to be a CSV file. "
            f"Received: train_csv={shown(train_csv)}"
        )
    return load_csv(
        train_csv,
        test_csv,
        text_column,
        label_column,
        test_fraction=test_fraction,
        seed=seed,
        name=dataset,
    )


def load_docstrings(train_size=1000, test_size=250):
    """Loads the docstrings of installed packages. See `docstring_data`.

    Args:
        train_size: Integer, number of training texts per package at most.
        test_size: Integer, number of test texts per package at most.

    Returns:
        A `TextData` whose labels are the packages.
    """
    train, test, versions = read_docstrings(train_size, test_size)
    names = tuple(train)
    parts = []
    for part in (train, test):
        texts = [text for name in names for text, _ in part[name]]
        sizes = [len(part[name]) for name in names]
        parts += [texts, np.repeat(np.arange(len(names)), sizes)]
    data = _text_data("docstrings", *parts, names, f"docstrings of {versions}")
    files = [path for name in names for _, path in train[name]]
    return dataclasses.replace(
        data, train_groups=np.unique(files, return_inverse=True)[1]
    )


def load_imdb(data_dir):
    """Loads the Large Movie Review data set, sorted by label and number.

    Args:
        data_dir: `pathlib.Path` of a folder that holds `aclImdb` unpacked,
            or is it, or holds one of its archives, itself or in `imdb/`.

    Returns:
        A `TextData` with the labels `"neg"` and `"pos"`.

    Raises:
        ValueError: If nothing of the kind is found, or a part is empty.
    """
    source = find_file(
        [
            place / name
            for place in (data_dir, data_dir / "imdb")
            for name in ("aclImdb", *IMDB_ARCHIVES)
        ]
        + ([data_dir] if data_dir.name == "aclImdb" else []),
        "imdb",
        data_dir,
    )
    # (part, label) -> list of (number, text)
    reviews = {
        (part, label): []
        for part in ("train", "test")
        for label in ("neg", "pos")
    }
    members = folder_members if source.is_dir() else archive_members
    for name, content in members(source):
        match = IMDB_MEMBER.search(name)
        if match:
            part, label, number = match.groups()
            text = decode(content, source / name)
            reviews[part, label].append((int(number), text))
    for (part, label), numbered in reviews.items():
        if not numbered:
            raise ValueError(
                "The data set 'imdb' expects reviews named "
                f"aclImdb/{part}/{label}/ID_RATING.txt. Received: "
                f"source={shown(source)}"
            )
    parts = []
    for part in ("train", "test"):
        texts, labels = [], []
        for index, label in enumerate(("neg", "pos")):
            texts += [text for _, text in sorted(reviews[part, label])]
            labels += [index] * len(reviews[part, label])
        parts += [texts, labels]
    return _text_data(
        "imdb", *parts, ("neg", "pos"), "Large Movie Review Dataset v1.0"
    )


def load_ag_news(data_dir):
    """Loads AG's News: title and description of each article.

    Args:
        data_dir: `pathlib.Path` of a folder with `train.csv` or
            `train_subset.csv`, `test.csv` and `classes.txt`, each of them
            possibly compressed, itself or in `ag_news/` or `ag_news_csv/`.

    Returns:
        A `TextData` with the labels of `classes.txt`.

    Raises:
        ValueError: If a file is missing or malformed, `classes.txt` has fewer
            than two labels, or a label is tested and not trained.
    """
    places = (data_dir, data_dir / "ag_news", data_dir / "ag_news_csv")

    def find(*stems):
        names = [stem + end for stem in stems for end in ("", ".xz", ".gz")]
        candidates = [place / name for place in places for name in names]
        return find_file(candidates, "ag_news", data_dir)

    train_file = find("train.csv", "train_subset.csv")
    test_file = find("test.csv")
    classes_file = find("classes.txt")
    lines = map(str.strip, read_text(classes_file).splitlines())
    label_names = tuple(filter(None, lines))
    _check_several(label_names, f"{classes_file}: expected at least two labels")
    parts = []
    for path in (train_file, test_file):
        texts, labels = [], []
        for line, row in read_rows(path):
            if len(row) != 3 or row[0] not in map(
                str, range(1, len(label_names) + 1)
            ):
                raise ValueError(
                    f"{path}, line {line}: expected a class between 1 and "
                    f"{len(label_names)}, a title and a description. "
                    f"Received: row={row}"
                )
            labels.append(int(row[0]) - 1)
            texts.append(_repaired(f"{row[1]} {row[2]}"))
        parts += [texts, labels]
    trained, tested = ({label_names[i] for i in part} for part in parts[1::2])
    _check_trained(test_file, tested, train_file, trained)
    size = len(parts[0])
    description = "AG's News"
    if size != AG_NEWS_TRAIN_SIZE:
        description += f", {size:,} of {AG_NEWS_TRAIN_SIZE:,} training texts"
    return _text_data("ag_news", *parts, label_names, description)


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
    label_names = _sorted_labels(labels)
    _check_several(
        label_names,
        f"{train_csv}: expected at least two different labels in the column "
        f"{columns[1]!r}",
    )
    index = {label: i for i, label in enumerate(label_names)}
    ids = np.array([index[label] for label in labels])
    if test_csv:
        test_texts, test_labels = _read_labelled(test_csv, columns)
        _check_trained(test_csv, test_labels, train_csv, label_names)
        test_ids = [index[label] for label in test_labels]
        return _text_data(
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
    return _text_data(
        name,
        [texts[i] for i in kept],
        ids[kept],
        [texts[i] for i in split_off],
        ids[split_off],
        label_names,
        f"{Path(train_csv).name}, {test_fraction:.0%} of it for the test",
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


def _read_labelled(path, columns):
    """Reads texts and labels of a CSV file, of which a text has a word."""
    texts, labels = read_columns(path, columns, columns[1])
    if not any(character.isalnum() for text in texts for character in text):
        raise ValueError(
            f"{path}: expected texts with words in the column {columns[0]!r}. "
            f"Received: texts={texts[:3]}"
        )
    return texts, [label.strip() for label in labels]


def _check_several(label_names, expected):
    if len(label_names) < 2:
        raise ValueError(f"{expected}. Received: labels={list(label_names)}")


def _check_trained(test_file, tested, train_file, trained):
    """Raises `ValueError` if a label is only in the test file."""
    unseen = _sorted_labels(set(tested) - set(trained))
    if unseen:
        raise ValueError(
            f"{test_file}: expected only labels that the training file "
            f"{train_file} has too: {', '.join(_sorted_labels(trained))}. "
            f"Received: labels={list(unseen)}"
        )


def _sorted_labels(labels):
    """Sorts different labels, as numbers where all of them are."""
    labels = set(labels)
    if not all(NUMBER.fullmatch(label) for label in labels):
        return tuple(sorted(labels))
    return tuple(sorted(labels, key=lambda label: (Decimal(label), label)))


def _repaired(text):
    """Undoes what the making of AG's News did to entities and line breaks."""
    text = BROKEN_ENTITY.sub(r"&\1;", text.replace("\\", " "))
    return html.unescape(text)


def _text_data(
    name, train_texts, train_labels, test_texts, test_labels, names, description
):
    return TextData(
        name,
        train_texts,
        np.asarray(train_labels, "int32"),
        test_texts,
        np.asarray(test_labels, "int32"),
        names,
        description,
    )
