"""`SparseDense`: at density 1 it is `Dense`, below it is masked."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from tests.layers import namesakes

CLASSES = (keras.layers.Dense, ksr.SparseDense)
ARGUMENTS = [
    {},
    {"activation": "relu"},
    {"use_bias": False},
    {"kernel_initializer": "he_normal", "bias_initializer": "ones"},
    {"kernel_regularizer": "l2", "bias_regularizer": "l1"},
    {"kernel_regularizer": "orthogonal_regularizer"},
    {"activity_regularizer": "l2"},
    {"kernel_constraint": "max_norm", "bias_constraint": "non_neg"},
    {"trainable": False},
    {"dtype": "float64"},
    {"dtype": "mixed_float16"},
    {"dtype": "mixed_bfloat16"},
]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_at_density_one_it_is_dense_bit_for_bit(arguments, compiled):
    dense, sparse = namesakes.pair(CLASSES, 5, **arguments)
    inputs = namesakes.sequences()
    results = [
        namesakes.run(m, inputs, None, compiled) for m in (dense, sparse)
    ]
    namesakes.assert_same_start(dense, sparse)
    namesakes.assert_same_bits(*results)


def test_it_computes_with_the_masked_kernel():
    layer = ksr.SparseDense(4, sparsity=0.6, activation="relu")
    inputs = namesakes.sequences()[:, 0]
    outputs = layer(inputs).numpy()
    (weight,) = layer.sparse_weights
    kernel = np.where(weight.mask.numpy(), weight.value.numpy(), 0)
    np.testing.assert_allclose(
        outputs, np.maximum(inputs @ kernel, 0), rtol=1e-5, atol=1e-6
    )
    assert weight.active == 5


def test_sparse_inputs_are_taken_as_by_dense():
    dense, sparse = namesakes.pair(CLASSES, 3)
    inputs = tf.sparse.from_dense([[1.0, 0.0], [0.0, 2.0]])
    np.testing.assert_array_equal(dense(inputs), sparse(inputs))


def test_shapes_and_configuration():
    layer = ksr.SparseDense(4, epsilon=0.5, activation="relu")
    assert layer.compute_output_shape((2, 3, 5)) == (2, 3, 4)
    assert layer(keras.KerasTensor((None, 3, 5))).shape == (None, 3, 4)
    again = ksr.SparseDense.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    with pytest.raises(AttributeError):
        _ = ksr.SparseDense(4, epsilon=0.5).kernel
