"""The gradient at every place of a weight, empty ones included, on demand.

A layer computes with `effective_weight`, whose gradient is that of the
connections alone. While a `DenseGradient` is attached and active, the backward
pass adds up in it what it would otherwise throw away.
"""

import contextlib

import keras
import numpy as np
from keras import ops

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn.masked_weight import masked


class DenseGradient:
    """A running average of a weight's dense gradient, kept by its layer.

    Once a training step it is multiplied by `momentum`, and `1 - momentum`
    times the step's gradient is added: of all replicas, of all micro-batches
    between two updates, and without the optimizer's loss scaling. With
    `momentum=0` it is the gradient of the last step. Where this
    weight's gradient is not finite, as in a step that loss scaling skips, it is
    left out.

    Args:
        weight: `SparseWeight`.
        optimizer: The Keras optimizer that trains it.
        momentum: Float in `[0, 1)`. Defaults to `0.0`.
        value: `keras.Variable` of the weight's shape that holds the average,
            made by `running_sum`. Defaults to `None`, one of its own.
    """

    def __init__(self, weight, optimizer, momentum=0.0, value=None):
        self._weight = weight
        self._optimizer = optimizer
        self._momentum = momentum
        self.is_active = False
        with strategy_scope(weight.value):
            if value is None:
                value = running_sum(f"{weight.name}_gradient", weight.shape)
            self.value = value
            # Of which step it holds the gradient: several calls of a layer add
            # up in one step.
            self._noted_step = keras.Variable(
                np.int64(-1),
                shape=(),
                dtype="int64",
                trainable=False,
                aggregation="only_first_replica",
                synchronization="on_read",
                name=f"{weight.name}_noted_step",
            )

    def attach(self):
        """Lets the layer's backward pass add to it, when it is active."""
        of_weight = _attached(self._weight.layer, self._weight.name)
        if self not in of_weight:
            of_weight.append(self)

    def detach(self):
        """Undoes `attach()`."""
        of_weight = _attached(self._weight.layer, self._weight.name)
        if self in of_weight:
            of_weight.remove(self)

    @property
    def is_trained(self):
        """Whether a training step computes its gradient at all."""
        return self._weight.trainable

    def begin_step(self):
        """Says on the host that what comes next is another step."""
        self._noted_step.assign(np.int64(-1))

    def is_noted(self):
        """Whether a finite gradient was added since `begin_step()`."""
        return int(self._noted_step.numpy()) >= 0

    def add(self, gradient):
        """Adds a gradient, inside of the function that trains.

        Args:
            gradient: Float tensor of the weight's shape, of any precision.
        """
        gradient = ops.cast(gradient, self.value.dtype)
        scale = self._optimizer.scale_loss(ops.ones((), self.value.dtype))
        gradient = gradient / ops.cast(scale, gradient.dtype)
        finite = ops.all(ops.isfinite(gradient))
        step = ops.cast(keras_internals.micro_step(self._optimizer), "int64")
        begins_update = ops.equal(
            step % keras_internals.micro_steps_per_update(self._optimizer), 0
        )
        begins = ops.logical_and(
            ops.not_equal(self._noted_step, step), begins_update
        )
        kept = ops.where(begins, self._momentum, 1.0)
        added = self.value * ops.cast(kept, gradient.dtype) + gradient * (
            1 - self._momentum
        )
        self.value.assign(ops.where(finite, added, self.value))
        self._noted_step.assign(ops.where(finite, step, self._noted_step))

    def add_rows(self, rows, gradient):
        """Adds the gradient of rows that were looked up.

        Args:
            rows: Integer tensor, the rows.
            gradient: Float tensor of shape `(*rows.shape, columns)`.
        """
        count, columns = self._weight.shape
        self.add(
            ops.segment_sum(
                ops.reshape(ops.cast(gradient, "float32"), (-1, columns)),
                ops.reshape(rows, (-1,)),
                num_segments=count,
            )
        )

    def numpy(self):
        """The average as an array of the weight's shape."""
        return self.value.numpy()


def running_sum(name, shape):
    """A variable to which each replica adds, and which reads as their sum."""
    return keras.Variable(
        np.zeros(shape, np.float32),
        shape=shape,
        dtype="float32",
        trainable=False,
        autocast=False,
        aggregation="sum",
        synchronization="on_read",
        name=name,
    )


def effective_weight(layer, name):
    """The weight that a layer computes with: 0 where there is no connection.

    Args:
        layer: Built layer that owns the weight.
        name: String, the weight's name.

    Returns:
        Tensor of the weight's shape.
    """
    variable = getattr(layer, f"_{name}")
    mask = getattr(layer, f"{name}_mask")
    active = _active(layer, name)
    if not active and not clips_dense(layer):
        return masked(variable, mask)

    def add(gradient):
        for each in active:
            each.add(gradient)

    # A copy: of a variable itself TensorFlow wants the gradient apart, eagerly.
    values = ops.copy(variable)
    return _selected(layer, values, ops.convert_to_tensor(mask), add)


def effective_rows(layer, name, rows):
    """Rows of the weight that a layer computes with, looked up.

    They are gathered first and masked then: masking the whole table would cost
    a pass over it, and make its gradient dense.

    Args:
        layer: Built layer that owns the weight.
        name: String, the weight's name.
        rows: Integer tensor.

    Returns:
        Tensor of shape `(*rows.shape, columns)`.
    """
    values = ops.take(getattr(layer, f"_{name}"), rows, axis=0)
    mask = ops.take(getattr(layer, f"{name}_mask"), rows, axis=0)
    active = _active(layer, name)
    if not active and not clips_dense(layer):
        return masked(values, mask)

    def add(gradient):
        for each in active:
            each.add_rows(rows, gradient)

    return _selected(layer, values, mask, add)


def takes_dense_gradients(layer):
    """Whether a layer's backward pass has to compute them just now.

    Args:
        layer: Layer or cell with sparse weights.

    Returns:
        Boolean.
    """
    return clips_dense(layer) or any(
        _active(layer, name) for name in layer.sparse_names
    )


def clips_dense(layer):
    """Whether optimizers are to see a layer's dense gradient."""
    return layer.clipping == "dense"


def _selected(layer, values, mask, add):
    """A selection by a mask whose gradient is passed on, or noted, in full."""
    dense = clips_dense(layer)

    @ops.custom_gradient
    def select(values):
        def gradient(*args, upstream=None):
            if upstream is None:
                (upstream,) = args
            add(upstream)
            return upstream if dense else ops.where(mask, upstream, 0)

        return ops.where(mask, values, 0), gradient

    return select(values)


class _Attached:
    """Of a layer, by name of the weight. No dict, which Keras would track."""

    def __init__(self):
        self.by_name = {}


def _attached(layer, name):
    if "_dense_gradients" not in vars(layer):
        layer._dense_gradients = _Attached()
    return layer._dense_gradients.by_name.setdefault(name, [])


def _active(layer, name):
    if "_dense_gradients" not in vars(layer):
        return []
    of_weight = layer._dense_gradients.by_name.get(name, ())
    return [each for each in of_weight if each.is_active]


def strategy_scope(variable):
    """The scope of the replicas that a variable is on.

    Args:
        variable: `keras.Variable`.

    Returns:
        Context manager, in which new variables are on the same replicas.
    """
    strategy = getattr(variable.value, "distribute_strategy", None)
    return contextlib.nullcontext() if strategy is None else strategy.scope()
