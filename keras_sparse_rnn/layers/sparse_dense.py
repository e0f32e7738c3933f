"""Sparse dense layer."""

import keras

from keras_sparse_rnn.engine import MaskedWeight
from keras_sparse_rnn.layers.engine_arguments import EngineArguments
from keras_sparse_rnn.layers.engine_layer import EngineLayer
from keras_sparse_rnn.layers.native_product import NativeProduct
from keras_sparse_rnn.layers.signatures import takes_arguments_of
from keras_sparse_rnn.layers.sparse_layer import RefusesDenseAdapters
from keras_sparse_rnn.layers.sparse_layer import SparseLayer
from keras_sparse_rnn.layers.topology_arguments import TopologyArguments


@keras.saving.register_keras_serializable("keras_sparse_rnn")
@takes_arguments_of(keras.layers.Dense)
class SparseDense(
    EngineLayer, RefusesDenseAdapters, SparseLayer, keras.layers.Dense
):
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
        clipping: `"sparse"` or `"dense"`, see `SparseLSTM`.
        rewiring_state: List of strings, see `SparseLSTM`.
        engine: `"auto"`, `"masked"` or `"native"`, see `SparseLSTM`. As one
            product a call gains less than a recurrence, `"auto"` is native
            for large kernels of few connections alone.

    Call arguments:
        inputs: Float tensor of shape `(batch, ..., features)`.

    Returns:
        Float tensor of shape `(batch, ..., units)`.

    Raises:
        ValueError: If the topology's arguments are out of range or
            contradict, or LoRA or quantization is asked for. When it is
            built, if `engine="native"` cannot be had, with the reason. When it
            is exported as it is, if it runs on the native engine.

    Example:

    >>> layer = ksr.SparseDense(64, sparsity=0.9, activation="relu")
    >>> layer(keras.random.normal((32, 100))).shape
    (32, 64)
    """

    argument_classes = (TopologyArguments, EngineArguments)
    kernel = MaskedWeight()

    def build(self, input_shape):
        super().build(input_shape)
        self._choose_engine()

    def call(self, inputs, training=None):
        if not self._runs_natively() or self._is_sparse(inputs):
            return super().call(inputs, training=training)
        outputs = self._native(inputs)
        return outputs if self.activation is None else self.activation(outputs)

    def _made_native(self):
        return NativeProduct(self, self._named())

    def _is_sparse(self, inputs):
        """Whether the inputs have a product of their own in TensorFlow."""
        if not hasattr(inputs, "dense_shape"):
            return False
        if self.engine == "native":
            raise ValueError(
                f"{self._named()}: the native engine takes no sparse tensors. "
                "Use engine='auto' or 'masked'. "
                f"Received: inputs of type {type(inputs).__name__}"
            )
        return True
