"""Cloning a model with some of its layers, however deep, put into others."""

import collections
import contextlib
import re
import tempfile

import keras
import numpy as np

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn import layers as sparse
from keras_sparse_rnn.arguments import named
from keras_sparse_rnn.masked_weight import is_kept_with_mask
from keras_sparse_rnn.sparse_layers import check_built

# By the plain class that each extends.
SPARSE_CLASSES = {
    keras.layers.Dense: sparse.SparseDense,
    keras.layers.Embedding: sparse.SparseEmbedding,
    keras.layers.GRU: sparse.SparseGRU,
    keras.layers.GRUCell: sparse.SparseGRUCell,
    keras.layers.LSTM: sparse.SparseLSTM,
    keras.layers.LSTMCell: sparse.SparseLSTMCell,
    keras.layers.ReversibleEmbedding: sparse.SparseReversibleEmbedding,
    keras.layers.SimpleRNN: sparse.SparseSimpleRNN,
    keras.layers.SimpleRNNCell: sparse.SparseSimpleRNNCell,
    sparse.RHN: sparse.SparseRHN,
    sparse.RHNCell: sparse.SparseRHNCell,
}

_BEFORE_REASON = re.compile(
    "Exception encountered: |Error encountered during deserialization: "
)


class SubclassedModelError(ValueError):
    """A model that cannot be cloned, as its layers are not known."""


def clone_with(model, convert, serialize=keras.saving.serialize_keras_object):
    """Clones a model or layer, the layers inside converted.

    Args:
        model: Built Sequential or Functional model, of any nesting, or a
            layer.
        convert: Function of a serialised layer, a dict, that returns the
            serialised layer to put in its place, or `None` to keep it.
        serialize: Function that serialises a layer, with the layers in it.

    Returns:
        A model, or layer, of the same names, built, with its own weights.

    Raises:
        SubclassedModelError: If it is a subclass of `Model` that cannot be
            taken apart.
        ValueError: If the model is not built, or a layer cannot be cloned.
    """
    check_built(model)
    if not isinstance(model, keras.Model):
        clone = _clone_layer(model, convert, serialize)
        if not clone.built:
            clone.build_from_config(model.get_build_config())
        return clone
    try:
        with _not_compiled(model):
            return keras.models.clone_model(
                model,
                clone_function=lambda layer: _clone_layer(
                    layer, convert, serialize
                ),
                recursive=True,
            )
    except ValueError as error:
        if "clone_function" not in str(error):
            raise
        raise SubclassedModelError(
            "Expected a Sequential or Functional model: the layers of a "
            "subclassed one cannot be told from outside. Convert its layers "
            "one by one where it makes them. "
            f"Received: model={model.name!r} of class {type(model).__name__}"
        ) from None


def clone_with_each(model, conversions):
    """Clones a model or layer, some of the layers inside converted.

    Args:
        model: As for `clone_with`.
        conversions: Dict from a layer or cell inside to a function of it
            serialised that returns the serialised layer to put in its place.

    Returns:
        A clone as of `clone_with`.

    Raises:
        SubclassedModelError: As `clone_with`.
        ValueError: As `clone_with`, or if a layer is made by another one in
            its constructor, so that it cannot be converted.
    """
    # Cloning goes by configurations, in which layers have only their names.
    # Several have one where `Bidirectional` copies a cell, and in nested
    # models. No layer's own name has a slash.
    by_key = {f"converted/{i}": each for i, each in enumerate(conversions)}
    converted = set()

    def serialize(layer):
        with _renamed({each: key for key, each in by_key.items()}):
            return keras.saving.serialize_keras_object(layer)

    def convert(serialised):
        key = serialised["config"].get("name")
        if key not in by_key:
            return None
        converted.add(key)
        layer = by_key[key]
        config = {**serialised["config"], "name": layer.name}
        return conversions[layer]({**serialised, "config": config})

    clone = clone_with(model, convert, serialize)
    for key, layer in by_key.items():
        if key not in converted:
            raise ValueError(
                f"'{layer.path}' cannot be converted: a layer that is not "
                "Keras's own makes it in its constructor. Convert it where it "
                "is made, or name other `layers`. "
                f"Received: model={model.name!r}"
            )
    return clone


@contextlib.contextmanager
def _renamed(names):
    """Gives layers other names for the time being.

    Args:
        names: Dict from layer to name.
    """
    before = {layer: layer.name for layer in names}
    try:
        for layer, name in names.items():
            layer.name = name
        yield
    finally:
        for layer, name in before.items():
            layer.name = name


@contextlib.contextmanager
def _not_compiled(model):
    """Keeps `clone_model` from compiling clones, which it cannot always."""
    compiled = [
        layer
        for layer in keras_internals.flatten_layers(model)
        if getattr(layer, "compiled", False)
    ]
    for each in compiled:
        each.compiled = False
    try:
        yield
    finally:
        for each in compiled:
            each.compiled = True


def serialised_layer(cls, config):
    """A layer of a class, serialised.

    Args:
        cls: Class of Keras or of this package.
        config: Dict, the layer's configuration.

    Returns:
        Dict, as `keras.saving.serialize_keras_object` makes it.
    """
    is_keras = cls.__module__.partition(".")[0] == "keras"
    return {
        "module": "keras.layers" if is_keras else cls.__module__,
        "class_name": cls.__name__,
        "config": config,
        "registered_name": (
            None if is_keras else keras.saving.get_registered_name(cls)
        ),
    }


def pairs(source, target):
    """Pairs of each layer, however deep, and its counterpart in a clone.

    Raises:
        ValueError: If a layer has several counterparts.
    """
    ours = keras_internals.flatten_layers(source)
    theirs = keras_internals.flatten_layers(target)
    if len(ours) != len(theirs):
        more = collections.Counter(each.name for each in theirs)
        more.subtract(each.name for each in ours)
        # Inputs without a name have another one in the clone.
        name = next(each.name for each in ours if more[each.name] > 0)
        raise ValueError(
            f"'{name}' is called by the model itself, and inside of another "
            "layer too, as by `Bidirectional` or `TimeDistributed`. In a clone "
            "these would be two layers, with weights of their own: call it in "
            f"one of these ways only. Received: model={source.name!r}"
        )
    return list(zip(ours, theirs, strict=True))


def copy_state(source, target, values=None):
    """Copies weights, dropout seeds and RNN states between two clones.

    A layer that was not converted is asked itself, as when it is saved: what
    it makes of its variables, as `Normalization` does, follows them. Between a
    sparse layer and a plain one, what belongs to masks is left out: the
    weights are copied as the sparse layer computes with them.

    Args:
        source: Model or layer.
        target: Its clone, made by `clone_with`.
        values: Dict from the `id` of a variable, or RNN state, of `source` to
            the array to copy in its place, where the shapes differ. Defaults
            to `None`, none.
    """
    values = values or {}
    for ours, theirs in pairs(source, target):
        # From the outside in: a container passes its own on to its layers.
        theirs.trainable = ours.trainable
        keras_internals.copy_unserialised(ours, theirs)
        if type(ours) is type(theirs) and not any(
            id(each) in values for each in keras_internals.own_variables(ours)
        ):
            _copy_as_saved(ours, theirs)
        else:
            _copy_values(ours, theirs, {**_effective_values(ours), **values})
        for of in (_generator_states, keras_internals.rnn_states):
            for state, copy in zip(of(ours), of(theirs), strict=True):
                copy.assign(values.get(id(state), state.numpy()))


def _copy_as_saved(ours, theirs):
    store = {}
    ours.save_own_variables(store)
    # By way of NumPy: JAX would share the buffer, and give it away.
    theirs.load_own_variables(
        {name: keras.ops.convert_to_numpy(v) for name, v in store.items()}
    )


def _effective_values(layer):
    return {
        id(weight.value): np.asarray(weight.effective_value())
        for weight in getattr(layer, "sparse_weights", [])
    }


def _copy_values(ours, theirs, values):
    for variable, copy in zip(
        dense_variables(ours), dense_variables(theirs), strict=True
    ):
        copy.assign(values.get(id(variable), variable.numpy()))


def copy_assets(source, target):
    """Copies what layers save in files of their own, such as vocabularies.

    Apart from `copy_state`, which a model that is in use can bear: lookups
    make their tables anew, and traced functions hold the old ones.

    Args:
        source: Model or layer.
        target: Its clone, made by `clone_with`.

    Raises:
        ValueError: If a layer cannot read the files that it wrote.
    """
    for ours, theirs in pairs(source, target):
        if type(ours) is type(theirs) and hasattr(ours, "save_assets"):
            with tempfile.TemporaryDirectory() as folder:
                ours.save_assets(folder)
                try:
                    theirs.load_assets(folder)
                except Exception as error:
                    # Of any kind: a table that is empty is TensorFlow's error.
                    raise ValueError(
                        f"{named(type(ours), ours.name)} must be ready "
                        "to be saved: a lookup, for one, has to be adapted "
                        f"first. {error} Received: layer={ours.name!r}"
                    ) from error


def dense_variables(layer):
    """The variables that the layer's plain namesake has too, in its order."""
    variables = keras_internals.own_variables(layer)
    if not getattr(layer, "sparse_names", None):
        return variables
    return [v for v in variables if not is_kept_with_mask(layer, v)]


def _generator_states(layer):
    return [each.state for each in keras_internals.seed_generators(layer)]


def _clone_layer(layer, convert, serialize):
    try:
        serialised = serialize(layer)
        converted, changed = _rewritten(serialised, convert)
        if not changed:
            return type(layer).from_config(_config_to_build(layer))
        return keras.saving.deserialize_keras_object(
            converted, custom_objects={type(layer).__name__: type(layer)}
        )
    except (TypeError, ValueError, NotImplementedError) as error:
        # Keras puts the whole configuration before what is wrong with it.
        reason = " ".join(_BEFORE_REASON.split(str(error))[-1].split())
        raise ValueError(
            f"The layer '{layer.name}' cannot be cloned: `from_config()` must "
            "make it anew from its `get_config()`. Functions in it need "
            "`@keras.saving.register_keras_serializable()`, Python lambdas "
            "`keras.config.enable_unsafe_deserialization()`, and a subclass "
            "of `Model` that makes layers to convert is to be converted where "
            f"it makes them. {reason} Received: layer={layer.name!r} of class "
            f"{type(layer).__name__}"
        ) from error


def _config_to_build(layer):
    """A layer's configuration, what is inside of it not built yet.

    What it reads may have become smaller. A layer of the user's may not build
    what is inside of it, as Keras's own do.
    """
    config = layer.get_config()
    if type(layer).__module__.partition(".")[0] != "keras":
        return config
    return _rewritten(config, lambda serialised: None)[0]


def _rewritten(node, convert):
    """A serialised object with the layers in it converted, and whether any."""
    if isinstance(node, dict):
        if _is_object(node):
            # Shapes are found anew when the clone is built in its place.
            node = {k: v for k, v in node.items() if k != "build_config"}
            converted = convert(node)
            if converted is not None:
                return converted, True
        rewritten = {k: _rewritten(v, convert) for k, v in node.items()}
        return (
            {k: value for k, (value, _) in rewritten.items()},
            any(changed for _, changed in rewritten.values()),
        )
    if isinstance(node, (list, tuple)):
        items = [_rewritten(item, convert) for item in node]
        return (
            type(node)(value for value, _ in items),
            any(changed for _, changed in items),
        )
    return node, False


def _is_object(node):
    """Whether it is a serialised object, and no function or lambda."""
    return "registered_name" in node and isinstance(node.get("config"), dict)
