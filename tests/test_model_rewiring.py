"""`ksr.rewire` on whole models."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_sparse_rnn as ksr
from keras_sparse_rnn import rewiring
from keras_sparse_rnn.model_rewiring import exploration_rate

TOKENS = np.random.default_rng(0).integers(0, 12, (8, 5))


def make_model(seed=1, **arguments):
    return keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            ksr.SparseEmbedding(
                12, 5, sparsity=0.5, topology_seed=seed, name="table"
            ),
            ksr.SparseLSTM(
                4, sparsity=0.5, topology_seed=seed, name="lstm", **arguments
            ),
            keras.layers.Dense(2, name="head"),
        ]
    )


def train(model, optimizer, steps=2):
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = ops.mean(ops.square(model(TOKENS) - 1.0))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)


def make_trained():
    model, optimizer = make_model(), keras.optimizers.Adam(0.02)
    train(model, optimizer)
    return model, optimizer


@pytest.fixture
def trained():
    return make_trained()


@pytest.fixture(scope="module")
def trained_and_not_changed():
    return make_trained()


def everything(model, optimizer):
    """All that a rewiring could change, as bytes."""
    variables = [*model.variables, *optimizer.variables]
    return [variable.numpy().tobytes() for variable in variables]


def masks(model):
    return [weight.mask.numpy() for weight in ksr.sparse_weights(model)]


def refusal(trained, match, **arguments):
    """The message with which a call is refused, without a change."""
    model, optimizer = trained
    before = everything(model, optimizer)
    with pytest.raises(ValueError, match=match) as error:
        ksr.rewire(
            model, **{"optimizer": optimizer, "rewire_rate": 0.3, **arguments}
        )
    assert everything(model, optimizer) == before
    return str(error.value)


def test_what_is_reported(trained):
    model, optimizer = trained
    before = masks(model)
    report = ksr.rewire(model, optimizer, 0.5)
    weights = ksr.sparse_weights(model)
    # Of 30 connections in the table, of 10 and 8 in each of four gates.
    moved = [15, 4 * 5, 4 * 4]
    assert report.by_weight == {
        weight.path: count for weight, count in zip(weights, moved, strict=True)
    }
    assert report.connections_moved == sum(moved)
    assert report.rewire_rate == 0.5
    for mask, after, count in zip(before, masks(model), moved, strict=True):
        new = after & ~mask
        assert 0 < np.count_nonzero(new) <= count
        assert np.count_nonzero(after) == np.count_nonzero(mask)


def test_what_is_noted_with_the_weights(trained):
    model, optimizer = trained
    ksr.rewire(model, optimizer, 0.25, epoch=7)
    train(model, optimizer, 1)
    ksr.rewire(model, optimizer, 0.5)
    for weight in ksr.sparse_weights(model):
        assert weight.rewirings == 2
        assert weight.last_step == 3
        assert weight.last_epoch == 7
        assert weight.rewire_rate == 0.5


def test_the_optimizer_of_a_compiled_model_is_found():
    model = make_model()
    model.compile("adam", "mse")
    train(model, model.optimizer)
    ksr.rewire(model, None, 0.5)
    for weight in ksr.sparse_weights(model):
        assert weight.last_step == 2


def test_a_rate_of_zero_moves_nothing(trained):
    model, optimizer = trained
    kept = [*model.trainable_variables, *optimizer.variables]
    before = [variable.numpy().tobytes() for variable in kept], masks(model)
    assert ksr.rewire(model, optimizer, 0).connections_moved == 0
    assert [variable.numpy().tobytes() for variable in kept] == before[0]
    np.testing.assert_equal(masks(model), before[1])


def test_the_exploration_rate_is_the_share_of_places_ever_active(trained):
    model, optimizer = trained
    weights = ksr.sparse_weights(model)
    ever = masks(model)
    for _ in range(4):
        ksr.rewire(model, optimizer, 0.5)
        ever = [a | b for a, b in zip(ever, masks(model), strict=True)]
        counts = [np.count_nonzero(mask) for mask in ever]
        assert [weight.ever_active for weight in weights] == counts
        total = sum(mask.size for mask in ever)
        assert exploration_rate(weights) == sum(counts) / total


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"rewire_rate": -0.1}, "rewire_rate=-0.1"),
        ({"rewire_rate": 1.1}, "rewire_rate=1.1"),
        ({"rewire_rate": float("nan")}, "rewire_rate=nan"),
        ({"rewire_rate": "0.3"}, "rewire_rate='0.3'"),
        ({"rewire_rate": None}, "rewire_rate=None"),
        ({"rewire_rate": True}, "rewire_rate=True"),
        ({"rule": "no_such_rule"}, "rule='no_such_rule'"),
        ({"rule": None}, "rule=None"),
        ({"new_slots": "stale"}, "new_slots='stale'"),
        ({"layers": ["lstm", "gru"]}, "layers='gru'"),
        ({"layers": ["head"]}, "layers='head' in ['head']"),
        ({"layers": []}, "layers=[]"),
        ({"optimizer": "adam"}, "optimizer=adam"),
    ],
)
def test_arguments_out_of_range(trained_and_not_changed, arguments, received):
    message = refusal(trained_and_not_changed, "Received: ", **arguments)
    assert message.endswith(f"Received: {received}")


def test_a_model_that_is_not_compiled(trained):
    message = refusal(trained, "compile the model", optimizer=None)
    assert message.endswith(f"model='{trained[0].name}', not compiled")
    assert "Received: optimizer=None" in message


def test_a_model_that_is_not_built():
    optimizer = keras.optimizers.Adam()
    model = keras.Sequential([ksr.SparseGRU(3, sparsity=0.5)], name="mine")
    with pytest.raises(ValueError, match="must be built") as error:
        ksr.rewire(model, optimizer, 0.3)
    assert str(error.value).endswith("Received: model='mine', not built")


@pytest.mark.parametrize("model", [None, "model", 3])
def test_what_is_no_model(model):
    with pytest.raises(ValueError, match="Received: model=") as error:
        ksr.rewire(model, keras.optimizers.Adam(), 0.3)
    assert str(error.value).endswith(f"Received: model={model!r}")


def test_a_model_without_a_sparse_layer():
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2)], name="dense_one"
    )
    with pytest.raises(ValueError, match="has no sparse layer") as error:
        ksr.rewire(model, keras.optimizers.Adam(), 0.3)
    assert str(error.value).endswith("Received: model='dense_one'")


def test_inside_of_a_tf_function(trained):
    rewire = tf.function(lambda: ksr.rewire(*trained, 0.3).connections_moved)
    with pytest.raises(ValueError, match=r"outside of `tf\.function`"):
        rewire()


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_weight_that_is_no_number_is_named_and_nothing_changes(
    trained, index
):
    weight = ksr.sparse_weights(trained[0])[index]
    value = weight.value.numpy()
    value[tuple(np.argwhere(weight.mask.numpy())[-1])] = np.nan
    weight.value.assign(value)
    message = refusal(trained, "was not rewired, nor any other weight")
    assert message.startswith(f"'{weight.path}'")
    assert "Received: weights=NaN in 1 of " in message


def unit_model(granularity="unit"):
    return keras.Sequential(
        [
            keras.Input((4, 3)),
            ksr.SparseLSTM(
                6, sparsity=0.5, topology_seed=1, granularity=granularity
            ),
        ],
        name="unit_model",
    )


def test_tied_gates_whose_masks_differ_are_refused_and_nothing_changes():
    model, optimizer = unit_model(), keras.optimizers.Adam(0.02)
    good = model.get_weights()
    model.set_weights(unit_model("gate").get_weights())
    for weight in ksr.sparse_weights(model):
        # What would be cleared if the weights were brought in order first.
        weight.value.assign(np.ones(weight.shape))
    message = refusal((model, optimizer), "in all gates of .*/kernel'")
    assert message.endswith("than granularity='unit'")
    model.compile(optimizer, "mse")
    with pytest.raises(ValueError, match=r"in all gates of .*/kernel'"):
        model.fit(
            np.ones((2, 4, 3)),
            np.ones((2, 6)),
            verbose=0,
            callbacks=[ksr.SETCallback(0.3)],
        )

    model.set_weights(good)
    counts = [np.count_nonzero(mask) for mask in masks(model)]
    assert ksr.rewire(model, optimizer, 0.3).connections_moved > 0
    for weight, count in zip(ksr.sparse_weights(model), counts, strict=True):
        mask = weight.mask.numpy()
        assert np.count_nonzero(mask) == count
        weight.check_tied(mask)


def test_a_users_rule_that_goes_wrong_changes_nothing(trained):
    def grow(mask, count, rng):
        places = rewiring.random_growth(mask, count, rng)
        # In the recurrent kernel alone.
        return places if len(mask) > 4 else np.flatnonzero(mask)[:count]

    rule = rewiring.RewiringRule(grow=grow)
    message = refusal(trained, "recurrent_kernel", rule=rule)
    assert "grow rule must return" in message


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
    before = everything(model.get_layer("lstm"), optimizer)[:6]
    report = ksr.rewire(model, optimizer, 0.5)
    assert list(report.by_weight) == [ksr.sparse_weights(model)[0].path]
    assert everything(model.get_layer("lstm"), optimizer)[:6] == before
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


def test_a_layer_made_trainable_after_the_optimizer_was_built():
    model, optimizer = make_model(), keras.optimizers.Adam(0.02)
    model.get_layer("lstm").trainable = False
    train(model, optimizer)
    model.get_layer("lstm").trainable = True
    message = refusal((model, optimizer), "lstm")
    assert message.endswith("Received: optimizer=adam")


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
        self.inner = make_model(return_sequences=True)
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
    train(model, optimizer)
    weights = ksr.sparse_weights(model)
    assert len(weights) == 3 + 4 + 4
    before = masks(model)
    report = ksr.rewire(model, optimizer, 0.5)
    assert [weight.rewirings for weight in weights] == [1] * 11
    assert report.connections_moved == sum(report.by_weight.values())
    train(model, optimizer)
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
    model = make_model(recurrent_initializer="glorot_uniform")
    optimizer = keras.optimizers.Adam(0.02)
    train(model, optimizer)
    ksr.rewire(model, optimizer, 0.5, rule="set")
    ksr.rewire(model, optimizer, 0.5, new_slots="survivors_mean")
    train(model, optimizer)
    for weight in ksr.sparse_weights(model):
        assert not weight.value.numpy()[~weight.mask.numpy()].any()


def test_the_same_state_is_rewired_in_the_same_way(trained):
    model, optimizer = trained
    before = model.get_weights()
    ksr.rewire(model, optimizer, 0.5)
    first = model.get_weights()
    ksr.rewire(model, optimizer, 0.5)
    second = masks(model)
    model.set_weights(before)
    ksr.rewire(model, optimizer, 0.5)
    for one, other in zip(model.get_weights(), first, strict=True):
        assert one.tobytes() == other.tobytes()
    ksr.rewire(model, optimizer, 0.5)
    np.testing.assert_equal(masks(model), second)


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


@pytest.mark.parametrize("sparsity", [0.2, 1, -0.1, "much"])
def test_a_sparsity_that_cannot_be_pruned_to_is_refused(sparsity, trained):
    model, optimizer = trained
    before = everything(model, optimizer)
    with pytest.raises(ValueError, match="parsity"):
        ksr.rewire(model, optimizer, 0.3, sparsity=sparsity)
    assert everything(model, optimizer) == before


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
