import keras
import numpy as np
import pytest
import tensorflow as tf
from language_network import LanguageModelSize
from language_network import build_language_model
from language_network import with_states
from language_pipeline import LanguageModel
from language_pipeline import build_vocabulary
from language_pipeline import token_ids
from language_pipeline import tokens_of

WORDS = [b"<eos>", b"<unk>", b"the", b"cat", b"dog", b"sat", b"."]


@pytest.mark.parametrize(
    ("text", "is_tokenized", "expected"),
    [
        ("The cat, sat.", False, "the cat , sat . <eos>"),
        ("Don’t\n\nx_y 3", False, "don't <eos> <eos> x _ y 3 <eos>"),
        ("a\u2028b\n", False, "a b <eos>"),
        ("A <unk> > 1", False, "a <unk> > 1 <eos>"),
        ("N <unk> 's U.S.\n", True, "N <unk> 's U.S. <eos>"),
        (" = A = \n", True, "= A = <eos>"),
    ],
)
def test_tokens_of_a_text(text, is_tokenized, expected):
    assert b" ".join(tokens_of(text, is_tokenized)).decode() == expected


def test_vocabulary_is_of_the_most_frequent_tokens():
    tokens = b"b b a a c <unk> <unk> <unk> <eos>".split()
    assert build_vocabulary(tokens, 4) == [b"<eos>", b"<unk>", b"a", b"b"]
    assert build_vocabulary(tokens, 9)[2:] == [b"a", b"b", b"c"]
    assert token_ids(
        [b"a", b"z", b"<eos>"], [b"<eos>", b"<unk>", b"a"]
    ).tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("tokens", "size", "message"),
    [
        ([b"a"], 2, "at least 3.*Received: vocabulary_size=2"),
        ([b"<eos>"], 9, "at least one token. Received"),
    ],
)
def test_no_vocabulary_is_an_error(tokens, size, message):
    with pytest.raises(ValueError, match=message):
        build_vocabulary(tokens, size)


@pytest.fixture(params=["lstm", "rhn"])
def trained(request):
    keras.utils.set_random_seed(0)
    size = LanguageModelSize(
        len(WORDS), 5, (6, 4), request.param, depth=2, is_tied=False
    )
    model = build_language_model(size, 1, 1, initial_scale=0.9)
    return model, LanguageModel(WORDS, False, *with_states(model, size))


def log_probability(model, ids):
    """Of ids that follow `<eos>`, one by one."""
    for layer in model.layers:
        if hasattr(layer, "reset_states"):
            layer.reset_states()
        elif getattr(layer, "stateful", False):
            layer.reset_state()
    total = 0.0
    for before, following in zip([0, *ids], ids, strict=False):
        logits = np.asarray(model(np.array([[before]], "int32")))[0, 0]
        total += logits[following] - np.log(np.exp(logits).sum())
    return total


def test_score_is_that_of_the_model_token_by_token(trained):
    model, module = trained
    texts = ["the cat sat.", "The zebra", "", "the dog\nsat"]
    ids = [[2, 3, 5, 6, 0], [2, 1, 0], [0], [2, 4, 0, 5, 0]]
    found = module.score(tf.constant(texts))
    assert found["tokens"].numpy().tolist() == [len(each) for each in ids]
    assert found["unknown"].numpy().tolist() == [0, 1, 0, 0]
    expected = [log_probability(model, each) for each in ids]
    np.testing.assert_allclose(
        found["log_probability"], expected, rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(
        found["perplexity"],
        [
            np.exp(-each / len(of))
            for each, of in zip(expected, ids, strict=True)
        ],
        rtol=1e-5,
    )


def test_no_text_has_no_score(trained):
    _, module = trained
    found = module.score(tf.constant([], tf.string))
    shapes = {name: tuple(each.shape) for name, each in found.items()}
    names = ("log_probability", "tokens", "unknown", "perplexity")
    assert shapes == dict.fromkeys(names, (0,))


def continuation(module, text="the cat", tokens=6, temperature=1.0, seed=0):
    return (
        module.continuation(
            tf.constant(text),
            tf.constant(tokens),
            tf.constant(temperature, tf.float32),
            tf.constant(seed, tf.int64),
        )["continuation"]
        .numpy()
        .decode()
    )


def test_likeliest_continuation_is_the_model_s(trained):
    model, module = trained
    ids = [2, 3]
    for _ in range(6):
        # What follows: the token of the greatest score but `<unk>`.
        scores = [
            -np.inf if each == 1 else log_probability(model, [*ids, each])
            for each in range(len(WORDS))
        ]
        ids.append(int(np.argmax(scores)))
    words = [WORDS[i].decode().replace("<eos>", "\n") for i in ids[2:]]
    written = continuation(module, temperature=0.0)
    assert (
        written.replace("\n", " \n ").split(" ")
        == [*(" ".join(words).split(" "))]
        or written.split() == " ".join(words).split()
    )


def test_continuation_follows_seed_and_length(trained):
    _, module = trained
    assert continuation(module) == continuation(module)
    assert len({continuation(module, seed=seed) for seed in range(5)}) > 1
    assert continuation(module, tokens=0) == ""
    assert "<unk>" not in continuation(module, tokens=200)


def test_a_negative_number_of_tokens_is_refused(trained):
    _, module = trained
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"`tokens` must be at least 0\. Received: tokens =\D*-1",
    ):
        continuation(module, tokens=-1)


def test_saved_model_loads_without_keras(trained, tmp_path):
    _, module = trained
    module.export(tmp_path / "saved")
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    texts = tf.constant(["the cat sat."])
    np.testing.assert_array_equal(
        loaded.signatures["serving_default"](text=texts)["perplexity"],
        module.score(texts)["perplexity"],
    )


@pytest.mark.parametrize("temperature", [0.0, 1e-9, 1.0, 1e30, np.inf])
def test_nothing_unknown_is_written_at_any_temperature(trained, temperature):
    _, language_model = trained
    logits = tf.constant([0.0, 9.0, 1.0, 0.0, 2.0, 0.0, 0.0])
    drawn = {
        int(language_model.drawn(logits, temperature, (seed, 0)))
        for seed in range(200)
    }
    assert WORDS.index(b"<unk>") not in drawn
    assert temperature > 0.1 or drawn == {4}
    assert temperature <= 1 or len(drawn) == 6
