"""A smaller model without the hidden units that have no effect."""

import functools

import keras
import numpy as np

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn.arguments import is_number
from keras_sparse_rnn.conversion.clone import clone_with_each
from keras_sparse_rnn.conversion.clone import copy_assets
from keras_sparse_rnn.conversion.clone import copy_state
from keras_sparse_rnn.conversion.strip import strip_sparsity
from keras_sparse_rnn.structured.alive_units import find_alive
from keras_sparse_rnn.structured.features import hidden_units
from keras_sparse_rnn.structured.removable_units import log_layers_left_alone
from keras_sparse_rnn.structured.removable_units import removable_units

_ZEROS = keras.saving.serialize_keras_object(keras.initializers.Zeros())


def shrink(model):
    """Returns a smaller, dense, plain Keras model without dead units.

    Its outputs are those of the model, but for the order in which products
    are summed up. What is dead is said with `alive_units`: no unit that has an
    effect on an output reads it. Of each layer one unit stays at least, and of
    the two directions of a `Bidirectional` as many of either. All other layers
    keep their weights and what they have adapted. If there is no dead unit,
    the result is that of `strip_sparsity`.

    The result needs nothing of this package, but for an `RHN` in it. It is not
    compiled, and has no ISS regularizer. The model that is passed stays as it
    is.

    Args:
        model: Built Sequential or Functional model, of any nesting.

    Returns:
        A model with the same names and weights of its own.

    Raises:
        ValueError: If the model is not built, cannot be cloned, is not
            Sequential or Functional, or no layer has units that can be
            removed, with the reasons.

    Example:

    ```python
    model.fit(x, y, epochs=50, callbacks=[ksr.ISSCallback(strength=1e-4)])
    smaller = ksr.shrink(model)
    smaller.save("smaller.keras")
    ```

    Reference:
        - Wen et al., Learning Intrinsic Sparse Structures within Long
          Short-Term Memory, ICLR 2018
    """
    plain = strip_sparsity(model)
    removable = removable_units(plain)
    log_layers_left_alone(plain)
    kept = _kept(find_alive(removable))
    changed = {units: chosen for units, chosen in kept.items() if ~chosen.all()}
    if not changed:
        return plain
    rows = _kept_rows(changed)
    smaller = clone_with_each(
        plain,
        {
            layer: functools.partial(_resized, size=size)
            for layer, size in _sizes(plain, changed, rows).items()
        },
    )
    copy_state(plain, smaller, _values(changed, rows))
    copy_assets(plain, smaller)
    return smaller


def _kept(alive):
    """The units that stay: those that are alive, and as many as must.

    Args:
        alive: Dict from `HiddenUnits` to a boolean array.

    Returns:
        Dict from `HiddenUnits` to a boolean array.
    """
    counts = {}
    for units, living in alive.items():
        count = max(np.count_nonzero(living), 1)
        counts[units.outer] = max(count, counts.get(units.outer, 0))
    kept = {}
    for units, living in alive.items():
        missing = counts[units.outer] - np.count_nonzero(living)
        kept[units] = living.copy()
        kept[units][np.flatnonzero(~living)[:missing]] = True
    return kept


def _that_counts_units(layer):
    """The layer, or the cell it was made with, that is configured by units."""
    return layer if "units" in layer.get_config() else layer.cell


def _sizes(model, kept, rows):
    """The layers whose weights become smaller, and what they are made with.

    Args:
        model: Model of plain layers.
        kept: Dict from `HiddenUnits` to a boolean array.
        rows: What `_kept_rows` gives of them.

    Returns:
        Dict from a layer, or the cell that one was made with, to a dict of
        those of its arguments that change.
    """
    made_with = {
        id(units.layer.cell): _that_counts_units(units.layer)
        for units in hidden_units(model)
    }
    sizes = {
        made_with.get(id(weight.layer), weight.layer): {} for weight in rows
    }
    for units, chosen in kept.items():
        layer = _that_counts_units(units.layer)
        sizes[layer] = {"units": int(np.count_nonzero(chosen))}
    for weight, read in rows.items():
        if weight.input_axis == -1:
            # A tied embedding has as many features as it decodes.
            sizes[weight.layer] = {"output_dim": int(np.count_nonzero(read))}
    return sizes


def _resized(serialised, size):
    config = {
        name: _ZEROS if _holds_array(name, value) else value
        for name, value in serialised["config"].items()
    }
    return {**serialised, "config": {**config, **size}}


def _holds_array(name, value):
    """Whether a layer's argument is an initializer of one shape alone."""
    return (
        name.endswith("_initializer")
        and isinstance(value, dict)
        and value.get("class_name") == "Constant"
        and not is_number(value["config"]["value"])
    )


def _kept_rows(kept):
    """What stays of the rows that read units.

    Args:
        kept: Dict from `HiddenUnits` to a boolean array.

    Returns:
        Dict from a `Weight` to a boolean array along its `input_axis`.
    """
    rows = {}
    for units, chosen in kept.items():
        for weight, read in units.removed_rows:
            all_rows = np.ones(weight.variable.shape[weight.input_axis], bool)
            rows.setdefault(weight, all_rows)[read] = chosen
    return rows


def _values(kept, rows):
    """What stays of the variables and states that become smaller.

    Args:
        kept: Dict from `HiddenUnits` to a boolean array.
        rows: What `_kept_rows` gives of them.

    Returns:
        Dict from the `id` of a variable to an array.
    """
    values = {}

    def cut(variable, places, axis):
        value = values.get(id(variable), variable.numpy())
        values[id(variable)] = np.take(value, places, axis=axis)

    for units, chosen in kept.items():
        columns = units.places.columns(chosen)
        for weight in (
            *units.kernels,
            *units.recurrent_kernels,
            *units.biases,
        ):
            if weight.variable is not None:
                cut(weight.variable, columns, -1)
        for weight in units.recurrent_kernels:
            cut(weight.variable, np.flatnonzero(chosen), -2)
        for state in keras_internals.rnn_states(units.layer):
            cut(state, np.flatnonzero(chosen), -1)
    for weight, read in rows.items():
        cut(weight.variable, np.flatnonzero(read), weight.input_axis)
    return values
