import gzip
import lzma
import re
import tarfile

import docstring_data
import numpy as np
import pytest
from text_datasets import load_docstrings
from text_datasets import load_text

REVIEWS = {
    "train/neg/10_1.txt": "dull",
    "train/neg/2_3.txt": "boring",
    "train/pos/0_9.txt": "é great",
    "test/neg/0_2.txt": "bad",
    "test/pos/7_10.txt": "good",
    "test/pos/3_8.txt": "fine",
}
COMPRESSORS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}


def write(path, text):
    """Writes text, compressed according to the end of the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.suffix if path.suffix in COMPRESSORS else ""
    path.write_bytes(COMPRESSORS[suffix](text.encode()))
    return path


def write_imdb(folder, reviews=REVIEWS):
    for name, text in reviews.items():
        write(folder / "aclImdb" / name, text)
    write(folder / "aclImdb" / "train" / "unsup" / "0_0.txt", "no label")
    write(folder / "aclImdb" / "README", "about")


def write_imdb_archive(folder, scratch, name):
    write_imdb(scratch)
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / name, f"w:{name[-2:]}") as archive:
        archive.add(scratch / "aclImdb", "aclImdb")


def write_ag_news(folder, train="train.csv", suffix="", rows=None):
    rows = rows or (
        '"3","Oil #39;s up","A  #36;10 rise\\today; &lt;b&gt; quot;x quot;"',
        '"1","Talks","Say ""yes"""',
    )
    write(folder / f"{train}{suffix}", "\n".join(rows) + "\n")
    write(folder / f"test.csv{suffix}", '"3","New chip","Faster"\n')
    write(
        folder / f"classes.txt{suffix}", "World\nSports\nBusiness\nSci/Tech\n"
    )


@pytest.mark.parametrize(
    "layout",
    [
        "unpacked",
        "itself",
        "imdb/unpacked",
        "aclImdb_v1.tar.gz",
        "imdb/aclImdb_labelled.tar.xz",
    ],
)
def test_imdb_layouts(tmp_path, layout):
    data_dir = tmp_path / "data"
    below, _, name = layout.rpartition("/")
    if name.startswith("aclImdb"):
        write_imdb_archive(data_dir / below, tmp_path / "scratch", name)
    else:
        write_imdb(data_dir / below)
    if layout == "itself":
        data_dir = data_dir / "aclImdb"
    data = load_text("imdb", data_dir)
    # By number, not by name: 2 before 10.
    assert data.train_texts == ["boring", "dull", "é great"]
    assert data.train_labels.tolist() == [0, 0, 1]
    assert data.test_texts == ["bad", "fine", "good"]
    assert data.test_labels.tolist() == [0, 1, 1]
    assert data.label_names == ("neg", "pos")
    assert data.train_labels.dtype == "int32"


def test_imdb_without_a_part_names_it(tmp_path):
    reviews = {k: v for k, v in REVIEWS.items() if "test/pos" not in k}
    write_imdb(tmp_path, reviews)
    with pytest.raises(ValueError, match=r"test/pos/ID_RATING.*aclImdb'$"):
        load_text("imdb", tmp_path)


def test_imdb_damaged_archive_is_named(tmp_path):
    path = tmp_path / "aclImdb_v1.tar.gz"
    write_imdb_archive(tmp_path, tmp_path / "scratch", path.name)
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(
        ValueError, match=r"tar archive .*Received: path=.*gz'$"
    ):
        load_text("imdb", tmp_path)


def test_imdb_review_that_is_not_utf8_is_named(tmp_path):
    write_imdb(tmp_path)
    (tmp_path / "aclImdb/test/neg/0_2.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match=r"UTF-8.*0_2\.txt'$"):
        load_text("imdb", tmp_path)


@pytest.mark.parametrize("folder", ["", "ag_news", "ag_news_csv"])
@pytest.mark.parametrize("suffix", COMPRESSORS)
@pytest.mark.parametrize("train", ["train.csv", "train_subset.csv"])
def test_ag_news_layouts(tmp_path, folder, suffix, train):
    write_ag_news(tmp_path / folder, train, suffix)
    data = load_text("ag_news", tmp_path)
    assert data.train_texts == [
        'Oil\'s up A $10 rise today; <b>"x"',
        'Talks Say "yes"',
    ]
    assert data.train_labels.tolist() == [2, 0]
    assert data.test_texts == ["New chip Faster"]
    assert data.test_labels.tolist() == [2]
    assert data.label_names == ("World", "Sports", "Business", "Sci/Tech")
    assert "2 of 120,000" in data.description


@pytest.mark.parametrize(
    "row", ['"5","a","b"', '"0","a","b"', '"1","a"', '"x","a","b"']
)
def test_ag_news_wrong_row_is_named(tmp_path, row):
    write_ag_news(tmp_path, rows=('"1","a","b"', row))
    with pytest.raises(ValueError, match=r"train\.csv, line 2: .*Received: r"):
        load_text("ag_news", tmp_path)


def test_ag_news_label_only_in_the_test_set(tmp_path):
    write_ag_news(tmp_path, rows=('"1","a","b"', '"2","c","d"'))
    with pytest.raises(
        ValueError,
        match=r"test\.csv: .*train\.csv .*World.*labels=\['Business'\]$",
    ):
        load_text("ag_news", tmp_path)


@pytest.mark.parametrize("content", ["", " \n\n", "World\n"])
def test_ag_news_without_classes_names_their_file(tmp_path, content):
    write_ag_news(tmp_path)
    write(tmp_path / "classes.txt", content)
    with pytest.raises(
        ValueError, match=r"classes\.txt: .*two labels\. Received: labels=\["
    ):
        load_text("ag_news", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (
            {"dataset": "imbd"},
            "one of docstrings, imdb, .*Received: dataset='imbd'",
        ),
        ({"dataset": "imdb"}, "'imdb' .*Received: data_dir=None"),
        (
            {"dataset": "ag_news", "data_dir": "nowhere"},
            "'ag_news' .*there is no such folder. Received: data_dir='nowhere'",
        ),
        (
            {"dataset": "imdb", "data_dir": __file__},
            "'imdb' .*but it is a file. Received: data_dir=",
        ),
        ({"dataset": "yelp"}, "'yelp' .*Received: train_csv=None"),
        (
            {"dataset": "docstrings", "data_dir": "a"},
            "no `data_dir`: .*of imdb, ag_news. .*'docstrings', data_dir='a'$",
        ),
        (
            {"dataset": "csv", "train_csv": "a.csv", "data_dir": "a"},
            "'csv' reads no `data_dir`: .*dataset='csv', data_dir='a'$",
        ),
        (
            {"dataset": "docstrings", "train_csv": "a.csv"},
            "no `train_csv`: .*one of csv, .*train_csv='a.csv'$",
        ),
        (
            {"dataset": "imdb", "data_dir": "a", "test_csv": "b.csv"},
            "'imdb' reads no `test_csv`: .*test_csv='b.csv'$",
        ),
        (
            {"dataset": "csv", "train_csv": "nowhere.csv"},
            "readable file .*Received: path='nowhere.csv'",
        ),
    ],
)
def test_wrong_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        load_text(**arguments)


@pytest.mark.parametrize("dataset", ["imdb", "ag_news"])
def test_data_dir_without_the_data(tmp_path, dataset):
    with pytest.raises(ValueError, match=f"'{dataset}' expects one of these"):
        load_text(dataset, tmp_path)


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_csv_by_name(tmp_path, suffix):
    train = write(
        tmp_path / f"a.csv{suffix}",
        '\ufefflabel,n, text\n10,0,"two\nlines"\n9,1,b\n\n10,2,c\n',
    )
    test = write(tmp_path / f"b.csv{suffix}", "text,label\nd,9\n")
    data = load_text("csv", train_csv=train, test_csv=test)
    assert data.train_texts == ["two\nlines", "b", "c"]
    # As numbers: 9 before 10.
    assert data.label_names == ("9", "10")
    assert data.train_labels.tolist() == [1, 0, 1]
    assert data.test_texts == ["d"]
    assert data.test_labels.tolist() == [0]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["1", "-1", "0"], ("-1", "0", "1")),
        (["10", "9.5", "+2", ".5"], (".5", "+2", "9.5", "10")),
        (["10", "9", "x"], ("10", "9", "x")),
        ([" b", "a ", "b"], ("a", "b")),
        (["nan", "2", "10"], ("10", "2", "nan")),
    ],
)
def test_csv_labels_are_stripped_and_sorted_as_numbers(
    tmp_path, labels, expected
):
    rows = "".join(f"text,{label}\n" for label in labels)
    train = write(tmp_path / "a.csv", "text,label\n" + rows)
    data = load_text("csv", train_csv=train, test_csv=train)
    assert data.label_names == expected
    names = [data.label_names[i] for i in data.train_labels]
    assert names == [label.strip() for label in labels]


def test_csv_by_number_has_no_header(tmp_path):
    train = write(tmp_path / "a.csv", "neg,a\npos,b\nneg,c\npos,d\n")
    data = load_text(
        "twitter", train_csv=train, text_column="1", label_column="0"
    )
    assert data.name == "twitter"
    assert sorted(data.train_texts + data.test_texts) == list("abcd")
    assert data.label_names == ("neg", "pos")


def test_csv_split_depends_on_the_seed_alone(tmp_path):
    rows = "".join(f"text {i},{i % 2}\n" for i in range(50))
    train = write(tmp_path / "a.csv", "text,label\n" + rows)
    splits = [
        load_text("csv", train_csv=train, seed=seed) for seed in (1, 1, 2)
    ]
    assert splits[0].test_texts == splits[1].test_texts
    assert splits[0].test_texts != splits[2].test_texts
    for data in splits:
        assert len(set(data.train_texts + data.test_texts)) == 50
        assert np.bincount(data.test_labels).tolist() == [5, 5]


@pytest.mark.parametrize(
    ("content", "columns", "match"),
    [
        ("", {}, r"it is empty. Received: path='.*a\.csv'"),
        (" \n\n \n", {}, r"it is empty. Received: path='.*a\.csv'"),
        (
            "text,label\n!!,1\n,2\n?,1\n",
            {},
            r"a\.csv: .*words in the column 'text'. Received: texts=\['!!', ''",
        ),
        ("text,label\n", {}, r"below its header. Received: path='.*a\.csv'"),
        (
            "body,label\nx,y\n",
            {},
            r"a\.csv.* has: body, label. Received: column='text'",
        ),
        (
            "x,y\n",
            {"text_column": "0", "label_column": "2"},
            r"a\.csv.* has: 0, 1. Received: column='2'",
        ),
        (
            "x,label\n",
            {"text_column": "0"},
            r"a\.csv.*Received: columns=\('0', 'label'\)",
        ),
        (
            "text,label\nx,1\ny\n",
            {},
            r"a\.csv, line 3: .*Received: row=\['y'\]",
        ),
        (
            "text,label\nx,1\ny, \nz,2\n",
            {},
            r"a\.csv, line 3: .*column 'label'. Received: row=\['y', ' '\]",
        ),
        (
            "text,label\nx,1\ny,1\n",
            {},
            r"a\.csv: .*two different .*Received: labels=\['1'\]",
        ),
        ('text,label\n"x,1\n', {}, r"CSV file.*Received: path='.*a\.csv'"),
    ],
)
def test_csv_errors_name_the_file(tmp_path, content, columns, match):
    train = write(tmp_path / "a.csv", content)
    with pytest.raises(ValueError, match=match):
        load_text("csv", train_csv=train, **columns)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.csv", b"text,label\ncaf\xe9,1\n", "UTF-8"),
        ("a.csv.gz", b"text,label\nx,1\n", "readable file"),
        ("a.csv.gz", gzip.compress(b"text,label\n" * 50)[:-9], "readable"),
        ("a.csv.xz", b"text,label\nx,1\n", "readable file"),
        ("a.csv.xz", lzma.compress(b"text,label\n" * 50)[:-9], "readable"),
    ],
    ids=["latin 1", "no gzip", "cut gzip", "no xz", "cut xz"],
)
def test_csv_unreadable_file_is_named(tmp_path, name, content, match):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{match}.*{re.escape(name)}'$"):
        load_text("csv", train_csv=path)


def test_csv_label_with_one_text_is_named_and_needs_a_test_file(tmp_path):
    content = "text,label\nw,good\nx,good\ny,bad\n"
    train = write(tmp_path / "a.csv", content)
    with pytest.raises(
        ValueError, match=r"a\.csv: a test part .*Received: label='bad' with 1$"
    ):
        load_text("csv", train_csv=train)
    data = load_text("csv", train_csv=train, test_csv=train)
    assert data.label_names == ("bad", "good")


def test_csv_label_only_in_the_test_set(tmp_path):
    train = write(tmp_path / "a.csv", "text,label\nx,1\ny,2\n")
    test = write(tmp_path / "b.csv", "text,label\nx,1\ny,3\n")
    with pytest.raises(ValueError, match=r"b\.csv: .*labels=\['3'\]"):
        load_text("csv", train_csv=train, test_csv=test)


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("Adds two numbers.", "Adds two numbers."),
        ("A.\n\n    Args:\n        x: One.\n", "A. x: One."),
        ("A.\n\nParameters\n----------\nx : int\n", "A. x : int"),
        ("A.\n\n>>> f(1)\n2\n\nB.", "A. B."),
        ("A.\n```python\nf(1)\n```\nB.", "A. B."),
        ("Use keras.ops or `tf.Tensor` with NumPy.", "Use or ` ` with ."),
        ("np is tf, snp is not", "is , snp is not"),
        ("", ""),
    ],
)
def test_prose(docstring, expected):
    assert docstring_data.prose(docstring) == expected


def test_docstrings_of_a_missing_package():
    with pytest.raises(ValueError, match="Received: package='no_such'"):
        docstring_data.source_files("no_such")


def test_docstrings_are_deterministic_balanced_and_without_leaks():
    train, test, versions = docstring_data.read_docstrings(60, 20)
    assert (train, test, versions) == docstring_data.read_docstrings(60, 20)
    assert {len(part) for part in train.values()} == {60}
    assert {len(part) for part in test.values()} == {20}
    pairs = {
        name: [pair for texts in part.values() for pair in texts]
        for name, part in (("train", train), ("test", test))
    }
    for column in (0, 1):
        train_set = {pair[column] for pair in pairs["train"]}
        assert train_set.isdisjoint(pair[column] for pair in pairs["test"])
    texts = [text for part in pairs.values() for text, _ in part]
    assert len({text.casefold() for text in texts}) == len(texts)
    leak = re.compile(r"tensorflow|keras|numpy|python|\b(tf|np)\b", re.I)
    assert not [text for text in texts if leak.search(text)]
    assert "keras 3." in versions


def test_docstrings_are_read_without_importing_anything(run_python):
    code = (
        "import sys, text_datasets; text_datasets.load_docstrings(5, 5);"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    examples = docstring_data.__file__.rpartition("docstring_data")[0]
    run_python("-c", f"import sys; sys.path.insert(0, {examples!r}); {code}")


def test_docstrings_give_their_files_as_groups():
    data = load_docstrings(30, 10)
    assert len(data.train_groups) == len(data.train_texts) == 120
    # A file is of one package.
    for group in set(data.train_groups):
        assert len(set(data.train_labels[data.train_groups == group])) == 1


def test_real_imdb(shared_data):
    data = load_text("imdb", shared_data)
    assert np.bincount(data.train_labels).tolist() == [12500, 12500]
    assert np.bincount(data.test_labels).tolist() == [12500, 12500]
    assert len(data.train_texts) == len(data.test_texts) == 25000


def test_real_ag_news(shared_data):
    data = load_text("ag_news", shared_data)
    assert np.bincount(data.train_labels).tolist() == [8355, 8451, 8513, 8421]
    assert np.bincount(data.test_labels).tolist() == [1900] * 4
    assert "33,740 of 120,000" in data.description
    assert not [text for text in data.train_texts if "\\" in text]
