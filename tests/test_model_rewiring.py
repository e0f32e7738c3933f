"""`ksr.rewire` on whole models."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn import rewiring
from keras_sparse_rnn.model_rewiring import exploration_rate
from tests import rewired_models


@pytest.fixture
def trained():
    return rewired_models.make_trained()


def test_what_is_reported(trained):
    model, optimizer = trained
    before = rewired_models.masks(model)
    report = ksr.rewire(model, optimizer, 0.5)
    weights = ksr.sparse_weights(model)
    # Of 30 connections in the table, of 10 and 8 in each of four gates.
    moved = [15, 4 * 5, 4 * 4]
    assert report.by_weight == {
        weight.path: count for weight, count in zip(weights, moved, strict=True)
    }
    assert report.connections_moved == sum(moved)
    assert report.rewire_rate == 0.5
    for mask, after, count in zip(
        before, rewired_models.masks(model), moved, strict=True
    ):
        new = after & ~mask
        assert 0 < np.count_nonzero(new) <= count
        assert np.count_nonzero(after) == np.count_nonzero(mask)


def test_what_is_noted_with_the_weights(trained):
    model, optimizer = trained
    ksr.rewire(model, optimizer, 0.25, epoch=7)
    rewired_models.train(model, optimizer, 1)
    ksr.rewire(model, optimizer, 0.5)
    for weight in ksr.sparse_weights(model):
        assert weight.rewirings == 2
        assert weight.last_step == 3
        assert weight.last_epoch == 7
        assert weight.rewire_rate == 0.5


def test_the_optimizer_of_a_compiled_model_is_found():
    model = rewired_models.make_model()
    model.compile("adam", "mse")
    rewired_models.train(model, model.optimizer)
    ksr.rewire(model, None, 0.5)
    for weight in ksr.sparse_weights(model):
        assert weight.last_step == 2


def test_a_rate_of_zero_moves_nothing(trained):
    model, optimizer = trained
    kept = [*model.trainable_variables, *optimizer.variables]
    before = (
        [variable.numpy().tobytes() for variable in kept],
        rewired_models.masks(model),
    )
    assert ksr.rewire(model, optimizer, 0).connections_moved == 0
    assert [variable.numpy().tobytes() for variable in kept] == before[0]
    np.testing.assert_equal(rewired_models.masks(model), before[1])


def test_the_exploration_rate_is_the_share_of_places_ever_active(trained):
    model, optimizer = trained
    weights = ksr.sparse_weights(model)
    ever = rewired_models.masks(model)
    for _ in range(4):
        ksr.rewire(model, optimizer, 0.5)
        ever = [
            a | b
            for a, b in zip(ever, rewired_models.masks(model), strict=True)
        ]
        counts = [np.count_nonzero(mask) for mask in ever]
        assert [weight.ever_active for weight in weights] == counts
        total = sum(mask.size for mask in ever)
        assert exploration_rate(weights) == sum(counts) / total


def test_a_users_own_rule(trained):
    model, optimizer = trained
    rule = rewiring.RewiringRule(
        drop=lambda weights, rate: np.arange(2),
        new_values=lambda shape, rng: np.full(shape, 0.75),
    )
    report = ksr.rewire(model, optimizer, 0.123, rule)
    assert report.connections_moved == 2 * 9
    for weight in ksr.sparse_weights(model):
        new = weight.value.numpy() == 0.75
        assert np.count_nonzero(new) == 2 * len(weight.groups)
        assert weight.mask.numpy()[new].all()


def test_a_shared_layer_is_rewired_once():
    table = ksr.SparseEmbedding(12, 4, sparsity=0.5)
    layer = ksr.SparseGRU(3, sparsity=0.5)
    one, other = (keras.Input((5,), dtype="int32") for _ in range(2))
    outputs = keras.layers.Add()([layer(table(one)), layer(table(other))])
    model = keras.Model([one, other], outputs)
    report = ksr.rewire(model, keras.optimizers.SGD(), 0.5)
    assert [w.rewirings for w in ksr.sparse_weights(model)] == [1, 1, 1]
    assert report.connections_moved == 12 + 3 * 3 + 3 * 3


def test_what_is_not_trainable_is_left_alone(trained):
    model, optimizer = trained
    model.get_layer("lstm").trainable = False
    before = rewired_models.everything(model.get_layer("lstm"), optimizer)[:6]
    report = ksr.rewire(model, optimizer, 0.5)
    assert list(report.by_weight) == [ksr.sparse_weights(model)[0].path]
    assert (
        rewired_models.everything(model.get_layer("lstm"), optimizer)[:6]
        == before
    )
    rewirings = [weight.rewirings for weight in ksr.sparse_weights(model)]
    assert rewirings == [1, 0, 0]
    # NaN in a frozen weight is not this step's business.
    frozen = ksr.sparse_weights(model)[1].value
    frozen.assign(np.full(frozen.shape, np.nan))
    ksr.rewire(model, optimizer, 0.5)

    model.trainable = False
    report = ksr.rewire(model, optimizer, 0.5)
    assert report.connections_moved == 0
    assert report.by_weight == {}


def test_selected_layers_alone_are_rewired(trained):
    model, optimizer = trained
    lstm = model.get_layer("lstm")
    for layers, rewirings in (
        (["table"], [1, 0, 0]),
        ([lstm], [1, 1, 1]),
        (lstm.cell, [1, 2, 2]),
        ("table", [2, 2, 2]),
        ([model], [3, 3, 3]),
    ):
        ksr.rewire(model, optimizer, 0.5, layers=layers)
        weights = ksr.sparse_weights(model)
        assert [weight.rewirings for weight in weights] == rewirings


class Subclassed(keras.Model):
    """A nested model, a wrapper and stacked cells."""

    def __init__(self):
        super().__init__()
        self.inner = rewired_models.make_model(return_sequences=True)
        self.both = keras.layers.Bidirectional(
            ksr.SparseGRU(3, sparsity=0.5, return_sequences=True)
        )
        self.stack = keras.layers.RNN(
            [ksr.SparseSimpleRNNCell(3, sparsity=0.5) for _ in range(2)]
        )

    def call(self, inputs):
        return self.stack(self.both(self.inner(inputs)))


def test_nested_and_subclassed_models():
    model, optimizer = Subclassed(), keras.optimizers.Adam(0.02)
    rewired_models.train(model, optimizer)
    weights = ksr.sparse_weights(model)
    assert len(weights) == 3 + 4 + 4
    before = rewired_models.masks(model)
    report = ksr.rewire(model, optimizer, 0.5)
    assert [weight.rewirings for weight in weights] == [1] * 11
    assert report.connections_moved == sum(report.by_weight.values())
    rewired_models.train(model, optimizer)
    for weight, mask in zip(weights, before, strict=True):
        now = weight.mask.numpy()
        assert (now != mask).any()
        assert np.count_nonzero(now) == np.count_nonzero(mask)
        assert not weight.value.numpy()[~now].any()


def test_weights_of_the_same_path_are_all_counted():
    """Layers of nested Functional models may have the same name."""

    def inner(name):
        inputs = keras.Input((6,))
        layer = ksr.SparseDense(4, sparsity=0.5, name="same")
        return keras.Model(inputs, layer(inputs), name=name)

    inputs = keras.Input((6,))
    outputs = keras.layers.Add()([inner("one")(inputs), inner("two")(inputs)])
    model = keras.Model(inputs, outputs)
    paths = [weight.path for weight in ksr.sparse_weights(model)]
    assert paths == ["same/kernel"] * 2
    report = ksr.rewire(model, keras.optimizers.SGD(), 0.5)
    assert report.by_weight == {"same/kernel": 12}
    assert report.connections_moved == 12


@pytest.mark.parametrize(
    "policy", ["mixed_float16", "mixed_bfloat16", "bfloat16", "float64"]
)
def test_other_precisions(policy):
    keras.config.set_dtype_policy(policy)
    # Keras's orthogonal initializer does not know bfloat16.
    model = rewired_models.make_model(recurrent_initializer="glorot_uniform")
    optimizer = keras.optimizers.Adam(0.02)
    rewired_models.train(model, optimizer)
    ksr.rewire(model, optimizer, 0.5, rule="set")
    ksr.rewire(model, optimizer, 0.5, new_slots="survivors_mean")
    rewired_models.train(model, optimizer)
    for weight in ksr.sparse_weights(model):
        assert not weight.value.numpy()[~weight.mask.numpy()].any()


def test_the_same_state_is_rewired_in_the_same_way(trained):
    model, optimizer = trained
    before = model.get_weights()
    ksr.rewire(model, optimizer, 0.5)
    first = model.get_weights()
    ksr.rewire(model, optimizer, 0.5)
    second = rewired_models.masks(model)
    model.set_weights(before)
    ksr.rewire(model, optimizer, 0.5)
    for one, other in zip(model.get_weights(), first, strict=True):
        assert one.tobytes() == other.tobytes()
    ksr.rewire(model, optimizer, 0.5)
    np.testing.assert_equal(rewired_models.masks(model), second)


PROGRAM = """
import hashlib
import keras
import keras_sparse_rnn as ksr

keras.utils.set_random_seed(3)
model = keras.Sequential(
    [
        keras.Input((5,), dtype="int32"),
        ksr.SparseEmbedding(12, 5, sparsity=0.5),
        ksr.SparseLSTM(4, sparsity=0.5),
    ]
)
optimizer = keras.optimizers.Adam()
for _ in range(3):
    ksr.rewire(model, optimizer, 0.5, rule="set")
for weight in ksr.sparse_weights(model):
    for variable in (weight.mask, weight.value):
        print(hashlib.sha256(variable.numpy().tobytes()).hexdigest())
"""


def test_one_seed_gives_the_same_masks_in_every_process():
    printed = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={
                **os.environ,
                "PYTHONHASHSEED": seed,
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1
    assert len(set(printed.pop().split())) == 6


def test_stray_weights_and_slots_are_cleared_in_a_loop_of_ones_own():
    model = keras.Sequential(
        [keras.Input((4, 3)), ksr.SparseLSTM(5, sparsity=0.5)]
    )
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((2, 4, 3)), np.ones((2, 5)))
    full = [
        np.ones_like(value) if value.dtype == np.float32 else value
        for value in model.get_weights()
    ]
    model.set_weights(full)
    ksr.rewire(model, model.optimizer, 0.3)
    for weight in ksr.sparse_weights(model):
        assert not weight.value.numpy()[~weight.mask.numpy()].any()


def test_prunes_to_a_sparsity_without_growing(trained):
    model, optimizer = trained
    masks = [weight.mask.numpy() for weight in ksr.sparse_weights(model)]
    report = ksr.rewire(model, optimizer, 0, sparsity=0.8)
    for weight, before in zip(ksr.sparse_weights(model), masks, strict=True):
        after = weight.mask.numpy()
        assert not (after & ~before).any()
        for group in weight.groups:
            of_group = after[group.columns]
            assert of_group.sum() == round(0.2 * of_group.size)
    assert report.connections_moved == 0
    assert report.connections_pruned == sum(
        before.sum() - weight.active
        for weight, before in zip(ksr.sparse_weights(model), masks, strict=True)
    )


def test_pruned_together_the_total_is_exact(trained):
    model, optimizer = trained
    ksr.rewire(model, optimizer, 0.3, sparsity=0.8, pruned_together=True)
    weights = ksr.sparse_weights(model)
    assert sum(weight.active for weight in weights) == round(
        0.2 * sum(weight.total for weight in weights)
    )


def test_nothing_goes_from_a_model_that_is_full_everywhere():
    model = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            ksr.SparseEmbedding(12, 5, sparsity=0),
            ksr.SparseLSTM(4, sparsity=0),
            keras.layers.Dense(2),
        ]
    )
    optimizer = keras.optimizers.Adam(0.02)
    optimizer.build(model.trainable_variables)
    before = ksr.strip_sparsity(model).get_weights()
    thresholds = set()
    for _ in range(2):
        done = ksr.rewire(model, optimizer, 0.5, "dsr")
        assert (done.connections_moved, done.connections_pruned) == (0, 0)
        thresholds |= {each.threshold for each in ksr.sparse_weights(model)}
    # Nor does the threshold rise to find more.
    assert len(thresholds) == 1
    after = ksr.strip_sparsity(model).get_weights()
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_full_weight_beside_one_with_room_takes_part():
    model = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            ksr.SparseEmbedding(12, 5, sparsity=0),
            ksr.SparseLSTM(4, sparsity=0.5),
        ]
    )
    optimizer = keras.optimizers.Adam(0.02)
    optimizer.build(model.trainable_variables)
    before = sum(weight.active for weight in ksr.sparse_weights(model))
    assert ksr.rewire(model, optimizer, 0.5, "dsr").connections_moved
    assert sum(w.active for w in ksr.sparse_weights(model)) == before
