"""Base of the topologies that place an exact number of connections."""

from keras_sparse_rnn.topology.random_places import random_mask


class CountedTopology:
    """Uniformly random places, as many as the subclass's rule asks for.

    Subclasses define `requested(shape)` and `get_config()`.
    """

    def requested(self, shape):
        """Connections that the rule asks for, perhaps more than there are.

        Args:
            shape: Tuple of two integers, `(inputs, outputs)`.

        Returns:
            Integer.
        """
        raise NotImplementedError

    def connections(self, shape):
        """Connections that a matrix of this shape gets: at least one.

        Args:
            shape: Tuple of two integers, `(inputs, outputs)`.

        Returns:
            Integer between 1 and the number of places.
        """
        inputs, outputs = shape
        return min(max(self.requested(shape), 1), inputs * outputs)

    def __call__(self, shape, rng):
        return random_mask(shape, self.connections(shape), rng)

    def get_config(self):
        raise NotImplementedError

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __eq__(self, other):
        return (
            type(self) is type(other)
            and self.get_config() == other.get_config()
        )

    def __hash__(self):
        return hash((type(self), tuple(self.get_config().items())))

    def __repr__(self):
        arguments = ", ".join(
            f"{name}={value!r}" for name, value in self.get_config().items()
        )
        return f"{type(self).__name__}({arguments})"


def nearest_integer(number):
    """The nearest integer, halves up: one rule for every count."""
    return int(number + 0.5)
