"""Weights of a dense model, from a file into a sparse one."""

import os
from zipfile import BadZipFile

from keras_sparse_rnn.conversion.clone import SubclassedModelError
from keras_sparse_rnn.conversion.clone import copy_state
from keras_sparse_rnn.conversion.strip import strip_sparsity
from keras_sparse_rnn.sparse_layers import sparse_weights


def load_dense_weights(model, path):
    """Loads the weights of the dense model of the same architecture.

    Keras names the parts of a weights file by the class of each layer, so that
    `model.load_weights()` does not find those of an `LSTM` for a `SparseLSTM`.
    Masks stay as they are; weights are 0 where there is no connection.

    A subclassed model cannot be taken apart: load the file into the dense one,
    and hand its weights over layer by layer, as the second example does.

    Args:
        model: Built Sequential or Functional model with sparse layers.
        path: Path of a `.weights.h5` or `.keras` file that Keras wrote for the
            model with plain layers in place of the sparse ones.

    Raises:
        ValueError: If the file does not exist or does not fit the model, or
            the model is a subclassed one. The model's weights are unchanged
            then.

    Example:

    ```python
    dense.save_weights("dense.weights.h5")
    ksr.load_dense_weights(sparse, "dense.weights.h5")
    ```

    Of a subclassed model with an attribute `lstm`:

    ```python
    dense.load_weights("dense.weights.h5")
    sparse.lstm.set_weights(dense.lstm.get_weights())
    ```
    """
    if not isinstance(path, (str, os.PathLike)) or not os.path.isfile(path):
        raise ValueError(
            "`path` must be that of a `.weights.h5` or `.keras` file. "
            f"Received: path={path!r}, which is no file"
        )
    path = os.fspath(path)
    try:
        plain = strip_sparsity(model)
    except SubclassedModelError:
        raise ValueError(
            "Expected a Sequential or Functional model. Load the file into "
            "the dense model, and pass what `get_weights()` of its layers "
            "returns to `set_weights()` of the sparse ones: those take a dense "
            f"layer's. Received: model={model.name!r} of class "
            f"{type(model).__name__}"
        ) from None
    try:
        plain.load_weights(path)
    except (ValueError, OSError, KeyError, BadZipFile) as error:
        raise ValueError(
            f"'{path}' does not fit the dense model of '{model.name}'. "
            f"{error} Received: path={path!r}"
        ) from error
    copy_state(plain, model)
    for weight in sparse_weights(model):
        weight.enforce_mask()
