"""What rewiring callbacks add to the logs at an epoch's end."""

from keras_sparse_rnn import model_rewiring
from keras_sparse_rnn.analysis.running_cost import running_cost
from keras_sparse_rnn.callbacks.acting_together import acting_together


def rewiring_logs(callback):
    """The logs of all rewiring callbacks of a `fit`, once an epoch is over.

    Args:
        callback: `RewiringCallback`, one of them: `rewire_rate` is its own.

    Returns:
        Dict from names to numbers.
    """
    together = acting_together(callback)
    runs = [each.run for each in together]
    weights = [weight for run in runs for weight in run.weights()]
    costs = {}
    for run in runs:
        costs.update(run.costs())
    logs = {
        "connections_moved": sum(run.moved for run in runs),
        "rewire_rate": callback.run.rate,
        "exploration_rate": model_rewiring.exploration_rate(weights),
        "training_flops": running_cost(callback.model, costs),
    }
    if any(each.pruning is not None for each in together):
        logs["sparsity"] = model_rewiring.sparsity(weights)
    return logs
