"""Sparse embedding layer."""

import keras

from keras_sparse_rnn.layers.masked_lookup import MaskedLookup
from keras_sparse_rnn.layers.signatures import takes_arguments_of
from keras_sparse_rnn.layers.sparse_layer import RefusesDenseAdapters
from keras_sparse_rnn.layers.sparse_layer import SparseLayer


@keras.saving.register_keras_serializable("keras_sparse_rnn")
@takes_arguments_of(keras.layers.Embedding)
class SparseEmbedding(RefusesDenseAdapters, SparseLayer, MaskedLookup):
    """Embedding layer whose table is sparse.

    Args:
        input_dim: Positive integer, the size of the vocabulary.
        output_dim: Positive integer, the dimension of the embedding. These
            and every other argument of `keras.layers.Embedding` are as there,
            except that LoRA and quantization are refused.
        epsilon: Float above 0, the sparsity level ε of an Erdős–Rényi
            topology: `epsilon * (input_dim + output_dim)` connections. See
            `SparseLSTM`.
        sparsity: Float in `[0, 1)`, see `SparseLSTM`.
        topology: A topology object, or a registered function of
            `(shape, rng)` that returns a boolean mask.
        topology_seed: Integer of at least 0, see `SparseLSTM`.
        granularity: As for `SparseLSTM`; with one matrix instead of gates the
            three values mean the same.
        keep_diagonal: Boolean, without effect: the table is not recurrent.
        rescale: Boolean, see `SparseLSTM`.
        clipping: `"sparse"` or `"dense"`, see `SparseLSTM`.
        rewiring_state: List of strings, see `SparseLSTM`.

    Call arguments:
        inputs: Integer tensor of any shape, values in `[0, input_dim)`.

    Returns:
        Float tensor of shape `(*inputs.shape, output_dim)`.

    Raises:
        ValueError: If the topology's arguments are out of range or
            contradict, or LoRA or quantization is asked for.

    Example:

    >>> layer = ksr.SparseEmbedding(20_000, 256, epsilon=10)
    >>> layer(keras.ops.zeros((32, 100), "int32")).shape
    (32, 100, 256)
    """

    sparse_names = ("embeddings",)
