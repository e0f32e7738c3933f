"""The weight matrices of a model: how full, and how often multiplied."""

import dataclasses
import math

import keras

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn.arguments import check_integer
from keras_sparse_rnn.sparse_layers import check_built
from keras_sparse_rnn.sparse_layers import sparse_layer_names
from keras_sparse_rnn.sparse_layers import sparse_layers


@dataclasses.dataclass(frozen=True)
class WeightMatrix:
    """What a weight matrix costs: a shape and counts, without the weights.

    Args:
        path: String, the weight's path, or another name for it.
        shape: Tuple of integers, `(inputs, outputs)`.
        active: Integer, weights that are connections. Defaults to `None`: all.
        applications: Integer, how often the forward pass of one sample
            multiplies by the matrix: once in a dense layer, once per time step
            in a recurrent one, 0 for look-ups in an embedding, and for a
            decoder that is tied to it what the decoder is applied. Defaults
            to `1`.
        sparse: Boolean, whether the matrix has a mask, which pruning and
            rewiring change. Defaults to `True`.

    Raises:
        ValueError: If a dimension or count is no integer, or out of range.
    """

    path: str
    shape: tuple
    active: int | None = None
    applications: int = 1
    sparse: bool = True

    def __post_init__(self):
        for size in self.shape:
            check_integer("shape", size, 1)
        check_integer("applications", self.applications, 0)
        if self.active is None:
            object.__setattr__(self, "active", self.places)
        check_integer("active", self.active, 0)
        if self.active > self.places:
            raise ValueError(
                f"'{self.path}' has {self.places} places. "
                f"Received: active={self.active}"
            )

    @property
    def places(self):
        """Integer, weights of the matrix were it dense."""
        return math.prod(self.shape)

    @property
    def multiply_adds(self):
        """Integer, multiply-adds of the forward pass of one sample."""
        return self.active * self.applications

    @property
    def multiply_adds_dense(self):
        """Integer, the same were the matrix dense."""
        return self.places * self.applications

    def with_active(self, active):
        """A `WeightMatrix` like this one with another number of connections.

        Args:
            active: Integer between 0 and the number of places.
        """
        return dataclasses.replace(self, active=active)


def weight_matrices(model, time_steps=1):
    """Finds the matrices of a model: of recurrent and dense layers, embeddings.

    Convolutions, and whatever else has not two dimensions, are left out. A
    matrix that several layers share is there once, as if it were applied once.
    So is the table of a `ReversibleEmbedding`: its look-ups cost nothing, its
    product in reverse is that of a dense layer on the same hidden states. The
    graph of a Functional model tells whether there is one, and on what; where
    only code calls the layer, it is counted once per time step.

    Args:
        model: Built Keras model, or layer.
        time_steps: Integer of at least 1, the length of the sequences: cells,
            what is inside `TimeDistributed`, and dense layers on sequences are
            applied so often. Defaults to `1`: one time step, for which every
            matrix is applied once.

    Returns:
        List of `WeightMatrix`, in the order of the layers.

    Raises:
        ValueError: If `model` is no Keras model or layer, it or a sparse layer
            in it is not built, or `time_steps` is out of range.

    Example:

    >>> matrices = ksr.weight_matrices(model, time_steps=100)
    >>> sum(matrix.active for matrix in matrices)
    244032
    """
    check_integer("time_steps", time_steps, 1)
    _check_all_built(model)
    return built_weight_matrices(model, time_steps)


def built_weight_matrices(model, time_steps=1):
    """As `weight_matrices`, but layers that are not built are left out."""
    return list(matrices_by_variable(model, time_steps).values())


def matrices_by_variable(model, time_steps=1):
    """As `built_weight_matrices`, a dict by the `id` of each variable.

    Layers of the same name in nested models have weights of the same path.
    """
    layers = keras_internals.flatten_layers(model)
    each_step = {
        id(inner)
        for layer in layers
        if _applies_at_each_step(layer)
        for inner in keras_internals.flatten_layers(layer)
    }
    found = {}
    for layer in layers:
        for path, variable, active, sparse in _own_matrices(layer):
            matrix = WeightMatrix(
                path,
                tuple(variable.shape),
                active,
                _applications(
                    layer, variable, time_steps, id(layer) in each_step
                ),
                sparse,
            )
            found.setdefault(id(variable), matrix)
    return found


def _check_all_built(model):
    for layer, name in zip(
        sparse_layers(model), sparse_layer_names(model), strict=True
    ):
        if not layer.built:
            raise ValueError(
                f"The layer '{name}' must be built before it can be "
                "counted: call the model once. "
                f"Received: model={model.name!r}, not built"
            )
    check_built(model)


def _applications(layer, variable, time_steps, is_at_each_step):
    """How often a layer multiplies by one of its matrices."""
    if variable is _decoder(layer):
        return _applications_in_reverse(layer, time_steps, is_at_each_step)
    if hasattr(layer, "embeddings"):
        return 0
    is_sequential = is_at_each_step or _is_on_sequences(layer)
    return time_steps if is_sequential else 1


def _decoder(layer):
    """The matrix by which an embedding decodes, `None` if it does not."""
    if not isinstance(layer, keras.layers.ReversibleEmbedding):
        return None
    return keras_internals.weight_variable(
        layer, "embeddings" if layer.tie_weights else "reverse_embeddings"
    )


def _applications_in_reverse(layer, time_steps, is_at_each_step):
    calls = keras_internals.symbolic_calls(layer)
    if not calls or is_at_each_step:
        return time_steps
    in_reverse = [call for call in calls if call.get("reverse")]
    if any(len(call["inputs"].shape) > 2 for call in in_reverse):
        return time_steps
    return 1 if in_reverse else 0


def _applies_at_each_step(layer):
    """Whether all inside is applied at each step: cells have a state."""
    return isinstance(layer, keras.layers.TimeDistributed) or hasattr(
        layer, "state_size"
    )


def _is_on_sequences(layer):
    """Whether the layer was built for `(batch, time, …, features)`."""
    built_for = (layer.get_build_config() or {}).get("input_shape")
    return isinstance(built_for, (list, tuple)) and len(built_for) > 2


def _own_matrices(layer):
    """Path, variable, connections and whether sparse, of each matrix."""
    if getattr(layer, "sparse_names", None):
        for weight in layer.sparse_weights:
            yield weight.path, weight.value, weight.active, True
        return
    for variable in keras_internals.own_variables(layer):
        # A bias has two dimensions in a GRU.
        if len(variable.shape) == 2 and variable.name != "bias":
            yield variable.path, variable, None, False
