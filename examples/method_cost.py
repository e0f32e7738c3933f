"""What training by a method costs, and the model that comes out."""

from methods import METHODS

import keras_sparse_rnn as ksr
from keras_sparse_rnn.analysis.training_stages import Stage


def connections_by_path(model):
    """The connections of each sparse matrix of a model.

    Args:
        model: Built Keras model.

    Returns:
        Dictionary from the matrix's path to an integer.
    """
    return {weight.path: weight.active for weight in ksr.sparse_weights(model)}


def training_ratio(name, matrices, full, plan, history):
    """FLOPs of the training relative to the dense model's.

    Args:
        name: String, the method's.
        matrices: List of `ksr.WeightMatrix`, those that were trained.
        full: The same of the dense model of full width.
        plan: The `Plan`.
        history: As for `Method.cost`.

    Returns:
        Float.
    """
    method = METHODS[name]
    if method.is_small:
        cost = ksr.training_cost_of_matrices(full, lambda _: [Stage(matrices)])
    elif method.layers(plan) is None:
        # ISS among them, which removes units when training is over.
        cost = ksr.training_cost_of_matrices(matrices, "dense")
    else:
        cost = ksr.training_cost_of_matrices(
            matrices, name, **method.cost(plan, history)
        )
    return cost.training_ratio


def model_cost(matrices, full):
    """What a trained model costs.

    Args:
        matrices: List of `ksr.WeightMatrix`, the model's.
        full: The same of the dense model of full width.

    Returns:
        Dictionary with `weights` and `weights_dense`, integers, and
        `inference_ratio`, the FLOPs relative to the full dense model.
    """
    return {
        "weights": sum(each.active for each in matrices),
        "weights_dense": sum(each.places for each in full),
        "inference_ratio": sum(each.multiply_adds for each in matrices)
        / sum(each.multiply_adds for each in full),
    }
