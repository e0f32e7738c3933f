"""The random walk of deep rewiring (DeepR) on the weights of connections."""

import dataclasses

import numpy as np

from keras_sparse_rnn.arguments import check_at_least_0


@dataclasses.dataclass(frozen=True)
class RandomWalk:
    """What DeepR adds to the optimizer's steps: decay and noise.

    A connection of sign s has the weight s · θ. In each step θ loses
    `learning_rate * l1` and gains `sqrt(2 * learning_rate * temperature)` times
    a normal random number. The walk of several steps is made at once, before
    connections whose θ fell below 0 are dropped: where that is not done in
    every step, θ may cross 0 and come back unseen.

    Args:
        l1: Float of at least 0, the strength α of the decay. Defaults to
            `1e-5`.
        temperature: Float of at least 0, T. Defaults to `1e-10`.

    Raises:
        ValueError: If an argument is no finite number of at least 0.

    Reference:
        - Bellec et al., Deep Rewiring: Training very sparse deep networks,
          ICLR 2018, equation (3) and algorithm 1
    """

    l1: float = 1e-5
    temperature: float = 1e-10

    def __post_init__(self):
        check_at_least_0("l1", self.l1)
        check_at_least_0("temperature", self.temperature)

    def __call__(self, weights, rng, *, signs, learning_rate, steps):
        """Walks.

        Args:
            weights: Float array of shape `(connections,)`.
            rng: `numpy.random.Generator`.
            signs: Integer array of the same shape, 1 or -1.
            learning_rate: Float, that of the optimizer now.
            steps: Integer, the optimizer's steps since the last walk.

        Returns:
            Float array of the same shape.
        """
        noise = rng.normal(
            0, np.sqrt(2 * learning_rate * self.temperature * steps), len(signs)
        )
        drift = signs * (learning_rate * self.l1 * steps)
        return (weights - drift + noise).astype(weights.dtype)
