"""What the sparse recurrent layers share: they hold a sparse cell."""

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn.engine import choice
from keras_sparse_rnn.layers.engine_arguments import ENGINE_ARGUMENT_NAMES
from keras_sparse_rnn.layers.engine_arguments import EngineArguments
from keras_sparse_rnn.layers.native_loop import NativeLoop
from keras_sparse_rnn.layers.sparse_layer import TakesDenseWeights
from keras_sparse_rnn.layers.topology_arguments import TopologyArguments
from keras_sparse_rnn.layers.topology_arguments import pop_arguments


class SparseRecurrentLayer(TakesDenseWeights):
    """Mix-in for `LSTM`, `GRU` and `SimpleRNN`: the cell is a sparse one.

    It goes before the Keras class in the list of bases. Subclasses name the
    cell's class in `cell_class`.
    """

    cell_class = None
    argument_classes = (TopologyArguments, EngineArguments)

    def __init__(self, *args, **kwargs):
        arguments = pop_arguments(kwargs)
        engine = {
            name: kwargs.pop(name)
            for name in ENGINE_ARGUMENT_NAMES
            if name in kwargs
        }
        name = kwargs.get("name")
        self.cell_class.check_arguments(type(self), name, arguments)
        owner = type(self).__name__ + (f" '{name}'" if name else "")
        engine = EngineArguments(**engine).validated(owner)
        super().__init__(*args, **kwargs)
        self.engine = engine.engine
        self.recompute_gates = engine.recompute_gates
        self._native_loop = None
        cell = self.cell_class.like(
            self.cell,
            # `Bidirectional` makes its second layer from the first one's
            # configuration: this keeps the two topologies apart.
            topology_place="backwards/" if self.go_backwards else "",
            topology_owner=self._owner(),
            **arguments,
        )
        keras_internals.replace_tracked(self, "cell", cell)

    def build(self, sequences_shape, initial_state_shape=None):
        super().build(sequences_shape, initial_state_shape)
        if choice.choose(self, self._owner()) == "native":
            self._native_loop = NativeLoop(self, self._owner())

    @property
    def engine_in_use(self):
        """`"masked"` or `"native"`, `None` before the layer is built."""
        if not self.built:
            return None
        return "masked" if self._native_loop is None else "native"

    @property
    def supports_jit(self):
        """Whether XLA can compile the layer: not on the native engine."""
        supported = vars(self).get("supports_jit", True)
        if not supported or "engine" not in vars(self):
            return supported  # Keras's own word, before there is an engine.
        if self.built:
            return self._native_loop is None
        # Models are often compiled before they are built.
        return not choice.may_be_native(self)

    @supports_jit.setter
    def supports_jit(self, value):
        vars(self)["supports_jit"] = value

    def call(self, sequences, initial_state=None, mask=None, training=False):
        with self._weights_of_call():
            return super().call(
                sequences,
                initial_state=initial_state,
                mask=mask,
                training=training,
            )

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if self._runs_natively():
            return self._native_loop(sequences, initial_state, mask, training)
        return super().inner_loop(
            sequences, initial_state, mask=mask, training=training
        )

    @property
    def sparse_weights(self):
        """List of the cell's `SparseWeight`s, empty before it is built."""
        return self.cell.sparse_weights

    def get_config(self):
        return {
            **super().get_config(),
            **self.cell.topology_config(),
            "engine": self.engine,
            "recompute_gates": self.recompute_gates,
        }

    def _owner(self):
        return f"{type(self).__name__} '{self.name}'"

    def _weights_of_call(self):
        if self._runs_natively():
            # The kernels read the variables: nothing is masked for them.
            return self.cell.masked_when_read()
        return self.cell.masked_once()

    def _runs_natively(self):
        if self._native_loop is None:
            return False
        if not keras_internals.is_compiled_by_xla():
            return True
        if self.engine == "native":
            raise ValueError(
                f"{self._owner()}: XLA cannot compile the native engine. Use "
                "engine='auto' or 'masked', or no XLA. "
                "Received: engine='native' in a function with jit_compile=True"
            )
        self._native_loop.warn_of_xla()
        return False

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        # A SavedModel would hold a call into this Python process.
        if save_type == "savedmodel" and self.engine_in_use == "native":
            raise ValueError(
                f"{self._owner()} runs on the native engine, which no "
                "SavedModel can hold. Export "
                "`keras_sparse_rnn.strip_sparsity(model)`, which computes the "
                "same in plain Keras layers. "
                f"Received: engine={self.engine!r}"
            )
        return super()._trackable_children(save_type, **kwargs)
