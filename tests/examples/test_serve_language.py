import io
import os
import sys

import pytest
import serve_language
import tensorflow as tf


@pytest.fixture
def serve(monkeypatch):
    """Returns a function that serves one text by the given flags."""

    def run(*flags):
        monkeypatch.setattr(sys, "argv", ["serve_language.py", *flags])
        text = io.TextIOWrapper(io.BytesIO(b"the old\n"))
        monkeypatch.setattr(sys, "stdin", text)
        return serve_language.main()

    return run


@pytest.fixture
def asked(monkeypatch):
    """Puts a stand-in in the place of the model; returns what it is asked."""
    calls = []

    def score(text):
        calls.append({"text": text.numpy().tolist()})
        return {
            "perplexity": tf.constant([12.345]),
            "tokens": tf.constant([3]),
            "unknown": tf.constant([1]),
        }

    def go_on(**given):
        calls.append({name: value.numpy() for name, value in given.items()})
        assert given["seed"].dtype == "int64"
        return {"continuation": tf.constant("cat sleeps")}

    monkeypatch.setattr(
        serve_language, "load_language_model", lambda path: (score, go_on)
    )
    return calls


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--continue=0", f"from 1 to {2**31 - 1}. Received: continue=0"),
        ("--continue=-3", "Received: continue=-3"),
        (f"--continue={2**31}", f"Received: continue={2**31}"),
        ("--continue=2.5", "Received: continue=2.5"),
        ("--seed=-1", f"from 0 to {2**63 - 1}. Received: seed=-1"),
        (f"--seed={2**63}", f"Received: seed={2**63}"),
        ("--seed=one", "Received: seed=one"),
        ("--temperature=-0.1", "at least 0. Received: temperature=-0.1"),
        ("--temperature=nan", "Received: temperature=nan"),
        ("--temperature=inf", "Received: temperature=inf"),
        # Infinity in the model's numbers.
        ("--temperature=1e39", "Received: temperature=1e39"),
        ("--temperature=warm", "Received: temperature=warm"),
    ],
)
def test_wrong_flags_are_refused_before_the_model_is_loaded(
    serve, capsys, monkeypatch, flag, message
):
    monkeypatch.setattr(
        serve_language,
        "load_language_model",
        lambda path: pytest.fail("loaded the model"),
    )
    with pytest.raises(SystemExit) as ended:
        serve("model", flag)
    assert ended.value.code == 2
    name = flag.partition("=")[0]
    printed = capsys.readouterr().err
    assert f"error: argument {name}: must be" in printed
    assert printed.endswith(f"{message}\n")


@pytest.mark.parametrize(
    ("tokens", "temperature", "seed"),
    [(1, 0, 0), (2**31 - 1, 3e38, 2**63 - 1)],
)
def test_flags_at_the_ends_of_their_ranges_reach_the_model(
    serve, asked, capsys, tokens, temperature, seed
):
    status = serve(
        "model",
        f"--continue={tokens}",
        f"--temperature={temperature}",
        f"--seed={seed}",
    )
    assert status == 0
    assert capsys.readouterr().out == "the old cat sleeps\n"
    assert asked == [
        {
            "text": b"the old",
            "tokens": tokens,
            "temperature": pytest.approx(temperature),
            "seed": seed,
        }
    ]


def test_texts_are_scored_without_continue(serve, asked, capsys):
    assert serve("model", "--temperature=0.5") == 0
    assert capsys.readouterr().out == "12.35\t3 tokens, 1 unknown\n"
    assert asked == [{"text": [b"the old"]}]


def test_missing_path(serve, tmp_path, capsys):
    assert serve(str(tmp_path / "none")) == 2
    assert "Received: path=" in capsys.readouterr().err


@pytest.mark.usefixtures("asked")
def test_it_ends_quietly_when_nobody_reads_any_more(monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["serve_language.py", "model"])
    text = io.TextIOWrapper(io.BytesIO(b"the old\n" * 2))
    monkeypatch.setattr(sys, "stdin", text)
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert serve_language.main() == 0
    assert capfd.readouterr().err == ""


def test_help_says_what_an_answer_is(serve, capsys):
    with pytest.raises(SystemExit) as ended:
        serve("--help")
    assert ended.value.code == 0
    assert "Its answer is the perplexity" in capsys.readouterr().out
