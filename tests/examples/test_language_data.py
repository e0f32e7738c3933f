import lzma

import numpy as np
import pytest
from language_data import load_language
from language_pipeline import END_ID
from language_pipeline import build_vocabulary
from language_pipeline import token_ids
from language_pipeline import tokens_of


@pytest.mark.parametrize(
    ("name", "counts", "vocabulary_size"),
    [
        ("ptb", (929_589, 73_760, 82_430), 10_000),
        pytest.param(
            "wikitext-2",
            (2_088_628, 217_646, 245_569),
            33_278,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_counts_of_the_real_sets(shared_data, name, counts, vocabulary_size):
    data = load_language(name, shared_data)
    parts = [
        tokens_of(text, data.is_tokenized)
        for text in (data.train, data.valid, data.test)
    ]
    assert tuple(map(len, parts)) == counts
    vocabulary = build_vocabulary(parts[0], 50_000)
    assert len(vocabulary) == len(set(vocabulary)) == vocabulary_size
    # Both sets write `<unk>` themselves: nothing else is unknown.
    ids = token_ids(parts[2], vocabulary)
    assert [vocabulary[i] for i in ids] == parts[2]
    lines = data.test.removesuffix("\n").split("\n")
    assert np.count_nonzero(ids == END_ID) == len(lines)


def test_docstrings_are_three_parts_without_a_common_line():
    data = load_language("docstrings")
    train, valid, test = (
        set(text.split("\n")) for text in (data.train, data.valid, data.test)
    )
    assert len(train) > 1000
    assert min(len(valid), len(test)) > 200
    assert len(train | valid | test) == sum(map(len, (train, valid, test)))


def test_last_tenth_of_a_file_is_set_aside(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("\n".join(f"line {i}" for i in range(100)) + "\n")
    data = load_language("text", text_file=path)
    assert data.train == "".join(f"line {i}\n" for i in range(90))
    assert data.valid == "".join(f"line {i}\n" for i in range(90, 95))
    assert data.test == "".join(f"line {i}\n" for i in range(95, 100))


def test_an_empty_line_is_kept_where_a_part_ends(tmp_path):
    path = tmp_path / "book.txt"
    lines = ["two words"] * 40
    lines[35] = lines[37] = ""
    path.write_text("\n".join(lines) + "\n")
    data = load_language("text", text_file=path)
    assert data.train + data.valid + data.test == path.read_text()
    assert len(tokens_of(data.train, data.is_tokenized)) == 35 * 3 + 1


def test_a_part_of_empty_lines_is_refused(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("words\n" * 95 + " \n" * 5)
    with pytest.raises(
        ValueError, match=r"book\.txt: .*part 'test' are empty.*: 5 lines$"
    ):
        load_language("text", text_file=path)


@pytest.mark.parametrize("ending", ["", ".xz"])
@pytest.mark.parametrize("below", ["", "text"])
def test_parts_are_found_in_a_folder(tmp_path, ending, below):
    folder = tmp_path / below
    folder.mkdir(exist_ok=True)
    for part in ("train", "valid", "test"):
        opener = lzma.open if ending else open
        with opener(folder / f"{part}.txt{ending}", "wt") as file:
            file.write(f"{part} words\n")
    data = load_language("text", tmp_path)
    assert (data.train, data.valid, data.test) == (
        "train words\n",
        "valid words\n",
        "test words\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "penn"}, "one of docstrings, ptb.*Received: dataset='penn'"),
        ({"name": "ptb"}, "expects `data_dir`. Received: data_dir=None"),
        (
            {"name": "docstrings", "data_dir": "folder"},
            "reads no `data_dir`.*Received: data_dir='folder'",
        ),
        (
            {"name": "ptb", "text_file": "book.txt"},
            "reads no `text_file`.*Received: text_file='book.txt'",
        ),
        ({"name": "text"}, "`text_file` or `data_dir`. Received"),
        ({"name": "text", "text_file": "none.txt"}, "path='none.txt'"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_language(**arguments)


def test_missing_part_is_named(tmp_path):
    (tmp_path / "ptb.train.txt").write_text("the\n")
    with pytest.raises(ValueError, match=r"ptb\.valid\.txt.*Received: data_"):
        load_language("ptb", tmp_path)


def test_empty_file_is_refused(tmp_path):
    path = tmp_path / "empty.txt"
    path.write_text(" \n\n")
    with pytest.raises(ValueError, match=r"is empty.*Received: path=.*empty"):
        load_language("text", text_file=path)


def test_file_of_few_lines_is_refused(tmp_path):
    path = tmp_path / "short.txt"
    path.write_text("one\ntwo\n")
    with pytest.raises(ValueError, match=r"at least 11 lines.*ived: 2 lines"):
        load_language("text", text_file=path)
    path.write_text("line\n" * 10)
    with pytest.raises(ValueError, match="Received: 10 lines"):
        load_language("text", text_file=path)
    path.write_text("line\n" * 11)
    assert load_language("text", text_file=path).test == "line\n"


def test_one_file_and_a_folder_are_one_too_many(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("line\n" * 20)
    with pytest.raises(
        ValueError, match=r"either a `text_file` or .*, data_dir='none'"
    ):
        load_language("text", "none", path)
