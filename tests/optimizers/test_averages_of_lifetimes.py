"""Averages of connections that come and go, against NumPy: SNT-ASGD."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests import test_optimizer_slots_in_training as slots

WORDS, STEPS = 20, 4


def make_model(clipping="sparse", **compile_args):
    options = {"sparsity": 0.5, "clipping": clipping}
    model = keras.Sequential(
        [
            keras.Input((STEPS,), dtype="int32"),
            ksr.SparseEmbedding(WORDS, 6, topology_seed=1, **options),
            keras.layers.Flatten(),
            ksr.SparseDense(8, topology_seed=2, activation="tanh", **options),
            keras.layers.Dense(1),
        ]
    )
    optimizer = ksr.AveragedSGD(0.2, momentum=0.5, global_clipnorm=0.1)
    model.compile(optimizer, "mse", **compile_args)
    return model


def data():
    rng = np.random.default_rng(4)
    # Some words never occur: their weights are grown at 0, and stay there.
    x = rng.integers(0, WORDS - 5, (16, STEPS))
    return {"x": x, "y": rng.normal(size=(16, 1)), "batch_size": 4}


class Simulation(keras.callbacks.Callback):
    """Averages in NumPy what each connection was in its lifetime.

    Put it behind the callback that rewires.

    Args:
        start: Integer, the epoch at whose beginning averaging begins.
    """

    def __init__(self, start):
        super().__init__()
        self.start = start

    def on_train_begin(self, logs=None):
        self.weights = ksr.sparse_weights(self.model)
        self.averages = [np.zeros(each.shape) for each in self.weights]
        self.updates = [np.zeros(each.shape) for each in self.weights]
        self.before = None
        self.begun_anew = 0

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.start:
            self.model.optimizer.start_averaging()

    def on_train_batch_begin(self, batch, logs=None):
        if self.before is None:
            return
        for weight, updates, (mask, value) in zip(
            self.weights, self.updates, self.before, strict=True
        ):
            # A connection that is dropped and grown at once is at 0 then.
            is_another = (weight.mask.numpy() != mask) | (
                weight.value.numpy() != value
            )
            updates[is_another] = 0
            self.begun_anew += np.count_nonzero(is_another)

    def on_train_batch_end(self, batch, logs=None):
        self.before = [
            (weight.mask.numpy(), weight.value.numpy())
            for weight in self.weights
        ]
        if not self.model.optimizer.is_averaging:
            return
        for average, updates, (mask, value) in zip(
            self.averages, self.updates, self.before, strict=True
        ):
            updates[mask] += 1
            average[~mask] = updates[~mask] = 0
            share = np.where(updates <= 2, 1, 1 / np.maximum(updates - 1, 1))
            average += share * (value - average)

    def assert_same(self):
        for weight, average, updates in zip(
            self.weights, self.averages, self.updates, strict=True
        ):
            found = slots_of(self.model.optimizer, weight)
            np.testing.assert_array_equal(found["averaged_updates"], updates)
            np.testing.assert_allclose(
                found["average"], average, rtol=1e-4, atol=1e-6
            )


def slots_of(optimizer, weight):
    watch = slots.Watch.__new__(slots.Watch)
    return {
        name: slot.numpy()
        for name, slot in watch._slots(optimizer, weight).items()
    }


CALLBACKS = {
    "ST-RNN": lambda: ksr.SETCallback(0.5),
    "SET": lambda: ksr.SETCallback(0.3, rule="set", frequency=3),
    "pruning": lambda: ksr.MagnitudePruningCallback(0.8, 3),
}


@pytest.mark.parametrize("clipping", ["sparse", "dense"])
@pytest.mark.parametrize("name", CALLBACKS)
def test_an_average_is_of_a_connections_current_lifetime(name, clipping):
    model = make_model(clipping)
    simulation = Simulation(start=2)
    model.fit(
        **data(),
        epochs=6,
        verbose=0,
        callbacks=[CALLBACKS[name](), simulation],
    )
    simulation.assert_same()
    assert simulation.begun_anew > 30
    # Longer and shorter lifetimes, and one that began before averaging did.
    lengths = np.unique(np.concatenate([*map(np.ravel, simulation.updates)]))
    assert lengths[0] == 0
    assert lengths[-1] == 16
    assert name == "pruning" or len(lengths) > 3
    for weight, average in zip(
        simulation.weights, simulation.averages, strict=True
    ):
        # What `fit` ends with.
        value, empty = weight.value.numpy(), ~weight.mask.numpy()
        np.testing.assert_allclose(value, average, rtol=1e-4, atol=1e-6)
        assert not value[empty].any()


def test_a_weight_that_stays_at_0_has_a_lifetime():
    model = make_model()
    simulation = Simulation(start=1)
    model.fit(
        **data(),
        epochs=4,
        verbose=0,
        callbacks=[ksr.SETCallback(0.5), simulation],
    )
    table = ksr.sparse_weights(model)[0]
    unmoved = table.mask.numpy() & (table.value.numpy() == 0)
    assert unmoved.any()
    assert (
        slots_of(model.optimizer, table)["averaged_updates"][unmoved] > 0
    ).all()


@pytest.mark.parametrize("clipping", ["sparse", "dense"])
def test_empty_places_are_0_while_averages_stand_for_weights(clipping):
    model = make_model(clipping)
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    optimizer.start_averaging()
    arrays = data()
    for step in range(6):
        model.train_on_batch(arrays["x"], arrays["y"])
        if step % 2:
            ksr.rewire(model, optimizer, 0.5, "set")
        with optimizer.averaged_weights():
            for weight in ksr.sparse_weights(model):
                assert not weight.value.numpy()[~weight.mask.numpy()].any()


@pytest.mark.parametrize("rule", ["st_rnn", "set"])
def test_a_new_connection_is_its_own_average_till_it_is_updated(rule):
    model = make_model()
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    optimizer.start_averaging()
    arrays = data()
    for _ in range(4):
        model.train_on_batch(arrays["x"], arrays["y"])
    before = [weight.value.numpy() for weight in ksr.sparse_weights(model)]
    ksr.rewire(model, optimizer, 0.5, rule)
    for weight, value in zip(ksr.sparse_weights(model), before, strict=True):
        now, found = weight.value.numpy(), slots_of(optimizer, weight)
        changed = now != value
        assert changed.any()
        np.testing.assert_array_equal(found["average"][changed], now[changed])
        assert not found["averaged_updates"][changed].any()
        assert (found["averaged_updates"][~changed & (now != 0)] == 4).all()
        with optimizer.averaged_weights():
            np.testing.assert_array_equal(
                weight.value.numpy()[changed], now[changed]
            )


@pytest.mark.parametrize(
    "further",
    [{}, {"momentum": 0.9}, {"gradient_accumulation_steps": 2}],
    ids=["plain", "momentum", "accumulation"],
)
@pytest.mark.parametrize("scaled", [False, True])
def test_slots_are_started_and_cleared_as_those_of_others(further, scaled):
    optimizer = inner = ksr.AveragedSGD(0.1, **further)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(inner, 1024.0)
    loop = slots.Loop(ksr.SparseGRU)
    watch = slots.Watch(loop.model, optimizer)
    inner.start_averaging()
    loop.run(watch)
    watch.assert_slots_in_use()
    for _ in range(2):
        watch.rewire()
        loop.run(watch)
    optimizer.finalize_variable_values(loop.model.trainable_variables)
    watch.assert_clean()
