"""A given number of connections."""

import math

from keras_sparse_rnn.arguments import is_number
from keras_sparse_rnn.topology.counted_topology import CountedTopology


class FixedCount(CountedTopology):
    """A given number of connections, at random.

    Args:
        count: Integer above 0, the number of connections. A value above the
            number of places fills the matrix.

    Raises:
        ValueError: If `count` is not an integer above 0.
    """

    def __init__(self, count):
        if not (
            is_number(count)
            and math.isfinite(count)
            and count >= 1
            and count == int(count)
        ):
            raise ValueError(
                f"`count` must be an integer above 0. Received: count={count!r}"
            )
        self.count = int(count)

    def requested(self, shape):
        return self.count

    def get_config(self):
        return {"count": self.count}
