import dataclasses
import functools

import keras
import numpy as np
import pytest
from methods import METHODS
from methods import Plan
from methods import connections
from methods import nearest_width
from text_model import TextModelSize
from text_model import build_text_model
from text_pipeline import ShuffledBatches

import keras_sparse_rnn as ksr

SIZE = TextModelSize(
    vocabulary_size=40,
    sequence_length=6,
    embedding_dim=8,
    units=12,
    classes=3,
)
TOPOLOGY = ksr.topology.ErdosRenyi(2)
BATCH = 16


class KilledError(Exception):
    """Stands for a kill."""


class KillAfter(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KilledError


def batches():
    rng = np.random.default_rng(0)
    ids = rng.integers(0, SIZE.vocabulary_size, (80, SIZE.sequence_length))
    return ShuffledBatches(
        ids.astype("int32"), ids.sum(axis=1) % SIZE.classes, BATCH, 0
    )


def plan(name, epochs):
    rate = METHODS[name].rewire_rate or 0.4
    return Plan(TOPOLOGY, rate, epochs, len(batches()))


def built(name, epochs):
    method = METHODS[name]
    size = SIZE
    if method.is_small:
        size = SIZE.narrowed(SIZE.connections(TOPOLOGY))
    keras.utils.set_random_seed(3)
    model = build_text_model(size, 0.01, method.layers(plan(name, epochs)))
    # Compiling would take longer than training.
    model.jit_compile = False
    return model


def trained(name, epochs, *callbacks):
    model = built(name, epochs)
    of_method = METHODS[name].callbacks(model, plan(name, epochs))
    fit(model, epochs, *of_method, *callbacks)
    return model


def fit(model, epochs, *callbacks):
    data = batches()
    model.fit(
        data,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[ksr.EpochSeed(3, data=data), *callbacks],
    )


@functools.cache
def trained_for_four_epochs(name):
    """The same model for several tests, which leave it as it is."""
    return trained(name, 4)


def moved(model, before):
    """Whether any mask is another than before."""
    return any(
        (weight.mask.numpy() != mask).any()
        for weight, mask in zip(ksr.sparse_weights(model), before, strict=True)
    )


def masks(model):
    return [weight.mask.numpy() for weight in ksr.sparse_weights(model)]


SPARSE = [name for name in METHODS if METHODS[name].layers(plan(name, 4))]


@pytest.mark.parametrize("name", SPARSE)
def test_ends_with_the_connections_of_erdos_renyi_masks(name):
    model = trained_for_four_epochs(name)
    report = ksr.sparsity_report(model)
    assert report.active == SIZE.connections(TOPOLOGY)
    before = masks(built(name, 4))
    assert moved(model, before) == (name != "static")


@pytest.mark.parametrize("name", ["set", "st_rnn", "rigl", "deep_r", "static"])
def test_each_matrix_keeps_its_connections(name):
    for weight in ksr.sparse_weights(trained_for_four_epochs(name)):
        assert weight.active == connections(weight, TOPOLOGY)


def test_pruning_gives_each_layer_its_share():
    model = trained_for_four_epochs("magnitude_pruning")
    for layer in model.layers[:2]:
        weights = ksr.sparse_weights(layer)
        assert sum(weight.active for weight in weights) == sum(
            connections(weight, TOPOLOGY) for weight in weights
        )


@pytest.mark.parametrize("name", ["magnitude_pruning", "granet"])
@pytest.mark.parametrize("epochs", [1, 6])
def test_pruning_is_done_in_the_first_epoch_that_may_be_chosen(name, epochs):
    active = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: active.append(
            ksr.sparsity_report(note.model).active
        )
    )
    trained(name, epochs, note)
    first = METHODS[name].first_candidate(plan(name, epochs))
    assert set(active[first:]) == {SIZE.connections(TOPOLOGY)}
    assert all(count > SIZE.connections(TOPOLOGY) for count in active[:first])


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_makes_no_use_of_it_does_not_look_at(name):
    looked_at = set()

    class Watched(Plan):
        def __getattribute__(self, attribute):
            looked_at.add(attribute)
            return super().__getattribute__(attribute)

    method, model = METHODS[name], built(name, 4)
    watched = Watched(**vars(plan(name, 4)))
    looked_at.clear()
    method.layers(watched)
    method.callbacks(model, watched)
    if method.is_small:
        # It is narrowed by it.
        looked_at.add("topology")
    assert {"topology", "rewire_rate"} - looked_at == {*method.unused}


@pytest.mark.parametrize("epsilon", [0.5, 1.5, 2, 2.2, 3, 100])
def test_granet_refuses_what_it_cannot_prune(epsilon):
    topology = ksr.topology.ErdosRenyi(epsilon)
    density = SIZE.connections(topology) / SIZE.weights
    model = built("granet", 4)
    [callback] = METHODS["granet"].callbacks(
        model, dataclasses.replace(plan("granet", 4), topology=topology)
    )
    if density > 0.5:
        with pytest.raises(ValueError, match=rf"density={density:.3f}$"):
            METHODS["granet"].check(density)
        with pytest.raises(ValueError, match="would need connections"):
            fit(model, 4, callback)
    else:
        METHODS["granet"].check(density)
        fit(model, 4, callback)
        report = ksr.sparsity_report(model)
        assert report.active == SIZE.connections(topology)


@pytest.mark.parametrize("name", METHODS)
def test_finished_it_is_a_plain_model_that_predicts_the_same(name):
    model = trained_for_four_epochs(name)
    plain = METHODS[name].finish(model)
    assert ksr.sparse_weights(plain) == []
    np.testing.assert_allclose(
        plain.predict(batches().x, verbose=0),
        model.predict(batches().x, verbose=0),
        rtol=1e-4,
    )


@pytest.mark.parametrize("name", METHODS)
def test_resumed_it_ends_as_if_it_had_not_been_killed(name, tmp_path):
    def backup():
        return keras.callbacks.BackupAndRestore(
            tmp_path, delete_checkpoint=False
        )

    whole = trained_for_four_epochs(name)
    with pytest.raises(KilledError):
        trained(name, 4, backup(), KillAfter(1))
    resumed = trained(name, 4, backup())
    for value, expected in zip(
        resumed.get_weights(), whole.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(value, expected)


def test_small_dense_has_about_as_many_weights():
    size = TextModelSize(20_000, 100, 256, 256, 2)
    small = size.narrowed(size.connections(ksr.topology.ErdosRenyi(10)))
    assert (small.embedding_dim, small.units) == (12, 12)
    # 20000 * 12 + 8 * 12 ** 2; one more would be 20,013 further.
    assert small.weights == 241_152


@pytest.mark.parametrize(
    ("budget", "width"),
    [(1, 1), (4, 2), (6, 2), (7, 3), (9, 3), (12, 3), (13, 4), (10**4, 100)],
)
def test_nearest_width(budget, width):
    assert nearest_width(lambda width: width**2, budget) == width


@pytest.mark.parametrize(
    ("epsilon", "expected"),
    # Section 4 of Liu et al. (2021): 95.7, 99.1 and 52.5 % of 5,644,288 empty.
    [(10, 243_520), (2, 48_704), (110, 2_678_720)],
)
def test_connections_are_those_of_the_paper(epsilon, expected):
    size = TextModelSize(20_000, 100, 256, 256, 2)
    assert size.weights == 5_644_288
    assert size.connections(ksr.topology.ErdosRenyi(epsilon)) == expected


def test_sizes_count_what_is_built():
    for cell in ("lstm", "gru", "simple_rnn"):
        size = TextModelSize(30, 5, 6, 10, 2, cell)
        report = ksr.sparsity_report(
            build_text_model(size, 0.1, {"epsilon": 1})
        )
        assert (report.total, report.active) == (
            size.weights,
            size.connections(ksr.topology.ErdosRenyi(1)),
        )
