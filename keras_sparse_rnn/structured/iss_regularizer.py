"""The group lasso over hidden units: intrinsic sparse structures (ISS)."""

import keras
from keras import ops

from keras_sparse_rnn.arguments import check_above_0
from keras_sparse_rnn.arguments import plain_number
from keras_sparse_rnn.sparse_layers import check_built
from keras_sparse_rnn.structured.removable_units import log_layers_left_alone
from keras_sparse_rnn.structured.removable_units import removable_units

# Under the root, so that the gradient at a group of zeros is 0 and not NaN.
_EPSILON = 1e-8


def add_iss_regularizer(model, strength):
    """Adds a penalty that drives whole hidden units of a model to zero.

    The group of a unit is all that makes it and all that reads it: its columns
    of each gate in the kernel and the recurrent kernel of its layer, its row
    of the recurrent kernel, and its row of the kernel of each layer that reads
    it. Where a tied embedding decodes the unit, that is its column of the
    table, and with it goes the row of each kernel that reads the same feature
    of what is embedded. The penalty of a layer is

        strength * Σ_k sqrt(Σ columns² + Σ row² + Σ consumers' rows² + 1e-8)

    where a weight at which a column and the row of a unit meet counts twice,
    as in the authors' code, and biases do not count. Where sparse layers have
    no connection there is no penalty either.

    It is one of the model's `losses`, so that `fit` and `model.losses` of a
    hand-written loop have it. It is no part of what is saved with the model: a
    model that is loaded is regularized anew. Like any regularizer it holds
    while the layer is trainable; `remove_iss_regularizer` takes it off.

    Layers whose units are read by anything but recurrent and `Dense` layers
    and tied embeddings, or are an output of the model, are left alone; so are
    subclasses of Keras's layers. Dropout, pooling over time and activations of
    single units may come between, and nothing but dropout between a tied
    embedding and what reads it. What is left alone is logged.

    Args:
        model: Built Sequential or Functional model, of any nesting, compiled
            or not. Called again, the new strength replaces the old one. If it
            was trained before, its functions are traced anew.
        strength: Float above 0, λ. The authors' 0.003 belongs to a loss that
            is summed over 35 time steps; for Keras's mean over time steps
            it is 0.003 / 35.

    Raises:
        ValueError: If `strength` is no finite number above 0, the model is not
            built or not Sequential or Functional, or no layer has units that
            can be removed.

    Example:

    ```python
    ksr.add_iss_regularizer(model, strength=1e-4)
    model.fit(x, y, epochs=50)
    ksr.zero_small_weights(model, threshold=1e-4)
    smaller = ksr.shrink(model)
    ```

    Reference:
        - Wen et al., Learning Intrinsic Sparse Structures within Long
          Short-Term Memory, ICLR 2018
    """
    check_above_0("strength", strength)
    removable = removable_units(model)
    log_layers_left_alone(model)
    for units in removable:
        variable = units.kernels[0].variable
        of_user = variable.regularizer
        if isinstance(of_user, ISSRegularizer):
            of_user = of_user.of_user
        variable.regularizer = ISSRegularizer(
            units, plain_number(strength), of_user
        )
    _trace_anew(model)


def remove_iss_regularizer(model):
    """Takes off the penalty of `add_iss_regularizer`, or of `ISSCallback`.

    For training on without it, as when small weights were set to 0 and the
    others are to recover. The user's own regularizers stay. If there is no such
    penalty nothing happens.

    Args:
        model: Built Keras model. If it was trained before, its functions are
            traced anew.

    Raises:
        ValueError: If the model is not built.

    Example:

    ```python
    model.fit(x, y, epochs=50, callbacks=[ksr.ISSCallback(strength=1e-4)])
    ksr.remove_iss_regularizer(model)
    model.evaluate(x, y)  # the loss alone
    ```
    """
    check_built(model)
    regularized = [
        variable
        for variable in model.weights
        if isinstance(variable.regularizer, ISSRegularizer)
    ]
    for variable in regularized:
        variable.regularizer = variable.regularizer.of_user
    if regularized:
        _trace_anew(model)


def has_iss_regularizer(model, strength):
    """Whether a model is regularized with this strength already.

    Args:
        model: As for `add_iss_regularizer`.
        strength: Float.

    Returns:
        Boolean.
    """
    regularizers = [
        units.kernels[0].variable.regularizer
        for units in removable_units(model)
    ]
    return all(
        isinstance(each, ISSRegularizer) and each.strength == strength
        for each in regularizers
    )


class ISSRegularizer(keras.regularizers.Regularizer):
    """The penalty of one layer's units, hung on the layer's kernel.

    It reads the other variables of the groups itself: Keras passes a
    regularizer the one variable that it hangs on.

    Args:
        units: `HiddenUnits`.
        strength: Float above 0.
        of_user: Regularizer that the kernel has besides, or `None`.
    """

    def __init__(self, units, strength, of_user=None):
        self.units = units
        self.strength = strength
        self.of_user = of_user

    def __call__(self, kernel):
        norms = ops.sqrt(squared_norms(self.units) + _EPSILON)
        penalty = self.strength * ops.sum(norms)
        if self.of_user is not None:
            penalty = penalty + ops.cast(self.of_user(kernel), penalty.dtype)
        return penalty


def squared_norms(units):
    """The sum of squares of each unit's group.

    Args:
        units: `HiddenUnits`.

    Returns:
        Tensor of shape `(units,)`, in single precision at least.
    """
    total = 0
    for weight in (*units.kernels, *units.recurrent_kernels):
        of_columns = _sum_but(_squares(weight), -1)
        of_gates = ops.reshape(of_columns, (units.places.gates, units.count))
        total = total + ops.sum(of_gates, axis=0)
    for weight in units.recurrent_kernels:
        total = total + _sum_but(_squares(weight), -2)
    for weight, rows in units.removed_rows:
        squares = _squares(weight)[weight.place(rows)]
        total = total + _sum_but(squares, weight.input_axis)
    return total


def _squares(weight):
    value = ops.convert_to_tensor(weight.effective)
    dtype = keras.backend.result_type(value.dtype, "float32")
    return ops.square(ops.cast(value, dtype))


def _sum_but(values, axis):
    """The sum over all axes but one, which is counted from the last."""
    kept = len(values.shape) + axis
    others = [each for each in range(len(values.shape)) if each != kept]
    return ops.sum(values, axis=others)


def _trace_anew(model):
    """What was traced before holds the losses of that time."""
    if getattr(model, "train_function", None) is not None:
        model.make_train_function(force=True)
    if getattr(model, "test_function", None) is not None:
        model.make_test_function(force=True)
