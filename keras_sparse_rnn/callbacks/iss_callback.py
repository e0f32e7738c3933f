"""Learns which hidden units to remove, while a model is trained."""

import keras

from keras_sparse_rnn.arguments import check_above_0
from keras_sparse_rnn.arguments import plain_number
from keras_sparse_rnn.structured.alive_units import find_alive
from keras_sparse_rnn.structured.iss_regularizer import add_iss_regularizer
from keras_sparse_rnn.structured.iss_regularizer import has_iss_regularizer
from keras_sparse_rnn.structured.removable_units import removable_units
from keras_sparse_rnn.structured.small_weights import check_threshold
from keras_sparse_rnn.structured.small_weights import zero_small_weights_of


class ISSCallback(keras.callbacks.Callback):
    """Trains with a group lasso over hidden units, and zeroes small weights.

    When training begins the model is given the regularizer of
    `add_iss_regularizer`. After each epoch the weights of its groups with |w|
    below the threshold are set to 0, before the validation if there is one.
    They may come back in the next epoch; `shrink(model)` removes for good the
    units that are dead in the end. The regularizer stays with the model, in
    further training too, until `remove_iss_regularizer(model)`; what `shrink`
    returns, or is loaded from a file, has none.

    At the end of each epoch `alive_units` is added to `logs`: the number of
    units of all layers that `shrink` would keep for their effect.

    Without validation, put it before callbacks that save or restore weights at
    an epoch's end: they see what is there when their turn comes. A run that
    is killed and resumed by `keras.callbacks.BackupAndRestore` goes on as if it
    had not been, in any order: small weights are zeroed at the beginning of
    epochs 1, 2, … too, which changes nothing where they were. The callback
    keeps no state.

    Let the learning rate decay to next to nothing: a group that is driven to
    zero jitters around it, under Adam by about the learning rate, under SGD by
    about learning rate × strength, and no weight of it must be above the
    threshold when its unit is to die.

    Args:
        strength: Float above 0, λ, see `add_iss_regularizer`.
        threshold: Float of at least 0. Defaults to `1e-4`, as the authors'.

    Raises:
        ValueError: If an argument is out of range; when training begins, if
            the model is not built, as a Sequential model without `Input`, is
            not Sequential or Functional, or has no layer with units that can
            be removed.

    Example:

    ```python
    steps = 50 * len(batches)
    decay = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    model.compile(keras.optimizers.Adam(decay), "mse")
    model.fit(batches, epochs=50, callbacks=[ksr.ISSCallback(strength=1e-4)])
    smaller = ksr.shrink(model)
    ```

    Reference:
        - Wen et al., Learning Intrinsic Sparse Structures within Long
          Short-Term Memory, ICLR 2018
    """

    def __init__(self, strength, threshold=1e-4):
        super().__init__()
        check_above_0("strength", strength)
        check_threshold(threshold)
        self.strength = plain_number(strength)
        self.threshold = plain_number(threshold)
        self._units = None

    def on_train_begin(self, logs=None):
        if not has_iss_regularizer(self.model, self.strength):
            add_iss_regularizer(self.model, self.strength)
        self._units = removable_units(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        if epoch:
            self._zero_small_weights()

    def on_test_begin(self, logs=None):
        # Within `fit` alone: `evaluate` is no training.
        if self._units is not None:
            self._zero_small_weights()

    def on_epoch_end(self, epoch, logs=None):
        self._zero_small_weights()
        if logs is not None:
            alive = find_alive(self._units).values()
            logs["alive_units"] = int(sum(each.sum() for each in alive))

    def on_train_end(self, logs=None):
        # Averaged weights have taken the place of the trained ones by now.
        self._zero_small_weights()
        self._units = None

    def _zero_small_weights(self):
        zero_small_weights_of(self._units, self.threshold)
