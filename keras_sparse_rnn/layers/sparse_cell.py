"""What the sparse cells share."""

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn.engine import MaskedCell
from keras_sparse_rnn.layers.sparse_layer import SparseLayer
from keras_sparse_rnn.layers.topology_arguments import random_state_kept


class SparseCell(SparseLayer, MaskedCell):
    """Mix-in for a cell with a kernel and a recurrent kernel.

    Cells of a class that the native engine has kernels for say so in
    `has_kernels`.
    """

    sparse_names = ("kernel", "recurrent_kernel")
    recurrent_names = ("recurrent_kernel",)
    has_kernels = False

    @classmethod
    def like(cls, cell, **kwargs):
        """A sparse cell with the settings of a Keras cell.

        The settings are the cell's own objects and not copies, so that its
        initializers and its dropout keep the seeds they have drawn.

        Args:
            cell: Keras cell of the class that `cls` extends, not built.
            **kwargs: Topology arguments.

        Returns:
            An instance of `cls`.
        """
        settings = {
            name: getattr(cell, name)
            for name in cell.get_config()
            if name != "dtype"
        }
        with random_state_kept():
            # What it draws for its dropout is not used.
            made = cls(dtype=cell.dtype_policy, **settings, **kwargs)
        keras_internals.copy_unserialised(cell, made)
        keras_internals.replace_tracked(
            made, "seed_generator", cell.seed_generator
        )
        return made

    def topology_config(self):
        """The configuration of the topology arguments alone."""
        return self._topology_arguments.get_config()
