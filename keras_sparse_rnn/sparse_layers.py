"""Finding the sparse layers and weights of a model."""

import keras

from keras_sparse_rnn import keras_internals


def sparse_layers(model):
    """Layers and cells that own sparse weights, each once, built or not.

    Args:
        model: Keras model or layer, of any nesting.

    Returns:
        List of layers.

    Raises:
        ValueError: If `model` is no Keras model or layer.
    """
    check_is_layer(model)
    return [
        layer
        for layer in keras_internals.flatten_layers(model)
        if getattr(layer, "sparse_names", None)
    ]


def sparse_weights(model, layers=None):
    """Sparse weights of a model, each once, in the order of its layers.

    Args:
        model: Keras model or layer, of any nesting.
        layers: List of layers or of names of layers, to which to keep; a
            wrapper or nested model stands for what is inside. `None` means
            all. Defaults to `None`.

    Returns:
        List of `SparseWeight`s. Layers that are not built have none yet, as
        with Keras's `model.weights`.

    Raises:
        ValueError: If `model` is no Keras model or layer, a name in `layers`
            is none of the model's, or nothing sparse is in what it names.
    """
    weights = {}
    for layer in chosen_sparse_layers(model, layers):
        for weight in layer.sparse_weights:
            weights.setdefault(id(weight.value), weight)
    return list(weights.values())


def sparse_layer_names(model):
    """Names of the sparse layers, where a cell goes by the layer around it.

    Args:
        model: Keras model or layer, of any nesting.

    Returns:
        List of strings, in the order of `sparse_layers(model)`.
    """
    around = {
        id(layer.cell): layer.name
        for layer in keras_internals.flatten_layers(model)
        if hasattr(layer, "cell")
    }
    return [around.get(id(layer), layer.name) for layer in sparse_layers(model)]


def chosen_sparse_layers(model, layers=None):
    """Layers and cells that `layers` names and that own sparse weights.

    Args:
        model: As for `sparse_weights`.
        layers: As for `sparse_weights`.

    Returns:
        List of layers, built or not.

    Raises:
        ValueError: As `sparse_weights`.
    """
    check_is_layer(model)
    if layers is None:
        return sparse_layers(model)
    chosen = []
    for layer in _named(model, layers):
        inside = sparse_layers(layer)
        if not inside:
            raise ValueError(
                f"`layers` must name layers with sparse weights. "
                f"Received: layers={layer.name!r} in {layers}"
            )
        chosen += inside
    return chosen


def may_make_layers(model):
    """Whether layers that a model does not have yet may come when it is built.

    Keras's own classes have the layers that they are given. Others may make
    some in a `build()` of theirs, and a model that has none must.

    Args:
        model: Keras model or layer, of any nesting.

    Returns:
        A boolean.
    """
    layers = keras_internals.flatten_layers(model)
    return len(layers) == 1 or any(
        type(layer).build.__module__.partition(".")[0] != "keras"
        for layer in layers
        if not layer.built
    )


def check_is_layer(model):
    """Raises `ValueError` unless `model` is a Keras model or layer."""
    if not isinstance(model, keras.Layer):
        raise ValueError(
            f"Expected a Keras model or layer. Received: model={model!r}"
        )


def check_has_sparse_layers(model):
    """Raises `ValueError` if a model has no sparse layer."""
    if not sparse_layers(model):
        raise ValueError(
            f"The model '{model.name}' has no sparse layer, such as "
            "`SparseLSTM` or `SparseEmbedding`: make it with some, or by "
            "`keras_sparse_rnn.sparsify`, which with `sparsity=0` leaves "
            f"every connection. Received: model={model.name!r}"
        )


def check_built(model):
    """Raises `ValueError` unless it is a model, or layer, that is built."""
    check_is_layer(model)
    if not model.built:
        raise ValueError(
            "The model must be built: call it once, or "
            f"`model.build(input_shape)`. Received: model={model.name!r}, "
            "not built"
        )


def _named(model, layers):
    if isinstance(layers, str) or not isinstance(layers, (list, tuple)):
        layers = [layers]
    if not layers:
        raise ValueError(
            "`layers` must hold at least one layer or name; `None` means all. "
            f"Received: layers={layers!r}"
        )
    inside = keras_internals.flatten_layers(model)
    for layer in layers:
        found = [each for each in inside if layer in (each, each.name)]
        if not found:
            raise ValueError(
                f"`layers` must be layers of '{model.name}', or names such as "
                f"{sparse_layer_names(model)}. Received: layers={layer!r}"
            )
        yield from found
