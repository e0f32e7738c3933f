import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr


def test_perplexity_of_equal_logits_is_the_size_of_the_vocabulary():
    metric = ksr.Perplexity(from_logits=True)
    metric.update_state(np.zeros((2, 3), "int32"), np.zeros((2, 3, 50)))
    assert float(metric.result()) == pytest.approx(50)


def test_perplexity_is_over_all_weighted_tokens():
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(5), (4, 6))
    targets = rng.integers(0, 5, (4, 6))
    weights = (rng.random((4, 6)) < 0.6).astype("float32")
    weights[0] = 1
    metric = ksr.Perplexity()
    for row in range(4):
        metric.update_state(
            targets[row : row + 1],
            shares[row : row + 1],
            weights[row : row + 1],
        )
    of_targets = np.take_along_axis(shares, targets[..., None], -1)[..., 0]
    expected = np.exp(-np.average(np.log(of_targets), weights=weights))
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


def test_perplexity_is_made_again_from_its_config():
    metric = ksr.Perplexity("test_perplexity", from_logits=True)
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(metric)
    )
    assert type(copy) is ksr.Perplexity
    assert copy.name == "test_perplexity"
    assert copy.get_config() == metric.get_config()
