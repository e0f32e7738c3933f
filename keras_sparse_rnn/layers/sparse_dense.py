"""Sparse dense layer."""

import keras

from keras_sparse_rnn.engine import MaskedWeight
from keras_sparse_rnn.layers.sparse_layer import RefusesDenseAdapters
from keras_sparse_rnn.layers.sparse_layer import SparseLayer
from keras_sparse_rnn.layers.topology_arguments import takes_arguments_of


@keras.saving.register_keras_serializable("keras_sparse_rnn")
@takes_arguments_of(keras.layers.Dense)
class SparseDense(RefusesDenseAdapters, SparseLayer, keras.layers.Dense):
    """Dense layer whose kernel is sparse.

    Args:
        units: Positive integer, dimensionality of the output space. This and
            every other argument of `keras.layers.Dense` is as there, except
            that LoRA and quantization are refused.
        epsilon: Float above 0, see `SparseLSTM`.
        sparsity: Float in `[0, 1)`, see `SparseLSTM`.
        topology: A topology object, or a registered function of
            `(shape, rng)` that returns a boolean mask.
        topology_seed: Integer of at least 0, see `SparseLSTM`.
        granularity: As for `SparseLSTM`; with one matrix instead of gates the
            three values mean the same.
        keep_diagonal: Boolean, without effect: the kernel is not recurrent.
        rescale: Boolean, see `SparseLSTM`.

    Call arguments:
        inputs: Float tensor of shape `(batch, ..., features)`.

    Returns:
        Float tensor of shape `(batch, ..., units)`.

    Raises:
        ValueError: If the topology's arguments are out of range or
            contradict, or LoRA or quantization is asked for.

    Example:

    >>> layer = ksr.SparseDense(64, sparsity=0.9, activation="relu")
    >>> layer(keras.random.normal((32, 100))).shape
    (32, 64)
    """

    kernel = MaskedWeight()
