"""Erdős–Rényi topology."""

from keras_sparse_rnn.arguments import check_above_0
from keras_sparse_rnn.arguments import plain_number
from keras_sparse_rnn.topology.counted_topology import CountedTopology
from keras_sparse_rnn.topology.counted_topology import nearest_integer


class ErdosRenyi(CountedTopology):
    """Erdős–Rényi: `epsilon * (inputs + outputs)` connections, at random.

    The papers give each place the probability
    `epsilon * (inputs + outputs) / (inputs * outputs)`. Here the count is
    exact instead of exact in expectation, which is what the papers' tables
    report.

    Args:
        epsilon: Float above 0, the sparsity level ε. A value that asks for
            more connections than there are places fills the matrix.

    Raises:
        ValueError: If `epsilon` is not a finite number above 0.

    Reference:
        - Mocanu et al., Nature Communications 9:2383, 2018, equation 3
        - Liu et al., Neural Computing and Applications 33:9625–9636, 2021,
          section 3.1
    """

    def __init__(self, epsilon):
        check_above_0("epsilon", epsilon)
        self.epsilon = plain_number(epsilon)

    def requested(self, shape):
        inputs, outputs = shape
        return nearest_integer(self.epsilon * (inputs + outputs))

    def get_config(self):
        return {"epsilon": self.epsilon}
