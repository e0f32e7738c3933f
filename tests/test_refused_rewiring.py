"""What `ksr.rewire` refuses, without changing anything."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from keras_sparse_rnn import rewiring
from tests import rewired_models


@pytest.fixture
def trained():
    return rewired_models.make_trained()


@pytest.fixture(scope="module")
def trained_and_not_changed():
    return rewired_models.make_trained()


def refusal(trained, match, **arguments):
    """The message with which a call is refused, without a change."""
    model, optimizer = trained
    before = rewired_models.everything(model, optimizer)
    with pytest.raises(ValueError, match=match) as error:
        ksr.rewire(
            model, **{"optimizer": optimizer, "rewire_rate": 0.3, **arguments}
        )
    assert rewired_models.everything(model, optimizer) == before
    return str(error.value)


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
    counts = [np.count_nonzero(mask) for mask in rewired_models.masks(model)]
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


@pytest.mark.parametrize("sparsity", [0.2, 1, -0.1, "much"])
def test_a_sparsity_that_cannot_be_pruned_to_is_refused(sparsity, trained):
    model, optimizer = trained
    before = rewired_models.everything(model, optimizer)
    with pytest.raises(ValueError, match="parsity"):
        ksr.rewire(model, optimizer, 0.3, sparsity=sparsity)
    assert rewired_models.everything(model, optimizer) == before


def test_a_layer_made_trainable_after_the_optimizer_was_built():
    model, optimizer = rewired_models.make_model(), keras.optimizers.Adam(0.02)
    model.get_layer("lstm").trainable = False
    rewired_models.train(model, optimizer)
    model.get_layer("lstm").trainable = True
    message = refusal((model, optimizer), "lstm")
    assert message.endswith("Received: optimizer=adam")
