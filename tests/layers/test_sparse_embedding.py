"""`SparseEmbedding`: at density 1 it is `Embedding`, below it is masked."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from tests.layers import namesakes

CLASSES = (keras.layers.Embedding, ksr.SparseEmbedding)
IDS = np.array([[0, 3, 3], [6, 1, 0]])
ARGUMENTS = [
    {},
    {"mask_zero": True},
    {"embeddings_initializer": "he_normal"},
    {"embeddings_regularizer": "l2"},
    {"embeddings_constraint": "max_norm"},
    {"activity_regularizer": "l2"},
    {"weights": np.arange(28.0).reshape(7, 4)},
    {"weights": [np.arange(28.0).reshape(7, 4)]},
    {"trainable": False},
    {"dtype": "float64"},
    {"dtype": "mixed_float16"},
    {"dtype": "mixed_bfloat16"},
]


@pytest.mark.parametrize(
    ("ids", "compiled"),
    [(IDS, False), (IDS, True), (IDS[0].astype("float32"), False)],
)
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=lambda a: ",".join(a))
def test_at_density_one_it_is_embedding_bit_for_bit(arguments, ids, compiled):
    dense, sparse = namesakes.pair(CLASSES, 7, 4, **arguments)
    results = []
    for layer in (dense, sparse):
        layer.build()
        results.append(namesakes.run(layer, ids, None, compiled))
    namesakes.assert_same_start(dense, sparse)
    namesakes.assert_same_bits(*results)
    mask = dense.compute_mask(ids)
    assert (mask is None) == (sparse.compute_mask(ids) is None)
    if mask is not None:
        np.testing.assert_array_equal(mask, sparse.compute_mask(ids))


@pytest.mark.parametrize(
    "ids",
    [
        tf.ragged.constant([[1, 2, 2], [3]]),
        tf.sparse.from_dense([[1, 2], [3, 0]]),
    ],
    ids=["ragged", "sparse"],
)
def test_ragged_and_sparse_indices_are_taken_as_by_embedding(ids):
    dense, sparse = namesakes.pair(CLASSES, 7, 4)
    ours, theirs = sparse(ids), dense(ids)
    assert type(ours) is type(theirs)
    for one, other in zip(
        tf.nest.flatten(ours, expand_composites=True),
        tf.nest.flatten(theirs, expand_composites=True),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_rows_are_masked_and_their_gradient_stays_sparse():
    layer = ksr.SparseEmbedding(7, 4, sparsity=0.5)
    layer.build()
    (weight,) = layer.sparse_weights
    weight.value.assign(np.where(weight.mask, weight.value, np.inf))
    with tf.GradientTape() as tape:
        outputs = layer(IDS)
    expected = np.where(weight.mask.numpy(), weight.value.numpy(), 0)[IDS]
    np.testing.assert_array_equal(outputs.numpy(), expected)
    gradient = tape.gradient(outputs, weight.value.value)
    assert isinstance(gradient, tf.IndexedSlices)
    dense = tf.convert_to_tensor(gradient).numpy()
    counts = np.bincount(IDS.reshape(-1), minlength=7)[:, None]
    np.testing.assert_array_equal(dense, np.where(weight.mask, counts, 0))


def test_given_weights_are_masked_and_survive_the_configuration():
    table = np.arange(1.0, 29.0).reshape(7, 4)
    layer = ksr.SparseEmbedding(7, 4, sparsity=0.5, weights=table)
    (weight,) = layer.sparse_weights
    mask = weight.mask.numpy()
    assert weight.active == 14
    np.testing.assert_array_equal(
        weight.value.numpy(), np.where(mask, table, 0)
    )
    again = ksr.SparseEmbedding.from_config(layer.get_config())
    again.build()
    np.testing.assert_array_equal(again.sparse_weights[0].mask.numpy(), mask)


def test_shapes_and_configuration():
    layer = ksr.SparseEmbedding(7, 4, epsilon=0.5, mask_zero=True)
    assert layer.compute_output_shape((2, 3)) == (2, 3, 4)
    assert layer(keras.KerasTensor((None, 3), "int32")).shape == (None, 3, 4)
    again = ksr.SparseEmbedding.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.supports_masking
