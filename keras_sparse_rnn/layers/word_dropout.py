"""Dropout of whole words of the vocabulary."""

import keras
from keras import ops

from keras_sparse_rnn.arguments import check_integer
from keras_sparse_rnn.arguments import check_rate
from keras_sparse_rnn.arguments import named


@keras.saving.register_keras_serializable("keras_sparse_rnn")
class WordDropout(keras.layers.Layer):
    """Drops words of the vocabulary, wherever they occur in a batch.

    In training each call draws anew which of the `input_dim` words are
    dropped. The embedding of such a word is 0 at each of its places, in all
    samples and time steps; the others are scaled by `1 / (1 - rate)`. It is
    also called embedding dropout: rows of the table are dropped, and not single
    places of sentences. Only what was looked up is; a decoder that is tied to
    the table is left alone.

    Variational, or locked, dropout of features, which is the same at each time
    step, is `keras.layers.SpatialDropout1D`.

    Args:
        rate: Float in `[0, 1)`, the share of words to drop.
        input_dim: Positive integer, the size of the vocabulary, as of the
            embedding.
        seed: Integer, the random seed. Defaults to `None`, one that is drawn.

    Call arguments:
        inputs: Float tensor of shape `(*tokens.shape, features)`, the words'
            embeddings.
        tokens: Integer tensor, the words themselves, values in
            `[0, input_dim)`, or a float tensor of such values.
        training: Boolean, whether to drop. Defaults to `False`.

    Returns:
        Float tensor of the shape of `inputs`.

    Raises:
        ValueError: If `rate` or `input_dim` is out of range, naming the layer;
            when it is called, if the shapes do not go together.

    Example:

    ```python
    tokens = keras.Input((35,), dtype="int32")
    embedded = ksr.SparseEmbedding(10_000, 400, sparsity=0.67)(tokens)
    embedded = ksr.WordDropout(0.1, 10_000)(embedded, tokens)
    embedded = keras.layers.SpatialDropout1D(0.65)(embedded)
    ```

    Reference:
        - Gal and Ghahramani, A Theoretically Grounded Application of Dropout
          in Recurrent Neural Networks, NIPS 2016, section 4.2
        - Merity et al., Regularizing and Optimizing LSTM Language Models,
          ICLR 2018, section 4.3: embedding dropout
    """

    def __init__(self, rate, input_dim, seed=None, **kwargs):
        super().__init__(**kwargs)
        try:
            check_rate("rate", rate)
            check_integer("input_dim", input_dim, 1)
        except ValueError as error:
            raise ValueError(f"{self._named()}: {error}") from None
        self.rate = rate
        self.input_dim = input_dim
        self.seed = seed
        self.supports_masking = True
        # As in `keras.layers.Embedding`: 16 bits round ids that are floats.
        self.autocast = False
        if rate > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, inputs_shape, tokens_shape):
        if len(inputs_shape) != len(tokens_shape) + 1 or any(
            None not in sizes and sizes[0] != sizes[1]
            for sizes in zip(inputs_shape, tokens_shape, strict=False)
        ):
            raise ValueError(
                f"{self._named()} expects `inputs` to have the shape of "
                "`tokens` and a further axis, the features. Received: "
                f"inputs.shape={tuple(inputs_shape)}, "
                f"tokens.shape={tuple(tokens_shape)}"
            )

    def call(self, inputs, tokens, training=False):
        inputs = ops.cast(inputs, self.compute_dtype)
        if not training or self.rate == 0:
            return inputs
        words = keras.random.dropout(
            ops.ones((self.input_dim,), dtype=inputs.dtype),
            self.rate,
            seed=self.seed_generator,
        )
        kept = ops.take(words, ops.cast(tokens, "int32"), axis=0)
        return inputs * ops.expand_dims(kept, -1)

    def compute_output_shape(self, inputs_shape, tokens_shape):
        return inputs_shape

    def get_config(self):
        return {
            **super().get_config(),
            "rate": self.rate,
            "input_dim": self.input_dim,
            "seed": self.seed,
        }

    def _named(self):
        return named(type(self), self.name)
