"""The papers' language models: embedding, recurrent layers, decoder."""

import dataclasses
import math

import keras
from methods import nearest_width

import keras_sparse_rnn as ksr

# The sparse layer, the dense one, and the gates of its cell.
LAYERS = {
    "lstm": (ksr.SparseLSTM, keras.layers.LSTM, 4),
    "rhn": (ksr.SparseRHN, ksr.RHN, 2),
}


@dataclasses.dataclass(frozen=True)
class Dropout:
    """The shares of what is dropped in training.

    Args:
        words: Float in `[0, 1)`, of the vocabulary, for a window.
        inputs: Float in `[0, 1)`, of what the first recurrent layer reads.
        hidden: Float in `[0, 1)`, of an RHN's state where it is multiplied.
        outputs: Float in `[0, 1)`, of what recurrent layers give.
        is_locked: Boolean, whether inputs and outputs are the same at all
            time steps of a window, as in Gal and Ghahramani 2016; else each is
            drawn anew, as in Zaremba et al. 2014. Defaults to `False`.
    """

    words: float = 0.0
    inputs: float = 0.0
    hidden: float = 0.0
    outputs: float = 0.0
    is_locked: bool = False

    def layer(self, rate):
        """The Keras layer that drops a share."""
        if self.is_locked:
            return keras.layers.SpatialDropout1D(rate)
        return keras.layers.Dropout(rate)


@dataclasses.dataclass(frozen=True)
class LanguageModelSize:
    """How large a language model is.

    Args:
        vocabulary_size: Integer, number of tokens.
        embedding_dim: Integer, length of a token's vector.
        units: Tuple of integers, the units of each recurrent layer.
        cell: String, one of `LAYERS`. Defaults to `"lstm"`.
        depth: Integer, micro-layers of an RHN. Defaults to `1`.
        is_tied: Boolean, whether the embedding is the decoder too; the last
            layer then has `embedding_dim` units. Defaults to `False`.

    Raises:
        ValueError: If sizes that are to be tied differ.
    """

    vocabulary_size: int
    embedding_dim: int
    units: tuple
    cell: str = "lstm"
    depth: int = 1
    is_tied: bool = False

    def __post_init__(self):
        if self.is_tied and self.units[-1] != self.embedding_dim:
            raise ValueError(
                "A tied embedding expects the last layer to have as many "
                "units as a token's vector is long. Received: "
                f"units={self.units[-1]}, embedding_dim={self.embedding_dim}"
            )

    @property
    def matrices(self):
        """List of `ksr.WeightMatrix`, as dense, applied once per token."""
        words = (self.vocabulary_size, self.embedding_dim)
        gates = LAYERS[self.cell][2]
        found = [ksr.WeightMatrix("embeddings", words, None, int(self.is_tied))]
        features = self.embedding_dim
        for index, units in enumerate(self.units):
            of_layer = {"kernel": features}
            for name in self._recurrent_kernels():
                of_layer[name] = units
            found.extend(
                ksr.WeightMatrix(f"rnn_{index}/{name}", (rows, gates * units))
                for name, rows in of_layer.items()
            )
            features = units
        if not self.is_tied:
            found.append(
                ksr.WeightMatrix("decoder", (features, self.vocabulary_size))
            )
        return found

    @property
    def weights(self):
        """Integer, weights of all `matrices`."""
        return sum(matrix.places for matrix in self.matrices)

    def narrowed(self, budget):
        """The size of a dense model of about as many weights.

        Args:
            budget: Integer, how many weights.

        Returns:
            A `LanguageModelSize` with layers as wide as a token's vector is
            long.
        """
        return self._of_width(
            nearest_width(lambda width: self._of_width(width).weights, budget)
        )

    def _recurrent_kernels(self):
        if self.cell == "rhn":
            return [f"recurrent_kernel_{level}" for level in range(self.depth)]
        return ["recurrent_kernel"]

    def _of_width(self, width):
        return dataclasses.replace(
            self, embedding_dim=width, units=(width,) * len(self.units)
        )


def size_of(model, size):
    """The size of a plain model that was trained, of which units may be gone.

    Args:
        model: Model of plain layers, built as `build_language_model` does.
        size: `LanguageModelSize` that it was made for.

    Returns:
        `LanguageModelSize`.
    """
    return dataclasses.replace(
        size,
        embedding_dim=model.get_layer("embedding").output_dim,
        units=tuple(
            model.get_layer(f"rnn_{index}").units
            for index in range(len(size.units))
        ),
    )


def topology_of(matrices, sparsity, is_uniform):
    """The topology that leaves a share of all places empty.

    Args:
        matrices: List of `ksr.WeightMatrix`, dense.
        sparsity: Float in `[0, 1)`.
        is_uniform: Boolean. `True`: the same share of each matrix.
            `False`: Erdős–Rényi, of the ε that comes to this share of all.

    Returns:
        A topology for packed matrices.
    """
    if is_uniform:
        return ksr.topology.Uniform(sparsity)
    shapes = [matrix.shape for matrix in matrices]
    budget = (1 - sparsity) * sum(map(math.prod, shapes))

    def excess(epsilon):
        topology = ksr.topology.ErdosRenyi(epsilon)
        return sum(map(topology.connections, shapes)) - budget

    low, high = 1e-6, float(max(max(shape) for shape in shapes))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if excess(middle) > 0 else (middle, high)
    return ksr.topology.ErdosRenyi(low)


def build_language_model(
    size,
    batch_size=None,
    time_steps=None,
    sparse_arguments=None,
    dropout=None,
    initial_scale=None,
    engine="auto",
    transform_bias=None,
):
    """Builds a language model that carries its state from batch to batch.

    Args:
        size: `LanguageModelSize`.
        batch_size: Integer.
        time_steps: Integer, the length of a window.
        sparse_arguments: Dict of arguments of the sparse layers on top of the
            plain ones', or `None` for plain layers. Defaults to `None`.
        dropout: `Dropout`. Defaults to `None`, without.
        initial_scale: Float above 0: all matrices start uniformly between it
            and its negative. Defaults to `None`, the layers' own way.
        engine: String, that of the sparse LSTM layers. Defaults to `"auto"`.
        transform_bias: Float, an RHN's. Defaults to `None`, the layer's own.

    Returns:
        A `keras.Model` that maps ids of shape `(batch_size, time_steps)` to
        logits of shape `(batch_size, time_steps, vocabulary_size)`.
    """
    build = _Builder(
        size, sparse_arguments, dropout, initial_scale, engine, transform_bias
    )
    tokens = keras.Input(
        batch_shape=(batch_size, time_steps), dtype="int32", name="tokens"
    )
    embedding, features = build.embedded(tokens)
    for index, units in enumerate(size.units):
        layer = build.recurrent(index, units, stateful=True)
        features = build.dropped(layer(features), build.dropout.outputs)
    return keras.Model(tokens, build.decoded(embedding, features), name="model")


def with_states(model, size):
    """A plain language model that is given its states, and returns them.

    Args:
        model: Model of plain layers, built by `build_language_model`.
        size: Its `LanguageModelSize`.

    Returns:
        A `keras.Model` that maps a list of ids of shape `(batch, time_steps)`
        and states to a list of logits and the states after, and a tuple of the
        states' lengths.
    """
    build = _Builder(size)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    embedding, features = build.embedded(tokens)
    given, left = [], []
    for index, units in enumerate(size.units):
        layer = build.recurrent(index, units, return_state=True)
        sizes = keras.tree.flatten(layer.cell.state_size)
        states = [keras.Input((each,)) for each in sizes]
        features, *after = layer(features, initial_state=states)
        given += states
        left += after
    logits = build.decoded(embedding, features)
    stepped = keras.Model([tokens, *given], [logits, *left], name="model")
    stepped.set_weights(model.get_weights())
    return stepped, tuple(each.shape[-1] for each in given)


class _Builder:
    """Makes the layers of a language model, plain ones or sparse ones."""

    def __init__(
        self,
        size,
        sparse_arguments=None,
        dropout=None,
        initial_scale=None,
        engine="auto",
        transform_bias=None,
    ):
        self.size = size
        self.sparse_arguments = sparse_arguments
        self.dropout = dropout or Dropout()
        self.engine = engine
        self.transform_bias = transform_bias
        self.initial_scale = initial_scale

    def embedded(self, tokens):
        """The embedding layer, and what it and dropout make of tokens."""
        size = self.size
        words = (size.vocabulary_size, size.embedding_dim)
        plain, sparse = (
            (keras.layers.ReversibleEmbedding, ksr.SparseReversibleEmbedding)
            if size.is_tied
            else (keras.layers.Embedding, ksr.SparseEmbedding)
        )
        layer = self._made(
            plain,
            sparse,
            *words,
            name="embedding",
            **self._initial("embeddings"),
        )
        features = layer(tokens)
        if self.dropout.words:
            features = ksr.WordDropout(
                self.dropout.words, size.vocabulary_size
            )(features, tokens)
        return layer, self.dropped(features, self.dropout.inputs)

    def recurrent(self, index, units, **arguments):
        sparse, plain, _ = LAYERS[self.size.cell]
        if self.size.cell == "rhn":
            arguments["depth"] = self.size.depth
            arguments["recurrent_dropout"] = self.dropout.hidden
            if self.transform_bias is not None:
                arguments["transform_bias"] = self.transform_bias
        if self.sparse_arguments is not None:
            arguments["engine"] = self._engine()
        return self._made(
            plain,
            sparse,
            units,
            return_sequences=True,
            name=f"rnn_{index}",
            **self._initial("kernel", "recurrent"),
            **arguments,
        )

    def dropped(self, features, rate):
        return self.dropout.layer(rate)(features) if rate else features

    def decoded(self, embedding, features):
        if self.size.is_tied:
            return embedding(features, reverse=True)
        return self._made(
            keras.layers.Dense,
            ksr.SparseDense,
            self.size.vocabulary_size,
            name="decoder",
            **self._initial("kernel"),
        )(features)

    def _engine(self):
        """The masked one where no other can be, which is worth no warning."""
        is_dense = self.sparse_arguments.get("clipping") == "dense"
        if self.engine == "auto" and (is_dense or self.size.cell == "rhn"):
            return "masked"
        return self.engine

    def _made(self, plain, sparse, *args, **arguments):
        if self.sparse_arguments is None:
            return plain(*args, **arguments)
        return sparse(*args, **arguments, **self.sparse_arguments)

    def _initial(self, *names):
        """Initializers by argument: one each, as one draws the same again."""
        if self.initial_scale is None:
            return {}
        return {
            f"{name}_initializer": keras.initializers.RandomUniform(
                -self.initial_scale, self.initial_scale
            )
            for name in names
        }
