"""The native engine inside TensorFlow: the kernels as a differentiable call.

`tf.numpy_function` hands tensors over as arrays, without a copy where they are
aligned, and the kernels run without Python's lock. It is stateless, so that
replicas run side by side.
"""

import dataclasses

import numpy as np

from keras_sparse_rnn.engine import library
from keras_sparse_rnn.engine import recurrence
from keras_sparse_rnn.engine.compressed import MATRIX_NAMES
from keras_sparse_rnn.engine.dense_matrices import collect
from keras_sparse_rnn.engine.dense_matrices import compress
from keras_sparse_rnn.engine.dense_matrices import spread

# Of each layer: with and without dropout, for replicas that are rewired one
# after the other.
_REMEMBERED = 4

# Next to the states, what gradients are of.
_DIFFERENTIABLE = ("sequences", *MATRIX_NAMES, "bias")


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Tensors of a call.

    Attributes:
        sequences: Float tensor of shape `(batch, steps, inputs)`.
        kernel: Float tensor of shape `(inputs, gates * units)`.
        recurrent_kernel: Float tensor of shape `(units, gates * units)`, or
            `None` for a product.
        bias: Float tensor as Keras has it, or `None`.
        states: List of float tensors of shape `(batch, units)`, of a product
            empty.
        kernel_mask: Boolean tensor of the kernel's shape.
        recurrent_mask: Boolean tensor of the recurrent kernel's shape, or
            `None`.
        counts: Boolean tensor of shape `(batch, steps)`, or `None`.
        input_dropout: Float tensor of shape `(copies, batch, inputs)`, or
            `None`.
        recurrent_dropout: Float tensor of shape `(copies, batch, units)`, or
            `None`.
    """

    sequences: object
    kernel: object
    recurrent_kernel: object
    bias: object
    states: list
    kernel_mask: object
    recurrent_mask: object
    counts: object = None
    input_dropout: object = None
    recurrent_dropout: object = None


class NativeRecurrence:
    """The recurrence, or the product, of one layer.

    It remembers the layer's lists of connections, which are made anew when a
    checksum of the masks tells that these have changed: by rewiring, by
    loading, or by assignment.

    Args:
        kind: `compressed.CellKind`.
        settings: `recurrence.Settings`.
    """

    def __init__(self, kind, settings):
        self.kind = kind
        self.settings = settings
        self._remembered = ()

    def __call__(self, inputs, wants_outputs, training):
        """Runs the recurrence.

        Args:
            inputs: `Inputs`.
            wants_outputs: Boolean, whether the state after each time step is
                wanted.
            training: Boolean, whether a backward pass is likely to follow. It
                is possible in any case.

        Returns:
            Tuple of the outputs, a float tensor of shape
            `(batch, steps, units)` or `None`, and the list of final states.
        """
        import tensorflow as tf

        training = bool(training)
        present = [
            field.name
            for field in dataclasses.fields(inputs)
            if field.name != "states"
            and getattr(inputs, field.name) is not None
        ]
        differentiable = [name for name in _DIFFERENTIABLE if name in present]
        others = [name for name in present if name not in differentiable]
        rest = [tf.convert_to_tensor(getattr(inputs, name)) for name in others]
        names = [*differentiable, *others]

        def on_arrays(function, result_types, *tensors, **settings):
            def on(*arrays):
                results = function(names, arrays, **settings)
                return [np.ascontiguousarray(result) for result in results]

            return tf.numpy_function(on, tensors, result_types, stateful=False)

        result_types = [tf.float32] * (
            self.kind.states + (3 if wants_outputs else 2)
        )
        gradient_types = [tf.float32] * (len(differentiable) + self.kind.states)

        @tf.custom_gradient
        def run(*given):
            given, states = (
                given[: len(differentiable)],
                given[len(differentiable) :],
            )
            tensors = (*given, *rest, *states)
            *results, kept, weights = on_arrays(
                self._forward,
                result_types,
                *tensors,
                keeps_steps=training,
                wants_outputs=wants_outputs,
            )
            # `tf.vectorized_map` copies operations without the gradient below,
            # for which there would be none: zeros, silently.
            results = [
                tf.raw_ops.PreventGradient(
                    input=result, message=self._lost_gradient()
                )
                for result in results
            ]

            @tf.custom_gradient
            def backward(*differentiable):
                upstream = differentiable[len(given) + len(states) :]
                results = on_arrays(
                    self._backward,
                    gradient_types,
                    *tensors,
                    kept,
                    weights,
                    *upstream,
                    has_kept=training,
                    has_outputs=wants_outputs,
                )
                for tensor, like in zip(
                    results, (*given, *states), strict=True
                ):
                    tensor.set_shape(like.shape)
                return results, lambda *_: self._refused(differentiable)

            def gradient(*upstream):
                # All that it depends on is given to it, for the tapes around.
                return backward(*given, *states, *upstream)

            return results, gradient

        results = run(
            *(
                tf.convert_to_tensor(getattr(inputs, name))
                for name in differentiable
            ),
            *(tf.convert_to_tensor(state) for state in inputs.states),
        )
        units = inputs.kernel.shape[1] // self.kind.gates
        states = results[int(wants_outputs) :]
        for state in states:
            state.set_shape((inputs.sequences.shape[0], units))
        if not wants_outputs:
            return None, list(states)
        results[0].set_shape((*inputs.sequences.shape[:2], units))
        return results[0], list(states)

    def _forward(self, names, arrays, keeps_steps, wants_outputs):
        given = _Given.of(names, arrays)
        if not given.samples:
            return self._nothing(given, wants_outputs)
        connections = self._connections(given)
        weights = collect(self.settings, connections, given.matrices)
        results = recurrence.forward(
            self.settings,
            connections,
            given.arguments(weights),
            keeps_steps,
            wants_outputs,
        )
        outputs = [results.outputs] if wants_outputs else []
        kept = results.kept if keeps_steps else np.zeros(0, np.float32)
        return [*outputs, *results.states, kept, weights]

    def _backward(self, names, arrays, has_kept, has_outputs):
        upstream = self.kind.states + has_outputs
        gradients = arrays[-upstream:]
        *arrays, kept, weights = arrays[:-upstream]
        given = _Given.of(names, arrays)
        if not given.samples:
            return given.zeros()
        connections = self._connections(given)
        arguments = given.arguments(weights)
        if not has_kept:
            kept = recurrence.forward(
                self.settings, connections, arguments, True, False
            ).kept
        result = recurrence.backward(
            self.settings,
            connections,
            arguments,
            kept,
            gradients[0] if has_outputs else None,
            list(gradients[has_outputs:]),
        )
        return _in_order(
            result.sequences,
            spread(self.settings, connections, result.weights),
            result.bias,
            result.states,
        )

    def _lost_gradient(self):
        return (
            f"{self.settings.owner} has no gradients on the native engine "
            "through a `vectorized_map` that it is called in. Use `tf.map_fn`, "
            "or engine='masked'. Received: a gradient tape around a "
            "`vectorized_map`"
        )

    def _refused(self, tensors):
        """Gradients of gradients: an error, but only if they are computed.

        Forward-mode derivatives are made of them. TensorFlow would take them
        for 0. It may build them for nothing, where a compiled function is
        called under a persistent tape.
        """
        import tensorflow as tf

        def refuse(*_):
            raise NotImplementedError(
                f"{self.settings.owner} has no gradients of gradients and no "
                "forward-mode derivatives on the native engine. Use "
                "engine='masked'. Received: a gradient of its gradient, or a "
                "forward-mode accumulator"
            )

        return tf.numpy_function(
            refuse, tensors, [tf.float32] * len(tensors), stateful=False
        )

    def _connections(self, given):
        key = (*map(checksum, given.masks), *given.copies())
        for known, connections in self._remembered:
            if known == key:
                return connections
        connections = compress(self.kind, *given.masks, *given.copies())
        # One assignment, so that replicas in other threads see all or nothing.
        self._remembered = (
            (key, connections),
            *self._remembered[: _REMEMBERED - 1],
        )
        return connections

    def _nothing(self, given, wants_outputs):
        """Results of a batch without samples, as a replica may be given."""
        units = given.matrices[0].shape[1] // self.kind.gates
        steps = given.others["sequences"].shape[1]
        outputs = [np.zeros((0, steps, units), np.float32)]
        states = [np.zeros((0, units), np.float32)] * self.kind.states
        kept = [np.zeros(0, np.float32)] * 2
        return [*(outputs if wants_outputs else []), *states, *kept]


@dataclasses.dataclass(frozen=True)
class _Given:
    """The arrays of a call.

    Attributes:
        matrices: List of the kernel and, but for a product, the recurrent
            kernel.
        masks: Tuple of the kernel's mask and the recurrent kernel's or `None`.
        others: Dict of what else `recurrence.Arguments` has.
    """

    matrices: list
    masks: tuple
    others: dict

    @classmethod
    def of(cls, names, arrays):
        """From arrays of these names, and of the states behind them."""
        # A tensor of which TensorFlow gives a view may be laid out otherwise.
        arrays = [np.ascontiguousarray(array) for array in arrays]
        count = len(names)
        others = dict(zip(names, arrays[:count], strict=True))
        matrices = [others.pop(name) for name in MATRIX_NAMES if name in others]
        masks = others.pop("kernel_mask"), others.pop("recurrent_mask", None)
        return cls(
            matrices, masks, {"bias": None, "states": arrays[count:]} | others
        )

    @property
    def samples(self):
        return len(self.others["sequences"])

    def copies(self):
        """How many dropout masks inputs and states have, or 1."""
        return [
            len(self.others[name]) if name in self.others else 1
            for name in ("input_dropout", "recurrent_dropout")
        ]

    def zeros(self):
        """Gradients where there are no samples."""
        bias = self.others["bias"]
        return _in_order(
            np.zeros_like(self.others["sequences"]),
            map(np.zeros_like, self.matrices),
            None if bias is None else np.zeros_like(bias),
            map(np.zeros_like, self.others["states"]),
        )

    def arguments(self, weights):
        return recurrence.Arguments(weights=weights, **self.others)


def _in_order(sequences, matrices, bias, states):
    """Gradients in the order of `_DIFFERENTIABLE`, and of the states."""
    return [sequences, *matrices, *([] if bias is None else [bias]), *states]


def checksum(mask):
    """An integer that changes with a mask, or its shape.

    Args:
        mask: Contiguous boolean array, or `None`.

    Returns:
        Tuple of an integer and the shape, or `None`.
    """
    if mask is None:
        return None
    number = library.load().ksr_checksum(mask.ctypes.data, mask.nbytes)
    return number, mask.shape
