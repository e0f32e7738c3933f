"""What a rewiring method carries along with a weight, besides its mask.

Large, and so there only where it is asked for: when a layer is made, or by the
method's callback. It is saved with the layer.
"""

import numpy as np
from keras import ops

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn.arguments import check_one_of
from keras_sparse_rnn.dense_gradient import running_sum
from keras_sparse_rnn.dense_gradient import strategy_scope


def _add_momentum(layer, name, shape):
    setattr(layer, f"{name}_momentum", running_sum(f"{name}_momentum", shape))


def _add_signs(layer, name, shape):
    variable = layer.add_weight(
        name=f"{name}_signs",
        shape=shape,
        dtype="int8",
        initializer=lambda shape, dtype=None: ops.zeros(shape, dtype),
        trainable=False,
        autocast=False,
        aggregation="none",
    )
    setattr(layer, f"{name}_signs", variable)


# By kind: SNFS's average of dense gradients, DeepR's signs.
_ADD = {"momentum": _add_momentum, "signs": _add_signs}
KINDS = tuple(_ADD)


def check_rewiring_state(kinds):
    """Raises `ValueError` unless it is a list of distinct known kinds."""
    if isinstance(kinds, str) or not isinstance(kinds, (list, tuple)):
        raise ValueError(
            f"`rewiring_state` must be a list of some of {[*KINDS]}. "
            f"Received: rewiring_state={kinds!r}"
        )
    for kind in kinds:
        check_one_of("rewiring_state", kind, KINDS)
    if len({*kinds}) != len(kinds):
        raise ValueError(
            "`rewiring_state` must name each kind once. "
            f"Received: rewiring_state={kinds!r}"
        )


def add_rewiring_state(layer, kind):
    """Adds variables of one kind for all sparse weights of a built layer.

    Args:
        layer: Built layer that owns sparse weights.
        kind: String, one of `KINDS`.
    """
    with keras_internals.open_to_variables(layer):
        for name in layer.sparse_names:
            variable = getattr(layer, f"_{name}")
            # A callback adds them outside of the scope that the layer is from.
            with strategy_scope(variable):
                _ADD[kind](layer, name, variable.shape)


def momentum_of(weight):
    """The variable that holds a weight's average of dense gradients."""
    return getattr(weight.layer, f"{weight.name}_momentum")


def signs_of(weight):
    """The signs of a weight's connections, those that have none yet added.

    Args:
        weight: `SparseWeight` whose layer carries `"signs"`.

    Returns:
        `int8` array of the weight's shape, 0 where there is no connection.
    """
    signs = _signs(weight).numpy().copy()
    # Its own generator would tell the rewiring that follows what it drew.
    return _completed(weight, signs, np.random.default_rng(weight.rewirings))


def assign_signs(weight, signs, rng):
    """Sets the signs of a weight's connections, new ones drawn.

    Args:
        weight: `SparseWeight` whose layer carries `"signs"`.
        signs: `int8` array of the weight's shape, 0 for signs to be drawn.
        rng: `numpy.random.Generator`.
    """
    _signs(weight).assign(_completed(weight, signs, rng))


def start_signs(weight):
    """Sets the signs that are missing: the weights', or random ones."""
    _signs(weight).assign(signs_of(weight))


def _signs(weight):
    return getattr(weight.layer, f"{weight.name}_signs")


def _completed(weight, signs, rng):
    """Signs of all connections: their weight's where they have none.

    Where that weight is 0, as a new one is, the sign is drawn.
    """
    mask = weight.mask.numpy()
    signs = np.where(mask, signs, 0).astype(np.int8)
    missing = mask & (signs == 0)
    own = np.sign(weight.value.numpy()[missing]).astype(np.int8)
    drawn = 2 * rng.integers(0, 2, len(own), np.int8) - 1
    signs[missing] = np.where(own == 0, drawn, own)
    return signs
