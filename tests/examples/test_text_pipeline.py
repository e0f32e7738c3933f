import numpy as np
import pytest
import tensorflow as tf
from text_pipeline import ShuffledBatches
from text_pipeline import TextVectorizer
from text_pipeline import build_vocabulary
from text_pipeline import tokenize


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Good, GOOD film!", "good good film"),
        ("one<br /><br />two", "one two"),
        ("<b>bold</b> <a href='x'>link</a>", "bold link"),
        ("x < 3 and 4 > y", "x 3 and 4 y"),
        ("don't 'quoted' 'single''", "don't quoted single"),
        ("don’t", "don't"),
        ("' '' rock 'n' roll", "rock n roll"),
        ("back\\slash 10/2 a_b", "back slash 10 2 a b"),
        ("ÉTÉ Straße 東京", "été strasse 東京"),
        # Decomposed, as some systems write it: the same word.
        ("e\u0301te\u0301", "été"),
        ("", ""),
        (" .\t\n", ""),
    ],
)
def test_tokenize(text, words):
    tokens = tokenize(tf.constant([text])).to_list()[0]
    assert [token.decode() for token in tokens] == words.split()


def test_tokenize_takes_bytes_that_are_not_utf8():
    tokens = tokenize(tf.constant([b"caf\xe9 au lait"])).to_list()[0]
    assert tokens[-2:] == [b"au", b"lait"]


def test_vocabulary_is_by_count_then_by_word():
    texts = ["b a c", "a b", "a d"] + ["e"] * 2000
    expected = [b"e", b"a", b"b", b"c", b"d"]
    assert build_vocabulary(texts, 100) == expected
    assert build_vocabulary(texts, 5) == expected[:3]


@pytest.mark.parametrize("size", [2, 0, -1])
def test_vocabulary_without_room(size):
    with pytest.raises(ValueError, match=f"Received: vocabulary_size={size}"):
        build_vocabulary(["a"], size)


def test_vocabulary_without_words():
    with pytest.raises(ValueError, match="at least one word"):
        build_vocabulary(["...", ""], 10)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a b", [0, 0, 2, 3]),
        ("a b c d", [2, 3, 4, 1]),
        # The last words are kept.
        ("c c a b a b", [2, 3, 2, 3]),
        ("B<br/>unheard A", [0, 3, 1, 2]),
        ("", [0, 0, 0, 0]),
    ],
)
def test_vectorizer(text, ids):
    vectorizer = TextVectorizer([b"a", b"b", b"c"], 4)
    assert vectorizer.vocabulary_size == 5
    assert vectorizer.arrays([text]).tolist() == [ids]


def test_vectorizer_in_eager_graph_and_saved_model(tmp_path):
    rng = np.random.default_rng(0)
    words = [b"w%d" % i for i in range(20)]
    texts = [
        " ".join(f"w{i}" for i in rng.integers(0, 25, rng.integers(0, 12)))
        for _ in range(3000)
    ]
    vectorizer = TextVectorizer(words, 6)
    expected = vectorizer.arrays(texts)
    assert expected.shape == (3000, 6)
    assert expected.dtype == "int32"

    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.vectorizer = vectorizer

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
        def vectorize(self, texts):
            return self.vectorizer(texts)

    module = Module()
    np.testing.assert_array_equal(module.vectorize(texts), expected)
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_array_equal(loaded.vectorize(texts), expected)
    assert vectorizer.arrays([]).shape == (0, 6)


def test_vectorizer_without_length():
    with pytest.raises(ValueError, match="Received: sequence_length=0"):
        TextVectorizer([b"a"], 0)


def epoch_of(batches, epoch):
    batches.set_epoch(epoch)
    return np.concatenate([batches[i][0] for i in range(len(batches))])


def test_batches_hold_every_example_once_in_an_order_of_the_epoch():
    x = np.arange(103)
    batches = ShuffledBatches(x, x * 2, 10, seed=5)
    assert len(batches) == 11
    assert [len(batches[i][0]) for i in (0, 9, 10)] == [10, 10, 3]
    for i in range(len(batches)):
        np.testing.assert_array_equal(batches[i][0] * 2, batches[i][1])
    orders = [epoch_of(batches, epoch) for epoch in range(4)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), x)
    assert len({tuple(order) for order in orders}) == 4
    # A function of (seed, epoch) alone: whatever came before.
    again = ShuffledBatches(x, x * 2, 10, seed=5)
    np.testing.assert_array_equal(epoch_of(again, 3), orders[3])
    other = ShuffledBatches(x, x * 2, 10, seed=6)
    assert (epoch_of(other, 3) != orders[3]).any()


@pytest.mark.parametrize(
    ("x", "y", "batch_size", "match"),
    [
        ([1, 2], [1], 1, r"len\(x\)=2, len\(y\)=1"),
        ([], [], 1, r"len\(x\)=0, len\(y\)=0"),
        ([1], [1], 0, "batch_size=0"),
    ],
)
def test_batches_with_wrong_arguments(x, y, batch_size, match):
    with pytest.raises(ValueError, match=match):
        ShuffledBatches(np.array(x), np.array(y), batch_size, 0)
