"""Models, options of `fit` and other callbacks that rewiring meets."""

import csv
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from tests.callbacks import tiny

LOGGED = {"connections_moved", "rewire_rate", "exploration_rate"}


def rewirings(model):
    return [weight.rewirings for weight in ksr.sparse_weights(model)]


@pytest.mark.parametrize(
    ("options", "policy"),
    [
        ({"with_input": False}, "float32"),
        ({"run_eagerly": True}, "float32"),
        ({"jit_compile": True}, "float32"),
        ({"jit_compile": True, "with_input": False}, "mixed_float16"),
        ({"jit_compile": False}, "mixed_bfloat16"),
    ],
    ids=["without Input", "eager", "jit", "float16", "bfloat16"],
)
def test_text_model_is_rewired(options, policy):
    keras.config.set_dtype_policy(policy)
    model = tiny.text_model(**options)
    recorder = tiny.Recorder()
    history = tiny.fit(model, ksr.SETCallback(0.6), recorder).history
    assert rewirings(model) == [2, 2, 2]
    assert recorder.rewired_before() == [(1, 0), (2, 0)]
    first, last = recorder.epoch_ends[0][0], recorder.epoch_ends[-1][0]
    assert [m.sum() for m in first] == [m.sum() for m in last]
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][-1] < history["loss"][0]
    is_scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert is_scaled is (policy == "mixed_float16")
    tiny.assert_zero_where_empty(model)


class Subclassed(keras.Model):
    """Calls one sparse layer on two inputs, and makes another in `build`."""

    def __init__(self):
        super().__init__()
        self.shared = ksr.SparseDense(20, sparsity=0.5, activation="tanh")

    def build(self, input_shape):
        self.late = ksr.SparseDense(1, sparsity=0.5)
        self.built = True

    def call(self, inputs):
        return self.late(self.shared(inputs) - self.shared(-inputs))


def test_subclassed_model_is_built_by_its_first_batch():
    model = Subclassed()
    model.compile("adam", "mse")
    tiny.fit(model, ksr.SETCallback(0.6))
    assert rewirings(model) == [2, 2]
    tiny.assert_zero_where_empty(model)


def test_a_layer_shared_between_inputs_is_rewired_once():
    first = keras.Input((tiny.LENGTH,))
    shared = ksr.SparseDense(20, sparsity=0.5)
    inner = keras.Sequential([shared, keras.layers.Dense(1)])
    outputs = inner(first) + keras.layers.Dense(1)(shared(first))
    model = keras.Model(first, outputs)
    model.compile("adam", "mse")
    history = tiny.fit(model, ksr.SETCallback(0.4), epochs=2).history
    assert rewirings(model) == [1]
    # ζ is 0.2 for the 50 connections.
    assert history["connections_moved"] == [0, 10]


@pytest.mark.parametrize("after_compile", [False, True])
def test_frozen_layers_are_never_rewired(after_compile):
    frozen = ksr.SparseDense(20, sparsity=0.5)
    model = keras.Sequential(
        [
            keras.Input((tiny.LENGTH,)),
            frozen,
            ksr.SparseDense(10, sparsity=0.5),
        ]
    )
    frozen.trainable = after_compile
    model.compile("adam", "mse")
    frozen.trainable = False
    before = [np.array(variable) for variable in frozen.variables]
    tiny.fit(model, ksr.SETCallback(0.6))
    assert rewirings(model) == [0, 2]
    after = [np.array(variable) for variable in frozen.variables]
    # The kernel itself may be trained if it was frozen too late.
    del before[0], after[0]
    if not after_compile:
        assert tiny.same(before, after)
    mask = np.array(frozen.kernel_mask)
    np.testing.assert_array_equal(mask, before[-4])


@pytest.mark.parametrize("with_input", [True, False])
@pytest.mark.parametrize("layers", [None, ["lstm"]])
def test_all_layers_frozen_is_no_error_but_warned_of_once(with_input, layers):
    model = tiny.text_model(with_input=with_input)
    for layer in model.layers[:2] if layers is None else model.layers[1:2]:
        layer.trainable = False
    model.compile("adam", "mse")
    callback = ksr.SETCallback(0.6, layers=layers)
    with pytest.warns(UserWarning, match="SETCallback rewires no") as warned:
        history = tiny.fit(model, callback, epochs=2).history
    assert len(warned) == 1
    assert "lstm/lstm_cell/kernel" in str(warned[0].message)
    assert history["connections_moved"] == [0, 0]
    assert rewirings(model) == [0, 0, 0]


@pytest.mark.parametrize("first", [True, False])
def test_checkpoints_hold_the_trained_network_in_any_order(first, tmp_path):
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}.weights.h5", save_weights_only=True
    )
    callbacks = [checkpoint, ksr.SETCallback(0.8), tiny.Recorder()]
    if not first:
        callbacks[:2] = callbacks[1::-1]
    model = tiny.dense_model()
    data = tiny.tokens(16)
    history = tiny.fit(model, *callbacks, validation_data=data).history
    for epoch, (masks, values) in enumerate(callbacks[2].epoch_ends):
        model.load_weights(tmp_path / f"{epoch + 1}.weights.h5")
        assert tiny.same(tiny.masks(model), masks)
        assert tiny.same(tiny.values(model), values)
        loss = model.evaluate(*data, verbose=0)
        assert loss == pytest.approx(history["val_loss"][epoch], rel=1e-5)


def test_early_stopping_restores_weights_and_topology_together():
    model = tiny.dense_model(keras.optimizers.Adam(0.01))
    recorder = tiny.Recorder()
    stopping = keras.callbacks.EarlyStopping(
        "exploration_rate", mode="min", patience=2, restore_best_weights=True
    )
    tiny.fit(model, ksr.SETCallback(0.8), recorder, stopping, epochs=9)
    assert len(recorder.epoch_ends) == 3
    assert not tiny.same(recorder.epoch_ends[0][0], recorder.epoch_ends[2][0])
    assert tiny.same(tiny.masks(model), recorder.epoch_ends[0][0])
    assert tiny.same(tiny.values(model), recorder.epoch_ends[0][1])
    # The slots are those of the last epoch: the next fit sets them right.
    with pytest.raises(AssertionError):
        tiny.assert_zero_where_empty(model)
    tiny.fit(model, ksr.SETCallback(0.8), epochs=2)
    tiny.assert_zero_where_empty(model)


def test_early_stopping_restores_gates_that_are_tied():
    model = keras.Sequential(
        [
            keras.Input((tiny.LENGTH, 1)),
            ksr.SparseGRU(6, sparsity=0.5, granularity="unit"),
            keras.layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    stopping = keras.callbacks.EarlyStopping(
        "exploration_rate", mode="min", restore_best_weights=True
    )
    recorder = tiny.Recorder()
    callbacks = [ksr.SETCallback(0.8), recorder, stopping]
    tiny.fit(model, *callbacks, epochs=4)
    assert len(recorder.epoch_ends) == 2
    assert tiny.same(tiny.masks(model), recorder.epoch_ends[0][0])
    tiny.fit(model, ksr.SETCallback(0.8), epochs=2)
    assert rewirings(model) == [1, 1]
    for weight in ksr.sparse_weights(model):
        weight.check_tied(np.array(weight.mask))


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_swapping_in_averages_makes_no_difference_in_any_order(swap_on_epoch):
    states = []
    for first in (True, False):
        keras.utils.set_random_seed(1)
        model = tiny.dense_model(
            keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9)
        )
        callbacks = [
            keras.callbacks.SwapEMAWeights(swap_on_epoch=swap_on_epoch),
            ksr.SETCallback(0.6),
        ]
        if not first:
            callbacks.reverse()
        validation_data = tiny.tokens(8)
        tiny.fit(model, *callbacks, validation_data=validation_data)
        tiny.assert_zero_where_empty(model)
        states.append(tiny.state(model))
    assert tiny.same(*states)


def test_loggers_see_the_logs(tmp_path):
    model = tiny.dense_model()
    history = tiny.fit(
        model,
        ksr.SETCallback(0.6, log_dir=tmp_path),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.TensorBoard(tmp_path),
    ).history
    assert set(history) >= LOGGED
    with open(tmp_path / "log.csv") as file:
        rows = [*csv.DictReader(file)]
    for name in LOGGED:
        logged = [float(row[name]) for row in rows]
        assert logged == pytest.approx(history[name])
    scalars = summaries(tmp_path / "train")
    for name in LOGGED:
        assert scalars[f"epoch_{name}"] == pytest.approx(history[name])

    tags = summaries(tmp_path / "masks")
    [weight] = ksr.sparse_weights(model)
    kinds = ("mask/all", "weights", "input_degrees", "output_degrees")
    assert set(tags) == {f"{weight.path}/{kind}" for kind in kinds}
    assert all(len(values) == 3 for values in tags.values())
    images = [
        tf.io.decode_png(data[2]) for data in tags[f"{weight.path}/mask/all"]
    ]
    np.testing.assert_array_equal(images[-1][..., 0] > 0, np.array(weight.mask))
    assert (images[0] != images[-1]).numpy().any()


def summaries(folder):
    """The values of each tag, in the order of the steps."""
    found = {}
    for path in sorted(folder.glob("*tfevents*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                array = tf.make_ndarray(value.tensor)
                found.setdefault(value.tag, []).append((event.step, array))
    return {
        tag: [
            array.item() if array.size == 1 else array
            for _, array in sorted(values, key=lambda pair: pair[0])
        ]
        for tag, values in found.items()
    }


def batches():
    x, y = tiny.tokens()
    return [(x[i : i + 8], y[i : i + 8]) for i in range(0, 32, 8)]


@pytest.mark.parametrize("kind", ["tf.data", "generator"])
def test_data_of_every_kind_gives_the_same(kind):
    data = {
        "tf.data": (
            tf.data.Dataset.from_tensor_slices(tiny.tokens()).batch(8),
            None,
        ),
        "generator": ((batch for _ in range(3) for batch in batches()), None),
    }
    x, y = data[kind]
    arguments = {"steps_per_epoch": 4} if kind == "generator" else {}
    model, expected_model = tiny.dense_model(), tiny.dense_model()
    model.set_weights(expected_model.get_weights())
    history = tiny.fit(model, ksr.SETCallback(0.6), x=x, y=y, **arguments)
    expected = tiny.fit(expected_model, ksr.SETCallback(0.6))
    assert tiny.same(tiny.masks(model), tiny.masks(expected_model))
    for name in LOGGED:
        assert history.history[name] == expected.history[name]


WRAPPERS = {
    "Bidirectional": lambda **options: keras.layers.Bidirectional(
        ksr.SparseLSTM(4, sparsity=0.5), **options
    ),
    "RNN": lambda **options: keras.layers.RNN(
        ksr.SparseLSTMCell(4, sparsity=0.5), **options
    ),
    "TimeDistributed": lambda **options: keras.layers.TimeDistributed(
        ksr.SparseDense(4, sparsity=0.5), **options
    ),
}


@pytest.mark.parametrize("kind", WRAPPERS)
@pytest.mark.parametrize("frozen", ["attribute", "argument"])
def test_what_keras_trains_inside_of_a_wrapper_is_rewired(kind, frozen):
    options = {"trainable": False} if frozen == "argument" else {}
    wrapper = WRAPPERS[kind](**options)
    model = keras.Sequential(
        [
            keras.Input((5, 6)),
            wrapper,
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )
    if frozen == "attribute":
        wrapper.trainable = False
    model.compile("adam", "mse")
    before = tiny.values(model)
    x = np.random.default_rng(0).normal(size=(8, 5, 6)).astype("float32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        callback = ksr.SETCallback(0.5)
        tiny.fit(model, callback, x=x, y=np.ones(8), epochs=2)
    trained = not tiny.same(tiny.values(model), before)
    assert trained is (frozen == "argument")
    assert set(rewirings(model)) == {int(trained)}
