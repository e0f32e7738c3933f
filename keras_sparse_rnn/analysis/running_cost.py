"""What training has cost so far, from what its weights have cost."""

from keras_sparse_rnn.sparse_layers import sparse_weights
from keras_sparse_rnn.weight_matrix import built_weight_matrices


def running_cost(model, costs):
    """Training FLOPs of a model so far, relative to as many dense steps.

    Args:
        model: Keras model. Layers that it has not built, as those that it does
            not call, cost nothing. The length of its sequences, which matters
            only to how much its dense layers weigh, is that of its input, or 1
            where that is not fixed.
        costs: Dict from the paths of sparse weights to what training each has
            cost, see `SparseWeight.training_cost`. For others it is their
            density.

    Returns:
        Float, 1 where nothing is multiplied.
    """
    costs = {
        **{
            weight.path: 1 - weight.sparsity for weight in sparse_weights(model)
        },
        **costs,
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
    is_sequence = isinstance(shape, tuple) and len(shape) > 1
    return shape[1] if is_sequence and isinstance(shape[1], int) else 1
