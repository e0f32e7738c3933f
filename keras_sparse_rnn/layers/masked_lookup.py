"""Looking up the rows of a sparse table."""

import keras
from keras import ops

from keras_sparse_rnn.dense_gradient import effective_rows
from keras_sparse_rnn.engine import MaskedWeight


class MaskedLookup(keras.layers.Embedding):
    """`keras.layers.Embedding` whose rows are gathered first and masked then.

    In the list of bases it goes behind `SparseLayer`, and behind a Keras class
    that extends `Embedding`, whose call leads to this one.
    """

    embeddings = MaskedWeight()

    def call(self, inputs):
        if inputs.dtype not in ("int32", "int64"):
            inputs = ops.cast(inputs, "int32")
        if hasattr(inputs, "dense_shape") or hasattr(inputs, "row_splits"):
            # Sparse and ragged indices, for which Keras gathers otherwise.
            return super().call(inputs)
        outputs = effective_rows(self, "embeddings", inputs)
        return ops.cast(outputs, self.compute_dtype)
