"""The exploration rate from a history of masks."""

import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.analysis import exploration_rates
from keras_sparse_rnn.model_rewiring import exploration_rate
from tests.callbacks import tiny


def test_a_small_history():
    masks = [
        np.array([[1, 0], [0, 0]]),
        np.array([[0, 1], [0, 0]]),
        np.array([[1, 0], [0, 0]]),
        np.array([[0, 0], [1, 1]]),
    ]
    assert exploration_rates(masks).tolist() == [0.25, 0.5, 0.5, 1]
    assert exploration_rates([masks[:2], masks[2:]]).tolist() == [0.25, 0.5]


def test_it_is_what_the_callback_logs():
    model = tiny.text_model()
    history = ksr.TopologyHistory()
    logs = tiny.fit(model, ksr.SETCallback(0.5), history, epochs=4).history
    rates = exploration_rates(history.topologies)
    assert rates.tolist() == logs["exploration_rate"]
    assert rates[-1] == exploration_rate(ksr.sparse_weights(model))
    assert rates[0] < rates[-1]


def test_a_history_of_nothing():
    with pytest.raises(ValueError, match=r"Received: topologies=\[\]"):
        exploration_rates([])
