"""Counting what training costs while it goes on."""

from keras_sparse_rnn.arguments import check_at_least_0


class CostMeter:
    """Adds up multiply-adds of training steps, relative to dense ones.

    It is told what was trained, stretch by stretch, so that methods that move
    connections between matrices, or prune, are counted as they ran. A training
    step is three times its forward pass: the forward pass itself, the gradient
    of the inputs and that of the weights. A step that takes the gradient of
    every place, as RigL and SNFS do, pays the last of the three as a dense
    model does: `2 * f_S + f_D`, where `f_S` is the sparse model's forward pass
    and `f_D` the dense model's. Biases, activations, the loss, the optimizer
    and the rewiring itself are not counted.

    Args:
        matrices: List of `WeightMatrix`, those of the model that is trained:
            their shapes are those of the dense model to compare with.
        steps: Number of at least 0, steps counted before, for instance before
            training was interrupted. Defaults to `0`.
        multiply_adds: Number of at least 0, what those took, as `multiply_adds`
            tells. Defaults to `0`.

    Raises:
        ValueError: If a number is out of range.

    Example:

    ```python
    meter = ksr.CostMeter(ksr.weight_matrices(model))
    for epoch in range(epochs):
        model.fit(dataset, initial_epoch=epoch, epochs=epoch + 1)
        meter.add(ksr.weight_matrices(model), steps=len(dataset))
        print(f"{meter.ratio:.3f} of dense training so far")
        ksr.rewire(model, model.optimizer, 0.3)
    ```

    Reference:
        - Evci et al., Rigging the Lottery, ICML 2020, appendix H
    """

    def __init__(self, matrices, steps=0, multiply_adds=0):
        check_at_least_0("steps", steps)
        check_at_least_0("multiply_adds", multiply_adds)
        self._dense_forward = sum(
            matrix.multiply_adds_dense for matrix in matrices
        )
        self._steps = steps
        self._multiply_adds = multiply_adds

    @property
    def steps(self):
        """Number, steps counted so far."""
        return self._steps

    @property
    def multiply_adds(self):
        """Number, multiply-adds so far, for one sample a step."""
        return self._multiply_adds

    @property
    def multiply_adds_dense(self):
        """Number, the same had the steps been a dense model's."""
        return 3 * self._dense_forward * self._steps

    @property
    def ratio(self):
        """Float, cost so far relative to as many steps of the dense model.

        It is 1 before the first step, and where nothing is multiplied.
        """
        if not self.multiply_adds_dense:
            return 1.0
        return self.multiply_adds / self.multiply_adds_dense

    def add(self, matrices, steps=1, dense_gradients=0):
        """Counts a stretch of training in which no count of a matrix changed.

        Args:
            matrices: List of `WeightMatrix` as they were trained. After units
                were removed they may have other shapes than the dense model's.
            steps: Number of at least 0, training steps. A part of a step is as
                good, where only ratios matter. Defaults to `1`.
            dense_gradients: Number between 0 and `steps`: how many of them
                took the gradient of every place. Defaults to `0`.

        Raises:
            ValueError: If a number is out of range.
        """
        check_at_least_0("steps", steps)
        check_at_least_0("dense_gradients", dense_gradients)
        if dense_gradients > steps:
            raise ValueError(
                f"`dense_gradients` must be at most steps={steps}. "
                f"Received: dense_gradients={dense_gradients!r}"
            )
        forward = sum(matrix.multiply_adds for matrix in matrices)
        self._steps += steps
        self._multiply_adds += 3 * forward * steps
        self._multiply_adds += dense_gradients * (self._dense_forward - forward)
