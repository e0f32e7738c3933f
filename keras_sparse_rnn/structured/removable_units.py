"""Which layers have hidden units that can be removed, and which have not."""

import logging

from keras_sparse_rnn.sparse_layers import check_built
from keras_sparse_rnn.structured.features import hidden_units


def removable_units(model):
    """The units of the layers from which units can be removed.

    Args:
        model: Built Sequential or Functional model, of any nesting.

    Returns:
        List of `HiddenUnits`, at least one.

    Raises:
        ValueError: If the model is not built, its graph is not known, or no
            layer has units that can be removed.
    """
    check_built(model)
    found = hidden_units(model)
    removable = [units for units in found if units.seen_by is None]
    if not removable:
        raise ValueError(
            "Expected a model with a recurrent layer (LSTM, GRU, SimpleRNN or "
            "RHN) whose units are read by recurrent and `Dense` layers and "
            "tied embeddings alone. "
            f"{_reasons(found)}Received: model={model.name!r}"
        )
    return removable


def log_layers_left_alone(model):
    """Says which layers the group lasso and `shrink` leave alone, and why."""
    kept = [units for units in hidden_units(model) if units.seen_by]
    if kept:
        # Logged, no Python warning: such layers are common.
        logging.getLogger("keras_sparse_rnn").warning(
            "No unit can be removed from some layers of '%s'. %s",
            model.name,
            _reasons(kept).strip(),
        )


def _reasons(found):
    return "".join(
        f"The units of '{units.name}' {units.seen_by}. " for units in found
    )
