"""What the sparse recurrent layers share: they hold a sparse cell."""

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn.layers.sparse_layer import TakesDenseWeights
from keras_sparse_rnn.layers.topology_arguments import pop_arguments


class SparseRecurrentLayer(TakesDenseWeights):
    """Mix-in for `LSTM`, `GRU` and `SimpleRNN`: the cell is a sparse one.

    It goes before the Keras class in the list of bases. Subclasses name the
    cell's class in `cell_class`.
    """

    cell_class = None

    def __init__(self, *args, **kwargs):
        arguments = pop_arguments(kwargs)
        name = kwargs.get("name")
        self.cell_class.check_arguments(type(self), name, arguments)
        super().__init__(*args, **kwargs)
        cell = self.cell_class.like(
            self.cell,
            # `Bidirectional` makes its second layer from the first one's
            # configuration: this keeps the two topologies apart.
            topology_place="backwards/" if self.go_backwards else "",
            topology_owner=f"{type(self).__name__} '{self.name}'",
            **arguments,
        )
        keras_internals.replace_tracked(self, "cell", cell)

    def call(self, sequences, initial_state=None, mask=None, training=False):
        with self.cell.masked_once():
            return super().call(
                sequences,
                initial_state=initial_state,
                mask=mask,
                training=training,
            )

    @property
    def sparse_weights(self):
        """List of the cell's `SparseWeight`s, empty before it is built."""
        return self.cell.sparse_weights

    def get_config(self):
        return {
            **super().get_config(),
            **self.cell.topology_config(),
        }
