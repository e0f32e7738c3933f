"""Small models with recurrent layers on one engine, and their training."""

import keras
import numpy as np

import keras_sparse_rnn as ksr

STEPS, FEATURES = 5, 4


def data(samples=22, seed=0):
    """Sequences and targets; the last batch of 8 is a smaller one."""
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(samples, STEPS, FEATURES)).astype("float32"),
        rng.normal(size=(samples, 2)).astype("float32"),
    )


def lstm(engine, units=9, **arguments):
    return ksr.SparseLSTM(
        units, **{"sparsity": 0.6, "engine": engine, **arguments}
    )


def gru(engine, units=7, **arguments):
    return ksr.SparseGRU(units, sparsity=0.6, engine=engine, **arguments)


def simple_rnn(engine, units=8, **arguments):
    return ksr.SparseSimpleRNN(units, sparsity=0.6, engine=engine, **arguments)


def sequential(*layers, with_input=True):
    first = [keras.Input((STEPS, FEATURES))] if with_input else []
    return keras.Sequential([*first, *layers, keras.layers.Dense(2)])


def functional_with_a_shared_layer(engine):
    inputs = keras.Input((STEPS, FEATURES))
    shared = gru(engine)
    both = keras.layers.Concatenate()([shared(inputs), shared(-inputs)])
    return keras.Model(inputs, keras.layers.Dense(2)(both))


def states_handed_over(engine):
    inputs = keras.Input((STEPS, FEATURES))
    _, *states = lstm(engine, return_state=True)(inputs)
    output = lstm(engine)(inputs, initial_state=states)
    return keras.Model(inputs, keras.layers.Dense(2)(output))


def nested(engine):
    inner = sequential(lstm(engine, return_sequences=True), simple_rnn(engine))
    inputs = keras.Input((STEPS, FEATURES))
    return keras.Model(inputs, inner(inputs) + inner(0.5 * inputs))


class Subclassed(keras.Model):
    def __init__(self, engine):
        super().__init__()
        self.inner = keras.layers.Bidirectional(gru(engine))
        self.head = keras.layers.Dense(2)

    def call(self, x, training=False):
        return self.head(self.inner(x, training=training))


MODELS = {
    "one layer": lambda engine: sequential(lstm(engine)),
    "no input": lambda engine: sequential(lstm(engine), with_input=False),
    "stacked": lambda engine: sequential(
        lstm(engine, return_sequences=True),
        gru(engine, return_sequences=True, reset_after=False),
        simple_rnn(engine, activation="relu"),
    ),
    "dropout": lambda engine: sequential(
        lstm(engine, dropout=0.3, recurrent_dropout=0.2, return_sequences=True),
        gru(engine, dropout=0.3),
    ),
    "regularized": lambda engine: sequential(
        lstm(
            engine,
            kernel_regularizer="l2",
            recurrent_regularizer="l1",
            bias_regularizer="l2",
            activity_regularizer="l2",
            kernel_constraint="max_norm",
        )
    ),
    "bidirectional": lambda engine: sequential(
        keras.layers.Bidirectional(lstm(engine, return_sequences=True)),
        keras.layers.Bidirectional(gru(engine), merge_mode="sum"),
    ),
    "shared": functional_with_a_shared_layer,
    "states handed over": states_handed_over,
    "nested": nested,
    "subclassed": Subclassed,
    "time distributed": lambda engine: keras.Sequential(
        [
            keras.Input((STEPS, FEATURES)),
            keras.layers.Reshape((STEPS, 2, FEATURES // 2)),
            keras.layers.TimeDistributed(lstm(engine)),
            gru(engine),
            keras.layers.Dense(2),
        ]
    ),
}


def compiled(name, engine, optimizer=None, **arguments):
    """A compiled model; of the same weights on both engines."""
    keras.utils.set_random_seed(3)
    model = MODELS[name](engine)
    model.compile(
        optimizer or keras.optimizers.Adam(0.01),
        "mse",
        metrics=["mae"],
        **arguments,
    )
    return model


def fit(model, **arguments):
    x, y = data()
    return model.fit(
        x,
        y,
        **{
            "batch_size": 8,
            "epochs": 2,
            "shuffle": False,
            "verbose": 0,
            **arguments,
        },
    ).history


def assert_close(found, expected, limit=1e-4):
    np.testing.assert_allclose(found, expected, rtol=limit, atol=limit)


def recurrent_layers(model):
    return [
        layer
        for layer in model._flatten_layers()
        if isinstance(
            layer, ksr.SparseLSTM | ksr.SparseGRU | ksr.SparseSimpleRNN
        )
    ]
