"""Follows hidden units through a model, along the last axis of its tensors.

What a tensor's last axis holds is a tuple of segments, each a pair of
`HiddenUnits` and their number; `None` in place of units stands for features
that are nobody's. `Bidirectional` and `Concatenate` put segments together.
"""

import keras

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn import layers as sparse
from keras_sparse_rnn.arguments import named
from keras_sparse_rnn.structured.hidden_units import Consumer
from keras_sparse_rnn.structured.hidden_units import HiddenUnits
from keras_sparse_rnn.structured.hidden_units import Weight
from keras_sparse_rnn.structured.unit_places import is_elementwise
from keras_sparse_rnn.structured.unit_places import places_in

L = keras.layers

_DENSE = (L.Dense, sparse.SparseDense)
# Of each feature they make the same feature, whatever the others are.
_KEEP_FEATURES = (
    L.Activation,
    L.ActivityRegularization,
    L.AlphaDropout,
    L.AveragePooling1D,
    L.Dropout,
    L.ELU,
    L.GaussianDropout,
    L.GaussianNoise,
    L.GlobalAveragePooling1D,
    L.GlobalMaxPooling1D,
    L.Identity,
    L.LeakyReLU,
    L.MaxPooling1D,
    L.ReLU,
    L.RepeatVector,
    L.SpatialDropout1D,
)
_NOBODYS = ((None, None),)


def hidden_units(model):
    """The units of the recurrent layers that a model's graph leads through.

    Args:
        model: Built Sequential or Functional model, of any nesting.

    Returns:
        List of `HiddenUnits`, in the order of the graph.

    Raises:
        ValueError: If the graph of the model is not known.
    """
    if not _has_graph(model):
        raise ValueError(
            "Expected a Sequential or Functional model whose `call` is "
            "Keras's: only its graph tells which layers read a hidden unit. "
            f"Received: model={model.name!r} of class {type(model).__name__}"
        )
    walk = _Walk()
    for features in walk.through(model):
        walk.see(features, f"are outputs of '{model.name}'")
    return walk.finished()


def _has_graph(model):
    return keras_internals.is_functional(model) or (
        isinstance(model, keras.Sequential)
        and type(model).call is keras.Sequential.call
    )


class _Walk:
    def __init__(self):
        self.units = {}
        # Features by the kernel that reads them.
        self.read = {}
        # Reasons by layers that are called in ways that are not known.
        self.unknown = {}

    def through(self, model):
        """Follows a model, whose inputs are nobody's features.

        Args:
            model: Model with a graph.

        Returns:
            List of the features of its outputs.
        """
        if isinstance(model, keras.Sequential):
            features = _NOBODYS
            for layer in model.layers:
                [features] = self.after(layer, [features], [], 1, False)
            return [features]
        known = {}

        def of(tensors):
            return [
                known.get(id(each), ((None, (each.shape or [None])[-1]),))
                for each in tensors
            ]

        for call in keras_internals.calls(model):
            after = self.after(
                call.operation,
                of(call.inputs),
                of(call.others),
                len(call.outputs),
                call.is_given_more,
            )
            for tensor, features in zip(call.outputs, after, strict=True):
                if features is not _NOBODYS:
                    known[id(tensor)] = features
        return of(model.outputs)

    def after(self, operation, inputs, others, outputs, is_given_more):
        """The features of what an operation returns.

        Args:
            operation: Layer, or Keras operation that is no layer.
            inputs: List of the features of the tensors in its first argument.
            others: List of the features of the other tensors it is given.
            outputs: Integer, how many tensors it returns.
            is_given_more: Boolean, whether it is given more than its inputs.

        Returns:
            List of features.
        """
        reader = named(type(operation), operation.name)
        for features in others:
            self.see(features, f"are read by {reader}")
        layers = _recurrent_layers(operation)
        if layers and inputs:
            return self.after_recurrent(
                operation, layers, inputs, outputs, is_given_more
            )
        inner = operation
        if type(operation) is L.TimeDistributed:
            inner = operation.layer
        if len(inputs) == outputs == 1 and not is_given_more:
            if _keeps_features(inner):
                return inputs
            if _is_plain_dense(inner):
                self.consume(inner, inputs[0])
                return [_NOBODYS]
        if _joins_features(operation, inputs):
            return [tuple(each for one in inputs for each in one)]
        for features in inputs:
            self.see(features, f"are read by {reader}")
        if _has_graph(operation):
            # It was made for inputs of as many features, hence the reader.
            return self.through(operation)
        if isinstance(operation, keras.Layer):
            for layer in keras_internals.flatten_layers(operation):
                self.unknown[id(layer)] = f"are read by {reader}"
        return [_NOBODYS] * outputs

    def after_recurrent(self, outer, layers, inputs, outputs, is_given_more):
        features = []
        for layer in layers:
            units = self.units.setdefault(
                id(layer), HiddenUnits(layer, places_in(layer), outer)
            )
            features.append((units, units.count))
        features = tuple(features)
        if any(units.outer is not outer for units, _ in features):
            self.see(features, f"are also those of '{outer.name}'")
        for layer in layers:
            self.consume(layer.cell, inputs[0])
            if not all(
                is_elementwise(getattr(layer.cell, name))
                for name in places_in(layer).activations
            ):
                self.see(features, "are read by an activation of their own")
        if is_given_more:
            self.see(features, "start at an initial state that is passed in")
        for each in inputs[1:]:
            self.see(each, f"are an initial state of '{outer.name}'")
        merge_mode = getattr(outer, "merge_mode", "concat")
        if merge_mode != "concat":
            self.see(features, f"are merged by merge_mode={merge_mode!r}")
        if outputs > 1:
            self.see(features, "are returned as states")
        return [features, *[_NOBODYS] * (outputs - 1)]

    def consume(self, layer, features):
        """Notes what the rows of a layer's kernel read, the same each time."""
        kernel = Weight(layer, "kernel")
        before = self.read.setdefault(kernel, features)
        if before != features:
            for each in (before, features):
                self.see(
                    each,
                    f"are read by '{layer.name}', which is called on several "
                    "layers' features",
                )

    def see(self, features, reason):
        for units, _ in features:
            if units is not None:
                units.seen_by = units.seen_by or reason

    def finished(self):
        """All units, with their consumers."""
        for kernel, features in self.read.items():
            if id(kernel.layer) in self.unknown:
                self.see(features, self.unknown[id(kernel.layer)])
            start = 0
            for units, count in features:
                if units is not None:
                    units.consumers.append(Consumer(kernel, start))
                start += count or 0
        found = list(self.units.values())
        for units in found:
            if id(units.layer) in self.unknown:
                self.see(((units, None),), self.unknown[id(units.layer)])
        # `Bidirectional` needs as many units in both directions.
        for units in found:
            for other in found:
                if other.outer is units.outer:
                    other.seen_by = other.seen_by or units.seen_by
        return found


def _recurrent_layers(operation):
    """The recurrent layers that a layer is or wraps, none if any is unknown."""
    layers = [operation]
    if type(operation) is L.Bidirectional:
        layers = [operation.forward_layer, operation.backward_layer]
    return layers if all(places_in(layer) for layer in layers) else []


def _keeps_features(layer):
    return (
        type(layer) in _KEEP_FEATURES
        and getattr(layer, "data_format", "channels_last") == "channels_last"
        # Of a shape that may tell features apart, or have a number of them.
        and getattr(layer, "noise_shape", None) is None
        and (
            type(layer) is not L.Activation or is_elementwise(layer.activation)
        )
    )


def _is_plain_dense(layer):
    return (
        type(layer) in _DENSE
        and not layer.quantization_mode
        and not layer.lora_enabled
    )


def _joins_features(operation, inputs):
    """Whether it concatenates on the last axis what is of known length."""
    return (
        type(operation) is L.Concatenate
        and operation.axis == -1
        and all(count is not None for one in inputs for _, count in one)
    )
