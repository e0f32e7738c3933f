import keras
import numpy as np

import keras_sparse_rnn as ksr

X = np.random.default_rng(0).random((6, 3, 2)).astype("float32")


class StatesSeen(keras.callbacks.Callback):
    """Notes whether states are 0 when a batch begins."""

    def __init__(self):
        super().__init__()
        self.zero = []

    def _note(self, batch, logs=None):
        state, _ = self.model.layers[0].states
        self.zero.append(not np.asarray(state).any())

    on_train_batch_begin = on_test_batch_begin = on_predict_batch_begin = _note


def stateful_model():
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(2, 3, 2)),
            ksr.SparseLSTM(4, stateful=True, sparsity=0.5),
            keras.layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    return model


def test_epochs_and_evaluations_begin_at_0_and_carry_over_within():
    model, seen = stateful_model(), StatesSeen()
    callbacks = [ksr.ResetStates(), seen]
    y = np.zeros((6, 1))
    states = model.layers[0].states
    model.fit(
        X,
        y,
        batch_size=2,
        epochs=2,
        validation_data=(X, y),
        validation_batch_size=2,
        verbose=0,
        callbacks=callbacks,
    )
    # Two epochs of three batches, after each three of validation.
    assert seen.zero == [True, False, False] * 4
    model.evaluate(X, y, batch_size=2, verbose=0, callbacks=callbacks)
    assert seen.zero == [True, False, False] * 5
    model.predict(X, batch_size=2, verbose=0, callbacks=callbacks)
    assert seen.zero == [True, False, False] * 6
    assert not any(np.asarray(each).any() for each in states)


def test_states_are_0_when_training_has_ended():
    model = stateful_model()
    model.fit(
        X,
        np.zeros((6, 1)),
        batch_size=2,
        verbose=0,
        callbacks=[ksr.ResetStates()],
    )
    assert not any(np.asarray(each).any() for each in model.layers[0].states)


def test_a_layer_of_another_kind_may_have_states_that_are_none():
    class Counts(keras.layers.Layer):
        states = ("idle", None)

        def call(self, inputs):
            return inputs

    model = keras.Sequential(
        [keras.Input(batch_shape=(2, 3, 2)), Counts(), stateful_model()]
    )
    model.compile("sgd", "mse")
    model.fit(
        X,
        np.zeros((6, 1)),
        batch_size=2,
        verbose=0,
        callbacks=[ksr.ResetStates()],
    )
    states = model.layers[-1].layers[0].states
    assert not any(np.asarray(each).any() for each in states)
