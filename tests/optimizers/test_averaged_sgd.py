"""`AveragedSGD`: it trains as SGD does, and averages what that visits."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_sparse_rnn as ksr
from keras_sparse_rnn import optimizer_slots

OPTIMIZERS = keras.optimizers
SHAPES = [(3, 4), (4,)]


def make_variables(dtype="float32"):
    rng = np.random.default_rng(0)
    return [
        keras.Variable(rng.normal(size=shape), dtype=dtype, name=f"v{index}")
        for index, shape in enumerate(SHAPES)
    ]


def gradients(steps):
    rng = np.random.default_rng(1)
    return [
        [rng.normal(size=shape).astype("float32") for shape in SHAPES]
        for _ in range(steps)
    ]


def run(optimizer, variables, steps, compiled=None):
    """The values of the variables after each step."""

    def apply(each):
        optimizer.apply(each, variables)

    optimizer.build(variables)
    if compiled is not None:
        apply = tf.function(apply, jit_compile=compiled)
    visited = []
    for each in steps:
        apply([ops.convert_to_tensor(gradient) for gradient in each])
        visited.append([np.array(variable) for variable in variables])
    return visited


def mean_of(visited):
    """The rule, in NumPy: of the values of one variable after each update."""
    average = visited[0]
    for updates, value in enumerate(visited, start=1):
        if updates <= 2:
            average = value
        else:
            average = average + (value - average) / (updates - 1)
    return average


def averages(optimizer, variables):
    with optimizer.averaged_weights():
        return [np.array(variable) for variable in variables]


def assert_close(values, expected):
    for value, wanted in zip(values, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-6)


ARGUMENTS = [
    {},
    {"momentum": 0.9},
    {"momentum": 0.9, "nesterov": True},
    {"weight_decay": 0.1},
    {"global_clipnorm": 0.5},
    {"clipnorm": 0.5},
    {"clipvalue": 0.1},
    {"gradient_accumulation_steps": 2},
    {"loss_scale_factor": 4.0},
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=lambda a: ",".join(a))
def test_weights_are_those_of_sgd_bit_for_bit(arguments):
    steps = gradients(6)
    theirs = run(OPTIMIZERS.SGD(0.1, **arguments), make_variables(), steps)
    optimizer, variables = ksr.AveragedSGD(0.1, **arguments), make_variables()
    ours = run(optimizer, variables, steps[:3])
    optimizer.start_averaging()
    ours += run(optimizer, variables, steps[3:])
    np.testing.assert_array_equal(
        *(
            [np.concatenate([*map(np.ravel, s)]) for s in each]
            for each in (ours, theirs)
        )
    )


@pytest.mark.parametrize("compiled", [None, False, True])
@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_averages_are_the_means_since_averaging_began(count, compiled):
    optimizer, variables = ksr.AveragedSGD(0.1, 0.5), make_variables()
    run(optimizer, variables, gradients(4), compiled)
    assert not optimizer.is_averaging
    assert optimizer.averaging_since is None
    optimizer.start_averaging()
    assert optimizer.is_averaging
    assert optimizer.averaging_since == 4
    visited = run(optimizer, variables, gradients(count), compiled)
    expected = [mean_of(each) for each in zip(*visited, strict=True)]
    assert_close(averages(optimizer, variables), expected)
    if count > 2:
        # The first value counts no more.
        plain = [
            np.mean(each[1:], axis=0) for each in zip(*visited, strict=True)
        ]
        assert_close(expected, plain)
        assert (expected[0] != visited[-1][0]).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_averages_of_other_types_lose_no_update(dtype):
    optimizer, variables = ksr.AveragedSGD(0.1), make_variables(dtype)
    optimizer.build(variables)
    optimizer.start_averaging()
    # In 16 bits it is the same beside a number as large.
    for variable in variables:
        variable.assign_add(np.full(variable.shape, 8))
    visited = run(optimizer, variables, gradients(300), compiled=False)
    visited = [[each.astype("float64") for each in step] for step in visited]
    expected = [mean_of(each) for each in zip(*visited, strict=True)]
    for variable, average in zip(variables, expected, strict=True):
        slots = optimizer_slots.slots_of(optimizer, variable)
        counts, averages_ = (
            next(slot for _, name, slot in slots if name == wanted)
            for wanted in ("_averaged_updates", "_averages")
        )
        np.testing.assert_array_equal(np.array(counts), 300)
        np.testing.assert_allclose(np.array(averages_), average, rtol=1e-5)
    for value, average in zip(
        averages(optimizer, variables), expected, strict=True
    ):
        assert value.dtype == dtype
        np.testing.assert_allclose(value.astype("float64"), average, rtol=2**-8)


def test_it_can_average_from_the_first_step():
    optimizer, variables = ksr.AveragedSGD(0.1), make_variables()
    optimizer.start_averaging()
    visited = run(optimizer, variables, gradients(5))
    expected = [mean_of(each) for each in zip(*visited, strict=True)]
    assert_close(averages(optimizer, variables), expected)


def test_averaging_can_begin_anew():
    optimizer, variables = ksr.AveragedSGD(0.1), make_variables()
    optimizer.start_averaging()
    run(optimizer, variables, gradients(5))
    optimizer.start_averaging()
    assert optimizer.averaging_since == 5
    visited = run(optimizer, variables, gradients(4))
    expected = [mean_of(each) for each in zip(*visited, strict=True)]
    assert_close(averages(optimizer, variables), expected)


@pytest.mark.parametrize("compiled", [None, False])
def test_accumulated_gradients_are_one_update(compiled):
    optimizer = ksr.AveragedSGD(0.1, gradient_accumulation_steps=3)
    variables = make_variables()
    run(optimizer, variables, gradients(4), compiled)
    # Between two updates.
    optimizer.start_averaging()
    visited = run(optimizer, variables, gradients(14), compiled)
    expected = [mean_of(each) for each in zip(*visited[1::3], strict=True)]
    assert_close(averages(optimizer, variables), expected)


@pytest.mark.parametrize("compiled", [None, False])
def test_steps_that_loss_scaling_skips_are_not_averaged(compiled):
    inner = ksr.AveragedSGD(0.1)
    optimizer = OPTIMIZERS.LossScaleOptimizer(inner, initial_scale=4.0)
    variables = make_variables()
    steps = gradients(8)
    for skipped in (0, 3, 4):
        steps[skipped] = [gradient * np.inf for gradient in steps[skipped]]
    inner.start_averaging()
    visited = run(optimizer, variables, steps, compiled)
    made = [visited[index] for index in (1, 2, 5, 6, 7)]
    expected = [mean_of(each) for each in zip(*made, strict=True)]
    assert_close(averages(inner, variables), expected)
    assert np.isfinite(expected[0]).all()


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_a_variable_without_a_gradient_is_averaged_too():
    optimizer, variables = ksr.AveragedSGD(0.1), make_variables()
    optimizer.build(variables)
    optimizer.start_averaging()
    visited = []
    for gradient, _ in gradients(4):
        optimizer.apply([ops.convert_to_tensor(gradient), None])
        visited.append([np.array(variable) for variable in variables])
    expected = [mean_of(each) for each in zip(*visited, strict=True)]
    assert_close(averages(optimizer, variables), expected)
    np.testing.assert_array_equal(expected[1], make_variables()[1])


def decaying():
    return OPTIMIZERS.schedules.ExponentialDecay(0.5, 1, 0.5)


@pytest.mark.parametrize("compiled", [None, False])
def test_a_schedule_ends_where_averaging_begins(compiled):
    optimizer, variables = ksr.AveragedSGD(decaying()), make_variables()
    run(optimizer, variables, gradients(2), compiled)
    assert float(optimizer.learning_rate) == 0.125
    optimizer.start_averaging()
    before = np.array(variables[0])
    steps = gradients(3)
    visited = run(optimizer, variables, steps, compiled)
    assert float(optimizer.learning_rate) == 0.125
    moved = before - visited[-1][0]
    expected = 0.125 * sum(each[0] for each in steps)
    np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [decaying, lambda: 0.5])
def test_averaging_can_begin_with_another_learning_rate(make):
    optimizer = ksr.AveragedSGD(make())
    assert float(optimizer.learning_rate) == 0.5
    optimizer.start_averaging(learning_rate=0.25)
    assert float(optimizer.learning_rate) == 0.25


def test_a_learning_rate_that_is_a_number_may_still_be_set():
    optimizer = ksr.AveragedSGD(0.5)
    optimizer.start_averaging()
    assert float(optimizer.learning_rate) == 0.5
    optimizer.learning_rate = 0.25
    assert float(optimizer.learning_rate) == 0.25


@pytest.mark.parametrize("first", [0.25, decaying])
def test_a_schedule_set_after_averaging_began_is_refused(first):
    first = first() if callable(first) else first
    optimizer = ksr.AveragedSGD(first)
    optimizer.learning_rate = decaying()
    optimizer.start_averaging(learning_rate=0.25)
    for schedule in (decaying(), lambda: 0.5):
        with pytest.raises(
            ValueError, match=r"expected a number\. Received: learning_rate=<"
        ):
            optimizer.learning_rate = schedule
    assert float(optimizer.learning_rate) == 0.25


def test_before_averaging_began_the_average_is_the_weight():
    optimizer, variables = ksr.AveragedSGD(0.1), make_variables()
    with optimizer.averaged_weights():
        pass
    visited = run(optimizer, variables, gradients(3))
    assert_close(averages(optimizer, variables), visited[-1])
    optimizer.start_averaging()
    assert_close(averages(optimizer, variables), visited[-1])


def test_weights_are_put_back_bit_for_bit_also_after_an_error():
    optimizer, variables = ksr.AveragedSGD(0.1), make_variables()
    optimizer.start_averaging()
    visited = run(optimizer, variables, gradients(4))
    first = averages(optimizer, variables)

    def interrupted():
        with optimizer.averaged_weights():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    for variable, value in zip(variables, visited[-1], strict=True):
        np.testing.assert_array_equal(variable, value)
    for one, other in zip(first, averages(optimizer, variables), strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_are_put_back_after_what_was_left_open_within():
    optimizer, variables = ksr.AveragedSGD(0.1), make_variables()
    optimizer.start_averaging()
    [*_, trained] = run(optimizer, variables, gradients(4))
    expected = averages(optimizer, variables)
    with optimizer.averaged_weights():
        optimizer.set_weights_aside()
        assert_close(averages(optimizer, variables), expected)
        assert_close(variables, expected)
    for variable, value in zip(variables, trained, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_weights_that_were_set_meanwhile_stay():
    optimizer, variables = ksr.AveragedSGD(0.1), make_variables()
    optimizer.start_averaging()
    [*_, trained] = run(optimizer, variables, gradients(4))
    with optimizer.averaged_weights():
        variables[0].assign(np.ones(variables[0].shape))
    np.testing.assert_array_equal(variables[0], np.ones(variables[0].shape))
    np.testing.assert_array_equal(variables[1], trained[1])
    optimizer.take_weights_back()
    np.testing.assert_array_equal(variables[1], trained[1])


def test_what_is_set_aside_is_no_variable_of_the_optimizer():
    optimizer, variables = ksr.AveragedSGD(0.1), make_variables()
    optimizer.start_averaging()
    run(optimizer, variables, gradients(4))
    before = [variable.path for variable in optimizer.variables]
    with optimizer.averaged_weights():
        assert [variable.path for variable in optimizer.variables] == before


def test_a_constraint_holds_for_the_average():
    layer = keras.layers.Dense(3, kernel_constraint="unit_norm")
    layer.build((None, 4))
    optimizer = ksr.AveragedSGD(0.5)
    optimizer.build(layer.trainable_variables)
    optimizer.start_averaging()
    rng = np.random.default_rng(2)
    for _ in range(6):
        optimizer.apply(
            [
                ops.convert_to_tensor(rng.normal(size=v.shape), "float32")
                for v in layer.trainable_variables
            ]
        )
    slot = optimizer_slots.slots_of(optimizer, layer.kernel)[0][2].numpy()
    assert np.abs(np.linalg.norm(slot, axis=0) - 1).min() > 1e-3
    with optimizer.averaged_weights():
        kernel = layer.kernel.numpy()
    np.testing.assert_allclose(np.linalg.norm(kernel, axis=0), 1, rtol=1e-5)


def make_model(optimizer, **compile_args):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            ksr.SparseDense(6, sparsity=0.5, topology_seed=1),
            keras.layers.Dense(2),
        ]
    )
    model.compile(optimizer, "mse", **compile_args)
    return model


def data():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(16, 4)).astype("float32")
    return {"x": x, "y": rng.normal(size=(16, 2)), "batch_size": 4}


class Visited(keras.callbacks.Callback):
    """The weights after each batch."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append(
            [np.array(each) for each in self.model.trainable_variables]
        )


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("wrap", [lambda o: o, OPTIMIZERS.LossScaleOptimizer])
def test_when_fit_ends_the_weights_are_the_averages(wrap, jit_compile):
    inner = ksr.AveragedSGD(0.1, momentum=0.5)
    inner.start_averaging()
    model, visited = make_model(wrap(inner), jit_compile=jit_compile), Visited()
    model.fit(**data(), epochs=2, verbose=0, callbacks=[visited])
    expected = [mean_of(each) for each in zip(*visited.weights, strict=True)]
    assert_close(model.trainable_variables, expected)
    assert (
        np.array(model.trainable_variables[0]) != visited.weights[-1][0]
    ).any()


def test_without_averaging_fit_ends_with_the_weights():
    model, visited = make_model(ksr.AveragedSGD(0.1)), Visited()
    model.fit(**data(), verbose=0, callbacks=[visited])
    for variable, value in zip(
        model.trainable_variables, visited.weights[-1], strict=True
    ):
        np.testing.assert_array_equal(variable, value)


def test_mixed_precision():
    inner = ksr.AveragedSGD(0.1)
    inner.start_averaging()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = make_model(inner)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.optimizer.inner_optimizer is inner
    visited = Visited()
    model.fit(**data(), epochs=2, verbose=0, callbacks=[visited])
    # Scaling skips steps until the scale fits.
    made = visited.weights[-inner.iterations.numpy() :]
    expected = [mean_of(each) for each in zip(*made, strict=True)]
    assert_close(model.trainable_variables, expected)


def test_a_saved_model_goes_on(tmp_path):
    optimizer = ksr.AveragedSGD(decaying(), momentum=0.5)
    model = make_model(optimizer)
    model.optimizer.build(model.trainable_variables)
    optimizer.start_averaging(0.1)
    for _ in range(3):
        model.train_on_batch(data()["x"], data()["y"])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is ksr.AveragedSGD
    assert loaded.optimizer.get_config() == optimizer.get_config()
    assert loaded.optimizer.averaging_since == 0
    assert float(loaded.optimizer.learning_rate) == pytest.approx(0.1)
    for each in (model, loaded):
        each.train_on_batch(data()["x"], data()["y"])
    for one, other in zip(
        [*model.variables, *optimizer.variables],
        [*loaded.variables, *loaded.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_two_averages_in_one_are_refused():
    with pytest.raises(ValueError, match=r"`use_ema`\. Received: use_ema=True"):
        ksr.AveragedSGD(0.1, use_ema=True)


@pytest.mark.parametrize("learning_rate", [-0.1, np.nan, "0.1"])
def test_impossible_learning_rates_are_refused(learning_rate):
    optimizer = ksr.AveragedSGD(0.1)
    with pytest.raises(ValueError, match=r"Received: learning_rate="):
        optimizer.start_averaging(learning_rate)
    assert not optimizer.is_averaging


def test_it_is_known_for_rewiring(caplog):
    optimizer_slots.check_supported(ksr.AveragedSGD(0.1))
    assert not caplog.records
    names = [name for name in optimizer_slots._KNOWN if re.search("SGD", name)]
    assert names == ["SGD", "AveragedSGD"]
