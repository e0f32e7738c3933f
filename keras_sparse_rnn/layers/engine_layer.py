"""What the layers share that may run on the native engine."""

import dataclasses

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn.dense_gradient import takes_dense_gradients
from keras_sparse_rnn.engine import choice
from keras_sparse_rnn.tracing import is_tracing


class EngineArgument:
    """One of a layer's `EngineArguments`, which it is built with for good.

    What runs a layer is made when it is built, and functions are traced with
    it: another value after that would not count.
    """

    def __set_name__(self, owner, name):
        self._name = name

    def __get__(self, layer, owner=None):
        if layer is None:
            return self
        return getattr(layer._engine_arguments, self._name)

    def __set__(self, layer, value):
        name, before = self._name, layer._engine_arguments
        after = dataclasses.replace(before, **{name: value})
        after.validated(layer._named())
        if layer.built and after != before:
            raise ValueError(
                f"{layer._named()} has been built, with "
                f"{name}={getattr(before, name)!r} for good. To switch, make "
                "and build another layer, and give it the weights: "
                "`other.set_weights(layer.get_weights())`. "
                f"Received: {name}={value!r}"
            )
        layer._engine_arguments = after


class EngineLayer:
    """Mix-in for a sparse layer that one of the engines executes.

    It goes before the Keras class in the list of bases. Subclasses give in
    `argument_classes` the classes of the arguments that they add, the last of
    which is `EngineArguments` or extends it, have an `EngineArgument` for each
    that it adds, make in `_made_native()` what runs
    them natively, and call `_choose_engine()` when they are built.
    """

    engine = EngineArgument()
    # Of a layer that was built and saved, perhaps elsewhere.
    may_be_masked = False

    def __init__(self, *args, **kwargs):
        engine_arguments = self.argument_classes[-1]
        names = [each.name for each in dataclasses.fields(engine_arguments)]
        given = {each: kwargs.pop(each) for each in names if each in kwargs}
        name = kwargs.get("name")
        owner = type(self).__name__ + (f" '{name}'" if name else "")
        arguments = engine_arguments(**given).validated(owner)
        super().__init__(*args, **kwargs)
        self._engine_arguments = arguments
        self._native = None

    @property
    def engine_in_use(self):
        """`"masked"` or `"native"`, `None` before the layer is built."""
        if not self.built:
            return None
        return "masked" if self._native is None else "native"

    @property
    def supports_jit(self):
        """Whether XLA can compile the layer: not on the native engine."""
        supported = vars(self).get("supports_jit", True)
        if not supported or "_engine_arguments" not in vars(self):
            return supported  # Keras's own word, before there is an engine.
        if self.built:
            return self._native is None
        # Models are often compiled before they are built.
        return not choice.may_be_native(self)

    @supports_jit.setter
    def supports_jit(self, value):
        vars(self)["supports_jit"] = value

    def build_from_config(self, config):
        # Keras calls this for what was built when it was serialised: a model
        # saved where there are kernels loads where there are none. Copies by
        # `Bidirectional` and clones are built like any other layer.
        self.may_be_masked = True
        super().build_from_config(config)

    def get_config(self):
        return {
            **super().get_config(),
            **dataclasses.asdict(self._engine_arguments),
        }

    def _named(self):
        return f"{type(self).__name__} '{self.name}'"

    def _choose_engine(self):
        """At the end of `build()`, whose arguments Keras goes by."""
        if choice.choose(self, self._named()) == "native":
            self._native = self._made_native()

    def _runs_natively(self):
        """Whether a call does, which is masked where XLA compiles it."""
        if self._native is None or takes_dense_gradients(choice.holder(self)):
            return False
        if not keras_internals.is_compiled_by_xla():
            if is_tracing():
                self._guard_saved_models()
            return True
        if self.engine == "native":
            raise ValueError(
                f"{self._named()}: XLA cannot compile the native engine. Use "
                "engine='auto' or 'masked', or no XLA. "
                "Received: engine='native' in a function with jit_compile=True"
            )
        choice.warn_once(
            "XLA",
            f"{self._named()} runs on the masked engine, as do others, in a "
            "function that XLA compiles, which the native one cannot be part "
            "of. Leave out jit_compile=True for the native engine, or say "
            "engine='masked'.",
        )
        return False

    def _guard_saved_models(self):
        """Once a function is traced that a SavedModel might come to hold."""
        for weight in self.sparse_weights:
            keras_internals.refuse_in_saved_models(
                weight.mask, self._refuse_saved_model
            )

    def _refuse_saved_model(self):
        # It would hold a call into this Python process.
        raise ValueError(
            f"{self._named()} runs on the native engine, which no SavedModel "
            "can hold. Export `keras_sparse_rnn.strip_sparsity(model)`, which "
            "computes the same in plain Keras layers. "
            f"Received: engine={self.engine!r}"
        )
