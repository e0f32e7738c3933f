"""What Keras checks of its own recurrent layers, of the sparse ones."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests.layers import namesakes

kinds = pytest.mark.parametrize("kind", namesakes.LAYERS)


def make(kind, **kwargs):
    return namesakes.LAYERS[kind][1](namesakes.UNITS, sparsity=0.5, **kwargs)


@kinds
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"return_sequences": True, "return_state": True, "dropout": 0.2},
        {"kernel_regularizer": "l2", "bias_constraint": "max_norm"},
        {"granularity": "unit", "keep_diagonal": True, "rescale": True},
    ],
)
def test_the_configuration_goes_round(kind, arguments):
    layer = make(kind, **arguments)
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    serialised = keras.saving.serialize_keras_object(layer)
    revived = keras.saving.deserialize_keras_object(serialised)
    assert type(revived) is type(layer)
    assert revived.get_config() == config
    assert serialised["registered_name"] == f"keras_sparse_rnn>Sparse{kind}"
    cell = layer.cell
    assert type(cell).from_config(cell.get_config()).get_config() == (
        cell.get_config()
    )


@kinds
@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_symbolic_and_real_outputs_have_the_computed_shape(
    kind, return_state, return_sequences
):
    layer = make(
        kind, return_state=return_state, return_sequences=return_sequences
    )
    symbolic = layer(keras.KerasTensor((None, 4, 3)))
    real = layer(namesakes.sequences())
    shapes = layer.compute_output_shape((2, 4, 3))
    if not return_state:
        symbolic, real, shapes = [symbolic], [real], [shapes]
    assert [tuple(r.shape) for r in real] == [tuple(s) for s in shapes]
    assert [s.shape[1:] for s in symbolic] == [r.shape[1:] for r in real]
    assert len(real) == 1 + return_state * namesakes.STATES[kind]


@kinds
def test_state_is_kept_and_reset(kind):
    layer = make(kind, stateful=True)
    inputs = namesakes.sequences()
    first, second = layer(inputs).numpy(), layer(inputs).numpy()
    assert (first != second).any()
    layer.reset_state()
    np.testing.assert_array_equal(layer(inputs).numpy(), first)


@kinds
def test_half_sequences_with_the_state_handed_over(kind):
    layer = make(kind, return_state=True)
    inputs = namesakes.sequences()
    whole = layer(inputs)[0].numpy()
    _, *states = layer(inputs[:, :2])
    rest = layer(inputs[:, 2:], initial_state=states)[0].numpy()
    np.testing.assert_allclose(rest, whole, rtol=1e-5, atol=1e-6)


@kinds
def test_masked_time_steps_do_not_count(kind):
    layer = make(kind)
    inputs = namesakes.sequences()
    step_mask = np.array([[True, True, False, False]] * 2)
    np.testing.assert_allclose(
        layer(inputs, mask=step_mask), layer(inputs[:, :2]), atol=1e-6
    )
    model = keras.Sequential(
        [ksr.SparseEmbedding(5, 3, sparsity=0.5, mask_zero=True), make(kind)]
    )
    np.testing.assert_allclose(
        model(np.array([[1, 2, 0, 0]])), model(np.array([[1, 2]])), atol=1e-6
    )


@kinds
def test_the_first_weights_are_the_namesakes_where_connected(kind):
    keras.utils.set_random_seed(8)
    dense = namesakes.LAYERS[kind][0](namesakes.UNITS)
    dense.build((None, None, 3))
    keras.utils.set_random_seed(8)
    sparse = make(kind)
    sparse.build((None, None, 3))
    for weight, value in zip(
        sparse.sparse_weights, dense.get_weights(), strict=False
    ):
        np.testing.assert_array_equal(
            weight.value.numpy(), np.where(weight.mask.numpy(), value, 0)
        )


@kinds
def test_a_layer_has_one_cell_and_the_variables_it_needs(kind):
    layer = make(kind)
    assert layer.sparse_weights == []
    layer.build((None, None, 3))
    assert len(layer._layers) == 1
    names = [v.name for v in layer.trainable_variables]
    assert [name.removesuffix("_0") for name in names] == [
        "kernel",
        "recurrent_kernel",
        "bias",
    ]
    assert len(layer.non_trainable_variables) == 2 * 4 + 1 * bool(
        layer.cell.seed_generator
        and any("seed" in v.path for v in layer.non_trainable_variables)
    )
    layer.trainable = False
    assert not layer.trainable_variables
    assert not any(weight.trainable for weight in layer.sparse_weights)
    layer.trainable = True
    assert len(layer.trainable_variables) == 3
