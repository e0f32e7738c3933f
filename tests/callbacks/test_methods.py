"""What must hold of every method, on all layers, with every optimizer."""

import dataclasses

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests.callbacks import tiny

STEPS, WORDS, BATCHES, EPOCHS = 3, 12, 4, 3
GRANET = ksr.rewiring.CubicSparsity(0.8, end=10, initial_sparsity=0.5)


@dataclasses.dataclass(frozen=True)
class Method:
    """A method's callback, and what it does to the number of connections.

    Args:
        make: Function that returns the callback.
        counts: `"group"`, `"total"` or `"target"`: what stays, or where they
            end.
        target: Float, the sparsity in the end.
    """

    make: object
    counts: str = "group"
    target: float = 0.5


METHODS = {
    "ST-RNN": Method(lambda: ksr.SETCallback(0.4)),
    "SET": Method(lambda: ksr.SETCallback(0.3, rule="set", frequency=3)),
    "RigL": Method(lambda: ksr.RigLCallback(0.4, frequency=3)),
    "RigL by epochs": Method(lambda: ksr.RigLCallback(0.4, "epoch")),
    "SNFS": Method(lambda: ksr.SNFSCallback(0.5, frequency=3), "total"),
    "DSR": Method(lambda: ksr.DSRCallback(0.3), "total"),
    "DeepR": Method(
        lambda: ksr.DeepRCallback(l1=0.5, temperature=1e-2, frequency=2)
    ),
    "pruning": Method(
        lambda: ksr.MagnitudePruningCallback(0.8, 2, initial_sparsity=0.5),
        "target",
        0.8,
    ),
    "GraNet": Method(
        lambda: ksr.RewiringCallback(
            0.4, "rigl", 3, pruning=GRANET, pruned_together=True
        ),
        "target",
        0.8,
    ),
}


def averaging(optimizer):
    optimizer.start_averaging()
    return optimizer


OPTIMIZERS = {
    "Adam": lambda: keras.optimizers.Adam(0.02),
    "SGD with momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "RMSprop": lambda: keras.optimizers.RMSprop(0.01),
    "AdamW": lambda: keras.optimizers.AdamW(0.02, weight_decay=0.05),
    "Adagrad": lambda: keras.optimizers.Adagrad(0.1),
    "averaged SGD": lambda: averaging(ksr.AveragedSGD(0.1)),
}


def make_model(optimizer, clipping="sparse", **compile_args):
    """All layers one after the other."""
    options = {"sparsity": 0.5, "clipping": clipping}
    recurrent = {**options, "engine": "masked", "return_sequences": True}
    model = keras.Sequential(
        [
            keras.Input((STEPS,), dtype="int32"),
            ksr.SparseEmbedding(WORDS, 6, **options),
            keras.layers.Bidirectional(ksr.SparseGRU(4, **recurrent)),
            ksr.SparseSimpleRNN(6, **recurrent, granularity="kernel"),
            ksr.SparseRHN(5, depth=2, **recurrent),
            ksr.SparseLSTM(6, **{**recurrent, "return_sequences": False}),
            ksr.SparseDense(2, engine="masked", **options),
        ]
    )
    model.compile(optimizer, "mse", **compile_args)
    # With slots to look at before the first step.
    model.optimizer.build(model.trainable_variables)
    return model


def data():
    rng = np.random.default_rng(3)
    x = rng.integers(0, WORDS, (8 * BATCHES, STEPS)).astype("int32")
    return x, rng.normal(size=(len(x), 2)).astype("float32")


def fit(model, *callbacks, **options):
    x, y = data()
    options = {"epochs": EPOCHS, "x": x, "y": y, **options}
    return tiny.fit(model, *callbacks, **options)


def counts(weights):
    return [
        np.count_nonzero(np.array(weight.mask)[group.columns])
        for weight in weights
        for group in weight.groups
    ]


class Watch(keras.callbacks.Callback):
    """Looks after each step and at each epoch's beginning.

    Put it behind the callback that rewires.
    """

    def __init__(self, method, slots_are_clean=True):
        super().__init__()
        self.method = method
        self.slots_are_clean = slots_are_clean

    def on_train_begin(self, logs=None):
        self.weights = ksr.sparse_weights(self.model)
        self.first = self.last = counts(self.weights)
        self.fresh = self._fresh_slots()

    def on_train_batch_begin(self, batch, logs=None):
        self._look()

    def on_train_batch_end(self, batch, logs=None):
        self._look()

    def _fresh_slots(self):
        """The slots of an optimizer that has trained nothing yet."""
        optimizer = type(self.model.optimizer).from_config(
            self.model.optimizer.get_config()
        )
        optimizer.build(self.model.trainable_variables)
        return [dict(tiny.slots(optimizer, each)) for each in self.weights]

    def _look(self):
        now = counts(self.weights)
        if self.method.counts == "group":
            assert now == self.first
        elif self.method.counts == "total":
            assert sum(now) == sum(self.first)
        else:
            # With pruning none gains: but together each moves on its own.
            assert sum(now) <= sum(self.last)
        assert min(now) > 0
        self.last = now
        for weight, fresh in zip(self.weights, self.fresh, strict=True):
            empty = ~np.array(weight.mask)
            assert not np.array(weight.value)[empty].any()
            if not self.slots_are_clean:
                continue
            slots = dict(tiny.slots(self.model.optimizer, weight))
            assert slots.keys() == fresh.keys()
            assert slots
            for name, slot in slots.items():
                np.testing.assert_array_equal(slot[empty], fresh[name][empty])

    def assert_ended_well(self):
        assert self.first != self.last or self.method.counts == "group"
        assert all(weight.rewirings > 1 for weight in self.weights)
        if self.method.counts == "target":
            places = sum(weight.total for weight in self.weights)
            wanted = (1 - self.method.target) * places
            groups = len(self.last)
            assert abs(sum(self.last) - wanted) <= groups / 2


def products(names, shift=0):
    """All pairs of a method and an optimizer, most of them for patient people.

    Each method and each optimizer is in one of the others.
    """
    return [
        pytest.param(
            name,
            optimizer,
            marks=[]
            if (index - column + shift) % len(OPTIMIZERS) == 0
            else pytest.mark.slow,
        )
        for index, name in enumerate(names)
        for column, optimizer in enumerate(OPTIMIZERS)
    ]


@pytest.mark.parametrize(("name", "optimizer"), products(METHODS))
def test_counts_weights_and_slots_in_all_layers(name, optimizer):
    method = METHODS[name]
    model = make_model(OPTIMIZERS[optimizer](), run_eagerly=True)
    watch = Watch(method)
    history = fit(model, method.make(), watch).history
    watch.assert_ended_well()
    if name != "pruning":
        assert sum(history["connections_moved"]) > 20


@pytest.mark.parametrize(("name", "optimizer"), products(METHODS, shift=2))
def test_the_same_seed_gives_the_same_bits_in_traced_functions(name, optimizer):
    method, states = METHODS[name], []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        keras.utils.clear_session()
        model = make_model(OPTIMIZERS[optimizer]())
        watch = Watch(method)
        fit(model, method.make(), watch)
        watch.assert_ended_well()
        states.append(tiny.state(model))
        # Other names in between make no difference.
        make_model("sgd")
    assert tiny.same(*states)


@pytest.mark.parametrize(
    ("name", "optimizer"),
    products(["RigL", "SNFS", "GraNet", "DSR", "SET"]),
)
def test_masks_hold_with_dense_clipping(name, optimizer):
    method = METHODS[name]
    clipped = OPTIMIZERS[optimizer]()
    clipped.global_clipnorm = 0.1
    model = make_model(clipped, clipping="dense", run_eagerly=True)
    watch = Watch(method, slots_are_clean=False)
    fit(model, method.make(), watch)
    watch.assert_ended_well()


@pytest.mark.parametrize("name", METHODS)
def test_a_second_fit_goes_on(name):
    method = METHODS[name]
    model = make_model("adam", run_eagerly=True)
    fit(model, method.make(), epochs=2)
    before = [weight.rewirings for weight in ksr.sparse_weights(model)]
    watch = Watch(method)
    # Where it was pruned to the end, nothing is left to prune.
    fit(model, method.make(), watch, epochs=2)
    after = [weight.rewirings for weight in ksr.sparse_weights(model)]
    if name != "pruning":
        assert min(np.subtract(after, before)) > 0
    tiny.assert_zero_where_empty(model)
