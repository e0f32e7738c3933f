"""The paper's text model: embedding, one recurrent layer, softmax."""

import dataclasses

import keras
from methods import nearest_width

import keras_sparse_rnn as ksr

# The sparse layer, Keras's own, and the gates of its cell.
LAYERS = {
    "lstm": (ksr.SparseLSTM, keras.layers.LSTM, 4),
    "gru": (ksr.SparseGRU, keras.layers.GRU, 3),
    "simple_rnn": (ksr.SparseSimpleRNN, keras.layers.SimpleRNN, 1),
}


@dataclasses.dataclass(frozen=True)
class TextModelSize:
    """How large a text model is.

    Args:
        vocabulary_size: Integer, number of word ids.
        sequence_length: Integer, words of a text.
        embedding_dim: Integer, length of a word's vector.
        units: Integer, units of the recurrent layer.
        classes: Integer.
        cell: String, one of `LAYERS`. Defaults to `"lstm"`.
    """

    vocabulary_size: int
    sequence_length: int
    embedding_dim: int
    units: int
    classes: int
    cell: str = "lstm"

    @property
    def matrices(self):
        """List of `ksr.WeightMatrix`, all but the output layer's, as dense.

        The output layer is never sparse and, as in the paper, not counted.
        """
        columns = LAYERS[self.cell][2] * self.units
        embedding = (self.vocabulary_size, self.embedding_dim)
        length = self.sequence_length
        return [
            ksr.WeightMatrix("embeddings", embedding, None, 0),
            ksr.WeightMatrix(
                "kernel", (self.embedding_dim, columns), None, length
            ),
            ksr.WeightMatrix(
                "recurrent_kernel", (self.units, columns), None, length
            ),
        ]

    @property
    def weights(self):
        """Integer, weights of all `matrices`."""
        return sum(matrix.places for matrix in self.matrices)

    def connections(self, topology):
        """Connections with masks of a topology, one for each gate.

        Args:
            topology: Topology that counts connections.

        Returns:
            Integer.
        """
        embedding, *kernels = [matrix.shape for matrix in self.matrices]
        return topology.connections(embedding) + sum(
            LAYERS[self.cell][2] * topology.connections((inputs, self.units))
            for inputs, _ in kernels
        )

    def narrowed(self, budget):
        """The size of a dense model of about as many weights.

        Args:
            budget: Integer, how many weights.

        Returns:
            A `TextModelSize` with as many units as a word's vector is long.
        """
        return self._of_width(
            nearest_width(lambda width: self._of_width(width).weights, budget)
        )

    def _of_width(self, width):
        return dataclasses.replace(self, embedding_dim=width, units=width)


def build_text_model(size, learning_rate, sparse_arguments=None, engine="auto"):
    """Builds and compiles the model.

    Args:
        size: `TextModelSize`.
        learning_rate: Float, Adam's.
        sparse_arguments: Dict of arguments of the sparse layers on top of the
            plain ones', or `None` for plain Keras layers. Defaults to `None`.
        engine: String, that of the sparse recurrent layer. Defaults to
            `"auto"`.

    Returns:
        A compiled `keras.Model`: ids of shape `(batch, sequence_length)` to
        probabilities of shape `(batch, classes)`.
    """
    sparse_layer, plain_layer, _ = LAYERS[size.cell]
    words = (size.vocabulary_size, size.embedding_dim)
    if sparse_arguments is None:
        hidden = [keras.layers.Embedding(*words), plain_layer(size.units)]
    else:
        hidden = [
            ksr.SparseEmbedding(*words, **sparse_arguments),
            sparse_layer(size.units, engine=engine, **sparse_arguments),
        ]
    model = keras.Sequential(
        [
            keras.Input((size.sequence_length,), dtype="int32"),
            *hidden,
            keras.layers.Dense(size.classes, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(learning_rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def hidden_matrices(model):
    """The matrices of a text model but the output layer's.

    Args:
        model: The model, or what it became when units were removed.

    Returns:
        List of `ksr.WeightMatrix`, as `TextModelSize.matrices`.
    """
    return ksr.weight_matrices(model, model.input_shape[1])[:-1]
