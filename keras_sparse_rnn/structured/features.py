"""Follows hidden units through a model, along the last axis of its tensors.

What a tensor's last axis holds is a tuple of segments, each a pair of
`HiddenUnits` or a `TiedTable` and their number; `None` in place of units stands
for features that are nobody's. `Bidirectional` and `Concatenate` put segments
together.
"""

import keras

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn import layers as sparse
from keras_sparse_rnn.arguments import named
from keras_sparse_rnn.structured.hidden_units import Consumer
from keras_sparse_rnn.structured.hidden_units import HiddenUnits
from keras_sparse_rnn.structured.hidden_units import TiedTable
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
# Of these a feature that is 0 is still 0 afterwards.
_KEEP_ZEROS = (L.Dropout, L.GaussianDropout, L.Identity, L.SpatialDropout1D)
_REVERSIBLE = (L.ReversibleEmbedding, sparse.SparseReversibleEmbedding)
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
        self.tables = {}
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
                [features] = self.after(layer, [features], [], 1, {})
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
                call.further,
            )
            for tensor, features in zip(call.outputs, after, strict=True):
                if features is not _NOBODYS:
                    known[id(tensor)] = features
        return of(model.outputs)

    def after(self, operation, inputs, others, outputs, further):
        """The features of what an operation returns.

        Args:
            operation: Layer, or Keras operation that is no layer.
            inputs: List of the features of the tensors in its first argument.
            others: List of the features of the other tensors it is given.
            outputs: Integer, how many tensors it returns.
            further: Dict of what it is given besides its inputs.

        Returns:
            List of features.
        """
        reader = named(type(operation), operation.name)
        for features in others:
            self.see(features, f"are read by {reader}")
        layers = _recurrent_layers(operation)
        if layers and inputs:
            return self.after_recurrent(
                operation, layers, inputs, outputs, bool(further)
            )
        inner = operation
        if type(operation) is L.TimeDistributed:
            inner = operation.layer
        if len(inputs) == outputs == 1:
            if _is_plain(operation, _REVERSIBLE) and further.keys() <= {
                "reverse"
            }:
                is_reverse = further.get("reverse", False)
                return [self.after_table(operation, inputs[0], is_reverse)]
            if type(operation) is sparse.WordDropout:
                return inputs
            if not further and _keeps_features(inner):
                if type(inner) not in _KEEP_ZEROS:
                    self.see(
                        [each for each in inputs[0] if _is_of_table(each)],
                        f"go through {reader}",
                    )
                return inputs
            if not further and _is_plain(inner, _DENSE):
                self.consume(Weight(inner, "kernel"), inputs[0])
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
            self.consume(Weight(layer.cell, "kernel"), inputs[0])
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

    def after_table(self, table, features, is_reverse):
        """What an embedding looks up, or decodes."""
        reader = named(type(table), table.name)
        if not table.tie_weights:
            # What it embeds has as many features, and they are read too.
            self.see(features, f"are read by {reader}")
            return _NOBODYS
        tied = self.tables.setdefault(id(table), TiedTable(table))
        if not is_reverse or any(map(_is_of_table, features)):
            self.see(features, f"are read by {reader}")
        else:
            self.consume(tied.decoder, features)
        return _NOBODYS if is_reverse else ((tied, tied.count),)

    def consume(self, kernel, features):
        """Notes what the rows of a kernel read, the same each time."""
        before = self.read.setdefault(kernel, features)
        if before != features:
            for each in (before, features):
                self.see(
                    each,
                    f"are read by '{kernel.layer.name}', which is called on "
                    "several "
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
        for table in self.tables.values():
            self.unite(table)
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

    def unite(self, table):
        """Lets a tied table's features go with the units that it decodes."""
        start = 0
        for units, count in self.read.get(table.decoder, ()):
            if units is not None:
                if table.seen_by:
                    reason = (
                        f"are decoded by '{table.layer.name}', and the "
                        f"features that it embeds {table.seen_by}"
                    )
                    self.see(((units, count),), reason)
                units.lookup_consumers.extend(
                    Consumer(each.kernel, each.start + start)
                    for each in table.consumers
                )
            start += count or 0


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


def _is_plain(layer, classes):
    return (
        type(layer) in classes
        and not layer.quantization_mode
        and not layer.lora_enabled
    )


def _is_of_table(segment):
    return isinstance(segment[0], TiedTable)


def _joins_features(operation, inputs):
    """Whether it concatenates on the last axis what is of known length."""
    return (
        type(operation) is L.Concatenate
        and operation.axis == -1
        and all(count is not None for one in inputs for _, count in one)
    )
