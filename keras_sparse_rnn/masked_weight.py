"""Variables of a weight and its mask, and what a layer computes with them."""

import keras
import numpy as np
from keras import ops

from keras_sparse_rnn.tracing import is_tracing

# Variables of a weight that plain layers do not have; the last two are there
# where `layer.rewiring_state` asks for them.
_KEPT_WITH_MASK = (
    "mask",
    "ever_active",
    "rewiring",
    "rewiring_levels",
    "momentum",
    "signs",
)


def add_masked_weight(
    layer, add_weight, name, mask, key, rescale, keeps_zeros=False, **arguments
):
    """Adds a weight to a layer together with its mask and its record.

    Args:
        layer: The layer that is being built.
        add_weight: The `add_weight` of the layer's Keras class.
        name: String, the weight's name.
        mask: Boolean array of the weight's shape.
        key: Integer array of two, the weight's key.
        rescale: Boolean, whether initial weights are scaled up to the fan-in
            that is left.
        keeps_zeros: Boolean, whether empty places are set to 0 after each
            update, which they are not unless optimizers see a gradient there.
            Defaults to `False`.
        **arguments: Further arguments of `add_weight` for the weight.

    Returns:
        The weight's `keras.Variable`.
    """
    kept = {"trainable": False, "aggregation": "none", "autocast": False}

    def keep(suffix, value):
        variable = layer.add_weight(
            name=f"{name}_{suffix}",
            shape=value.shape,
            dtype=value.dtype.name,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(
                value, dtype=dtype
            ),
            **kept,
        )
        setattr(layer, f"{name}_{suffix}", variable)
        return variable

    mask_variable = keep("mask", mask)
    keep("ever_active", np.packbits(mask))
    keep("rewiring", np.array([*key, 0, -1, -1, 0], np.int32))
    keep("rewiring_levels", np.zeros(4, np.float32))

    # The mask has no value yet where a layer is built while a model is traced.
    setattr(layer, f"{name}_drawn_connections", int(np.count_nonzero(mask)))
    setattr(layer, f"{name}_was_drawn_full", bool(mask.all()))

    arguments["initializer"] = _MaskedInitializer(
        keras.initializers.get(arguments["initializer"]), mask, rescale
    )
    if keeps_zeros and arguments.get("constraint") is None:
        arguments["constraint"] = keras.constraints.Constraint()
    for kind, get, wrapper in (
        ("regularizer", keras.regularizers.get, _MaskedRegularizer),
        ("constraint", keras.constraints.get, _MaskedConstraint),
    ):
        if arguments.get(kind) is not None:
            arguments[kind] = wrapper(get(arguments[kind]), mask_variable)
    weight = add_weight(name=name, shape=mask.shape, **arguments)
    weight.connections = mask_variable
    return weight


def mask_of(variable):
    """The mask of a variable, `None` unless it is a sparse weight.

    For who is given variables without the layers that they belong to, as
    optimizers are.
    """
    return getattr(variable, "connections", None)


def is_kept_with_mask(layer, variable):
    """Whether a layer's own variable belongs to a mask and not to Keras."""
    return any(
        variable is getattr(layer, f"{name}_{suffix}", None)
        for name in layer.sparse_names
        for suffix in _KEPT_WITH_MASK
    )


def masked(weight, mask):
    """The weight where there is a connection, 0 elsewhere.

    A selection, not a product: it gives 0 where a product gives NaN for an
    infinite weight, and it is exact in every precision.
    """
    weight = ops.convert_to_tensor(weight)
    if is_known_to_be_full(mask):
        return weight
    return ops.where(ops.convert_to_tensor(mask), weight, 0)


def is_known_to_be_full(mask):
    """Whether a mask is seen to be `True` everywhere, so that it has no effect.

    In eager mode only: a traced function must hold for every mask to come.
    """
    return not is_tracing() and bool(ops.all(mask))


class _MaskedInitializer(keras.initializers.Initializer):
    def __init__(self, initializer, mask, rescale):
        self.initializer = initializer
        self.mask = mask
        self.rescale = rescale

    def __call__(self, shape, dtype=None):
        value = self.initializer(shape, dtype=dtype)
        if self.rescale:
            fan_in = np.maximum(self.mask.sum(axis=0), 1)
            value = value * ops.convert_to_tensor(
                np.sqrt(len(self.mask) / fan_in), dtype=value.dtype
            )
        return masked(value, self.mask)


class _MaskedRegularizer(keras.regularizers.Regularizer):
    """A user's regularizer on the effective weight.

    On the raw one it would send gradients to empty places:
    `OrthogonalRegularizer` does.
    """

    def __init__(self, regularizer, mask):
        self.regularizer = regularizer
        self.mask = mask

    def __call__(self, weight):
        return self.regularizer(masked(weight, self.mask))


class _MaskedConstraint(keras.constraints.Constraint):
    """A user's constraint, after which empty places are 0 again."""

    def __init__(self, constraint, mask):
        self.constraint = constraint
        self.mask = mask

    def __call__(self, weight):
        return masked(self.constraint(weight), self.mask)
