"""What training has cost so far, from what its weights have cost."""

from keras_sparse_rnn.sparse_layers import sparse_weights
from keras_sparse_rnn.weight_matrix import matrices_by_variable


def running_cost(model, costs):
    """Training FLOPs of a model so far, relative to as many dense steps.

    Args:
        model: Keras model. Layers that it has not built, as those that it does
            not call, cost nothing. The length of its sequences, which matters
            only to how much its dense layers weigh, is that of its longest
            input, or 1 where none is fixed.
        costs: Dict from the `id` of sparse weights' variables to what training
            each has cost, see `SparseWeight.training_cost`. For others it is
            their density.

    Returns:
        Float, 1 where nothing is multiplied.
    """
    costs = {
        id(weight.value): 1 - weight.sparsity
        for weight in sparse_weights(model)
    } | costs
    matrices = matrices_by_variable(model, _time_steps(model))
    dense = sum(each.multiply_adds_dense for each in matrices.values())
    spent = sum(
        matrix.multiply_adds_dense * costs.get(variable, 1.0)
        for variable, matrix in matrices.items()
    )
    return spent / dense if dense else 1.0


def _time_steps(model):
    shapes = [each.shape for each in getattr(model, "inputs", None) or ()]
    return max((each[1] or 1 for each in shapes if len(each) > 1), default=1)
