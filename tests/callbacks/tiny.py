"""Models, data and observers that the tests of the callbacks share."""

import keras
import numpy as np

import keras_sparse_rnn as ksr

VOCABULARY = 12
LENGTH = 5


def tokens(samples=32):
    """Sentences in which every word occurs, and targets."""
    rng = np.random.default_rng(3)
    x = rng.integers(0, VOCABULARY, (samples, LENGTH)).astype("int32")
    x.reshape(-1)[:VOCABULARY] = np.arange(VOCABULARY)
    return x, rng.normal(size=(samples, 1)).astype("float32")


def text_model(
    optimizer="adam",
    with_input=True,
    dropout=0.0,
    engine="masked",
    **compile_args,
):
    """Embedding, LSTM and a dense layer, compiled."""
    layers = [
        ksr.SparseEmbedding(VOCABULARY, 8, sparsity=0.5, topology_seed=1),
        ksr.SparseLSTM(
            6,
            sparsity=0.6,
            topology_seed=2,
            dropout=dropout,
            recurrent_dropout=dropout,
            engine=engine,
            name="lstm",
        ),
        keras.layers.Dense(1),
    ]
    if with_input:
        layers.insert(0, keras.Input((LENGTH,), dtype="int32"))
    model = keras.Sequential(layers)
    model.compile(optimizer, "mse", **compile_args)
    return model


def dense_model(optimizer="adam", **compile_args):
    """One sparse layer, quick to compile; every connection gets gradients."""
    model = keras.Sequential(
        [
            keras.Input((LENGTH,)),
            ksr.SparseDense(40, sparsity=0.5, topology_seed=3, name="sparse"),
        ]
    )
    model.compile(optimizer, "mse", **compile_args)
    return model


def fit(model, *callbacks, epochs=3, **arguments):
    """Trains on `tokens()`, four batches an epoch."""
    if "x" not in arguments:
        arguments["x"], arguments["y"] = tokens()
    if not isinstance(arguments["x"], np.ndarray):
        arguments.setdefault("batch_size", None)
    return model.fit(
        **{
            "batch_size": 8,
            "shuffle": False,
            "verbose": 0,
            "epochs": epochs,
            "callbacks": list(callbacks),
            **arguments,
        }
    )


def masks(model):
    """The masks of all sparse weights, copies."""
    return [np.array(weight.mask) for weight in ksr.sparse_weights(model)]


def values(model):
    """The values of all sparse weights, copies."""
    return [np.array(weight.value) for weight in ksr.sparse_weights(model)]


def state(model):
    """Every variable of the model and of its optimizer, copies."""
    variables = [*model.variables, *model.optimizer.variables]
    return [np.array(variable) for variable in variables]


def state_without_seeds(model):
    """As `state`, without the seeds of dropout, which Keras does not save."""
    variables = [*model.variables, *model.optimizer.variables]
    return [
        np.array(variable)
        for variable in variables
        if "seed_generator" not in variable.path
    ]


def same(first, second):
    """Whether two lists of arrays agree bit for bit."""
    return len(first) == len(second) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(first, second, strict=True)
    )


def assert_zero_where_empty(model):
    """No weight, and no slot of one, where there is no connection."""
    for weight in ksr.sparse_weights(model):
        empty = ~np.array(weight.mask)
        assert not np.array(weight.value)[empty].any(), weight.path
        for name, slot in slots(model.optimizer, weight):
            assert not slot[empty].any(), name


def slots(optimizer, weight):
    """Pairs of the name and the value of the slots of a weight.

    They are found by the names that Keras gives its optimizers' variables.
    """
    prefix = weight.path.replace("/", "_") + "_"
    return [
        (variable.name, np.array(variable))
        for variable in optimizer.variables
        if variable.name.startswith(prefix)
        and tuple(variable.shape) == weight.shape
    ]


class Recorder(keras.callbacks.Callback):
    """Keeps masks and values around each batch and at each epoch's end.

    Put it behind the callback that rewires: `before` is then what a batch is
    trained with.
    """

    def on_train_begin(self, logs=None):
        self.before, self.after, self.epoch_ends = [], [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        step = int(self.model.optimizer.iterations)
        self.before.append((self.epoch, batch, step, *self._now()))

    def on_train_batch_end(self, batch, logs=None):
        self.after.append(self._now())

    def on_epoch_end(self, epoch, logs=None):
        self.epoch_ends.append(self._now())

    def rewired_before(self):
        """Pairs of epoch and batch before which a mask was changed.

        The first batch cannot be told: there is no mask before it. Nor can a
        batch that the model was not built before.
        """
        return [entry[:2] for entry in self._rewired()]

    def steps_rewired(self):
        """The optimizer's steps before which a mask was changed."""
        return [entry[2] for entry in self._rewired()]

    def _rewired(self):
        return [
            now
            for last, now in zip(self.before, self.before[1:], strict=False)
            if last[3] and not same(last[3], now[3])
        ]

    def _now(self):
        return masks(self.model), values(self.model)
