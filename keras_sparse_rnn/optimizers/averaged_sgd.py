"""Stochastic gradient descent that averages each weight over its lifetime."""

import collections
import contextlib

import keras
import numpy as np
from keras import ops

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn.arguments import check_at_least_0
from keras_sparse_rnn.masked_weight import mask_of

# How many monitored values are kept one by one.
VALUES_KEPT = 100

_NEVER = -1


@keras.saving.register_keras_serializable("keras_sparse_rnn")
class AveragedSGD(keras.optimizers.SGD):
    """SGD that, once it is told to, also averages the weights it visits.

    It moves the weights as `keras.optimizers.SGD` does. From
    `start_averaging()` on it keeps the mean of the values of each weight beside
    it, which generalises better than the last value where SGD circles around a
    minimum. `keras_sparse_rnn.NonMonotoneAveraging` starts it when validation
    no longer improves, and evaluates with the averages.

    A connection that is grown while weights are averaged has been a different
    one before, or none: its average begins anew with it. With t updates since
    then, or since averaging began, and w the weight after the update,

    `average = w` for t ≤ 2, then `average += (w - average) / (t - 1)`.

    The average is 0 where there is no connection. On dense weights this is
    averaged SGD (ASGD), triggered by validation NT-ASGD, with rewiring
    SNT-ASGD.

    The learning rate is constant from there on: a schedule ends where averaging
    begins. Callbacks such as `keras.callbacks.ReduceLROnPlateau`, decay on
    plateau, may still set one that is a number; a schedule is refused then.

    When `fit` ends, the averages take the place of the weights, as with Keras's
    moving average: `finalize_variable_values()`. Averages, numbers of updates
    and where averaging began are variables of the optimizer and saved with it.
    Each weight takes two further arrays of its size in memory, of 32 bits for
    weights of 16.

    Args:
        learning_rate: Float, a `keras.optimizers.schedules` schedule, or a
            function without arguments. Defaults to `0.01`.
        momentum: Float in `[0, 1]`. Defaults to `0.0`.
        nesterov: Boolean, whether to apply Nesterov momentum. Defaults to
            `False`.
        **kwargs: Every other argument of `keras.optimizers.SGD`, such as
            `weight_decay`, `global_clipnorm` and
            `gradient_accumulation_steps`, but not `use_ema=True`.

    Raises:
        ValueError: If `use_ema=True`, which averages as well; when it is
            built, if a weight is sparse and the backend is not TensorFlow.

    Example:

    ```python
    model.compile(ksr.AveragedSGD(30.0, global_clipnorm=0.25), loss)
    model.fit(
        batches,
        validation_data=validation,
        epochs=100,
        callbacks=[
            ksr.SETCallback(0.8),
            ksr.NonMonotoneAveraging(patience=5),
        ],
    )
    ```

    Reference:
        - Polyak and Juditsky, Acceleration of Stochastic Approximation by
          Averaging, SIAM Journal on Control and Optimization 30:838–855, 1992
        - Merity et al., Regularizing and Optimizing LSTM Language Models,
          ICLR 2018: NT-ASGD
        - Liu et al., Selfish Sparse RNN Training, ICML 2021: SNT-ASGD
    """

    def __init__(
        self, learning_rate=0.01, momentum=0.0, nesterov=False, **kwargs
    ):
        super().__init__(learning_rate, momentum, nesterov, **kwargs)
        if self.use_ema:
            raise ValueError(
                "AveragedSGD averages the weights itself: leave out `use_ema`. "
                f"Received: use_ema={self.use_ema}"
            )
        self._averaging_since = self._state(_NEVER, "int", "averaging_since")
        # No list: Keras would track the weights as variables of its own.
        self._set_aside = collections.deque()
        # Of use where the learning rate is a schedule, which ends.
        self._constant_rate = self._state(0, None, "averaging_learning_rate")
        self._monitored_values = self._state(
            np.full(1 + VALUES_KEPT, np.inf), "float32", "monitored_values"
        )

    def _state(self, value, dtype, name):
        return self.add_variable(
            shape=np.shape(value),
            initializer=keras.initializers.Constant(value),
            dtype=dtype,
            aggregation="only_first_replica",
            name=name,
        )

    def build(self, variables):
        if self.built:
            return
        if keras.backend.backend() != "tensorflow":
            for variable in variables:
                if mask_of(variable) is not None:
                    raise ValueError(
                        "AveragedSGD averages sparse weights on Keras's "
                        "TensorFlow backend only. Received: KERAS_BACKEND="
                        f"{keras.backend.backend()}, weight='{variable.path}'"
                    )
        super().build(variables)
        slots = [self._add_slots(variable) for variable in variables]
        self._averages = [average for average, _ in slots]
        self._averaged_updates = [updates for _, updates in slots]

    def _add_slots(self, variable):
        """An average and a count, both `None` if the variable has no slots."""
        names = ("average", "averaged_updates")
        dtype = keras.backend.result_type(variable.dtype, "float32")
        if variable.dtype == dtype or variable.overwrite_with_gradient:
            slots = self.add_optimizer_variables([variable], [*names])
            return [slot for [slot] in slots]
        # In 16 bits 1 is lost beside 256 or 2048, and so is an average's move.
        prefix = variable.path.replace("/", "_")
        return [
            self.add_variable(
                variable.shape, dtype=dtype, name=f"{prefix}_{name}"
            )
            for name in names
        ]

    @property
    def is_averaging(self):
        """Boolean, whether averaging began."""
        return int(ops.convert_to_numpy(self._averaging_since)) != _NEVER

    @property
    def averaging_since(self):
        """Integer, how many updates there were before, or `None`."""
        since = int(ops.convert_to_numpy(self._averaging_since))
        return None if since == _NEVER else since

    @property
    def monitored_values(self):
        """`keras.Variable` where callbacks note values that they monitor.

        Saved with the optimizer, as callbacks have no state that is. See
        `keras_sparse_rnn.NonMonotoneAveraging`.
        """
        return self._monitored_values

    def start_averaging(self, learning_rate=None):
        """Begins averages, or begins them anew.

        Call it between two training steps, not inside of a `tf.function`.

        Args:
            learning_rate: Float of at least 0, the learning rate from here on.
                Defaults to `None`, the present one.

        Raises:
            ValueError: If `learning_rate` is out of range.
        """
        if learning_rate is not None:
            check_at_least_0("learning_rate", learning_rate)
        else:
            learning_rate = ops.convert_to_numpy(self.learning_rate)
        rate = super().learning_rate
        if not isinstance(rate, keras.Variable):
            rate = self._constant_rate
        rate.assign(learning_rate)
        for _, average, updates in self._averaged():
            average.assign(ops.zeros_like(average.value))
            updates.assign(ops.zeros_like(updates.value))
        # By way of NumPy: JAX would share the buffer, and give it away.
        self._averaging_since.assign(ops.convert_to_numpy(self.iterations))

    @property
    def learning_rate(self):
        rate = super().learning_rate
        if isinstance(rate, keras.Variable):
            return rate
        return ops.where(
            ops.equal(self._averaging_since, _NEVER),
            ops.cast(rate, self._constant_rate.dtype),
            ops.convert_to_tensor(self._constant_rate),
        )

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        if callable(learning_rate) and self.is_averaging:
            raise ValueError(
                "The learning rate of AveragedSGD is constant since averaging "
                "began: expected a number. "
                f"Received: learning_rate={learning_rate}"
            )
        keras.optimizers.SGD.learning_rate.fset(self, learning_rate)

    def apply(self, grads, trainable_variables=None):
        super().apply(grads, trainable_variables)
        # After constraints, which put empty places back to 0.
        kept = list(self._averaged())
        if not kept:
            return
        is_due = ops.logical_and(
            ops.not_equal(self._averaging_since, _NEVER),
            ops.equal(
                keras_internals.micro_step(self)
                % keras_internals.micro_steps_per_update(self),
                0,
            ),
        )
        values = ops.cond(
            is_due,
            lambda: [_updated(*each) for each in kept],
            lambda: [
                (ops.convert_to_tensor(a), ops.convert_to_tensor(u))
                for _, a, u in kept
            ],
        )
        for (_, *slots), new in zip(kept, values, strict=True):
            for slot, value in zip(slots, new, strict=True):
                slot.assign(value)

    @contextlib.contextmanager
    def averaged_weights(self):
        """Puts the averages in the place of the weights, for the time being.

        To evaluate or save them. Before averaging began, or where a weight was
        not updated since, the weights stay as they are. A weight's constraint
        is applied to its average. Do not train or rewire while it is open.

        Example:

        ```python
        with optimizer.averaged_weights():
            model.save("averages.keras")
        ```
        """
        opened = self.set_weights_aside()
        try:
            yield
        finally:
            self.take_weights_back(opened)

    def set_weights_aside(self):
        """Puts the averages in the place of the weights.

        What `averaged_weights()` begins with, for who has no `with` statement,
        as callbacks.

        Returns:
            Integer, to be passed to `take_weights_back()`.
        """
        trained = []
        if self.is_averaging:
            trained = [
                (variable, _copy(variable)) for variable, *_ in self._averaged()
            ]
            self._assign_averages()
        self._set_aside.append(
            [(variable, value, _copy(variable)) for variable, value in trained]
        )
        return len(self._set_aside) - 1

    def take_weights_back(self, opened=0):
        """Puts weights back that were set aside.

        But not over what was set or loaded since: a weight that is no longer
        the average that took its place stays as it is.

        Args:
            opened: Integer that `set_weights_aside()` returned, to put back
                what that call, and later ones, set aside. Defaults to `0`, all
                that is set aside, as by an evaluation that was broken off.
        """
        while len(self._set_aside) > opened:
            for variable, value, average in self._set_aside.pop():
                if np.array_equal(_copy(variable), average, equal_nan=True):
                    variable.assign(value)

    def finalize_variable_values(self, var_list):
        """Puts the averages in the place of the weights, for good.

        Keras calls it when `fit` ends.

        Args:
            var_list: List of the model's variables.
        """
        super().finalize_variable_values(var_list)
        if self.is_averaging:
            self._assign_averages()

    def _averaged(self):
        """Triples of a variable, its average and how many updates it is of."""
        if not self.built:
            return
        for triple in zip(
            keras_internals.trained_variables(self),
            self._averages,
            self._averaged_updates,
            strict=True,
        ):
            # Variables that are overwritten by what stands for their gradient
            # have no slots.
            if triple[1] is not None:
                yield triple

    def _assign_averages(self):
        for variable, average, updates in self._averaged():
            # Of no update there is no average yet.
            value = ops.where(
                updates > 0,
                ops.cast(ops.convert_to_tensor(average), variable.dtype),
                ops.convert_to_tensor(variable),
            )
            if variable.constraint is not None:
                value = variable.constraint(value)
            variable.assign(value)


def _copy(variable):
    return np.array(ops.convert_to_numpy(variable))


def _updated(variable, average, updates):
    """The average after a further update, and how many it is of."""
    value = ops.cast(ops.convert_to_tensor(variable), average.dtype)
    updates = updates + 1
    share = 1 / ops.maximum(updates - 1, 1)
    moved = ops.where(updates <= 2, value, average + share * (value - average))
    mask = mask_of(variable)
    if mask is None:
        return moved, updates
    mask = ops.convert_to_tensor(mask)
    return ops.where(mask, moved, 0), ops.where(mask, updates, 0)
