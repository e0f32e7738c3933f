"""What a global budget must hold in the less usual cases."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr


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


def test_a_budget_asks_for_names_of_their_own():
    with pytest.raises(ValueError, match=r"settings.*Received: 2 layers named"):
        ksr.sparsify(bidirectional_cells(), sparsity=0.5)
