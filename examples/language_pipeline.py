"""From text to ids of tokens, the same in training and in serving."""

import collections

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

END = b"<eos>"
UNKNOWN = b"<unk>"
END_ID, UNKNOWN_ID = 0, 1

# Lines that are tokenised at a time: bounds the memory, not the result.
CHUNK = 4096

# What stands alone: anything but letters with their marks, digits, the
# apostrophe of "don't", and white space.
SIGNS = r"([^\pL\pM\pN'\s])"


def tokenize(lines, is_tokenized):
    """Splits lines into tokens, inside or outside of a graph.

    Args:
        lines: String tensor of shape `(n,)`, UTF-8.
        is_tokenized: Boolean. `True`: white space parts the tokens. `False`:
            they are words in lower case, and each sign for itself.

    Returns:
        Ragged string tensor of shape `(n, tokens)`.
    """
    if not is_tokenized:
        lines = tf_text.case_fold_utf8(lines)
        lines = tf.strings.regex_replace(lines, "’", "'")
        lines = tf.strings.regex_replace(lines, SIGNS, r" \1 ")
        # What stands for an unknown word is a word.
        lines = tf.strings.regex_replace(lines, r"<\s+unk\s+>", "<unk>")
    return tf_text.WhitespaceTokenizer().tokenize(lines)


def tokens_of(text, is_tokenized):
    """The tokens of a text, `<eos>` at the end of each line.

    Args:
        text: String.
        is_tokenized: As for `tokenize`.

    Returns:
        List of bytes.
    """
    lines, tokens = text.removesuffix("\n").split("\n"), []
    for start in range(0, len(lines), CHUNK):
        chunk = tf.constant(lines[start : start + CHUNK], tf.string)
        for line in tokenize(chunk, is_tokenized).to_list():
            tokens.extend(line)
            tokens.append(END)
    return tokens


def build_vocabulary(tokens, vocabulary_size):
    """Lists the most frequent tokens, ties in the order of their bytes.

    Args:
        tokens: List of bytes, the training text's.
        vocabulary_size: Integer of at least 3, the number of ids.

    Returns:
        List of at most so many bytes: `<eos>`, `<unk>`, and the tokens, the
        most frequent first.

    Raises:
        ValueError: If there is no room for a token, or no token.
    """
    if vocabulary_size < 3:
        raise ValueError(
            "`vocabulary_size` must be at least 3, two of them for the end of "
            "a line and for unknown tokens. "
            f"Received: vocabulary_size={vocabulary_size}"
        )
    counts = collections.Counter(tokens)
    for reserved in (END, UNKNOWN):
        counts.pop(reserved, None)
    if not counts:
        raise ValueError(
            "A vocabulary expects a text with at least one token. "
            f"Received: tokens={tokens[:3]}"
        )
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    chosen = [token for token, _ in ranked[: vocabulary_size - 2]]
    return [END, UNKNOWN, *chosen]


def token_ids(tokens, vocabulary):
    """The ids of tokens, `<unk>`'s for unknown ones.

    Args:
        tokens: List of bytes.
        vocabulary: List of bytes.

    Returns:
        int32 array of shape `(len(tokens),)`.
    """
    places = {token: place for place, token in enumerate(vocabulary)}
    return np.array(
        [places.get(token, UNKNOWN_ID) for token in tokens], np.int32
    )


class LanguageModel(tf.Module):
    """Text in, perplexity or a continuation out: what a SavedModel holds.

    Args:
        vocabulary: List of bytes, the tokens in the order of their ids.
        is_tokenized: As for `tokenize`.
        model: Keras model of plain layers that maps ids of shape
            `(batch, time_steps)`, and a list of states, to a list of logits of
            shape `(batch, time_steps, vocabulary)` and of the states after.
        state_sizes: Tuple of integers, the length of each state.
    """

    def __init__(self, vocabulary, is_tokenized, model, state_sizes):
        super().__init__(name="language_model")
        self.is_tokenized = is_tokenized
        self.state_sizes = tuple(state_sizes)
        self.vocabulary = tf.constant(vocabulary, tf.string)
        ids = np.arange(len(vocabulary), dtype="int64")
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(self.vocabulary, ids),
            default_value=UNKNOWN_ID,
        )
        # The variables, but not the Keras objects around them: a SavedModel
        # of tensors alone loads without Keras.
        self.weights = [variable.value for variable in model.variables]

        @tf.function(
            input_signature=[tf.TensorSpec((None,), tf.string, "text")],
            autograph=False,
        )
        def score(text):
            ids = self.ids_of_lines(text)
            # Layers want a time step, also where there is no text.
            width = tf.maximum(ids.bounding_shape(axis=1), 1)
            targets = ids.to_tensor(END_ID, shape=tf.stack([-1, width]))
            inputs = tf.pad(targets, [[0, 0], [1, 0]])[:, :-1]
            logits, *_ = model([inputs, *self.first_states(inputs)])
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                targets, tf.cast(logits, "float32")
            )
            lengths = ids.row_lengths()
            counted = tf.sequence_mask(lengths, width, losses.dtype)
            loss = tf.reduce_sum(losses * counted, axis=1)
            return {
                "log_probability": -loss,
                "tokens": lengths,
                "unknown": tf.reduce_sum(
                    tf.cast(ids == UNKNOWN_ID, lengths.dtype), axis=1
                ),
                "perplexity": tf.exp(loss / tf.cast(lengths, loss.dtype)),
            }

        @tf.function(
            input_signature=[
                tf.TensorSpec((), tf.string, "text"),
                tf.TensorSpec((), tf.int32, "tokens"),
                tf.TensorSpec((), tf.float32, "temperature"),
                tf.TensorSpec((), tf.int64, "seed"),
            ],
            autograph=False,
        )
        def continuation(text, tokens, temperature, seed):
            is_possible = tf.debugging.Assert(
                tokens >= 0,
                ["`tokens` must be at least 0. Received: tokens =", tokens],
            )
            with tf.control_dependencies([is_possible]):
                tokens = tf.identity(tokens)
            # Without the end of the last line: it is to be gone on with.
            known = self.ids_of_lines(text[None]).flat_values[:-1]
            inputs = tf.concat([[END_ID], known], axis=0)[None]
            logits, *states = model([inputs, *self.first_states(inputs)])

            def step(i, written, logits, *states):
                key = tf.stack([seed, tf.cast(i, "int64")])
                chosen = self.drawn(logits[0, -1], temperature, key)
                logits, *states = model([chosen[None, None], *states])
                return (i + 1, written.write(i, chosen), logits, *states)

            written = tf.TensorArray(tf.int32, tokens, element_shape=())
            shapes = [tf.TensorShape((1, size)) for size in self.state_sizes]
            _, written, *_ = tf.while_loop(
                lambda i, *_: i < tokens,
                step,
                (0, written, logits[:, -1:], *states),
                shape_invariants=(
                    tf.TensorShape(()),
                    tf.TensorShape(None),
                    tf.TensorShape((1, None, len(vocabulary))),
                    *shapes,
                ),
            )
            words = tf.gather(self.vocabulary, written.stack())
            words = tf.where(words == END, "\n", words)
            joined = tf.strings.reduce_join(words, separator=" ")
            lines = tf.strings.regex_replace(joined, " ?\n ?", "\n")
            return {"continuation": lines}

        self.score = score
        self.continuation = continuation

    def ids_of_lines(self, texts):
        """The ids of each text, `<eos>` at the end of each line.

        Args:
            texts: String tensor of shape `(batch,)`.

        Returns:
            Ragged int32 tensor of shape `(batch, tokens)`.
        """
        texts = tf.strings.regex_replace(texts, r"\n$", "")
        lines = tf.strings.split(texts, "\n")
        tokens = tokenize(lines.flat_values, self.is_tokenized)
        ids = tf.ragged.map_flat_values(self.table.lookup, tokens)
        ends = tf.fill([ids.nrows(), 1], tf.constant(END_ID, ids.dtype))
        ids = tf.concat([ids, ends], axis=1)
        by_text = lines.with_values(tf.cast(ids, "int32"))
        return by_text.merge_dims(1, 2)

    def first_states(self, ids):
        """States of 0 for each row of ids, a list."""
        rows = tf.shape(ids)[0]
        return [tf.zeros((rows, size)) for size in self.state_sizes]

    def drawn(self, logits, temperature, seed):
        """An id drawn by its logit; nobody wants to read `<unk>`."""
        logits = tf.cast(logits, "float32")
        unknown = tf.range(tf.shape(logits)[0]) == UNKNOWN_ID
        warm = logits / tf.maximum(temperature, 1e-6)
        # After that division: at a temperature of infinity all are equal.
        warm, logits = (
            tf.where(unknown, each.dtype.min, each) for each in (warm, logits)
        )
        sampled = tf.random.stateless_categorical(
            warm[None], 1, seed, dtype="int32"
        )[0, 0]
        best = tf.argmax(logits, output_type="int32")
        return tf.where(temperature > 0, sampled, best)

    def export(self, path):
        """Writes a SavedModel with two signatures.

        `serving_default` takes `text`, strings of shape `(batch,)`, and
        returns for each the `log_probability` of its tokens together, the
        number of `tokens`, the end of each line among them, how many of them
        are `unknown`, and the `perplexity`. `continue` takes `text`, one
        string, how many `tokens` to add, the `temperature`, at 0 of which the
        likeliest token is taken, and a `seed`, and returns the `continuation`.

        Args:
            path: String or path of a folder.
        """
        tf.saved_model.save(
            self,
            str(path),
            signatures={
                "serving_default": self.score,
                "continue": self.continuation,
            },
        )
