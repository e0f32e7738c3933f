"""A recurrent layer's loop over time on the native engine."""

from keras_sparse_rnn.engine.choice import cell_kind
from keras_sparse_rnn.engine.native import Inputs
from keras_sparse_rnn.engine.native import NativeRecurrence
from keras_sparse_rnn.engine.recurrence import Settings
from keras_sparse_rnn.engine.threads import thread_count


class NativeLoop:
    """Takes the place of `keras.layers.RNN.inner_loop`.

    Args:
        layer: Built recurrent layer with a sparse cell.
        owner: String that names the layer in errors.
    """

    def __init__(self, layer, owner):
        self._layer = layer
        self._recurrence = NativeRecurrence(
            cell_kind(layer.cell),
            Settings(
                owner=owner,
                go_backwards=layer.go_backwards,
                keeps_gates=not layer.recompute_gates,
                threads=thread_count(),
            ),
        )

    def __call__(self, sequences, initial_state, mask, training):
        """The loop.

        Args:
            sequences: Float tensor of shape `(batch, steps, features)`.
            initial_state: List of float tensors of shape `(batch, units)`.
            mask: Boolean tensor of shape `(batch, steps)`, or `(1, steps)` for
                all samples, a list of one, or `None`: which time steps count.
            training: Boolean or `None`.

        Returns:
            Tuple of the last output, the outputs, of all steps or the last
            one, and the list of final states, as Keras's loop returns them.
        """
        import tensorflow as tf

        layer, cell = self._layer, self._layer.cell
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        if mask is not None:
            mask = tf.cast(mask, "bool")
            if len(mask.shape) == 3:
                mask = mask[:, :, 0]
            if mask.shape[0] in (1, None):
                # In Keras's loop one row serves for all samples.
                samples, steps = tf.shape(sequences)[0], tf.shape(mask)[1]
                mask = tf.broadcast_to(mask, [samples, steps])
        # Keras casts floats alone, and its matrix products all the rest.
        sequences = tf.cast(sequences, cell.compute_dtype)
        dropout = recurrent_dropout = None
        if training and _drops(cell, cell.dropout):
            dropout = _stacked(cell.get_dropout_mask(sequences[:, 0, :]))
        if (
            training
            and _drops(cell, cell.recurrent_dropout)
            and _drops_states(cell)
        ):
            recurrent_dropout = _stacked(
                cell.get_recurrent_dropout_mask(initial_state[0])
            )
        outputs, states = self._recurrence(
            Inputs(
                sequences=sequences,
                kernel=cell._kernel,
                recurrent_kernel=cell._recurrent_kernel,
                bias=cell.bias,
                states=list(initial_state),
                kernel_mask=cell.kernel_mask,
                recurrent_mask=cell.recurrent_kernel_mask,
                counts=mask,
                input_dropout=dropout,
                recurrent_dropout=recurrent_dropout,
            ),
            wants_outputs=layer.return_sequences,
            training=training,
        )
        last = states[0]
        if mask is not None:
            shown = self._shown(mask)
            last = tf.where(shown[:, -1:], last, 0)
            if outputs is not None:
                if layer.unroll and layer.zero_output_for_mask:
                    # Keras's unrolled loop repeats outputs, and then goes by
                    # the mask as it was given, also backwards.
                    shown = self._repeated(mask) & mask
                outputs = tf.where(shown[:, :, None], outputs, 0)
        if outputs is None:
            outputs = last[:, None, :]
        return last, outputs, states

    def _shown(self, mask):
        """Whether there is an output at a step."""
        if self._layer.zero_output_for_mask:
            return self._in_order(mask)
        return self._repeated(mask)

    def _repeated(self, mask):
        """Whether there is one where Keras repeats the last one."""
        import tensorflow as tf

        return tf.cumsum(tf.cast(self._in_order(mask), "int32"), axis=1) > 0

    def _in_order(self, mask):
        """The mask of the time steps in the order of the outputs."""
        import tensorflow as tf

        return tf.reverse(mask, [1]) if self._layer.go_backwards else mask


def _stacked(dropout):
    """One mask for all gates, or a list of one for each, as one tensor."""
    import tensorflow as tf

    return tf.stack(dropout if isinstance(dropout, list) else [dropout])


def _drops(cell, rate):
    """Whether the cell knows dropout of a rate: with gates it ignores 1."""
    return rate > 0 and (rate < 1 or not hasattr(cell, "implementation"))


def _drops_states(cell):
    """Whether the cell's way of computing knows recurrent dropout."""
    return getattr(cell, "implementation", 1) == 1
