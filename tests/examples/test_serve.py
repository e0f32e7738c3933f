import ast
import io
import os
import sys

import pytest
import serve
import tensorflow as tf
from text_pipeline import TextClassifier
from text_pipeline import TextVectorizer


class Votes:
    """Stands for a model: the share of each word among a text's words."""

    variables = ()

    def __call__(self, ids, training=False):
        counts = [
            tf.reduce_sum(tf.cast(ids == i, "float32"), 1) for i in (2, 3)
        ]
        return tf.nn.softmax(tf.stack(counts, axis=1))


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("serve") / "saved_model"
    vectorizer = TextVectorizer([b"good", b"bad"], 10)
    TextClassifier(vectorizer, Votes(), ("pos", "neg")).export(path)
    return path


def test_imports_only_tensorflow_and_tensorflow_text():
    with open(serve.__file__, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.partition(".")[0])
    assert names - sys.stdlib_module_names == {"tensorflow", "tensorflow_text"}


def test_signature(saved_model):
    classify = serve.load_classifier(saved_model)
    result = classify(text=tf.constant(["good", "bad good bad", ""]))
    assert set(result) == {"label", "probabilities", "label_names"}
    assert result["label"].numpy().tolist() == [b"pos", b"neg", b"pos"]
    assert result["probabilities"].shape == (3, 2)
    assert result["label_names"].numpy().tolist() == [b"pos", b"neg"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ""),
        (b"good\n", "pos\t0.7311\n"),
        (b"Bad, bad!\ngood", "neg\t0.8808\npos\t0.7311\n"),
        (b"\n  \nbad\n", "\n\nneg\t0.7311\n"),
        (b"bad \xff\xfe\n", "neg\t0.7311\n"),
    ],
)
def test_answers(saved_model, monkeypatch, capsys, content, expected):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert serve.main([str(saved_model)]) == 0
    assert capsys.readouterr().out == expected


def test_control_c_ends_it_quietly(saved_model, monkeypatch, capsys):
    class Interrupted(io.TextIOWrapper):
        def __next__(self):
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", Interrupted(io.BytesIO()))
    assert serve.main([str(saved_model)]) == 0
    assert capsys.readouterr().out == ""


def test_it_ends_quietly_when_nobody_reads_any_more(
    saved_model, monkeypatch, capfd
):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"good\n")))
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert serve.main([str(saved_model)]) == 0
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("argv", [[], ["a", "b"], ["--what"]])
def test_wrong_arguments_show_the_usage(argv, capsys):
    assert serve.main(argv) == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_says_what_goes_in_and_what_comes_out(flag, capsys):
    assert serve.main([flag]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("usage: serve.py SAVED_MODEL\n")
    for word in ("text_classification.py", "text in UTF-8", "probability"):
        assert word in printed.out
    assert printed.err == ""


def test_missing_path(tmp_path, capsys):
    assert serve.main([str(tmp_path / "none")]) == 2
    assert "Received: path=" in capsys.readouterr().err


def test_saved_model_of_something_else(tmp_path, capsys):
    tf.saved_model.save(tf.Module(), str(tmp_path))
    assert serve.main([str(tmp_path)]) == 2
    assert "returns 'label' and 'probabilities'" in capsys.readouterr().err
