"""What Keras hands to cuDNN: the masked kernels. No GPU is needed to see it."""

import keras
import numpy as np
import pytest
from keras.src import backend

import keras_sparse_rnn as ksr
from tests.layers import namesakes


@pytest.fixture
def intercepted(monkeypatch):
    """Calls of Keras's fused `lstm` and `gru`, which then fall back."""
    calls = []

    def record(*args, **kwargs):
        calls.append(kwargs)
        raise NotImplementedError

    for name in ("lstm", "gru"):
        monkeypatch.setattr(backend, name, record)
    return calls


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_masked_kernels_reach_the_fused_call(
    intercepted, kind, policy, bidirectional
):
    layer = namesakes.LAYERS[kind][1](
        namesakes.UNITS, sparsity=0.5, dropout=0.2, dtype=policy
    )
    if bidirectional:
        layer = keras.layers.Bidirectional(layer, dtype=policy)
    layer.build((None, None, namesakes.FEATURES))
    for weight in ksr.sparse_weights(layer):
        # Not 0 outside of the mask, so that the raw weight would show.
        weight.value.assign(weight.value + 1.0)
    layer(namesakes.sequences(), training=True)
    weights = ksr.sparse_weights(layer)
    assert len(intercepted) == len(weights) / 2 == 1 + bidirectional
    for call, weight in zip(
        [c for c in intercepted for _ in range(2)], weights, strict=True
    ):
        handed = call[weight.name]
        assert handed.dtype == layer.compute_dtype
        expected = np.where(weight.mask.numpy(), weight.value.numpy(), 0)
        np.testing.assert_array_equal(
            handed.numpy(), expected.astype(layer.compute_dtype)
        )
        assert (handed.numpy() == 0).sum() == weight.total - weight.active


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_the_fused_path_is_open_to_the_same_arguments_as_the_namesakes(
    monkeypatch, kind
):
    monkeypatch.setattr(backend, "cudnn_ok", lambda *args, **kwargs: True)
    for arguments in ({}, {"use_cudnn": True}, {"use_cudnn": False}):
        dense, sparse = namesakes.pair(namesakes.LAYERS[kind], 3, **arguments)
        assert sparse.use_cudnn == dense.use_cudnn
        assert sparse.supports_jit == dense.supports_jit
        assert sparse.supports_jit == (arguments.get("use_cudnn") is False)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_no_call_where_the_namesake_makes_none(intercepted, kind):
    for arguments in ({"use_cudnn": False}, {"recurrent_dropout": 0.2}):
        layer = namesakes.LAYERS[kind][1](3, sparsity=0.5, **arguments)
        layer(namesakes.sequences())
    assert not intercepted
