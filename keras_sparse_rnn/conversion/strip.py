"""From sparse layers to plain Keras layers."""

from keras_sparse_rnn.conversion.clone import SPARSE_CLASSES
from keras_sparse_rnn.conversion.clone import clone_with
from keras_sparse_rnn.conversion.clone import copy_assets
from keras_sparse_rnn.conversion.clone import copy_state
from keras_sparse_rnn.layers.engine_arguments import ENGINE_ARGUMENT_NAMES
from keras_sparse_rnn.layers.topology_arguments import ARGUMENT_NAMES
from keras_sparse_rnn.sparse_layers import sparse_layers


def strip_sparsity(model):
    """Returns the model in plain Keras layers, zeros baked into the weights.

    The result needs nothing of this package to be saved, exported, quantized
    or loaded, and computes what the sparse model computes. It is not compiled.
    The model that is passed stays as it is.

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
    name = serialised["registered_name"] or ""
    package, _, class_name = name.rpartition(">")
    plain = class_name.removeprefix("Sparse")
    if package != "keras_sparse_rnn" or plain not in SPARSE_CLASSES:
        return None
    return {
        "module": "keras.layers",
        "class_name": plain,
        "config": {
            name: value
            for name, value in serialised["config"].items()
            if name not in (*ARGUMENT_NAMES, *ENGINE_ARGUMENT_NAMES)
        },
        "registered_name": None,
    }
