"""Sparse embedding layer that is the decoder too."""

import inspect

import keras

from keras_sparse_rnn.arguments import check_boolean
from keras_sparse_rnn.arguments import named
from keras_sparse_rnn.engine import MaskedWeight
from keras_sparse_rnn.layers.masked_lookup import MaskedLookup
from keras_sparse_rnn.layers.signatures import takes_arguments_of
from keras_sparse_rnn.layers.sparse_layer import RefusesDenseAdapters
from keras_sparse_rnn.layers.sparse_layer import SparseLayer


class _NamesByTying:
    """Mix-in: which weights are sparse, known before Keras's constructor."""

    sparse_names = ("embeddings", "reverse_embeddings")

    def __init__(self, *args, **kwargs):
        given = inspect.signature(
            keras.layers.ReversibleEmbedding.__init__
        ).bind_partial(self, *args, **kwargs)
        tie_weights = given.arguments.get("tie_weights", True)
        try:
            check_boolean("tie_weights", tie_weights)
        except ValueError as error:
            owner = named(type(self), kwargs.get("name"))
            raise ValueError(f"{owner}: {error}") from None
        if tie_weights:
            self.sparse_names = ("embeddings",)
        super().__init__(*args, **kwargs)


@keras.saving.register_keras_serializable("keras_sparse_rnn")
@takes_arguments_of(keras.layers.ReversibleEmbedding)
class SparseReversibleEmbedding(
    _NamesByTying,
    RefusesDenseAdapters,
    SparseLayer,
    keras.layers.ReversibleEmbedding,
    MaskedLookup,
):
    """Embedding layer whose sparse table decodes as well.

    `layer(tokens)` looks up rows, `layer(hidden, reverse=True)` multiplies by
    the transposed table. With `tie_weights=True` both use one variable and one
    mask: it is rewired, counted and stored once. Its gradient, also the dense
    one that RigL and SNFS look at, is the sum over both uses.

    Look-ups gather rows and mask those; each call in reverse masks the table
    once, for all time steps. An untied decoder may also be a `SparseDense`,
    which has a bias and a budget of its own.

    The mask of `mask_zero=True` ends where the layer decodes, as with Keras's:
    padding counts in losses and metrics unless sample weights leave it out.

    Args:
        input_dim: Positive integer, the size of the vocabulary.
        output_dim: Positive integer, the dimension of the embedding.
        tie_weights: Boolean, whether embedding and decoder share the table.
            With `False` the decoder is a second sparse matrix,
            `reverse_embeddings`, of shape `(output_dim, input_dim)`. Defaults
            to `True`. These and every other argument of
            `keras.layers.ReversibleEmbedding` are as there, except that LoRA
            and quantization are refused.
        epsilon: Float above 0, the sparsity level ε of an Erdős–Rényi
            topology: `epsilon * (input_dim + output_dim)` connections in each
            matrix. See `SparseLSTM`.
        sparsity: Float in `[0, 1)`, see `SparseLSTM`.
        topology: A topology object, or a registered function of
            `(shape, rng)` that returns a boolean mask; with
            `tie_weights=False` also a dict of one for `"embeddings"` and one
            for `"reverse_embeddings"`.
        topology_seed: Integer of at least 0, see `SparseLSTM`.
        granularity: As for `SparseLSTM`; with one matrix instead of gates the
            three values mean the same.
        keep_diagonal: Boolean, without effect: the table is not recurrent.
        rescale: Boolean, see `SparseLSTM`. What is scaled up is the fan-in of
            the embedding, `input_dim`, and of a decoder of its own.
        clipping: `"sparse"` or `"dense"`, see `SparseLSTM`.
        rewiring_state: List of strings, see `SparseLSTM`.

    Call arguments:
        inputs: Integer tensor of any shape, values in `[0, input_dim)`; with
            `reverse=True` a float tensor of shape `(..., output_dim)`.
        reverse: Boolean, whether to decode. Defaults to `False`.

    Returns:
        Float tensor of shape `(*inputs.shape, output_dim)`; with
        `reverse=True`, logits of shape `(..., input_dim)`, without a bias.

    Raises:
        ValueError: If `tie_weights` is no boolean, the topology's arguments
            are out of range or contradict, or LoRA or quantization is asked
            for; when it is called with `reverse=True`, if the last dimension
            of `inputs` is not `output_dim`.

    Example:

    ```python
    table = ksr.SparseReversibleEmbedding(10_000, 830, sparsity=0.53)
    tokens = keras.Input((35,), dtype="int32")
    hidden = ksr.SparseLSTM(830, sparsity=0.53, return_sequences=True)(
        table(tokens)
    )
    model = keras.Model(tokens, table(hidden, reverse=True))
    ```

    Reference:
        - Press and Wolf, Using the Output Embedding to Improve Language
          Models, EACL 2017
        - Inan et al., Tying Word Vectors and Word Classifiers, ICLR 2017
    """

    reverse_embeddings = MaskedWeight()

    @classmethod
    def names_and_gates(cls, plain):
        names = cls.sparse_names[:1] if plain.tie_weights else cls.sparse_names
        return names, cls.gates

    def call(self, inputs, reverse=False):
        if reverse:
            self._check_decodable(inputs.shape)
        return super().call(inputs, reverse=reverse)

    def compute_output_shape(self, input_shape, reverse=False):
        if reverse:
            self._check_decodable(input_shape)
        return super().compute_output_shape(input_shape, reverse=reverse)

    def compute_output_spec(self, inputs, reverse=False):
        # Of a symbolic call, which multiplies nothing.
        if reverse:
            self._check_decodable(inputs.shape)
        return super().compute_output_spec(inputs, reverse=reverse)

    def _check_decodable(self, shape):
        shape = tuple(shape)
        if not shape or shape[-1] not in (None, self.output_dim):
            raise ValueError(
                f"{self._owner(self.name)} expects `inputs` of shape "
                f"(..., {self.output_dim}) with `reverse=True`: their last "
                "dimension must be its `output_dim`. Received: "
                f"inputs.shape={shape}"
            )
