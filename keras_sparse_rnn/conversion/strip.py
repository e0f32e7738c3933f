"""From sparse layers to plain Keras layers."""

import keras

from keras_sparse_rnn.conversion.clone import SPARSE_CLASSES
from keras_sparse_rnn.conversion.clone import clone_with
from keras_sparse_rnn.conversion.clone import copy_assets
from keras_sparse_rnn.conversion.clone import copy_state
from keras_sparse_rnn.conversion.clone import serialised_layer
from keras_sparse_rnn.layers.engine_arguments import ENGINE_ARGUMENT_NAMES
from keras_sparse_rnn.layers.topology_arguments import ARGUMENT_NAMES
from keras_sparse_rnn.sparse_layers import sparse_layers

_PLAIN_CLASSES = {
    keras.saving.get_registered_name(sparse_class): plain_class
    for plain_class, sparse_class in SPARSE_CLASSES.items()
}


def strip_sparsity(model):
    """Returns the model in plain Keras layers, zeros baked into the weights.

    The result needs nothing of this package to be saved, exported, quantized
    or loaded, and computes what the sparse model computes. The exceptions are
    a `SparseRHN`, or its cell, which becomes an `RHN`, and a `WordDropout`,
    which stays: Keras has neither, so that a `.keras` file of them is loaded
    where this package has been imported; what is exported needs no package.
    The result is not compiled. The model that is passed stays as it is.

    Args:
        model: Built Sequential or Functional model, of any nesting, or a
            single layer.

    Returns:
        A model, or layer, with the same names and weights of its own.

    Raises:
        ValueError: If `model` is no Keras model or layer, is not built, or is
            a subclass of `Model` that cannot be taken apart.

    Example:

    ```python
    plain = ksr.strip_sparsity(model)
    plain.export("served")
    ```
    """
    plain = clone_with(model, _plain_namesake)
    left = [layer.path or layer.name for layer in sparse_layers(plain)]
    if left:
        raise ValueError(
            f"'{left[0]}' cannot be stripped: a layer that is not Keras's own "
            "makes it in its constructor, or extends a sparse layer. Strip it "
            f"where it is made. Received: model={model.name!r}"
        )
    copy_state(model, plain)
    copy_assets(model, plain)
    return plain


def _plain_namesake(serialised):
    plain_class = _PLAIN_CLASSES.get(serialised["registered_name"])
    if plain_class is None:
        return None
    config = {
        name: value
        for name, value in serialised["config"].items()
        if name not in (*ARGUMENT_NAMES, *ENGINE_ARGUMENT_NAMES)
    }
    return serialised_layer(plain_class, config)
