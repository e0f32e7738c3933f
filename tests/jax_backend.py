"""Trains, strips, shrinks and saves a sparse model on Keras's JAX backend."""

import sys

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr


def main(folder):
    assert keras.backend.backend() == "jax"
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            ksr.SparseEmbedding(30, 8, epsilon=2),
            keras.layers.Bidirectional(
                ksr.SparseLSTM(6, epsilon=1, return_sequences=True)
            ),
            ksr.SparseGRU(4, sparsity=0.5, dropout=0.1),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    x, y = rng.integers(30, size=(32, 6)), rng.integers(2, size=32)
    before = [np.asarray(w.mask) for w in ksr.sparse_weights(model)]
    for arguments in ({}, {"frequency": 2}):
        history = model.fit(
            x,
            y,
            epochs=2,
            batch_size=8,
            verbose=0,
            callbacks=[ksr.EpochSeed(1), ksr.SETCallback(0.5, **arguments)],
        ).history
        assert history["connections_moved"][1] > 0
    for weight, mask in zip(ksr.sparse_weights(model), before, strict=True):
        assert weight.active == mask.sum()
        assert not np.asarray(weight.value)[~np.asarray(weight.mask)].any()
    answers = model.predict(x, verbose=0)
    plain = ksr.strip_sparsity(model)
    np.testing.assert_array_equal(plain.predict(x, verbose=0), answers)
    model.save(f"{folder}/model.keras")
    loaded = keras.models.load_model(f"{folder}/model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), answers)

    gru = model.layers[-2].cell
    for variable, unused in (
        (gru._recurrent_kernel, [1]),
        (model.layers[-1].kernel, [1, 2]),
    ):
        value = np.array(variable)
        value[unused] = 0
        variable.assign(value)
    callback = ksr.ISSCallback(1e-3, threshold=1e-3)
    model.compile("adam", "sparse_categorical_crossentropy")
    answers = model.predict(x, verbose=0)
    smaller = ksr.shrink(model)
    assert smaller.layers[-2].units == 3
    np.testing.assert_allclose(
        smaller.predict(x, verbose=0), answers, rtol=1e-4
    )
    history = model.fit(
        x,
        y,
        batch_size=8,
        verbose=0,
        validation_data=(x, y),
        callbacks=[callback],
    ).history
    assert 1 <= history["alive_units"][0] <= 16
    assert history["loss"][0] > 1e-3 * 16 * 0.5
    kernel = np.abs(np.asarray(model.layers[-1].kernel))
    assert (kernel[kernel > 0] >= 1e-3).all()
    assert len(model.losses) == 3

    inputs = rng.normal(size=(3, 5, 4)).astype("float32")
    for plain in (
        keras.layers.LSTM,
        keras.layers.GRU,
        keras.layers.SimpleRNN,
        ksr.RHN,
    ):
        keras.utils.set_random_seed(2)
        sparse_class = getattr(ksr, f"Sparse{plain.__name__}")
        sparse = sparse_class(5, sparsity=0)(inputs)
        keras.utils.set_random_seed(2)
        dense = plain(5)(inputs)
        np.testing.assert_array_equal(np.asarray(sparse), np.asarray(dense))

    tokens = keras.Input((6,), dtype="int32")
    table = ksr.SparseReversibleEmbedding(30, 8, sparsity=0.5)
    dropped = ksr.WordDropout(0.1, 30)(table(tokens), tokens)
    hidden = ksr.SparseLSTM(8, sparsity=0.5, return_sequences=True)(dropped)
    model = keras.Model(tokens, table(hidden, reverse=True))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    model.fit(x, x, verbose=0)
    # It would hold a mask for good that the optimizer is traced with.
    model.compile(ksr.AveragedSGD(0.1), loss)
    with pytest.raises(ValueError, match="KERAS_BACKEND=jax"):
        model.optimizer.build(model.trainable_variables)
    plain = ksr.strip_sparsity(model)
    plain.compile(ksr.AveragedSGD(0.1), loss)
    plain.optimizer.start_averaging()
    visited = []

    class Visits(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            visited.append(np.asarray(plain.trainable_variables[0]))

    plain.fit(x, x, epochs=4, batch_size=32, verbose=0, callbacks=[Visits()])
    np.testing.assert_allclose(
        np.asarray(plain.trainable_variables[0]),
        np.mean(visited[1:], axis=0),
        rtol=1e-5,
        atol=1e-7,
    )


def states_are_reset():
    x, y, _ = ksr.token_windows(np.arange(200) % 30, 4, 6, before=0)
    for callback in (ksr.ResetStates(), ksr.EpochSeed(1)):
        model = keras.Sequential(
            [
                keras.Input(batch_shape=(4, 6), dtype="int32"),
                keras.layers.Embedding(30, 8),
                ksr.SparseLSTM(
                    8, sparsity=0.5, stateful=True, return_sequences=True
                ),
                keras.layers.GRU(8, stateful=True, return_sequences=True),
                ksr.SparseDense(30, sparsity=0.5),
            ]
        )
        model.compile(
            "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        # On JAX calls alone carry states over, and `fit` does not.
        model(x[:4])
        states = keras.tree.flatten([each.states for each in model.layers[1:3]])
        assert all(np.asarray(each).any() for each in states)
        model.fit(
            x, y, batch_size=4, shuffle=False, verbose=0, callbacks=[callback]
        )
        assert not any(np.asarray(each).any() for each in states)


def averaging_begins_in_fit():
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 4)).astype("float32")
    y = rng.normal(size=(16, 2)).astype("float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile(ksr.AveragedSGD(0.2), "mse")
    history = model.fit(
        x,
        y,
        batch_size=4,
        epochs=6,
        verbose=0,
        # The better it is trained the worse it is at this.
        validation_data=(x, -y),
        callbacks=[ksr.NonMonotoneAveraging(patience=1)],
    ).history
    assert history["averaging"][0] == 0
    assert history["averaging"][-1] == 1
    # In the end it is the averages that are evaluated.
    last = model.evaluate(x, -y, verbose=0)
    np.testing.assert_allclose(last, history["val_loss"][-1], rtol=1e-5)


if __name__ == "__main__":
    main(sys.argv[1])
    states_are_reset()
    averaging_begins_in_fit()
