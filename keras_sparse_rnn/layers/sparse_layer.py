"""What cells, `SparseDense` and `SparseEmbedding` share."""

import dataclasses

import keras

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn import topology as topologies
from keras_sparse_rnn.arguments import named
from keras_sparse_rnn.layers.topology_arguments import TopologyArguments
from keras_sparse_rnn.layers.topology_arguments import pop_arguments
from keras_sparse_rnn.layers.topology_arguments import warn_of_saturation
from keras_sparse_rnn.masked_weight import add_masked_weight
from keras_sparse_rnn.masked_weight import is_kept_with_mask
from keras_sparse_rnn.rewiring_state import add_rewiring_state
from keras_sparse_rnn.sparse_weight import SparseWeight
from keras_sparse_rnn.sparse_weight import topology_generator
from keras_sparse_rnn.sparse_weight import weight_key


class TakesDenseWeights:
    """Mix-in for a layer, or cell, that is or holds a `SparseLayer`."""

    def set_weights(self, weights):
        """Sets the weights, also those of a dense layer, which are masked.

        Only this layer or cell itself does so. What Keras makes of it, a
        model, `RNN` or `Bidirectional`, expects the weights with their masks:
        `keras_sparse_rnn.load_dense_weights(model, path)` takes a dense
        model's.

        Args:
            weights: List of arrays as `get_weights()` returns them, or as the
                Keras layer of the same name returns them: then the masks stay
                and the weights are 0 where there is no connection.

        Raises:
            ValueError: If the list is as long as neither of the two, an array
                has another shape than its variable, or the gates of a mask
                differ though `granularity="unit"`. Nothing is changed then.
        """
        variables = self.weights
        dense = [v for v in variables if not _is_kept_with_any(self, v)]
        if len(weights) == len(dense):
            variables = dense
        if len(weights) != len(variables):
            raise ValueError(
                f"{named(type(self), self.name)} expects a list of "
                f"{len(variables)} arrays, or of {len(dense)} of a dense "
                f"layer. Received: len(weights)={len(weights)}"
            )
        _assign_all(
            named(type(self), self.name),
            variables,
            weights,
            self.sparse_weights,
        )


def _is_kept_with_any(layer, variable):
    return any(
        is_kept_with_mask(each, variable)
        for each in keras_internals.flatten_layers(layer)
        if isinstance(each, SparseLayer)
    )


def _assign_all(owner, variables, values, sparse_weights):
    """Assigns values to variables, none of them if any does not fit."""
    for variable, value in zip(variables, values, strict=True):
        if tuple(value.shape) != tuple(variable.shape):
            raise ValueError(
                f"{owner} expects the shape {tuple(variable.shape)} for "
                f"'{variable.path}'. Received: shape={tuple(value.shape)}"
            )
    for weight in sparse_weights:
        for variable, value in zip(variables, values, strict=True):
            if variable is weight.mask:
                weight.check_tied(value)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    for weight in sparse_weights:
        weight.enforce_mask()


class SparseLayer(TakesDenseWeights):
    """Mix-in for a Keras layer that owns sparse weights.

    It goes before the Keras class in the list of bases. Subclasses state in
    `sparse_names` which of their weights are sparse, in `recurrent_names` which
    of those are recurrent, and in `gates` how all of them are packed.
    """

    sparse_names = ("kernel",)
    recurrent_names = ()
    gates = ("all",)

    def __init__(self, *args, **kwargs):
        arguments = pop_arguments(kwargs)
        # Before Keras's constructor, which may build the layer.
        self._topology_place = kwargs.pop("topology_place", "")
        self._topology_owner = kwargs.pop("topology_owner", None)
        validated = TopologyArguments(**arguments).validated(
            self._owner(kwargs.get("name"))
        )
        with validated.seeded() as self._topology_arguments:
            super().__init__(*args, **kwargs)
        self._check_topology_fits()

    @classmethod
    def names_and_gates(cls, plain):
        """What is sparse in a layer of this class that is made like another.

        Args:
            plain: Layer, or cell, of the Keras class that this one extends.

        Returns:
            Tuple of `sparse_names` and `gates`.
        """
        return cls.sparse_names, cls.gates

    def add_weight(self, *args, name=None, **kwargs):
        if name not in self.sparse_names:
            return super().add_weight(*args, name=name, **kwargs)
        arguments = self._topology_arguments
        shape = tuple(kwargs.pop("shape"))
        groups = self._groups(shape)
        key = weight_key(
            arguments.topology_seed, f"{self._topology_place}{name}"
        )
        mask = arguments.draw_mask(
            self._owner(self.name),
            name,
            shape,
            groups,
            topology_generator(key),
            name in self.recurrent_names,
        )
        return add_masked_weight(
            self,
            super().add_weight,
            name,
            mask,
            key,
            arguments.rescale,
            keeps_zeros=arguments.clipping == "dense",
            **kwargs,
        )

    def build(self, input_shape=None):
        if self.built:
            return
        # Keras's constructor builds an `Embedding` that is given `weights`.
        self._check_topology_fits()
        super().build(input_shape)
        for kind in self._topology_arguments.rewiring_state:
            add_rewiring_state(self, kind)
        saturated = [
            weight.name
            for weight in self._own_sparse_weights()
            if self._topology_arguments.saturated(
                weight.name,
                weight.shape,
                weight.groups,
            )
        ]
        if saturated:
            warn_of_saturation(
                self._owner(self.name), self._topology_arguments, saturated
            )

    @property
    def sparse_weights(self):
        """List of `SparseWeight`s, empty before the layer is built."""
        return self._own_sparse_weights() if self.built else []

    @property
    def clipping(self):
        """`"sparse"` or `"dense"`: the gradient that optimizers see."""
        return self._topology_arguments.clipping

    @property
    def rewiring_state(self):
        """Tuple of strings: what is carried along for a rewiring method."""
        return self._topology_arguments.rewiring_state

    def carry(self, kind):
        """Adds what a rewiring method carries along, unless it is there.

        Args:
            kind: String, one of the kinds of `rewiring_state`.
        """
        kinds = self.rewiring_state
        if kind not in kinds:
            add_rewiring_state(self, kind)
            self._topology_arguments = dataclasses.replace(
                self._topology_arguments, rewiring_state=(*kinds, kind)
            )

    def get_config(self):
        return {
            **super().get_config(),
            **self._topology_arguments.get_config(),
        }

    def save_own_variables(self, store):
        for index, variable in enumerate(keras_internals.own_variables(self)):
            store[str(index)] = variable

    def load_own_variables(self, store):
        variables = keras_internals.own_variables(self)
        dense = [v for v in variables if not is_kept_with_mask(self, v)]
        if len(store.keys()) == len(dense):
            variables = dense
        if len(store.keys()) != len(variables):
            # Keras names the parts of a file by the class of each layer: that
            # of a dense model has none under the name of a sparse layer.
            way = (
                "If the file is a dense model's, call "
                "`keras_sparse_rnn.load_dense_weights(model, path)`. "
                if not store.keys()
                else "If the file is of a layer that carried something along "
                "for a rewiring method, as after `SNFSCallback` or "
                "`DeepRCallback`, make this one with the same "
                f"`rewiring_state=`, not {[*self.rewiring_state]}. "
            )
            raise ValueError(
                f"{self._owner(self.name)} expects {len(variables)} variables "
                f"in the file, or {len(dense)} of a dense layer. {way}"
                f"Received: len(variables)={len(store.keys())}"
            )
        values = [store[str(index)] for index in range(len(variables))]
        _assign_all(
            self._owner(self.name),
            variables,
            values,
            self._own_sparse_weights(),
        )

    def _check_topology_fits(self):
        self._topology_arguments.check_fits(
            self._owner(self.name), self.sparse_names, self.gates
        )

    def _own_sparse_weights(self):
        keep_diagonal = self._topology_arguments.keep_diagonal
        weights = []
        for name in self.sparse_names:
            shape = getattr(self, f"_{name}").shape
            weights.append(
                SparseWeight(
                    self,
                    name,
                    self._groups(shape),
                    keep_diagonal and name in self.recurrent_names,
                )
            )
        return weights

    def _groups(self, shape):
        return topologies.matrix_groups(
            shape[-1], self.gates, self._topology_arguments.granularity
        )

    def _owner(self, name):
        if self._topology_owner is not None:
            return self._topology_owner
        return named(type(self), name)


class RefusedBySparsityError(NotImplementedError, ValueError):
    """What would bypass the mask.

    `model.quantize()` skips a layer that raises `NotImplementedError`; a user
    who calls the layer's method has passed something the layer cannot take.
    """


class RefusesDenseAdapters:
    """Mix-in for `Dense` and `Embedding`: no LoRA, no quantization."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.lora_rank:
            self._refuse("LoRA", f"lora_rank={self.lora_rank}")
        if self.quantization_mode:
            self._refuse("quantization", f"dtype={self.dtype_policy.name}")

    @property
    def dtype_policy(self):
        return super().dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value):
        policy = keras.dtype_policies.get(value)
        if policy.quantization_mode:
            self._refuse("quantization", f"dtype={policy.name}")
        super(RefusesDenseAdapters, type(self)).dtype_policy.__set__(
            self, policy
        )

    def build(self, input_shape=None):
        # A `DTypePolicyMap` goes by the layer's path, known only now.
        if self.quantization_mode:
            self._refuse("quantization", f"mode={self.quantization_mode!r}")
        super().build(input_shape)

    def enable_lora(self, rank, *args, **kwargs):
        """Refused: LoRA adds a dense matrix, which no mask covers."""
        self._refuse("LoRA", f"rank={rank}")

    def quantize(self, mode=None, config=None, **kwargs):
        """Refused: a quantized layer computes without the mask."""
        self._refuse("quantization", f"mode={mode!r}")

    def _refuse(self, what, received):
        raise RefusedBySparsityError(
            f"{self._owner(self.name)} does not support {what}, which would "
            "bypass the mask. Call `keras_sparse_rnn.strip_sparsity(model)` "
            f"first. Received: {received}"
        )
