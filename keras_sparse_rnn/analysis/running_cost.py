"""What training has cost so far, from what the weights have noted."""

from keras_sparse_rnn.sparse_layers import sparse_weights
from keras_sparse_rnn.weight_matrix import built_weight_matrices


def running_cost(model):
    """Training FLOPs of a model so far, relative to as many dense steps.

    The rewiring callbacks note with each weight how many steps it was trained,
    how dense it was and whether its dense gradient was computed, which is saved
    with it. Steps are weighed as in `CostMeter`.

    Args:
        model: Keras model. Layers that it has not built, as those that it does
            not call, cost nothing. The length of its sequences, which matters
            only to how much its dense layers weigh, is that of its input, or 1
            where that is not fixed.

    Returns:
        Float, 1 where nothing is multiplied.
    """
    costs = {
        weight.path: weight.training_cost for weight in sparse_weights(model)
    }
    matrices = built_weight_matrices(model, _time_steps(model))
    dense = sum(matrix.multiply_adds_dense for matrix in matrices)
    spent = sum(
        matrix.multiply_adds_dense * costs.get(matrix.path, 1.0)
        for matrix in matrices
    )
    return spent / dense if dense else 1.0


def _time_steps(model):
    shape = getattr(model, "input_shape", None)
    if (
        isinstance(shape, tuple)
        and len(shape) > 1
        and isinstance(shape[1], int)
    ):
        return shape[1]
    return 1
