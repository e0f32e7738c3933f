"""How long connections live.

A connection's life begins in the epoch in which it is seen first, or again
after it was gone, and ends before the first epoch in which it is not seen. A
place that a rewiring drops and picks again at once is not seen to have died.
"""

import dataclasses

import numpy as np

from keras_sparse_rnn.analysis.recorded_topologies import check_are_topologies
from keras_sparse_rnn.analysis.recorded_topologies import in_order


@dataclasses.dataclass(frozen=True, eq=False)
class SurvivalCurve:
    """The share of connections that live for a number of epochs.

    Args:
        survival: Float array `(epochs + 1,)`: element `n` is the share of
            connections that are still there `n` epochs after the one in which
            their life began. It begins with 1 and never rises.
        at_risk: Integer array `(epochs,)`: element `n` is the number of lives
            that lasted `n` epochs and of which it is known whether they lasted
            another.
        dropped: Integer array `(epochs,)`: how many of those did not.
    """

    survival: np.ndarray
    at_risk: np.ndarray
    dropped: np.ndarray


def survival_curve(topologies):
    """Kaplan–Meier estimate of how long connections live.

    Lives that have not ended in the last epoch are censored: they count for as
    long as they were seen. With `r_n` lives that lasted `n` epochs and were
    seen in the next, and `d_n` of them that ended then, the share that lasts
    `n` epochs is the product of `1 − d_k / r_k` over `k < n`.

    The connections of the first epoch are taken as born in it: that is right
    where it is the first epoch of training.

    Args:
        topologies: As for `exploration_rates`, of at least two epochs.

    Returns:
        A `SurvivalCurve`, for as many epochs as a life was seen to last.

    Raises:
        ValueError: If there are fewer than two topologies, an epoch is
            missing, shapes differ, or there is no connection at all.

    Example:

    >>> recorded = ksr.analysis.load_topologies("run_1")
    >>> ksr.analysis.survival_curve(recorded).survival
    array([1., 0.74..., 0.62...])

    Reference:
        - Kaplan and Meier, Journal of the American Statistical Association
          53:457–481, 1958
    """
    check_are_topologies(topologies)
    epochs = len(topologies)
    if epochs < 2:
        raise ValueError(
            "Expected topologies of at least two epochs. "
            f"Received: len(topologies)={epochs}"
        )
    at_risk = np.zeros(epochs - 1, np.int64)
    dropped = np.zeros(epochs - 1, np.int64)
    age = None
    for _, topology in in_order(topologies):
        active = topology.places()
        if age is None:
            # The age of places that are no connections is -1.
            age = np.where(active, 0, -1)
            continue
        at_risk += _counts(age[age >= 0], epochs - 1)
        dropped += _counts(age[(age >= 0) & ~active], epochs - 1)
        age = np.where(active, age + 1, -1)
    seen = int(np.count_nonzero(at_risk))
    if not seen:
        raise ValueError(
            "Expected topologies with connections before the last epoch. "
            f"Received: len(topologies)={epochs}, without"
        )
    # A life of an age lasted every age before, so these come first.
    at_risk, dropped = at_risk[:seen], dropped[:seen]
    survival = np.cumprod(np.append(1.0, 1 - dropped / at_risk))
    return SurvivalCurve(survival, at_risk, dropped)


def cohort_survival(topologies, epoch):
    """Of the connections present in an epoch, the share that is still there.

    Args:
        topologies: As for `exploration_rates`.
        epoch: Integer, one of the epochs; with a sequence, its index.

    Returns:
        Float array: element `n` is the share that was never gone until `n`
        epochs later. It begins with 1 and ends with the last epoch.

    Raises:
        ValueError: If there is no such epoch, or no connection in it.
    """
    return _shares(topologies, epoch, lambda before, active: active)


def newborn_survival(topologies, epoch):
    """Of the connections that came in an epoch, the share that is still there.

    Args:
        topologies: As for `exploration_rates`.
        epoch: Integer, one of the epochs; with a sequence, its index. Those
            that came in the first epoch are all of its connections.

    Returns:
        As `cohort_survival`.

    Raises:
        ValueError: If there is no such epoch, or no connection came in it.
    """
    return _shares(topologies, epoch, lambda before, active: active & ~before)


def _shares(topologies, epoch, chosen):
    counts, before, cohort = [], np.False_, None
    for present, topology in in_order(topologies):
        active = topology.places()
        if present == epoch:
            cohort = chosen(before, active)
        elif cohort is not None:
            cohort = cohort & active
        if cohort is not None:
            counts.append(np.count_nonzero(cohort))
        before = active
    if not counts:
        raise ValueError(
            "`epoch` must be one of those of the topologies. "
            f"Received: epoch={epoch!r}"
        )
    if not counts[0]:
        raise ValueError(
            "Expected an epoch with connections to follow. "
            f"Received: epoch={epoch!r}, which has none"
        )
    return np.array(counts) / counts[0]


def _counts(ages, length):
    return np.bincount(ages, minlength=length)
