"""Uniform topology."""

from keras_sparse_rnn.arguments import check_sparsity
from keras_sparse_rnn.arguments import plain_number
from keras_sparse_rnn.topology.counted_topology import CountedTopology
from keras_sparse_rnn.topology.counted_topology import nearest_integer


class Uniform(CountedTopology):
    """The same share of places empty in every group, at random.

    Args:
        sparsity: Float in `[0, 1)`, the share of places that stay empty.
            `0` gives a dense matrix.

    Raises:
        ValueError: If `sparsity` is no number in `[0, 1)`.

    Reference:
        - Liu et al., Neural Computing and Applications 33:9625–9636, 2021,
          section 3.1
    """

    def __init__(self, sparsity):
        check_sparsity(sparsity)
        self.sparsity = plain_number(sparsity)

    def requested(self, shape):
        inputs, outputs = shape
        return nearest_integer((1 - self.sparsity) * inputs * outputs)

    def get_config(self):
        return {"sparsity": self.sparsity}
