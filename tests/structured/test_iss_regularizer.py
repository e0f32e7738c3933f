"""The group lasso over hidden units, against its formula."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from tests.structured import models

L = keras.layers


def penalty(kernel, recurrent_kernels, consumers, gates):
    """One layer's, entry by entry."""
    units = len(recurrent_kernels[0])
    total = 0.0
    for k in range(units):
        squares = 0.0
        for gate in range(gates):
            column = k + gate * units
            for matrix in (kernel, *recurrent_kernels):
                squares += sum(float(w) ** 2 for w in matrix[:, column])
        # Where row and column meet a weight counts once more.
        for matrix in recurrent_kernels:
            squares += sum(float(w) ** 2 for w in matrix[k])
        for consumer, start in consumers:
            squares += sum(float(w) ** 2 for w in consumer[start + k])
        total += math.sqrt(squares + 1e-8)
    return total


def effective(owner, name="kernel"):
    return np.asarray(getattr(owner, name))


def of(layer, gates, *consumers):
    return penalty(
        effective(layer.cell),
        [
            effective(layer.cell, name)
            for name in models.recurrent_names(layer.cell)
        ],
        [
            (effective(getattr(each, "cell", each)), start)
            for each, start in consumers
        ],
        gates,
    )


def of_one(gates):
    def expected(model):
        return [of(models.layer(model, "a"), gates, (model.layers[-1], 0))]

    return expected


def of_three(model):
    a, b, c = models.recurrent_layers(model)
    return [of(a, 4, (b, 0)), of(b, 3, (c, 0)), of(c, 1, (model.layers[-1], 0))]


def of_two_highways(model):
    a, b = models.recurrent_layers(model)
    return [of(a, 2, (b, 0)), of(b, 3, (model.layers[-1], 0))]


def of_bidirectional(model):
    first, second, third, fourth = models.recurrent_layers(model)
    dense = model.layers[-1]
    return [
        of(first, 4, (third, 0), (fourth, 0)),
        of(second, 4, (third, 6), (fourth, 6)),
        of(third, 3, (dense, 0)),
        of(fourth, 3, (dense, 5)),
    ]


def of_branches(model):
    [a, b] = models.recurrent_layers(model)
    pooled, every = model.layers[-2:]
    if pooled.kernel.shape[0] == 6:
        pooled, every = every, pooled
    readers = [(pooled, 0), (pooled, 10), (every, 0), (b, 0)]
    return [of(a, 4, *readers), of(b, 3, (pooled, 16))]


def of_tied(model):
    """The table's columns, and the rows that read what it embeds."""
    [a] = models.recurrent_layers(model)
    columns = effective(models.layer(model, "table"), "embeddings").T
    recurrent = [
        effective(a.cell, name) for name in models.recurrent_names(a.cell)
    ]
    readers = [(columns, 0), (effective(a.cell), 0)]
    return [penalty(effective(a.cell), recurrent, readers, 2)]


def of_tied_stack(model):
    [a, b] = models.recurrent_layers(model)
    kernels = [effective(each.cell) for each in (a, b)]
    recurrent = [[effective(each.cell, "recurrent_kernel")] for each in (a, b)]
    columns = effective(models.layer(model, "table"), "embeddings").T
    # The GRU reads two features of an embedding, the LSTM and the table.
    readers = [(columns, 0), (kernels[0], 0), (kernels[1], 2 + 5)]
    return [
        penalty(kernels[0], recurrent[0], [(kernels[1], 2)], 4),
        penalty(kernels[1], recurrent[1], readers, 3),
    ]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (models.lstm, of_one(4)),
        (models.gru, of_one(3)),
        (models.gru_reset_before, of_one(3)),
        (models.simple_rnn, of_one(1)),
        (models.rhn, of_one(2)),
        (models.rhn_with_a_carry_gate, of_one(3)),
        (models.sparse_rhn, of_two_highways),
        (models.without_bias, of_one(4)),
        (models.three, of_three),
        (models.sparse, of_three),
        (models.bidirectional, of_bidirectional),
        (models.branches, of_branches),
        (models.tied, of_tied),
        (models.tied_stack, of_tied_stack),
    ],
)
def test_the_penalty_is_that_of_the_formula(make, expected):
    model = make()
    models.randomize(model)
    ksr.add_iss_regularizer(model, 0.25)
    # The order of losses is that of the kernels in the model.
    np.testing.assert_allclose(
        sorted(float(each) for each in model.losses),
        sorted(0.25 * each for each in expected(model)),
        rtol=1e-5,
    )


def gradients(model):
    with tf.GradientTape() as tape:
        total = sum(model.losses)
    variables = model.trainable_variables
    found = tape.gradient(total, [each.value for each in variables])
    return dict(zip([each.path for each in variables], found, strict=True))


def test_the_gradient_is_finite_and_0_where_all_is_zero():
    model = models.gru()
    ksr.add_iss_regularizer(model, 0.25)
    for variable in model.trainable_variables:
        variable.assign(np.zeros(variable.shape))
    found = gradients(model)
    of_groups = [each for each in found.values() if each is not None]
    assert len(of_groups) == 3
    for gradient in of_groups:
        np.testing.assert_array_equal(gradient, np.zeros(gradient.shape))
    assert float(sum(model.losses)) == pytest.approx(0.25 * 6 * 1e-4)


def test_the_gradient_is_the_weight_over_the_norm_of_its_group():
    model = models.simple_rnn()
    models.randomize(model)
    ksr.add_iss_regularizer(model, 0.5)
    cell, dense = model.layers[0].cell, model.layers[1]
    kernel, recurrent = effective(cell), effective(cell, "recurrent_kernel")
    squares = (kernel**2).sum(0) + (recurrent**2).sum(0) + (recurrent**2).sum(1)
    norms = np.sqrt(squares + (dense.kernel.numpy() ** 2).sum(1) + 1e-8)
    found = gradients(model)
    np.testing.assert_allclose(
        found[cell.kernel.path], 0.5 * kernel / norms, rtol=1e-5
    )
    np.testing.assert_allclose(
        found[cell.recurrent_kernel.path],
        0.5 * recurrent * (1 / norms[:, None] + 1 / norms),
        rtol=1e-5,
    )
    assert found[cell.bias.path] is None


def test_places_without_a_connection_have_no_gradient():
    model = models.sparse()
    models.randomize(model)
    ksr.add_iss_regularizer(model, 0.5)
    found = gradients(model)
    weights = {
        weight.path: np.asarray(weight.mask)
        for weight in ksr.sparse_weights(model)
        if "embedding" not in weight.path
    }
    assert len(weights) == 7
    for path, mask in weights.items():
        np.testing.assert_array_equal(np.asarray(found[path]) != 0, mask)


def test_a_regularizer_of_the_users_stays():
    model = models.stack(
        L.LSTM(6, kernel_regularizer="l2", name="a"), L.Dense(2)
    )
    [before] = model.losses
    ksr.add_iss_regularizer(model, 0.1)
    [both] = model.losses
    expected = float(before) + 0.1 * of_one(4)(model)[0]
    assert float(both) == pytest.approx(expected, rel=1e-5)
    ksr.add_iss_regularizer(model, 0.2)
    [both] = model.losses
    expected = float(before) + 0.2 * of_one(4)(model)[0]
    assert float(both) == pytest.approx(expected, rel=1e-5)


def test_taken_off_a_regularizer_of_the_users_stays():
    model = models.stack(
        L.LSTM(6, return_sequences=True, kernel_regularizer="l2", name="a"),
        L.GRU(5, name="b"),
        L.Dense(2),
    )
    [before] = model.losses
    ksr.remove_iss_regularizer(model)
    assert [float(each) for each in model.losses] == [float(before)]
    ksr.add_iss_regularizer(model, 0.1)
    assert len(model.losses) == 2
    # It goes from layers too whose units cannot be removed any more.
    models.layer(model, "b").trainable = False
    ksr.remove_iss_regularizer(model)
    models.layer(model, "b").trainable = True
    assert [float(each) for each in model.losses] == [float(before)]
    with pytest.raises(ValueError, match=r"must be built.*Received: model="):
        ksr.remove_iss_regularizer(keras.Sequential([L.LSTM(3)]))


def test_a_layer_that_is_not_trainable_is_not_regularized():
    model = models.three()
    ksr.add_iss_regularizer(model, 0.1)
    models.layer(model, "b").trainable = False
    assert len(model.losses) == 2


SETTINGS = {
    "graph": {"jit_compile": False},
    "compiled": {"jit_compile": True},
    "eager": {"run_eagerly": True},
    "several steps": {"steps_per_execution": 2, "jit_compile": False},
}


@pytest.mark.parametrize(
    ("settings", "trained_before"),
    [
        *[(each, True) for each in SETTINGS.values()],
        (SETTINGS["graph"], False),
    ],
    ids=[*SETTINGS, "not trained before"],
)
def test_fit_trains_with_it(settings, trained_before):
    model = models.gru()
    model.compile(keras.optimizers.SGD(0.1), "mse", **settings)
    x, y = models.sequences(), np.zeros((3, 2), "float32")
    if trained_before:
        model.fit(x, y, verbose=0)
        model.evaluate(x, y, verbose=0)
    models.randomize(model)
    ksr.add_iss_regularizer(model, 0.5)
    plain = float(np.mean(np.asarray(model(x)) ** 2))
    expected = plain + 0.5 * of_one(3)(model)[0]
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-4)
    before = of_one(3)(model)[0]
    loss = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert loss[0] == pytest.approx(expected, rel=1e-4)
    assert of_one(3)(model)[0] < before - 5
    ksr.remove_iss_regularizer(model)
    plain = float(np.mean(np.asarray(model(x)) ** 2))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(plain, rel=1e-4)
    loss = model.fit(x, y, verbose=0).history["loss"]
    assert loss[0] == pytest.approx(plain, rel=1e-4)


def test_it_is_computed_in_single_precision_in_a_mixed_model():
    model = models.mixed_precision()
    models.randomize(model)
    ksr.add_iss_regularizer(model, 0.25)
    assert {each.dtype for each in model.losses} == {tf.float32}
    a, b = models.recurrent_layers(model)
    expected = [of(a, 4, (b, 0)), of(b, 3, (model.layers[-1], 0))]
    np.testing.assert_allclose(
        [float(each) for each in model.losses],
        [0.25 * each for each in expected],
        rtol=1e-5,
    )
    model.compile("adam", "mse")
    x = models.sequences()
    history = model.fit(x, np.zeros((3, 2)), epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_groups_are_summed_up_in_no_less_than_single_precision(dtype):
    model = models.stack(
        L.SimpleRNN(3, dtype=dtype, name="a"), L.Dense(1, dtype=dtype)
    )
    ksr.add_iss_regularizer(model, 1)
    for variable in model.trainable_variables:
        variable.assign(np.zeros(variable.shape))
    assert float(model.losses[0]) == pytest.approx(3e-4)


def test_saved_models_are_those_without_it(tmp_path):
    model = models.sparse()
    config = model.get_config()
    ksr.add_iss_regularizer(model, 0.1)
    assert model.get_config() == config
    model.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    assert not loaded.losses
    models.assert_close(model, loaded, models.tokens(), rtol=0, atol=0)
    ksr.add_iss_regularizer(loaded, 0.1)
    np.testing.assert_array_equal(
        [float(each) for each in loaded.losses],
        [float(each) for each in model.losses],
    )


@pytest.mark.parametrize(
    "strength", [0, -0.1, math.nan, math.inf, "0.1", None, True]
)
def test_a_strength_that_is_none_is_refused(strength):
    model = models.lstm()
    with pytest.raises(ValueError, match=r"`strength` must.*Received: stren"):
        ksr.add_iss_regularizer(model, strength)
    assert not model.losses
    with pytest.raises(ValueError, match=r"`strength` must.*Received: stren"):
        ksr.ISSCallback(strength)
