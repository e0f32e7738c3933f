"""The topology of a Keras model: its masks, and which units they link."""

import keras
import numpy as np

from keras_sparse_rnn.analysis.connections import Connections
from keras_sparse_rnn.analysis.connections import NetworkTopology
from keras_sparse_rnn.analysis.connections import Units
from keras_sparse_rnn.analysis.connections import check_is_matrix
from keras_sparse_rnn.sparse_layers import check_is_layer
from keras_sparse_rnn.sparse_layers import sparse_weights
from keras_sparse_rnn.sparse_weight import SparseWeight

# What these put out are the units that come in, in the same order.
_KEEP_UNITS = (
    keras.layers.Activation,
    keras.layers.ActivityRegularization,
    keras.layers.BatchNormalization,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalMaxPooling1D,
    keras.layers.Identity,
    keras.layers.LayerNormalization,
    keras.layers.LeakyReLU,
    keras.layers.Masking,
    keras.layers.ReLU,
    keras.layers.RepeatVector,
    keras.layers.SpatialDropout1D,
)


def network_topology(model):
    """The connections of a model, and which units they link.

    Which units a matrix links is read off a `Sequential` or functional model,
    through layers that keep the units as they are, such as dropout and
    normalisation, through `Concatenate` and `Bidirectional` (of the merge mode
    `"concat"`), and through `RNN` and `TimeDistributed`. Units that come from
    anything else, a dense layer or a sum, are taken in their order. A layer
    that is called several times counts as at its first call. In a subclassed
    or nested model what goes where is not known: its matrices have
    `inputs=None`, and so has the decoder of a `SparseReversibleEmbedding` that
    is not tied. A tied one is there once, as the embedding.

    Args:
        model: Built Keras model, or layer, with sparse weights.

    Returns:
        A `NetworkTopology`, in the order of `sparse_weights(model)`. It holds
        copies: further training does not change it.

    Raises:
        ValueError: If `model` is no Keras layer or model, has no sparse
            weights, or is not built.

    Example:

    >>> before = ksr.analysis.network_topology(model)
    >>> model.fit(x, y, epochs=10, callbacks=[ksr.SETCallback(0.4)])
    >>> ksr.analysis.edit_distance(before, model)
    0.41...
    """
    check_is_layer(model)
    weights = sparse_weights(model)
    if not weights:
        raise ValueError(
            "Expected a built layer or model with sparse weights. "
            f"Received: model={model.name!r}"
        )
    names = _UnitNames(weights)
    inputs = _Inputs(names)
    if isinstance(model, keras.Model):
        inputs.follow(model)
    else:
        inputs.place(model, None)
    return _topology_of(weights, names, inputs.of_layer)


def as_topology(topology):
    """A topology from what stands for one.

    Args:
        topology: `NetworkTopology`; Keras model or layer; mask, an array of
            shape `(inputs, units)`; or list of `SparseWeight`s or of masks,
            of which it is not known which of them follows which.

    Returns:
        A `NetworkTopology`.

    Raises:
        ValueError: If it is something else.
    """
    if isinstance(topology, NetworkTopology):
        return topology
    if isinstance(topology, keras.Layer):
        return network_topology(topology)
    if isinstance(topology, np.ndarray):
        check_is_matrix("mask", topology)
        inputs, units = topology.shape
        return NetworkTopology(
            (
                Connections(
                    "mask",
                    topology,
                    (Units("inputs", inputs),),
                    Units("units", units),
                ),
            )
        )
    if isinstance(topology, (list, tuple)) and topology:
        if all(isinstance(each, SparseWeight) for each in topology):
            return _topology_of(topology, _UnitNames(topology), {})
        if all(isinstance(each, np.ndarray) for each in topology):
            return NetworkTopology(
                tuple(
                    _unlinked(f"mask {place}", mask)
                    for place, mask in enumerate(topology)
                )
            )
    raise ValueError(
        "Expected a `NetworkTopology`, a Keras model or layer, a mask (a NumPy "
        "array), or a list of masks or of `SparseWeight`s. "
        f"Received: topology={topology!r}"
    )


def _unlinked(path, mask):
    check_is_matrix(path, mask)
    return Connections(path, mask, None, Units(path, mask.shape[1]))


def _topology_of(weights, names, inputs_of_layer):
    matrices = []
    for weight in weights:
        units = names.of(weight.layer)
        if weight.name == "reverse_embeddings":
            inputs = None
            units = Units(f"{units.name} in reverse", weight.shape[1])
        elif weight.name in weight.layer.recurrent_names:
            inputs = (units,)
        else:
            inputs = inputs_of_layer.get(id(weight.layer))
            if inputs is _OF_ITS_OWN:
                inputs = (Units(f"inputs of {units.name}", weight.shape[0]),)
        mask = np.array(weight.mask.numpy(), bool)
        matrices.append(Connections(weight.path, mask, inputs, units))
    return NetworkTopology(tuple(matrices))


# Inputs that are no other layer's units, taken in their order.
_OF_ITS_OWN = object()


class _UnitNames:
    """The units of each sparse layer or cell, of names that are unique."""

    def __init__(self, weights):
        self._units = {}
        taken = set()
        for weight in weights:
            layer = weight.layer
            if id(layer) in self._units:
                continue
            path = layer.path or layer.name
            name, count = path, 1
            while name in taken:
                count += 1
                name = f"{path} ({count})"
            taken.add(name)
            size = weight.shape[-1] // len(layer.gates)
            self._units[id(layer)] = Units(name, size)

    def of(self, layer):
        return self._units[id(layer)]

    def __contains__(self, layer):
        return id(layer) in self._units


class _Inputs:
    """Finds what units come into each sparse layer or cell.

    `None` stands for units that are taken in their order, and whose number
    the matrix itself tells.
    """

    def __init__(self, names):
        self.names = names
        self.of_layer = {}

    def follow(self, model):
        """Goes through the layers of a model that Keras knows the graph of."""
        producers = {}
        for layer in model.layers:
            try:
                produced = keras.tree.flatten(layer.output)[0]
            except AttributeError:
                # It was only ever called by a subclassed model.
                return
            producers.setdefault(id(produced), layer)
        for layer in model.layers:
            if not isinstance(layer, (keras.Model, keras.layers.InputLayer)):
                first = keras.tree.flatten(layer.input)[0]
                self.place(layer, self._units_of(first, producers))

    def place(self, layer, incoming):
        """Notes what comes into the sparse layers and cells within a layer."""
        if layer in self.names:
            is_table = hasattr(layer, "embeddings")
            self.of_layer[id(layer)] = (
                _OF_ITS_OWN if incoming is None or is_table else incoming
            )
        elif isinstance(layer, keras.layers.Bidirectional):
            self.place(layer.forward_layer, incoming)
            self.place(layer.backward_layer, incoming)
        elif isinstance(layer, keras.layers.TimeDistributed):
            self.place(layer.layer, incoming)
        elif isinstance(layer, keras.layers.RNN):
            for cell in _cells(layer):
                self.place(cell, incoming)
                incoming = self._put_out(cell)

    def _units_of(self, tensor, producers):
        layer = producers.get(id(tensor))
        if layer is None or isinstance(layer, keras.layers.InputLayer):
            return None
        if isinstance(layer, keras.layers.Concatenate):
            return self._concatenated(layer, tensor, producers)
        if isinstance(layer, _KEEP_UNITS):
            if getattr(layer, "data_format", None) == "channels_first":
                return None
            first = keras.tree.flatten(layer.input)[0]
            return self._units_of(first, producers)
        return self._put_out(layer)

    def _concatenated(self, layer, tensor, producers):
        if layer.axis not in (-1, len(tensor.shape) - 1):
            return None
        together = ()
        for part in layer.input:
            units = self._units_of(part, producers)
            if units is None:
                units = (Units(part.name, part.shape[-1]),)
            together += units
        return together

    def _put_out(self, layer):
        """The units that a layer puts out last, or `None`."""
        if layer in self.names:
            return (self.names.of(layer),)
        if isinstance(layer, keras.layers.TimeDistributed):
            return self._put_out(layer.layer)
        if isinstance(layer, keras.layers.Bidirectional):
            directions = [
                self._put_out(layer.forward_layer),
                self._put_out(layer.backward_layer),
            ]
            if layer.merge_mode != "concat" or None in directions:
                return None
            return sum(directions, ())
        if isinstance(layer, keras.layers.RNN):
            return self._put_out(_cells(layer)[-1])
        return None


def _cells(layer):
    if isinstance(layer.cell, keras.layers.StackedRNNCells):
        return layer.cell.cells
    return [layer.cell]
