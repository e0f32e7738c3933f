"""Texts to train language models on: Penn Treebank, WikiText-2, or any file."""

import dataclasses
from pathlib import Path

from docstring_data import read_docstrings
from text_files import find_file
from text_files import read_text

# By data set, what its files are called, the word before the part's and after.
FILES = {
    "ptb": ("ptb.{}.txt", "{}.txt"),
    "wikitext-2": ("wiki.{}.tokens", "{}.txt"),
}
PARTS = ("train", "valid", "test")
ENDINGS = ("", ".xz", ".gz")
DATASETS = ("docstrings", *FILES, "text")
# Of a text that comes in one part: the lines from here on validate, and test.
VALID_FROM, TEST_FROM = 0.9, 0.95


@dataclasses.dataclass(frozen=True)
class LanguageData:
    """A text in three parts.

    Args:
        name: String.
        description: String, what it is and where it came from.
        train: String, of lines.
        valid: String, likewise.
        test: String, likewise.
        is_tokenized: Boolean, whether white space alone parts the tokens.
    """

    name: str
    description: str
    train: str
    valid: str
    test: str
    is_tokenized: bool


def load_language(name, data_dir=None, text_file=None):
    """Loads a text.

    Args:
        name: String, one of `DATASETS`.
        data_dir: String or path of a folder that holds the data set's files,
            or a folder of its name with them. For `ptb` and `wikitext-2`, and
            for `text`, where the files are train.txt, valid.txt and test.txt.
        text_file: String or path of one file, for `text`: the last tenth of
            its lines is set aside, half of it for validation, half for the
            test.

    Returns:
        A `LanguageData`.

    Raises:
        ValueError: If an argument is missing, or a file is missing, is no text
            or is empty.
    """
    if name not in DATASETS:
        raise ValueError(
            f"`dataset` must be one of {', '.join(DATASETS)}. "
            f"Received: dataset={name!r}"
        )
    if name != "text" and text_file is not None:
        raise ValueError(
            f"The data set '{name}' reads no `text_file`: expected "
            f"`dataset='text'` with it. Received: text_file={str(text_file)!r}"
        )
    if name == "docstrings":
        if data_dir is not None:
            raise ValueError(
                "The data set 'docstrings' reads no `data_dir`: expected "
                "`dataset` to name another. "
                f"Received: data_dir={str(data_dir)!r}"
            )
        return _docstrings()
    if text_file is not None and data_dir is not None:
        raise ValueError(
            "Expected either a `text_file` or a `data_dir`. Received: "
            f"text_file={str(text_file)!r}, data_dir={str(data_dir)!r}"
        )
    if text_file is not None:
        return _one_file(text_file)
    if data_dir is None:
        needed = "`text_file` or `data_dir`" if name == "text" else "`data_dir`"
        raise ValueError(
            f"The data set '{name}' expects {needed}. Received: data_dir=None"
        )
    return _three_files(name, Path(data_dir))


def _docstrings():
    train, test, versions = read_docstrings()
    # Lines, those of the packages in turns: any stretch has some of each.
    train, held_out = (
        [text for row in zip(*part.values(), strict=True) for text, _ in row]
        for part in (train, test)
    )
    middle = len(held_out) // 2
    return LanguageData(
        "docstrings",
        f"docstrings of {versions}",
        "\n".join(train),
        "\n".join(held_out[:middle]),
        "\n".join(held_out[middle:]),
        is_tokenized=False,
    )


def _one_file(path):
    lines = _checked(read_text(path), path).removesuffix("\n").split("\n")
    valid, test = (int(len(lines) * share) for share in (VALID_FROM, TEST_FROM))
    parts = (lines[:valid], lines[valid:test], lines[test:])
    if not all(parts):
        raise ValueError(
            f"{path}: expected at least 11 lines, to set some aside for "
            f"validation and test. Received: {len(lines)} lines"
        )
    for part, its_lines in zip(PARTS, parts, strict=True):
        if not any(map(str.strip, its_lines)):
            raise ValueError(
                f"{path}: expected words in each part, but all lines of the "
                f"part '{part}' are empty. Received: {len(its_lines)} lines"
            )
    return LanguageData(
        "text",
        f"{Path(path).name}, {len(lines):,} lines",
        *("".join(f"{line}\n" for line in part) for part in parts),
        is_tokenized=False,
    )


def _three_files(name, folder):
    texts, paths = [], []
    for part in PARTS:
        path = find_file(
            [
                below / (pattern.format(part) + ending)
                for below in (folder, folder / name)
                for pattern in FILES.get(name, ("{}.txt",))
                for ending in ENDINGS
            ],
            name,
            folder,
        )
        paths.append(path)
        texts.append(_checked(read_text(path), path))
    return LanguageData(
        name,
        f"{', '.join(path.name for path in paths)} in {paths[0].parent}",
        *texts,
        is_tokenized=name in FILES,
    )


def _checked(text, path):
    if not text.strip():
        raise ValueError(
            f"Expected a text, but the file is empty. Received: path={path}"
        )
    return text
