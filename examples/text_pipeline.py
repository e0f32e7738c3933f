"""From strings to batches of word ids, the same in training and in serving."""

import collections

import keras
import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

PADDING_ID = 0
UNKNOWN_ID = 1
RESERVED_IDS = 2

# Texts that are tokenised at a time: bounds the memory, not the result.
CHUNK = 1024

HTML_TAG = r"</?[a-z][^<>]*>"
# Anything but letters with their marks, digits, and the apostrophe of "don't".
SEPARATORS = r"[^\pL\pM\pN']+"
LONE_APOSTROPHES = r"(^|\s)'+|'+(\s|$)"


def tokenize(texts):
    """Splits texts into lower-case words, inside or outside of a graph.

    HTML tags and punctuation are dropped; an apostrophe inside of a word
    stays.

    Args:
        texts: String tensor of shape `(batch,)`, UTF-8.

    Returns:
        Ragged string tensor of shape `(batch, words)`.
    """
    texts = tf_text.case_fold_utf8(texts)
    texts = tf.strings.regex_replace(texts, HTML_TAG, " ")
    texts = tf.strings.regex_replace(texts, "’", "'")
    # Two spaces: one apostrophe's match may take one, the next needs one too.
    texts = tf.strings.regex_replace(texts, SEPARATORS, "  ")
    texts = tf.strings.regex_replace(texts, LONE_APOSTROPHES, " ")
    return tf_text.WhitespaceTokenizer().tokenize(texts)


def build_vocabulary(texts, vocabulary_size):
    """Lists the most frequent words, ties in the order of their bytes.

    Args:
        texts: List of strings, the training texts.
        vocabulary_size: Integer, the number of ids, which includes the two
            for padding and for unknown words.

    Returns:
        List of bytes, at most `vocabulary_size - 2`, the most frequent first.

    Raises:
        ValueError: If there is no room for a word, or no word at all.
    """
    if vocabulary_size <= RESERVED_IDS:
        raise ValueError(
            f"`vocabulary_size` must be greater than {RESERVED_IDS}, the ids "
            "for padding and for unknown words. "
            f"Received: vocabulary_size={vocabulary_size}"
        )
    counts = collections.Counter()
    for chunk in _chunks(texts):
        counts.update(tokenize(chunk).flat_values.numpy().tolist())
    if not counts:
        raise ValueError(
            "A vocabulary expects texts with at least one word. "
            f"Received: texts={texts[:3]}"
        )
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [word for word, _ in ranked[: vocabulary_size - RESERVED_IDS]]


class TextVectorizer(tf.Module):
    """Maps strings to the ids of their last words, padded on the left.

    Id 0 is padding, id 1 an unknown word. The object computes in a graph and
    can be saved in a SavedModel.

    Args:
        vocabulary: List of bytes without repetition. Word `i` gets the id
            `i + 2`.
        sequence_length: Integer, how many words of a text are kept.
    """

    def __init__(self, vocabulary, sequence_length):
        super().__init__(name="text_vectorizer")
        if sequence_length < 1:
            raise ValueError(
                "`sequence_length` must be at least 1. "
                f"Received: sequence_length={sequence_length}"
            )
        self.sequence_length = sequence_length
        # The number of ids: the `input_dim` of an embedding.
        self.vocabulary_size = len(vocabulary) + RESERVED_IDS
        ids = np.arange(RESERVED_IDS, self.vocabulary_size, dtype="int64")
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(vocabulary, tf.string), ids
            ),
            default_value=UNKNOWN_ID,
        )

    def __call__(self, texts):
        """Vectorises a batch.

        Args:
            texts: String tensor of shape `(batch,)`.

        Returns:
            int32 tensor of shape `(batch, sequence_length)`.
        """
        words = tokenize(texts)[:, -self.sequence_length :]
        ids = tf.ragged.map_flat_values(self.table.lookup, words)
        # `to_tensor` pads on the right. Each row's words are reversed, and
        # then the whole rows: the words stand in order again, at the end.
        lengths = ids.row_lengths()
        ids = ids.to_tensor(PADDING_ID, shape=(None, self.sequence_length))
        ids = tf.reverse(tf.reverse_sequence(ids, lengths, seq_axis=1), [1])
        return tf.cast(ids, "int32")

    def arrays(self, texts):
        """Vectorises a list of texts of any length.

        Args:
            texts: List of strings.

        Returns:
            int32 NumPy array of shape `(len(texts), sequence_length)`.
        """
        parts = [self(chunk).numpy() for chunk in _chunks(texts)]
        empty = np.zeros((0, self.sequence_length), "int32")
        return np.concatenate([empty, *parts])


class TextClassifier(tf.Module):
    """Strings in, labels and probabilities out: what a SavedModel holds.

    Args:
        vectorizer: A `TextVectorizer`.
        model: A Keras model of plain layers that maps ids of shape
            `(batch, sequence_length)` to probabilities of shape
            `(batch, classes)`.
        label_names: Tuple of strings, one for each class.
    """

    def __init__(self, vectorizer, model, label_names):
        super().__init__(name="text_classifier")
        self.vectorizer = vectorizer
        self.label_names = tf.constant(label_names, tf.string)
        # The variables, but not the Keras objects around them: a SavedModel
        # of tensors alone loads without Keras.
        self.weights = [variable.value for variable in model.variables]

        @tf.function(
            input_signature=[tf.TensorSpec((None,), tf.string, "text")],
            autograph=False,
        )
        def classify(text):
            probabilities = model(self.vectorizer(text), training=False)
            best = tf.argmax(probabilities, axis=-1)
            return {
                "label": tf.gather(self.label_names, best),
                "probabilities": probabilities,
                "label_names": self.label_names,
            }

        self.classify = classify

    def export(self, path):
        """Writes a SavedModel with one signature, `serving_default`.

        The signature takes `text`, strings of shape `(batch,)`, and returns
        `label`, strings of shape `(batch,)`, `probabilities`, floats of shape
        `(batch, classes)`, and `label_names`, strings of shape `(classes,)`.

        Args:
            path: String or path of a folder.
        """
        tf.saved_model.save(
            self, str(path), signatures={"serving_default": self.classify}
        )


class ShuffledBatches(keras.utils.PyDataset):
    """Batches of examples in an order drawn anew from (seed, epoch).

    Pass it to `fit` with `shuffle=False`, which would shuffle the batches a
    second time, from a state that is lost when the process ends.

    Args:
        x: NumPy array of shape `(n, ...)`.
        y: NumPy array of shape `(n, ...)`.
        batch_size: Integer. The last batch of an epoch may be smaller.
        seed: Non-negative integer.

    `order` is the present order, an array of indices.
    """

    def __init__(self, x, y, batch_size, seed):
        super().__init__()
        if len(x) != len(y) or not len(x):
            raise ValueError(
                "`x` and `y` must have the same number of examples, at least "
                f"one. Received: len(x)={len(x)}, len(y)={len(y)}"
            )
        if batch_size < 1:
            raise ValueError(
                "`batch_size` must be at least 1. "
                f"Received: batch_size={batch_size}"
            )
        self.x = x
        self.y = y
        self.batch_size = batch_size
        self.seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch):
        """Draws the order of an epoch.

        Args:
            epoch: Non-negative integer.
        """
        rng = np.random.default_rng([self.seed, epoch])
        self.order = rng.permutation(len(self.x))

    def __len__(self):
        return -(-len(self.x) // self.batch_size)

    def __getitem__(self, index):
        start = index * self.batch_size
        chosen = self.order[start : start + self.batch_size]
        return self.x[chosen], self.y[chosen]


def _chunks(texts):
    for start in range(0, len(texts), CHUNK):
        yield tf.constant(texts[start : start + CHUNK], tf.string)
