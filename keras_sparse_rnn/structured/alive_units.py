"""Which hidden units have an effect on what a model computes."""

import numpy as np
from keras import ops

from keras_sparse_rnn.structured.removable_units import removable_units


def alive_units(model):
    """Which units of each recurrent layer have an effect on the outputs.

    A unit is alive if a weight other than zero reads it that belongs to
    another unit that is alive, or to a layer whose units are not removed. All
    others are dead, whatever makes them, their biases among it: their rows are
    zero but for what dead units read of each other. A unit all of whose
    group is zero is dead. What a tied embedding decodes is alive if its column
    of the table is not zero.

    Args:
        model: Built Sequential or Functional model, of any nesting.

    Returns:
        Dict from the path of each layer that `shrink` can make smaller to a
        boolean array of shape `(units,)`.

    Raises:
        ValueError: If the model is not built or not Sequential or Functional,
            or no layer has units that can be removed.

    Example:

    >>> {name: alive.sum() for name, alive in ksr.alive_units(model).items()}
    {'lstm': 373, 'lstm_1': 315}
    """
    by_name = {}
    for units, alive in find_alive(removable_units(model)).items():
        name, number = units.name, 0
        while name in by_name:
            # Nested models may hold layers of one path.
            number += 1
            name = f"{units.name}_{number}"
        by_name[name] = alive
    return by_name


def find_alive(removable):
    """As `alive_units`.

    Args:
        removable: List of `HiddenUnits`.

    Returns:
        Dict from each `HiddenUnits` to a boolean array of shape `(units,)`.
    """
    by_cell = {id(units.layer.cell): units for units in removable}
    alive, reads = {}, []
    for units in removable:
        # From the outputs backwards: what only reads itself stays dead.
        alive[units] = np.zeros(units.count, bool)
        for weight in units.recurrent_kernels:
            reads.append((units, units, _read_by(weight, units)))
        for consumer in units.consumers:
            reader = by_cell.get(id(consumer.kernel.layer))
            rows = slice(consumer.start, consumer.start + units.count)
            read = _read_by(consumer.kernel, reader)[rows]
            if reader is None:
                alive[units] |= read[:, 0]
            else:
                reads.append((units, reader, read))
    count = -1
    while count != (count := sum(each.sum() for each in alive.values())):
        for units, reader, read in reads:
            alive[units] |= read[:, alive[reader]].any(axis=1)
    return alive


def _read_by(weight, reader):
    """Which rows of a matrix are read by which units.

    Args:
        weight: `Weight`.
        reader: `HiddenUnits` that the columns make, or `None` if they are not
            to be told apart.

    Returns:
        Boolean array of shape `(rows, units)`, or `(rows, 1)`.
    """
    value = ops.convert_to_numpy(weight.effective)
    value = np.moveaxis(value, weight.input_axis, -2)
    # A stack of matrices reads what any of them reads.
    read = (value != 0).reshape(-1, *value.shape[-2:]).any(axis=0)
    if reader is None:
        return read.any(axis=1, keepdims=True)
    return read.reshape(len(read), -1, reader.count).any(axis=1)
