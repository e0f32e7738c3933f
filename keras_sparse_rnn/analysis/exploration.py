"""How many of the places were connections until now, over time."""

import numpy as np

from keras_sparse_rnn.analysis.recorded_topologies import in_order


def exploration_rates(topologies):
    """The in-time over-parameterization rate R_s, epoch after epoch.

    The share of all places that are connections in this epoch or were in one
    before. It is what `SETCallback` logs as `exploration_rate` where masks
    change once an epoch and every epoch is recorded; of connections that came
    and went between two records nothing is known here.

    Args:
        topologies: Mapping from consecutive epochs to topologies, such as
            `load_topologies` returns, or sequence of topologies, masks or
            lists of masks.

    Returns:
        Float array `(epochs,)`, never falling, in `[0, 1]`.

    Raises:
        ValueError: If there is no topology, an epoch is missing, or shapes
            differ.

    Example:

    >>> recorded = ksr.analysis.load_topologies("run_1")
    >>> ksr.analysis.exploration_rates(recorded)
    array([0.05, 0.069..., 0.085...])

    Reference:
        - Liu et al., Do We Actually Need Dense Over-Parameterization?, ICML
          2021
    """
    rates, ever = [], np.False_
    for _, topology in in_order(topologies):
        ever = ever | topology.places()
        rates.append(ever.mean())
    return np.array(rates)
