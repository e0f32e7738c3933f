"""The contract that callbacks, reports and tests use."""

import zlib

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.masked_weight import masked
from keras_sparse_rnn.sparse_weight import weight_key


def built(**kwargs):
    layer = ksr.SparseLSTM(4, **{"sparsity": 0.75, **kwargs})
    layer.build((None, None, 3))
    return layer


def test_what_a_weight_tells():
    layer = built()
    kernel, recurrent = layer.sparse_weights
    assert [kernel.name, recurrent.name] == ["kernel", "recurrent_kernel"]
    assert kernel.path == layer.cell._kernel.path
    assert kernel.shape == (3, 16)
    assert kernel.value is layer.cell._kernel
    assert kernel.mask.dtype == "bool"
    assert (kernel.active, kernel.total, kernel.sparsity) == (12, 48, 0.75)
    assert [group.name for group in kernel.groups] == ["i", "f", "c", "o"]
    assert kernel.ever_active == 12
    assert (kernel.rewirings, kernel.last_step, kernel.last_epoch) == (
        0,
        -1,
        -1,
    )
    assert kernel.rewire_rate == 0
    assert kernel.trainable
    assert not kernel.keep_diagonal
    assert "active=12, total=48, sparsity=0.7500" in repr(kernel)
    assert not kernel.mask.trainable


def test_weights_made_anew_look_at_the_same_variables():
    layer = built()
    one, two = layer.sparse_weights[0], layer.sparse_weights[0]
    one.mask.assign(np.ones(one.shape, bool))
    assert two.active == two.total


def test_the_effective_value_is_masked_and_enforcing_changes_no_output():
    layer = built()
    inputs = np.ones((2, 3, 3), "float32")
    weight = layer.sparse_weights[0]
    weight.value.assign(weight.value + 1.0)
    before = layer(inputs).numpy()
    effective = weight.effective_value().numpy()
    mask = weight.mask.numpy()
    assert (weight.value.numpy()[~mask] == 1).all()
    weight.enforce_mask()
    np.testing.assert_array_equal(weight.value.numpy(), effective)
    assert (effective[~mask] == 0).all()
    np.testing.assert_array_equal(layer(inputs).numpy(), before)


def test_starting_with_a_mask():
    weight = built().sparse_weights[0]
    value = weight.value.numpy()
    mask = np.zeros(weight.shape, bool)
    mask[0] = mask[2, 3] = True
    weight.start_with(mask)
    np.testing.assert_array_equal(weight.mask.numpy(), mask)
    np.testing.assert_array_equal(
        weight.value.numpy(), np.where(mask, value, 0)
    )
    assert weight.ever_active == weight.active == 17


def test_starting_with_a_mask_of_another_shape_changes_nothing():
    weight = built().sparse_weights[0]
    before = weight.mask.numpy()
    with pytest.raises(
        ValueError, match=rf"'{weight.path}'.*Received: mask.shape=\(2, 2\)"
    ):
        weight.start_with(np.ones((2, 2), bool))
    np.testing.assert_array_equal(weight.mask.numpy(), before)


def test_what_is_kept_with_a_mask_is_not_trained_nor_cast():
    keras.config.set_dtype_policy("mixed_float16")
    layer = built()
    kept = [v for v in layer.cell.variables if "kernel_" in v.name]
    names = {v.name.removeprefix("recurrent_kernel_") for v in kept}
    assert {"mask", "ever_active", "rewiring", "rewiring_levels"} <= names
    for variable in kept:
        if not variable.name.endswith("kernel"):
            assert not variable.trainable


def test_random_numbers_depend_on_the_key_and_the_rewirings_alone():
    one, other = (built(topology_seed=5).sparse_weights for _ in range(2))
    drawn = [w.random_generator().integers(1 << 60) for w in (*one, *other)]
    assert drawn[:2] == drawn[2:]
    assert drawn[0] != drawn[1]
    record = one[0].layer.kernel_rewiring.numpy()
    record[2] += 1
    one[0].layer.kernel_rewiring.assign(record)
    assert one[0].random_generator().integers(1 << 60) != drawn[0]


def test_a_topology_whose_tied_gates_differ_is_not_started_with():
    weight = built(granularity="unit").sparse_weights[0]
    before = weight.mask.numpy()
    mask = before.copy()
    mask[0, -1] ^= True
    with pytest.raises(
        ValueError, match=rf"in all gates of '{weight.path}'\. Received: a mask"
    ):
        weight.start_with(mask)
    np.testing.assert_array_equal(weight.mask.numpy(), before)
    weight.start_with(~before)
    np.testing.assert_array_equal(weight.mask.numpy(), ~before)


def test_keys_differ_by_seed_and_place_and_not_by_process():
    keys = {
        tuple(weight_key(seed, place))
        for seed in (1, 2)
        for place in ("kernel", "backwards/kernel", "recurrent_kernel")
    }
    assert len(keys) == 6
    expected = np.random.SeedSequence([1, zlib.crc32(b"kernel")])
    np.testing.assert_array_equal(
        weight_key(1, "kernel").view(np.uint32), expected.generate_state(2)
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_masking_selects_and_does_not_multiply(dtype):
    weight = keras.ops.convert_to_tensor(
        [np.inf, np.nan, -0.0, 3.0], dtype=dtype
    )
    mask = np.array([False, False, True, True])
    result = masked(weight, mask)
    assert result.dtype == dtype
    result = keras.ops.convert_to_numpy(keras.ops.cast(result, "float64"))
    np.testing.assert_array_equal(result, [0, 0, -0.0, 3])
    assert np.signbit(result[2])
