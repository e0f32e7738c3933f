"""What is said of a training in which nothing is rewired, or nothing was."""

import logging
import warnings


def tell_if_never_due(callback, timetable):
    """Warns if the first time is after the last, or logs it.

    Args:
        callback: `RewiringCallback`.
        timetable: Its `EpochTimetable` or `StepTimetable`.
    """
    if timetable.stop is None or timetable.stop > timetable.first:
        return
    only_prunes = callback.pruning and not callback.rewire_rate
    message = (
        f"No connection will be {'pruned' if only_prunes else 'rewired'}: the "
        f"first time would be at the beginning of {timetable.unit} "
        f"{timetable.first}, counted from 0, and it ends before "
        f"{timetable.unit} {timetable.stop}. Train for longer, or pass "
        "`start=` or `frequency=`, or to a `fit` that goes on with training "
        "`initial_epoch=`."
    )
    # What was not pruned is warned of when training ends.
    if timetable.may_be_meant or only_prunes:
        logging.getLogger("keras_sparse_rnn").warning("%s", message)
    else:
        warnings.warn(message, stacklevel=2)


def warn_if_too_short(callback, timetable, steps):
    """Warns if training ended before it was time, which nobody foresaw.

    Args:
        callback: `RewiringCallback`.
        timetable: Its `StepTimetable`.
        steps: Integer, the optimizer's steps when training ended.
    """
    # What ends before its first time is told by `tell_if_never_due`.
    ends_before = timetable.stop is not None and (
        timetable.stop <= timetable.first
    )
    if (
        not callback.rewire_rate
        or timetable.may_be_meant
        or ends_before
        or steps > timetable.first
    ):
        return
    warnings.warn(
        f"{type(callback).__name__} rewired nothing: the first time would have "
        f"been at the beginning of step {timetable.first}, counted from 0, and "
        f"training ended after {steps} steps. Train for longer, or pass "
        "`start=` or `frequency=`.",
        stacklevel=2,
    )


def warn_of_missing_gradients(callback, weights):
    """Warns that it was time, and no gradient was ever there.

    Args:
        callback: `RewiringCallback`.
        weights: List of `SparseWeight`s.
    """
    warnings.warn(
        f"{type(callback).__name__} rewired nothing: each time that it was "
        "due, the gradient of a batch was missing. It needs a second batch in "
        "the same epoch, where gradients are accumulated all batches of an "
        "update and one after them, and of all weights a finite gradient, so "
        "that the loss must depend on them. Received: layers="
        f"{[weight.path for weight in weights]}",
        stacklevel=2,
    )
