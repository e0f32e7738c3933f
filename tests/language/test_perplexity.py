import inspect

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


needs_ignore_class = pytest.mark.skipif(
    "ignore_class"
    not in inspect.signature(
        keras.metrics.SparseCategoricalCrossentropy
    ).parameters,
    reason="This Keras's metric has no `ignore_class`.",
)


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"ignore_class": 0}, marks=needs_ignore_class),
        pytest.param({"ignore_class": 3}, marks=needs_ignore_class),
    ],
    ids=str,
)
@pytest.mark.parametrize("is_weighted", [False, True])
def test_what_is_ignored_masked_or_weighted_counts_as_it_should(
    is_weighted, options, is_masked
):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 4, 6, 5)).astype("float32")
    targets = rng.integers(0, 5, (2, 4, 6))
    weights = rng.random((2, 4, 6)).astype("float32")
    mask = rng.random((2, 4, 6)) < 0.7
    metric = ksr.Perplexity(from_logits=True, **options)
    for batch in range(2):
        outputs = keras.ops.convert_to_tensor(logits[batch])
        if is_masked:
            outputs._keras_mask = keras.ops.convert_to_tensor(mask[batch])
        given = weights[batch] if is_weighted else None
        metric.update_state(targets[batch], outputs, given)
    shares = np.exp(logits)
    shares /= shares.sum(-1, keepdims=True)
    of_targets = np.take_along_axis(shares, targets[..., None], -1)[..., 0]
    counted = weights if is_weighted else np.ones_like(weights)
    counted = counted * (targets != options.get("ignore_class"))
    if is_masked:
        counted = counted * mask
    expected = np.exp(-np.average(np.log(of_targets), weights=counted))
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


@needs_ignore_class
@pytest.mark.parametrize("shape", [(2, 6), (2, 6, 1)])
@pytest.mark.parametrize("of_weights", [(2,), (2, 1), (2, 1, 1)])
def test_a_weight_of_a_sample_is_that_of_its_tokens(of_weights, shape):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 6, 5)).astype("float32")
    targets = rng.integers(0, 5, (2, 6))
    weights = np.array([0.5, 2.0])
    metrics = [
        ksr.Perplexity(from_logits=True, ignore_class=0) for _ in range(2)
    ]
    metrics[0].update_state(
        targets.reshape(shape), logits, weights.reshape(of_weights)
    )
    metrics[1].update_state(targets, logits, np.repeat(weights[:, None], 6, 1))
    results = [float(metric.result()) for metric in metrics]
    assert results[0] == pytest.approx(results[1], rel=1e-5)


@needs_ignore_class
@pytest.mark.parametrize("shape", [(6,), (2, 3)])
def test_weights_may_have_an_axis_of_their_own(shape):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(*shape, 5)).astype("float32")
    targets = rng.integers(0, 5, shape)
    weights = rng.random(shape)
    metrics = [
        ksr.Perplexity(from_logits=True, ignore_class=0) for _ in range(2)
    ]
    metrics[0].update_state(targets, logits, weights[..., None])
    metrics[1].update_state(targets, logits, weights)
    results = [float(metric.result()) for metric in metrics]
    assert results[0] == pytest.approx(results[1], rel=1e-5)


@needs_ignore_class
@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_targets_may_have_an_axis_of_their_own(shape):
    logits = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
    targets = np.array([0, 1, 2, 0, 4, 1])
    metrics = [
        ksr.Perplexity(from_logits=True, ignore_class=0) for _ in range(2)
    ]
    metrics[0].update_state(targets.reshape(shape), logits)
    metrics[1].update_state(targets[targets != 0], logits[targets != 0])
    results = [float(metric.result()) for metric in metrics]
    assert results[0] == pytest.approx(results[1], rel=1e-5)


def test_perplexity_is_made_again_from_its_config():
    metric = ksr.Perplexity("test_perplexity", from_logits=True)
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(metric)
    )
    assert type(copy) is ksr.Perplexity
    assert copy.name == "test_perplexity"
    assert copy.get_config() == metric.get_config()
