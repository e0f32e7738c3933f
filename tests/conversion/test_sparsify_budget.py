"""What a global budget must hold in the less usual cases."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn import keras_internals
from tests.conversion import models


def model_of(*layers):
    return keras.Sequential([keras.Input((5,), dtype="int32"), *layers])


def recurrent_model():
    return model_of(
        keras.layers.Embedding(200, 16),
        keras.layers.LSTM(16, return_sequences=True),
        keras.layers.GRU(16),
    )


@pytest.mark.parametrize("granularity", ["gate", "kernel", "unit"])
@pytest.mark.parametrize("allocation", ["uniform", "er", "erk"])
def test_the_budget_is_met_in_every_granularity(granularity, allocation):
    sparse = ksr.sparsify(
        recurrent_model(),
        sparsity=0.9,
        allocation=allocation,
        granularity=granularity,
    )
    report = ksr.sparsity_report(sparse)
    assert report.active == round(0.1 * report.total)


def test_equal_layers_get_different_topologies_from_one_seed():
    model = model_of(
        keras.layers.Embedding(20, 8),
        keras.layers.LSTM(8, return_sequences=True),
        keras.layers.LSTM(8),
    )
    masks = [
        [
            weight.mask.numpy()
            for weight in ksr.sparse_weights(
                ksr.sparsify(model, sparsity=0.5, keep="drawn", topology_seed=3)
            )
        ]
        for _ in range(2)
    ]
    for first, again in zip(*masks, strict=True):
        np.testing.assert_array_equal(first, again)
    _, first_kernel, _, second_kernel, _ = masks[0]
    assert (first_kernel != second_kernel).any()


def bidirectional_cells():
    return keras.Sequential(
        [
            keras.Input((4, 3)),
            keras.layers.Bidirectional(
                keras.layers.RNN(keras.layers.SimpleRNNCell(5, name="inner"))
            ),
        ]
    )


def test_settings_go_to_all_layers_of_a_name():
    sparse = ksr.sparsify(
        bidirectional_cells(), settings={"inner": {"sparsity": 0.5}}
    )
    assert len(ksr.sparse_weights(sparse)) == 4


def copies_of_a_model():
    """Two nested models with layers of equal names, and of other shapes."""
    inputs = outputs = keras.Input((4, 3))
    for units in (5, 7):
        layers = [
            keras.layers.Bidirectional(
                keras.layers.RNN(
                    keras.layers.LSTMCell(units, name="cell"),
                    return_sequences=True,
                ),
                name="both",
            ),
            keras.layers.GRU(units, return_sequences=True, name="recurrent"),
        ]
        inner = keras.Sequential(
            [keras.Input(outputs.shape[1:]), *layers], name=f"inner_{units}"
        )
        outputs = inner(outputs)
    return keras.Model(inputs, outputs)


def names_of_layers(model):
    return [
        layer.name
        for layer in keras_internals.flatten_layers(model)
        if not isinstance(layer, keras.layers.InputLayer)
    ]


@pytest.mark.parametrize("allocation", ["uniform", "er", "erk"])
@pytest.mark.parametrize(
    "make", [bidirectional_cells, copies_of_a_model], ids=["cells", "nested"]
)
def test_a_budget_is_shared_among_layers_of_one_name(make, allocation):
    model = make()
    names = names_of_layers(model)
    sparse = ksr.sparsify(model, sparsity=0.63, allocation=allocation)
    report = ksr.sparsity_report(sparse)
    assert report.active == int(0.37 * report.total + 0.5)
    assert names_of_layers(model) == names_of_layers(sparse) == names
    full = ksr.sparsify(model, sparsity=0)
    assert all(weight.sparsity == 0 for weight in ksr.sparse_weights(full))
    models.assert_same_outputs(model, full, models.sequences())


def test_layers_of_one_name_have_the_counts_of_their_shapes():
    sparse = ksr.sparsify(
        copies_of_a_model(), sparsity=0.5, layers=["recurrent"]
    )
    weights = ksr.sparse_weights(sparse)
    assert len(weights) == 4
    assert all(
        weight.sparsity == pytest.approx(0.5, abs=0.03) for weight in weights
    )


def test_layers_of_one_name_get_different_topologies_from_one_seed():
    sparse = ksr.sparsify(
        bidirectional_cells(), sparsity=0.5, keep="drawn", topology_seed=3
    )
    forward, _, backward, _ = ksr.sparse_weights(sparse)
    assert (forward.mask.numpy() != backward.mask.numpy()).any()


def test_names_are_as_they_were_after_an_error():
    class Fixed(keras.layers.Layer):
        def __init__(self):
            super().__init__(name="fixed")

    model = keras.Sequential(
        [keras.Input((4, 3)), keras.layers.LSTM(3, name="lstm"), Fixed()]
    )
    with pytest.raises(ValueError, match=r"'fixed' cannot be cloned"):
        ksr.sparsify(model, sparsity=0.5)
    assert model.layers[0].name == "lstm"
