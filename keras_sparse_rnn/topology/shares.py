"""Shares of a budget, held between bounds, and integers of an exact sum."""

import numpy as np


def saturated_shares(weights, least, most, total):
    """Shares of a total in proportion to weights, held between bounds.

    What one cannot take passes to the others, in proportion to their weights;
    where those are all 0, in proportion to the most that each can take.

    Args:
        weights: Float array, nonnegative.
        least: Array of as many numbers, the lower bounds.
        most: Array of as many numbers, the upper bounds.
        total: Number between the sums of the bounds.

    Returns:
        Float array whose sum is `total`.
    """
    shares = np.empty(len(weights))
    open_ = np.ones(len(weights), bool)
    left = float(total)
    while open_.any():
        asking = weights[open_]
        if not asking.any():
            asking = np.maximum(most[open_], 1)
        shares[open_] = asking * (left / asking.sum())
        over = open_ & (shares >= most)
        under = open_ & (shares < least)
        # What full ones give back can lift those below their least, and the
        # other way round, so the larger correction is made first.
        surplus = (shares - most)[over].sum()
        deficit = (least - shares)[under].sum()
        settled = over if over.any() and surplus >= deficit else under
        if not settled.any():
            break
        shares[settled] = np.where(over, most, least)[settled]
        left -= shares[settled].sum()
        open_ &= ~settled
    return shares


def rounded_to(total, shares, least, most):
    """Integers next to `shares` whose sum is `total`: largest remainders.

    Args:
        total: Integer between the sums of the bounds.
        shares: Float array.
        least: Integer array, the lower bounds.
        most: Integer array, the upper bounds.

    Returns:
        Integer array. Ties go to the earlier one.
    """
    counts = np.clip(np.floor(shares), least, most).astype(np.int64)
    missing = total - int(counts.sum())
    step = 1 if missing > 0 else -1
    order = np.argsort(-step * (shares - counts), kind="stable")
    while missing:
        for index in order:
            moved = counts[index] + step
            if missing and least[index] <= moved <= most[index]:
                counts[index] = moved
                missing -= step
    return counts
