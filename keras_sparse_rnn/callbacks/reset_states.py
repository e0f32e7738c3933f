"""Starts each epoch and each evaluation of stateful layers from zero."""

import keras
from keras import ops

from keras_sparse_rnn import keras_internals


class ResetStates(keras.callbacks.Callback):
    """Sets the states of stateful RNN layers to 0 where a stream begins.

    At the beginning of each epoch, before and after each evaluation, the one in
    `fit` among them, and each prediction, and when `fit` ends: no stream goes
    on from another one's end, and a model that is saved, stripped or exported
    then starts at 0. `EpochSeed` does the first of these. Training, evaluation
    and prediction share the states: an evaluation in the middle of an epoch
    ends what training has carried over.

    Example:

    ```python
    model.fit(train, validation_data=valid, callbacks=[ksr.ResetStates()])
    model.evaluate(test, callbacks=[ksr.ResetStates()])
    ```
    """

    def on_epoch_begin(self, epoch, logs=None):
        reset_states(self.model)

    def on_test_begin(self, logs=None):
        reset_states(self.model)

    def on_test_end(self, logs=None):
        reset_states(self.model)

    def on_predict_begin(self, logs=None):
        reset_states(self.model)

    def on_predict_end(self, logs=None):
        reset_states(self.model)

    def on_train_end(self, logs=None):
        reset_states(self.model)


def reset_states(model):
    """Sets the states of a model's stateful RNN layers to 0.

    Args:
        model: Built Keras model.
    """
    for layer in keras_internals.flatten_layers(model):
        for state in keras_internals.rnn_states(layer):
            state.assign(ops.zeros_like(state.value))
