"""Smaller models that compute what the larger ones compute."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

import keras_sparse_rnn as ksr
from keras_sparse_rnn import keras_internals
from tests.structured import models

L = keras.layers
kinds = pytest.mark.parametrize(
    ("make", "inputs"), models.MODELS.values(), ids=models.MODELS
)


def kill(model, layer, dead, consumers):
    """Zeroes all that makes and reads some units, biases apart.

    `consumers` are pairs of a layer and the row that reads the first unit, or
    the column of a table that decodes.
    """
    cell = layer.cell
    dead = np.asarray(dead)
    recurrent = models.recurrent_names(cell)
    for name in ("kernel", *recurrent):
        variable = models.matrix(cell, name)
        value = variable.numpy().copy()
        value.reshape(len(value), -1, cell.units)[:, :, dead] = 0
        variable.assign(value)
    for name in recurrent:
        models.set_rows(cell, dead, name=name)
    for consumer, start in consumers:
        if isinstance(consumer, L.ReversibleEmbedding):
            models.set_columns(consumer, start + dead)
            continue
        models.set_rows(getattr(consumer, "cell", consumer), start + dead)


def kill_in_turn(model):
    """Kills some units of each layer of a model of `MODELS`.

    Returns the numbers of units that are left.
    """
    layers = models.recurrent_layers(model)
    dense = [
        each
        for each in keras_internals.flatten_layers(model)
        if isinstance(each, L.Dense)
    ]
    if model.name == "bidirectional":
        forward, backward, *read = layers
        kill(model, forward, [0, 3], [(each, 0) for each in read])
        kill(model, backward, [1, 2, 4], [(each, 6) for each in read])
        kill(model, read[0], [2], [(dense[0], 0)])
        return [4, 4, 5, 5]
    if model.name == "branches":
        # Average of hidden units, inputs, maximum of hidden units, GRU.
        [lstm, gru], [pooled, every] = layers, dense
        readers = [(pooled, 0), (pooled, 10), (gru, 0), (every, 0)]
        kill(model, lstm, [1, 5], readers)
        kill(model, gru, [0], [(pooled, 16)])
        return [4, 4]
    if model.name == "nested":
        [lstm, gru] = layers
        kill(model, lstm, [0, 1], [(gru, 0)])
        kill(model, gru, [2, 4], [(each, 0) for each in dense])
        return [4, 3]
    if model.name == "tied":
        # That the look-ups are read does not keep a unit alive.
        kill(model, layers[0], [1, 4], [(table(model), 0)])
        return [4]
    if model.name == "tied stack":
        [lstm, gru] = layers
        kill(model, lstm, [0], [(gru, 2)])
        kill(model, gru, [2, 3, 5], [(table(model), 0)])
        return [4, 3]
    if model.name == "tied in both directions":
        kill(model, layers[0], [1], [(table(model), 0)])
        kill(model, layers[1], [0, 2], [(table(model), 3)])
        return [2, 2]
    for index, each in enumerate(layers):
        readers = [*layers[index + 1 :], dense[0]]
        kill(model, each, [0, 1 + index], [(readers[0], 0)])
    return [each.cell.units - 2 for each in layers]


def table(model):
    return models.layer(model, "table")


def made(name):
    make, inputs = models.MODELS[name]
    model = make()
    model.name = name
    models.randomize(model)
    return model, inputs()


@pytest.mark.parametrize("name", models.MODELS)
def test_dead_units_go_and_outputs_stay(name):
    model, inputs = made(name)
    expected = kill_in_turn(model)
    if name == "stateful":
        model(inputs)
    before = [np.array(each) for each in model.variables]
    smaller = ksr.shrink(model)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    assert models.sizes(smaller) == expected
    tolerance = 2e-2 if name == "mixed precision" else 1e-5
    models.assert_close(model, smaller, inputs, tolerance, tolerance)
    # Again, from the states that the first call has left.
    models.assert_close(model, smaller, inputs[::-1], tolerance, tolerance)
    assert not smaller.compiled
    for layer in keras_internals.flatten_layers(smaller):
        is_keras = type(layer).__module__.startswith("keras.")
        of_ours = (ksr.RHN, ksr.RHNCell, ksr.WordDropout)
        assert is_keras or type(layer) in of_ours


def test_a_tied_embedding_becomes_smaller_with_what_it_decodes():
    model, _ = made("tied stack")
    kill_in_turn(model)
    smaller = ksr.shrink(model)
    assert table(smaller).output_dim == 3
    assert table(smaller).embeddings.shape == (9, 3)
    # Of the embedding of its own, the LSTM and the table.
    gru = models.layer(smaller, "b").cell
    assert gru.kernel.shape == (2 + 4 + 3, 3 * 3)
    # What is left is trained on.
    smaller.name = "smaller"
    smaller.compile("sgd", "mse")
    smaller.fit(models.tokens(), np.zeros((3, 5, 9)), verbose=0)


@pytest.mark.parametrize("name", models.MODELS)
def test_nothing_dead_nothing_changed(name):
    model, inputs = made(name)
    same = ksr.shrink(model)
    plain = ksr.strip_sparsity(model)
    assert same.get_config() == plain.get_config()
    for one, other in zip(same.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(
        models.outputs(model, inputs),
        models.outputs(same, inputs),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_initializers_that_hold_an_array_do_not_stand_in_the_way():
    rng = np.random.default_rng(3)

    def values(*shape):
        return keras.initializers.Constant(rng.normal(size=shape))

    inputs = keras.Input((5,), dtype="int32")
    table = L.ReversibleEmbedding(
        9, 6, embeddings_initializer=values(9, 6), name="table"
    )
    hidden = L.RNN(
        L.LSTMCell(6, recurrent_initializer=values(6, 24)),
        return_sequences=True,
        name="a",
    )(table(inputs))
    pooled = L.Dense(
        2,
        kernel_initializer=values(6, 2),
        bias_initializer=keras.initializers.Constant(0.5),
        name="dense",
    )(hidden)
    read = L.GRU(4, kernel_initializer=values(6, 12), name="b")(hidden)
    model = keras.Model(inputs, [table(hidden, reverse=True), pooled, read])
    [lstm, gru] = models.recurrent_layers(model)
    dense = models.layer(model, "dense")
    kill(model, lstm, [1, 4], [(table, 0), (dense, 0), (gru, 0)])
    smaller = ksr.shrink(model)
    assert models.sizes(smaller) == [4, 4]
    models.assert_close(model, smaller, models.tokens())
    config = models.layer(smaller, "dense").get_config()
    assert config["bias_initializer"]["config"] == {"value": 0.5}


# Of `three`: which of the LSTM's six units and of the GRU's five are dead.
@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0, 1, 3, 4, 5], [], [1, 5, 4]),
        ([], [1, 2, 3, 4], [6, 1, 4]),
        ([0, 1, 2, 3, 4, 5], [0, 1, 2, 4], [1, 1, 4]),
        ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4], [1, 1, 4]),
    ],
)
def test_one_unit_stays_at_least(first, second, expected):
    model, inputs = made("three, masked")
    one, two, three = models.recurrent_layers(model)
    kill(model, one, np.array(first, int), [(two, 0)])
    kill(model, two, np.array(second, int), [(three, 0)])
    smaller = ksr.shrink(model)
    assert models.sizes(smaller) == expected
    models.assert_close(model, smaller, inputs)


def test_a_unit_that_is_made_but_not_read_is_dead():
    model, inputs = made("lstm")
    layer = models.layer(model, "a")
    models.set_rows(layer.cell, [2], name="recurrent_kernel")
    models.set_rows(model.layers[-1], [2])
    smaller = ksr.shrink(model)
    assert models.sizes(smaller) == [5]
    models.assert_close(model, smaller, inputs)


def test_a_unit_that_only_has_its_bias_is_read_and_stays():
    model, _ = made("lstm")
    cell = models.layer(model, "a").cell
    for name in ("kernel", "recurrent_kernel"):
        variable = models.matrix(cell, name)
        value = variable.numpy().copy()
        value[:, 1::6] = 0
        variable.assign(value)
    assert models.sizes(ksr.shrink(model)) == [6]


@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**32 - 1),
    density=st.floats(0.02, 0.5),
    kinds=st.lists(
        st.sampled_from([L.LSTM, L.GRU, L.SimpleRNN]), min_size=2, max_size=2
    ),
)
def test_whatever_is_zero_outputs_stay(seed, density, kinds):
    keras.utils.clear_session(free_memory=False)
    model = models.stack(
        kinds[0](5, return_sequences=True), kinds[1](4), L.Dense(2)
    )
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        value = rng.normal(size=variable.shape)
        if len(value.shape) == 2:
            # Whole blocks, or units would hardly ever die.
            value *= rng.random((len(value), 1)) < density
            value *= rng.random(value.shape) < 0.5
        variable.assign(value)
    smaller = ksr.shrink(model)
    alive = [each.sum() for each in ksr.alive_units(model).values()]
    assert models.sizes(smaller) == [max(count, 1) for count in alive]
    models.assert_close(model, smaller, models.sequences())
    assert all(each.all() for each in ksr.alive_units(smaller).values()) or (
        0 in alive
    )


def test_the_smaller_model_trains_and_needs_keras_alone(tmp_path):
    model, inputs = made("sparse")
    kill_in_turn(model)
    ksr.add_iss_regularizer(model, 0.1)
    smaller = ksr.shrink(model)
    assert not smaller.losses
    smaller.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras", custom_objects={})
    models.assert_close(smaller, loaded, inputs)
    loaded.compile("adam", "mse")
    loaded.fit(inputs, np.ones((3, 2)), verbose=0)
    assert "keras_sparse_rnn" not in (loaded.to_json())


def test_what_other_layers_have_adapted_is_kept():
    normalization = L.Normalization()
    normalization.adapt(4 * models.sequences() + 3)
    model = models.stack(normalization, L.GRU(6, name="a"), L.Dense(2))
    models.randomize(model)
    kill(model, models.layer(model, "a"), [1, 2], [(model.layers[-1], 0)])
    smaller = ksr.shrink(model)
    assert models.sizes(smaller) == [4]
    models.assert_close(model, smaller, models.sequences())


def test_layers_that_cannot_shrink_stay_and_are_logged(caplog):
    model = models.stack(
        L.LSTM(6, return_sequences=True, name="a"),
        L.GRU(5, return_sequences=True, name="b"),
        L.LayerNormalization(name="norm"),
        L.GRU(4, name="c"),
    )
    models.randomize(model)
    one, two, three = models.recurrent_layers(model)
    kill(model, one, [1], [(two, 0)])
    kill(model, two, [1], [])
    kill(model, three, [1], [])
    smaller = ksr.shrink(model)
    assert models.sizes(smaller) == [5, 5, 4]
    models.assert_close(model, smaller, models.sequences())
    assert "b' are read by LayerNormalization 'norm'" in caplog.text
    assert "c' are outputs of" in caplog.text
    assert "a'" not in caplog.text


def test_bidirectional_keeps_as_many_units_in_both_directions():
    model, inputs = made("bidirectional")
    forward, _, *read = models.recurrent_layers(model)
    kill(model, forward, [0, 1, 2], [(each, 0) for each in read])
    assert models.sizes(ksr.shrink(model)) == [6, 6, 5, 5]
    assert [each.sum() for each in ksr.alive_units(model).values()] == [
        3,
        6,
        5,
        5,
    ]
    models.assert_close(model, ksr.shrink(model), inputs)
