"""A dense layer's product on the native engine."""

from keras_sparse_rnn.engine.compressed import PRODUCT
from keras_sparse_rnn.engine.native import Inputs
from keras_sparse_rnn.engine.native import NativeRecurrence
from keras_sparse_rnn.engine.recurrence import Settings
from keras_sparse_rnn.engine.threads import thread_count


class NativeProduct:
    """Takes the place of the product and the bias of `keras.layers.Dense`.

    Args:
        layer: Built `SparseDense`.
        owner: String that names the layer in errors.
    """

    def __init__(self, layer, owner):
        self._layer = layer
        self._product = NativeRecurrence(
            PRODUCT, Settings(owner=owner, threads=thread_count())
        )

    def __call__(self, inputs):
        """The product.

        Args:
            inputs: Tensor of shape `(batch, ..., features)`.

        Returns:
            Float tensor of shape `(batch, ..., units)`.
        """
        import tensorflow as tf

        layer = self._layer
        inputs = tf.cast(inputs, layer.compute_dtype)
        shape = tf.shape(inputs)
        # All leading axes are samples, of one time step.
        features = inputs.shape[-1]
        if features is None:
            features = shape[-1]
        outputs, _ = self._product(
            Inputs(
                sequences=tf.reshape(inputs, [-1, 1, features]),
                kernel=layer._kernel,
                recurrent_kernel=None,
                bias=layer.bias,
                states=[],
                kernel_mask=layer.kernel_mask,
                recurrent_mask=None,
            ),
            wants_outputs=True,
            # Nothing is kept for the backward pass that would not be there
            # anyway.
            training=True,
        )
        outputs = tf.reshape(
            outputs, tf.concat([shape[:-1], [layer.units]], axis=0)
        )
        outputs.set_shape([*inputs.shape[:-1], layer.units])
        return outputs
