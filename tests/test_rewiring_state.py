"""What methods carry along with a weight, and where it is saved."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.rewiring_state import KINDS
from keras_sparse_rnn.rewiring_state import assign_signs
from keras_sparse_rnn.rewiring_state import momentum_of
from keras_sparse_rnn.rewiring_state import signs_of
from keras_sparse_rnn.rewiring_state import start_signs

LAYERS = {
    "LSTM": (lambda **state: ksr.SparseLSTM(6, sparsity=0.5, **state), (4, 3)),
    "GRU": (
        lambda **state: ksr.SparseGRU(
            6, sparsity=0.5, granularity="unit", **state
        ),
        (4, 3),
    ),
    "Bidirectional": (
        lambda **state: keras.layers.Bidirectional(
            ksr.SparseSimpleRNN(6, sparsity=0.5, **state)
        ),
        (4, 3),
    ),
    "Dense": (lambda **state: ksr.SparseDense(6, sparsity=0.5, **state), (3,)),
    "Embedding": (
        lambda **state: ksr.SparseEmbedding(7, 6, sparsity=0.5, **state),
        (4,),
    ),
}


def built(name, **state):
    make, shape = LAYERS[name]
    model = keras.Sequential([keras.Input(shape), make(**state)])
    model.compile("sgd", "mse")
    return model


def kept(model):
    """The names of the variables of all kinds."""
    return [
        variable.name
        for variable in model.variables
        if variable.name.endswith(KINDS)
    ]


@pytest.mark.parametrize("name", LAYERS)
def test_nothing_is_kept_unless_asked_for(name):
    assert kept(built(name)) == []


@pytest.mark.parametrize("kinds", [["momentum"], ["signs"], [*KINDS]])
@pytest.mark.parametrize("name", LAYERS)
def test_each_weight_has_a_variable_of_each_kind(name, kinds, tmp_path):
    model = built(name, rewiring_state=kinds)
    weights = ksr.sparse_weights(model)
    assert len(kept(model)) == len(weights) * len(kinds)
    for weight in weights:
        assert weight.layer.rewiring_state == tuple(kinds)
        for kind in kinds:
            variable = getattr(weight.layer, f"{weight.name}_{kind}")
            assert tuple(variable.shape) == weight.shape
            assert not variable.trainable
            assert not variable.numpy().any()
            rng = np.random.default_rng(len(kept(model)))
            variable.assign(
                rng.integers(-1, 2, weight.shape).astype(variable.dtype)
            )
    # They are saved, and no weights of the plain layer.
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert len(loaded.variables) == len(model.variables)
    for one, other in zip(model.variables, loaded.variables, strict=True):
        if "seed_generator" not in one.path:
            np.testing.assert_array_equal(one, other)
    plain = ksr.strip_sparsity(model)
    assert len(plain.weights) == len(model.trainable_weights)


@pytest.mark.parametrize("name", LAYERS)
def test_what_is_added_later_is_as_if_asked_for(name):
    later, asked = built(name), built(name, rewiring_state=[*KINDS])
    for weight in ksr.sparse_weights(later):
        for kind in KINDS * 2:
            weight.layer.carry(kind)
        assert weight.layer.rewiring_state == KINDS
    assert kept(later) == kept(asked)
    for one, other in zip(later.layers, asked.layers, strict=True):
        configs = [each.get_config() for each in (one, other)]
        for config in configs:
            config.pop("name")
        if name != "Bidirectional":
            states = [config["rewiring_state"] for config in configs]
            assert states == [[*KINDS]] * 2
    # A file of the one is one of the other.
    later.set_weights(asked.get_weights())


def test_dense_weights_are_taken_as_without():
    model = built("LSTM", rewiring_state=[*KINDS])
    plain = keras.layers.LSTM(6)
    plain.build((None, 4, 3))
    model.layers[0].set_weights(plain.get_weights())
    for weight, value in zip(
        ksr.sparse_weights(model), plain.get_weights(), strict=False
    ):
        expected = np.where(weight.mask, value, 0)
        np.testing.assert_array_equal(weight.value, expected)


def one_weight():
    model = keras.Sequential(
        [
            keras.Input((50,)),
            ksr.SparseDense(40, sparsity=0.5, rewiring_state=[*KINDS]),
        ]
    )
    [weight] = ksr.sparse_weights(model)
    return weight


def test_the_average_is_a_variable_of_the_layer():
    weight = one_weight()
    assert momentum_of(weight) is weight.layer.kernel_momentum


def test_signs_are_those_of_the_weights_where_there_are_none():
    weight = one_weight()
    mask, value = weight.mask.numpy(), weight.value.numpy()
    np.testing.assert_array_equal(signs_of(weight), np.sign(value))
    assert not weight.layer.kernel_signs.numpy().any()
    start_signs(weight)
    np.testing.assert_array_equal(weight.layer.kernel_signs, np.sign(value))
    # Those that are there stay, whatever the weights become.
    weight.value.assign(-value)
    start_signs(weight)
    np.testing.assert_array_equal(signs_of(weight), np.sign(value))
    # And go with their connections.
    moved = np.roll(mask, 1, axis=0)
    weight.mask.assign(moved)
    signs = signs_of(weight)
    assert not signs[~moved].any()
    stays = mask & moved
    np.testing.assert_array_equal(signs[stays], np.sign(value)[stays])


def test_signs_of_weights_of_0_are_drawn():
    weight = one_weight()
    weight.value.assign(np.zeros(weight.shape))
    mask = weight.mask.numpy()
    signs = signs_of(weight)
    assert (np.abs(signs[mask]) == 1).all()
    assert not signs[~mask].any()
    assert abs(signs[mask].mean()) < 0.15
    # The same again, and in another process.
    np.testing.assert_array_equal(signs, signs_of(weight))


def test_missing_signs_are_drawn_by_the_rewirings_generator():
    weight = one_weight()
    weight.value.assign(np.zeros(weight.shape))
    given = np.zeros(weight.shape, np.int8)
    given[:5] = -1
    drawn = []
    for seed in (1, 1, 2):
        assign_signs(weight, given.copy(), np.random.default_rng(seed))
        drawn.append(weight.layer.kernel_signs.numpy())
    mask = weight.mask.numpy()
    assert (drawn[0][:5][mask[:5]] == -1).all()
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("momentum", "must be a list of some of"),
        (None, "must be a list of some of"),
        ({"momentum"}, "must be a list of some of"),
        (["velocity"], "must be one of"),
        ([None], "must be one of"),
        ([["signs"]], "must be one of"),
        (["signs", "signs"], "must name each kind once"),
    ],
)
def test_bad_values_are_refused(value, match):
    for layer in (ksr.SparseLSTM, ksr.SparseEmbedding, ksr.SparseDense):
        sizes = (3, 4) if layer is ksr.SparseEmbedding else (3,)
        with pytest.raises(
            ValueError,
            match=rf"'named': `rewiring_state` {match}.* Received: rewiring_st",
        ):
            layer(*sizes, sparsity=0.5, rewiring_state=value, name="named")
