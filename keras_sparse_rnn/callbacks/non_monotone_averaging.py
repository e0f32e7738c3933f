"""Begins to average the weights when validation no longer improves."""

import contextlib

import keras
import numpy as np

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn.arguments import check_integer
from keras_sparse_rnn.arguments import check_one_of
from keras_sparse_rnn.optimizers.averaged_sgd import VALUES_KEPT
from keras_sparse_rnn.optimizers.averaged_sgd import AveragedSGD

_PREFIX = "val_"


class NonMonotoneAveraging(keras.callbacks.Callback):
    """Starts `AveragedSGD`'s averages, and evaluates with them: NT-ASGD.

    Averaging begins at the end of the first epoch whose validation is worse
    than the best of all epochs before it but the last `patience`. From then on
    validation in `fit` is of the averages, while training goes on from the
    weights, and when `fit` ends the averages take the place of the weights.
    Together with a callback that rewires, such as `SETCallback`, it is
    SNT-ASGD: each average is of a connection's current lifetime.

    It needs validation in each epoch. At the end of each it adds `averaging`
    to `logs`: 1 if the epoch's validation was of averages, else 0.

    The values that it has seen, the last 100 and the best of those before, are
    saved with the optimizer, so that a run that is killed and resumed by
    `keras.callbacks.BackupAndRestore` ends as one that was never killed, and a
    second `fit` goes on. They are noted as soon as validation ends, before any
    callback saves the epoch: the order of callbacks does not matter.

    What `ModelCheckpoint` and `BackupAndRestore` save at an epoch's end are the
    weights that training continues from. To save the averages, open
    `averaged_weights()` around it, as in the second example, or save the model
    when `fit` has ended; `EarlyStopping(restore_best_weights=True)` would
    restore weights, and no averages.

    An evaluation that is broken off, as by Ctrl-C, leaves the averages in the
    model. The next `fit` with a `NonMonotoneAveraging`, this one or another,
    begins by putting the weights back, but not over weights that were set or
    loaded since. `optimizer.take_weights_back()` does so at once.

    Args:
        monitor: String, what to monitor: a name in validation's logs, which
            begins with `"val_"`. Defaults to `"val_loss"`.
        patience: Integer from 1 to 100, how many epochs before the present one
            are not compared with. Defaults to `5`.
        mode: String, whether the lowest value is the best, `"min"`, or the
            highest, `"max"`. Defaults to `"min"`.

    Raises:
        ValueError: If an argument is out of range; when training begins, if the
            model's optimizer is no `AveragedSGD`; at the end of an epoch, if
            there was no validation in it, or none that gives `monitor`.

    Example:

    ```python
    model.compile(ksr.AveragedSGD(30.0, global_clipnorm=0.25), loss)
    averaging = ksr.NonMonotoneAveraging()
    model.fit(x, y, validation_data=validation, callbacks=[averaging])
    ```

    Saving the averages at the end of each epoch:

    ```python
    class SaveAverages(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            with averaging.averaged_weights():
                self.model.save(f"averages {epoch}.keras")
    ```

    Reference:
        - Merity et al., Regularizing and Optimizing LSTM Language Models,
          ICLR 2018, algorithm 1
        - Liu et al., Selfish Sparse RNN Training, ICML 2021: SNT-ASGD
    """

    def __init__(self, monitor="val_loss", patience=5, mode="min"):
        super().__init__()
        if not isinstance(monitor, str) or not monitor.startswith(_PREFIX):
            raise ValueError(
                "`monitor` must be the name of a result of validation, which "
                f"begins with '{_PREFIX}'. Received: monitor={monitor!r}"
            )
        check_integer("patience", patience, 1)
        if patience > VALUES_KEPT:
            raise ValueError(
                f"`patience` must be at most {VALUES_KEPT}. "
                f"Received: patience={patience}"
            )
        check_one_of("mode", mode, ("min", "max"))
        self.monitor = monitor
        self.patience = int(patience)
        self.mode = mode
        self._is_training = False

    def set_model(self, model):
        super().set_model(model)
        # Called before `fit` and before an evaluation of its own, but not
        # before validation. That `fit` was broken off nobody tells.
        self._is_evaluated_alone = True

    def on_train_begin(self, logs=None):
        # An evaluation that was broken off may have left the averages there.
        for optimizer in self._optimizers():
            optimizer.take_weights_back()
        self._is_training = True
        self._is_evaluated_alone = False

    def on_epoch_begin(self, epoch, logs=None):
        self._is_noted = False

    def on_test_begin(self, logs=None):
        self._was_averaging = self._is_averaging()
        self._opened = [each.set_weights_aside() for each in self._optimizers()]

    def on_test_end(self, logs=None):
        for each, opened in zip(self._optimizers(), self._opened, strict=True):
            each.take_weights_back(opened)
        is_alone, self._is_evaluated_alone = self._is_evaluated_alone, False
        if is_alone or not self._is_training:
            return
        name = self.monitor.removeprefix(_PREFIX)
        if name not in (logs or {}):
            raise ValueError(
                f"`monitor` must be one of "
                f"{[f'{_PREFIX}{each}' for each in logs or {}]}, which "
                f"validation gives. Received: monitor={self.monitor!r}"
            )
        self._note(float(logs[name]))
        self._is_noted = True

    def on_epoch_end(self, epoch, logs=None):
        if not self._is_noted:
            raise ValueError(
                f"{type(self).__name__} needs validation in each epoch: pass "
                "`validation_data` to `fit`, and no `validation_freq`. "
                f"Received: monitor={self.monitor!r}, logs={[*(logs or {})]}"
            )
        if logs is not None:
            logs["averaging"] = int(self._was_averaging)

    def on_train_end(self, logs=None):
        self._is_training = False

    @contextlib.contextmanager
    def averaged_weights(self):
        """Puts the averages in the place of the weights, for the time being.

        See `AveragedSGD.averaged_weights`. It finds that optimizer also within
        a `LossScaleOptimizer`.
        """
        with contextlib.ExitStack() as opened:
            for optimizer in self._optimizers():
                opened.enter_context(optimizer.averaged_weights())
            yield

    def _note(self, value):
        """Notes an epoch's value, and begins to average if it says so."""
        optimizers = self._optimizers()
        history = optimizers[0].monitored_values
        values = keras.ops.convert_to_numpy(history)
        # The lower the better. What is not a number is worst.
        value = values.dtype.type(value if self.mode == "min" else -value)
        if np.isnan(value):
            value = np.inf
        if not self._is_averaging() and value > values[: -self.patience].min():
            for optimizer in optimizers:
                optimizer.start_averaging()
        best_before = values[:2].min()
        history.assign(np.array([best_before, *values[2:], value]))

    def _is_averaging(self):
        return any(each.is_averaging for each in self._optimizers())

    def _optimizers(self):
        """The optimizers that average, more than one in a `MultiOptimizer`."""
        optimizer = self.model.optimizer
        found = [
            each
            for each in keras_internals.inner_optimizers(optimizer)
            if isinstance(each, AveragedSGD)
        ]
        if not found:
            raise ValueError(
                f"{type(self).__name__} needs a model that is compiled with "
                "`keras_sparse_rnn.AveragedSGD`, whose averages it starts. "
                f"Received: optimizer={optimizer}"
            )
        return found
