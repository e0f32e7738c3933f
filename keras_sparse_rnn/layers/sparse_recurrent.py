"""What the sparse recurrent layers share: they hold a sparse cell."""

import keras

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn.arguments import named
from keras_sparse_rnn.engine import choice
from keras_sparse_rnn.layers.engine_arguments import RecurrenceArguments
from keras_sparse_rnn.layers.engine_layer import EngineLayer
from keras_sparse_rnn.layers.native_loop import NativeLoop
from keras_sparse_rnn.layers.sparse_layer import TakesDenseWeights
from keras_sparse_rnn.layers.topology_arguments import TopologyArguments
from keras_sparse_rnn.layers.topology_arguments import pop_arguments


class SparseRecurrentLayer(EngineLayer, TakesDenseWeights):
    """Mix-in for `LSTM` and its likes: the cell is a sparse one.

    It goes before the Keras class in the list of bases. Subclasses name the
    cell's class in `cell_class`.
    """

    cell_class = None
    argument_classes = (TopologyArguments, RecurrenceArguments)

    def __init__(self, *args, **kwargs):
        arguments = pop_arguments(kwargs)
        checked = TopologyArguments(**arguments).validated(
            named(type(self), kwargs.get("name"))
        )
        with checked.seeded() as seeded:
            super().__init__(*args, **kwargs)
        cell = self.cell_class.like(
            self.cell,
            # `Bidirectional` makes its second layer from the first one's
            # configuration: this keeps the two topologies apart.
            topology_place="backwards/" if self.go_backwards else "",
            topology_owner=self._named(),
            **{**arguments, "topology_seed": seeded.topology_seed},
        )
        keras_internals.replace_tracked(self, "cell", cell)

    def build(self, sequences_shape, initial_state_shape=None):
        super().build(sequences_shape, initial_state_shape)
        self._choose_engine()

    def call(self, sequences, initial_state=None, mask=None, training=False):
        with self._weights_of_call():
            return super().call(
                sequences,
                initial_state=initial_state,
                mask=mask,
                training=training,
            )

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if self._runs_natively():
            return self._native(sequences, initial_state, mask, training)
        if not choice.multiplies_inputs_first(self, training):
            return super().inner_loop(
                sequences, initial_state, mask=mask, training=training
            )
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        with self.cell.product_of_inputs(sequences, training) as product:
            # Not by way of the class's own loop, which looks for cuDNN.
            return keras.layers.RNN.inner_loop(
                self, product, initial_state, mask=mask, training=training
            )

    @property
    def sparse_weights(self):
        """List of the cell's `SparseWeight`s, empty before it is built."""
        return self.cell.sparse_weights

    def get_config(self):
        return {**super().get_config(), **self.cell.topology_config()}

    def _weights_of_call(self):
        if self._runs_natively():
            # The kernels read the variables: nothing is masked for them.
            return self.cell.masked_when_read()
        return self.cell.masked_once()

    def _made_native(self):
        return NativeLoop(self, self._named())
