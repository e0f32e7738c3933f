"""Weights and slots in every optimizer, before, at and after rewirings."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_sparse_rnn as ksr
from keras_sparse_rnn import optimizer_slots

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
TOKENS = np.random.default_rng(0).integers(0, 12, (16, 5))
LABELS = TOKENS.sum(axis=1) % 2

OPTIMIZERS = {
    "sgd": (keras.optimizers.SGD, {"learning_rate": 0.1}),
    "momentum": (keras.optimizers.SGD, {"learning_rate": 0.1, "momentum": 0.9}),
    "nesterov": (
        keras.optimizers.SGD,
        {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
    ),
    "adam": (keras.optimizers.Adam, {"learning_rate": 0.02}),
    "amsgrad": (
        keras.optimizers.Adam,
        {"learning_rate": 0.02, "amsgrad": True},
    ),
    "adamw": (keras.optimizers.AdamW, {"learning_rate": 0.02}),
    "nadam": (keras.optimizers.Nadam, {"learning_rate": 0.02}),
    "adamax": (keras.optimizers.Adamax, {"learning_rate": 0.02}),
    "lamb": (keras.optimizers.Lamb, {"learning_rate": 0.02}),
    "rmsprop": (keras.optimizers.RMSprop, {"learning_rate": 0.02}),
    "rmsprop_centered": (
        keras.optimizers.RMSprop,
        # Keras squares the gradients of repeated tokens one by one, so that
        # its estimate of the variance falls below 0 with a smaller epsilon.
        {
            "learning_rate": 0.02,
            "momentum": 0.9,
            "centered": True,
            "epsilon": 0.1,
        },
    ),
    # A start so small that small gradients show in the sums.
    "adagrad": (
        keras.optimizers.Adagrad,
        {"learning_rate": 0.1, "initial_accumulator_value": 1e-4},
    ),
    "adadelta": (keras.optimizers.Adadelta, {"learning_rate": 1.0}),
    "ftrl": (
        keras.optimizers.Ftrl,
        {"learning_rate": 0.1, "initial_accumulator_value": 1e-4},
    ),
    "lion": (keras.optimizers.Lion, {"learning_rate": 0.02}),
}
EMA = {"use_ema": True, "ema_momentum": 0.8}
EVERYTHING = {
    **EMA,
    "ema_overwrite_frequency": 2,
    "weight_decay": 0.05,
    "gradient_accumulation_steps": 2,
    "global_clipnorm": 0.1,
}
# The optimizer's options, and whether it is wrapped in a LossScaleOptimizer.
OPTIONS = {
    "plain": ({}, False),
    "weight_decay": ({"weight_decay": 0.05}, False),
    "ema": (EMA, False),
    "ema_overwrite": ({**EMA, "ema_overwrite_frequency": 2}, False),
    "scaled": ({}, True),
    "accumulation": ({"gradient_accumulation_steps": 2}, False),
    "everything_scaled": (EVERYTHING, True),
}

# Moving average of the weights themselves: not a slot that starts at nothing.
AVERAGE = "average"


def make_optimizer(name, options="plain"):
    cls, arguments = OPTIMIZERS[name]
    further, scaled = OPTIONS[options]
    optimizer = cls(**arguments, **further)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(
            optimizer, initial_scale=1024.0
        )
    return optimizer


def make_model(recurrent=ksr.SparseLSTM, **arguments):
    arguments = {"sparsity": 0.6, **arguments}
    return keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            ksr.SparseEmbedding(12, 5, sparsity=0.5, topology_seed=1),
            recurrent(4, topology_seed=2, **arguments),
            keras.layers.Dense(2),
        ]
    )


@dataclasses.dataclass
class State:
    """Copies of what belongs to one sparse weight."""

    value: np.ndarray
    mask: np.ndarray
    slots: dict
    fresh: dict
    groups: tuple


class Watch:
    """Looks at a model and its optimizer, from outside the package.

    Slots are found by Keras's public naming, not as the package finds them,
    and those of a fresh optimizer by making one.
    """

    def __init__(self, model, optimizer):
        self.model = model
        self.optimizer = optimizer
        self.weights = ksr.sparse_weights(model)
        fresh = type(optimizer).from_config(optimizer.get_config())
        fresh.build(model.trainable_variables)
        optimizer.build(model.trainable_variables)
        self.slots = [self._slots(optimizer, w) for w in self.weights]
        self.fresh = [
            {name: slot.numpy() for name, slot in self._slots(fresh, w).items()}
            for w in self.weights
        ]

    def _slots(self, optimizer, weight):
        prefix = weight.path.replace("/", "_") + "_"
        return {
            variable.name.removeprefix(prefix): variable
            for variable in optimizer.variables
            if variable.name.startswith(prefix)
        }

    def states(self):
        return [
            State(
                weight.value.numpy(),
                weight.mask.numpy(),
                {name: slot.numpy() for name, slot in slots.items()},
                fresh,
                weight.groups,
            )
            for weight, slots, fresh in zip(
                self.weights, self.slots, self.fresh, strict=True
            )
        ]

    def assert_clean(self):
        """Where there is no connection, all is as it was before training."""
        for state in self.states():
            empty = ~state.mask
            assert not state.value[empty].any()
            for name, slot in state.slots.items():
                fresh = 0 * slot if name == AVERAGE else state.fresh[name]
                np.testing.assert_array_equal(slot[empty], fresh[empty])

    def assert_slots_in_use(self):
        """Otherwise there would be nothing to clear, and to see."""
        for state in self.states():
            for name, slot in state.slots.items():
                assert (slot != state.fresh[name])[state.mask].any(), name

    def rewire(self, rate=0.4):
        """Rewires, and compares the states before and after."""
        before = self.states()
        report = ksr.rewire(self.model, self.optimizer, rate)
        moved = 0
        for old, new in zip(before, self.states(), strict=True):
            survivors = old.mask & ~dropped_by_sorting(old, rate)
            grown = new.mask & ~survivors
            assert new.mask[survivors].all()
            assert not new.value[grown].any()
            for group in old.groups:
                counts = [m[group.columns].sum() for m in (old.mask, new.mask)]
                assert counts[0] == counts[1]
            assert_same_bits(new.value[survivors], old.value[survivors])
            for name, slot in new.slots.items():
                assert_same_bits(slot[survivors], old.slots[name][survivors])
                expected = new.value if name == AVERAGE else new.fresh[name]
                np.testing.assert_array_equal(slot[grown], expected[grown])
            moved += np.count_nonzero(grown)
        assert report.connections_moved == moved > 0
        self.assert_clean()


def assert_same_bits(one, other):
    assert one.tobytes() == other.tobytes()


def dropped_by_sorting(state, rate):
    dropped = np.zeros_like(state.mask)
    for group in state.groups:
        part = dropped[group.columns]
        places = np.flatnonzero(state.mask[group.columns])
        size = np.abs(state.value[group.columns].reshape(-1)[places])
        count = int(rate * len(places) + 0.5)
        chosen = places[np.argsort(size, kind="stable")[:count]]
        part[np.unravel_index(chosen, part.shape)] = True
    return dropped


class Loop:
    """A hand-written training loop on one model, from the same start."""

    def __init__(self, recurrent, **arguments):
        keras.utils.set_random_seed(1)
        self.model = make_model(recurrent, **arguments)
        self.start = self.model.get_weights()

        @tf.function
        def gradients(scale):
            with tf.GradientTape() as tape:
                loss = LOSS(LABELS, self.model(TOKENS)) * scale
            return tape.gradient(loss, self.model.trainable_variables)

        self.gradients = gradients

    def step(self, optimizer):
        scale = ops.convert_to_tensor(optimizer.scale_loss(1.0))
        optimizer.apply(self.gradients(scale), self.model.trainable_variables)

    def run(self, watch, steps=3):
        for _ in range(steps):
            self.step(watch.optimizer)
            watch.assert_clean()


@pytest.fixture(scope="module")
def shared_loop():
    return Loop(ksr.SparseLSTM)


@pytest.fixture
def loop(shared_loop):
    shared_loop.model.set_weights(shared_loop.start)
    return shared_loop


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_and_slots_in_a_loop(loop, name, options):
    optimizer = make_optimizer(name, options)
    watch = Watch(loop.model, optimizer)
    # Three steps: with accumulation every other rewiring falls between two
    # updates.
    loop.run(watch)
    watch.assert_slots_in_use()
    for _ in range(2):
        watch.rewire()
        loop.run(watch)
    optimizer.finalize_variable_values(loop.model.trainable_variables)
    watch.assert_clean()
    after = loop.model.get_weights()
    assert any((a != b).any() for a, b in zip(after, loop.start, strict=True))


class Rewirer(keras.callbacks.Callback):
    """Rewires before epochs 1, 2, … and looks after every step."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch:
            self.watch.rewire()

    def on_train_batch_end(self, batch, logs=None):
        if batch == 0 and self.model.optimizer.iterations < 2:
            self.watch = Watch(self.model, self.model.optimizer)
        self.watch.assert_clean()


def fit(optimizer, **arguments):
    model = make_model(ksr.SparseGRU)
    model.compile(optimizer, LOSS, **{"jit_compile": False, **arguments})
    rewirer = Rewirer()
    model.fit(TOKENS, LABELS, 6, epochs=3, verbose=0, callbacks=[rewirer])
    rewirer.watch.assert_clean()
    assert [w.rewirings for w in ksr.sparse_weights(model)] == [2, 2, 2]
    return rewirer.watch


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_and_slots_in_fit(name, options):
    optimizer = make_optimizer(name, options)
    watch = fit(optimizer)
    if getattr(optimizer, "inner_optimizer", optimizer).use_ema:
        # At its end `fit` puts the averages in the place of the weights.
        for state in watch.states():
            np.testing.assert_array_equal(state.value, state.slots[AVERAGE])


def test_weights_and_slots_under_xla():
    fit(make_optimizer("adam"), jit_compile=True)


@pytest.mark.parametrize("granularity", ["kernel", "unit"])
def test_new_weights_that_are_not_zero(granularity):
    """Averages of the weights start at them, other slots at nothing."""
    loop = Loop(ksr.SparseGRU, granularity=granularity)
    optimizer = make_optimizer("adam", "ema_overwrite")
    watch = Watch(loop.model, optimizer)
    loop.run(watch)
    for _ in range(3):
        before = watch.states()
        ksr.rewire(loop.model, optimizer, 0.4, rule="set")
        for old, new in zip(before, watch.states(), strict=True):
            grown = new.mask & (new.value != old.value)
            survivors = new.mask & ~grown
            average = new.slots[AVERAGE]
            assert grown.any()
            np.testing.assert_array_equal(average[grown], new.value[grown])
            assert_same_bits(average[survivors], old.slots[AVERAGE][survivors])
            for name in ("momentum", "velocity"):
                assert not new.slots[name][grown].any()
        loop.run(watch)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("momentum", "plain"),
        ("nesterov", "plain"),
        ("adam", "plain"),
        ("amsgrad", "plain"),
        ("adamw", "plain"),
        ("nadam", "plain"),
        ("adamax", "plain"),
        ("lamb", "plain"),
        ("rmsprop_centered", "plain"),
        ("ftrl", "plain"),
        ("lion", "plain"),
        ("sgd", "ema_overwrite"),
        ("sgd", "accumulation"),
    ],
)
def test_without_clearing_dropped_weights_move(
    loop, monkeypatch, name, options
):
    """The tests above can fail: a stale slot moves a dropped weight."""
    monkeypatch.setattr(optimizer_slots, "restart", lambda *args: None)
    watch = Watch(loop.model, make_optimizer(name, options))
    loop.run(watch)
    ksr.rewire(loop.model, watch.optimizer, 0.4)
    for _ in range(2):
        loop.step(watch.optimizer)
    stray = [np.abs(s.value[~s.mask]).max() for s in watch.states()]
    assert max(stray) > 1e-5
    with pytest.raises(AssertionError):
        watch.assert_clean()
