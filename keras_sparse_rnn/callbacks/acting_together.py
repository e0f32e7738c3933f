"""Rewiring callbacks that were passed to one `fit`."""

import weakref

from keras_sparse_rnn.sparse_layers import chosen_sparse_layers

# All that were passed to a `fit`: no callback sees the list that it is in.
_in_use = weakref.WeakSet()


def note_in_use(callback):
    """Notes a callback that `fit` has given its parameters to."""
    _in_use.add(callback)


def acting_together(callback):
    """The rewiring callbacks of a callback's `fit`, itself among them.

    What tells one `fit` from another is the dict of parameters that it gives to
    all of its callbacks.
    """
    return [
        each
        for each in _in_use
        if each.model is callback.model and each.params is callback.params
    ]


def check_acts_alone(callback):
    """Raises `ValueError` if another callback rewires the same layers."""
    mine = chosen_sparse_layers(callback.model, callback.layers)
    for other in acting_together(callback):
        if other is callback:
            continue
        theirs = chosen_sparse_layers(callback.model, other.layers)
        shared = [layer.path or layer.name for layer in mine if layer in theirs]
        if shared:
            names = [type(each).__name__ for each in (callback, other)]
            raise ValueError(
                "Rewiring callbacks of one `fit` must act on different "
                "layers: keep one of them, or pass `layers=` to each. "
                f"Received: callbacks={names}, which both rewire {shared}"
            )
