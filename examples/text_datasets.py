"""Loaders of data sets by name: strings in, strings out, no framework.

Each loader returns a `TextData`. The order of the texts is the same on every
machine; shuffling is the training's business.
"""

import dataclasses
import html
import re
from pathlib import Path

import numpy as np
from docstring_data import read_docstrings
from labelled_csv import load_csv
from text_data import check_several
from text_data import check_trained
from text_data import text_data
from text_files import archive_members
from text_files import decode
from text_files import find_file
from text_files import folder_members
from text_files import read_rows
from text_files import read_text
from text_files import shown

# Sets that are distributed as a table, or easily made into one. They share
# the loader of `csv`; the name only selects the settings of the paper.
CSV_DATASETS = ("csv", "twitter", "yelp", "yelp_polarity", "amazon")
FOLDER_DATASETS = ("imdb", "ag_news")
DATASETS = ("docstrings", *FOLDER_DATASETS, *CSV_DATASETS)

IMDB_MEMBER = re.compile(r"aclImdb/(train|test)/(neg|pos)/(\d+)_\d+\.txt$")
IMDB_ARCHIVES = ("aclImdb_v1.tar.gz", "aclImdb_labelled.tar.xz")
AG_NEWS_TRAIN_SIZE = 120_000
# " #39;" and " quot;" in AG's News were "&#39;" and "&quot;" once.
BROKEN_ENTITY = re.compile(r"[ &](#\d+|amp|gt|lt|nbsp|quot);")


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
    data = text_data("docstrings", *parts, names, f"docstrings of {versions}")
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
    return text_data(
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
    check_several(label_names, f"{classes_file}: expected at least two labels")
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
    check_trained(test_file, tested, train_file, trained)
    size = len(parts[0])
    description = "AG's News"
    if size != AG_NEWS_TRAIN_SIZE:
        description += f", {size:,} of {AG_NEWS_TRAIN_SIZE:,} training texts"
    return text_data("ag_news", *parts, label_names, description)


def _repaired(text):
    """Undoes what the making of AG's News did to entities and line breaks."""
    text = BROKEN_ENTITY.sub(r"&\1;", text.replace("\\", " "))
    return html.unescape(text)
