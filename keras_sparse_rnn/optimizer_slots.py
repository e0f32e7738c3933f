"""Finds, clears and starts a weight's slots in any Keras optimizer."""

import logging

import keras
import numpy as np
from keras import ops

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn.sparse_weight import assign_at

NEW_SLOTS = ("fresh", "survivors_mean")

# Slots that hold weights: Keras's moving average, and `AveragedSGD`'s means.
_AVERAGES = frozenset({"_model_variables_moving_average", "_averages"})

# Slots that estimate a size: a fresh one divides by next to nothing, so that
# the first steps of a new weight are oversized.
_SECOND_MOMENTS = frozenset(
    {
        "_accumulated_delta_vars",
        "_accumulated_grads",
        "_accumulators",
        "_u",
        "_velocities",
        "_velocity_hats",
    }
)

_REFUSED = {
    "Adafactor": (
        "its second moments are factored over rows and columns, so that those "
        "of a single connection cannot be cleared"
    ),
    "Muon": (
        "it orthogonalises its update over the whole matrix, which moves "
        "weights that are no connections"
    ),
    "ScheduleFreeAdamW": (
        "its slots hold weights and not gradients, so that a dropped "
        "connection would come back"
    ),
}

_KNOWN = (
    "SGD",
    "AveragedSGD",
    "Adam",
    "AdamW",
    "Nadam",
    "Adamax",
    "Lamb",
    "RMSprop",
    "Adagrad",
    "Adadelta",
    "Ftrl",
    "Lion",
)


def check_supported(optimizer):
    """Refuses optimizers under which a rewiring would not hold.

    Args:
        optimizer: Keras optimizer, wrapped or not.

    Raises:
        ValueError: If the optimizer is no Keras optimizer, or one whose state
            cannot be cleared for single connections, with the reason.
    """
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ValueError(
            "Rewiring needs a Keras optimizer: compile the model, or pass the "
            f"optimizer. Received: optimizer={optimizer}"
        )
    for inner in keras_internals.inner_optimizers(optimizer):
        for name, reason in _REFUSED.items():
            if _is_a(inner, name):
                raise ValueError(
                    f"{name} is not supported for rewiring: {reason}. "
                    f"Received: optimizer={inner.name}"
                )
        if not any(_is_a(inner, name) for name in _KNOWN):
            _note_unknown(inner)


def steps_made(optimizer):
    """How many steps the optimizer has made, an integer."""
    return int(np.asarray(ops.convert_to_tensor(optimizer.iterations)))


def averages_weights(optimizer):
    """Whether an optimizer keeps a moving average of the weights."""
    return any(
        inner.use_ema for inner in keras_internals.inner_optimizers(optimizer)
    )


def slots_of(optimizer, variable):
    """The slots that belong to a variable, in all wrapped optimizers.

    Args:
        optimizer: Keras optimizer.
        variable: Trainable `keras.Variable`.

    Returns:
        List of triples of the inner optimizer, the slot's name and its
        `keras.Variable`, empty before the optimizer is built.

    Raises:
        ValueError: If the optimizer was built for other variables.
    """
    found, known = [], False
    inner_optimizers = keras_internals.inner_optimizers(optimizer)
    for inner in inner_optimizers:
        slots = keras_internals.slot_variables(inner, variable)
        if slots is not None:
            known = True
            found.extend((inner, *slot) for slot in slots.items())
    built = any(each.built for each in (optimizer, *inner_optimizers))
    if built and not known:
        raise ValueError(
            f"The optimizer was built for other variables than "
            f"'{variable.path}'. Compile the model anew, or pass the optimizer "
            f"that trains it. Received: optimizer={optimizer.name}"
        )
    return found


def restart(optimizer, weight, rewiring, new_slots="fresh"):
    """Clears the slots of dropped places and starts those of new ones.

    Dropped places get what a fresh optimizer would hold, since a stale moment
    would move a dropped weight again. Averages of the weights themselves
    become 0 at dropped places and the weight at new ones, and those of
    `AveragedSGD` begin anew there. Survivors' slots are not touched.

    Args:
        optimizer: Keras optimizer.
        weight: `SparseWeight`, already rewired.
        rewiring: `keras_sparse_rnn.rewiring.Rewiring`.
        new_slots: String, how slots of new connections start. `"fresh"`: as
            in a fresh optimizer. `"survivors_mean"`: second moments start at
            the mean over the survivors of the group, which avoids the
            oversized first steps under Adam and its likes; other slots as in
            a fresh optimizer. Defaults to `"fresh"`.
    """
    changed = rewiring.changed
    if not len(changed):
        return
    for inner, name, variable in slots_of(optimizer, weight.value):
        if name in _AVERAGES:
            values = rewiring.changed_weights
        else:
            values = np.full(len(changed), _fresh_value(inner, name))
            if new_slots == "survivors_mean" and name in _SECOND_MOMENTS:
                slot = variable.numpy()
                means = _survivors_means(slot, weight.groups, rewiring)
                values[len(rewiring.emptied) :] = means
        assign_at(variable, changed, values)


def clear_empty_places(optimizer, weight):
    """Sets slots of places without a connection to what a fresh one holds.

    They hold nothing else after training with the mask; those of a dense
    checkpoint do.

    Args:
        optimizer: Keras optimizer.
        weight: `SparseWeight`.
    """
    empty = ~weight.mask.numpy()
    for inner, name, variable in slots_of(optimizer, weight.value):
        slot = variable.numpy()
        fresh = 0.0 if name in _AVERAGES else _fresh_value(inner, name)
        stray = (slot != np.asarray(fresh, slot.dtype)) & empty
        if stray.any():
            variable.assign(np.where(stray, fresh, slot).astype(slot.dtype))


def _survivors_means(slot, groups, rewiring):
    """For each new place, the slot's mean over its group's survivors."""
    survivors = rewiring.mask.copy()
    survivors.reshape(-1)[rewiring.grown] = False
    columns = rewiring.grown % slot.shape[1]
    means = np.empty(len(columns))
    for group in groups:
        in_group = (group.start <= columns) & (columns < group.stop)
        among = survivors[group.columns]
        means[in_group] = slot[group.columns][among].mean()
    return means


def _fresh_value(optimizer, name):
    # Adagrad's and Ftrl's accumulators do not start at 0.
    if name == "_accumulators":
        return getattr(optimizer, "initial_accumulator_value", 0.0)
    return 0.0


def _is_a(optimizer, name):
    return any(cls.__name__ == name for cls in type(optimizer).__mro__)


def _note_unknown(optimizer):
    kind = type(optimizer).__name__
    if kind not in _noted:
        _noted.add(kind)
        logging.getLogger("keras_sparse_rnn").warning(
            "The optimizer %s is not one of %s: at a rewiring its slots of "
            "dropped and new connections are set to 0. Subclass one of these "
            "to have them handled as its are.",
            kind,
            ", ".join(_KNOWN),
        )


_noted = set()
