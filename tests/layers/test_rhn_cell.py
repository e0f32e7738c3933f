"""The cell of a recurrent highway network: its weights and its arguments."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr


def test_weights_have_the_names_and_shapes_that_are_said():
    cell = ksr.RHNCell(6, depth=2, coupled=False)
    cell.build((None, 4))
    assert [(v.name, tuple(v.shape)) for v in cell.trainable_variables] == [
        ("kernel", (4, 3 * 6)),
        ("recurrent_kernel_0", (6, 3 * 6)),
        ("recurrent_kernel_1", (6, 3 * 6)),
        ("bias_0", (3 * 6,)),
        ("bias_1", (3 * 6,)),
    ]
    assert cell.gates == ("h", "t", "c")


@pytest.mark.parametrize("coupled", [True, False])
@pytest.mark.parametrize(
    ("arguments", "candidate", "transform", "carry"),
    [
        ({}, 0, -2, 2),
        ({"transform_bias": -4}, 0, -4, 4),
        ({"bias_initializer": "ones"}, 1, -2, 2),
        ({"bias_initializer": "ones", "transform_bias": None}, 1, 1, 1),
    ],
)
def test_biases_start_where_it_is_said(
    coupled, arguments, candidate, transform, carry
):
    cell = ksr.RHNCell(2, depth=2, coupled=coupled, **arguments)
    cell.build((None, 3))
    start = np.repeat([candidate, transform, carry][: 2 + (not coupled)], 2)
    for name in cell.bias_names:
        np.testing.assert_array_equal(getattr(cell, name), start)


@pytest.mark.parametrize(
    "initializer",
    [
        "orthogonal",
        keras.initializers.RandomNormal(seed=3),
        keras.initializers.RandomNormal(seed=keras.random.SeedGenerator(3)),
        keras.initializers.VarianceScaling(2.0, seed=-1),
    ],
    ids=["orthogonal", "seed", "generator", "below 0"],
)
def test_micro_layers_start_at_weights_of_their_own(initializer):
    cell = ksr.RHNCell(5, depth=3, recurrent_initializer=initializer)
    cell.build((None, 4))
    kernels = [
        np.array(getattr(cell, name)) for name in cell.recurrent_kernel_names
    ]
    for index, kernel in enumerate(kernels):
        for other in kernels[:index]:
            assert not (kernel == other).any()


def test_the_first_weights_follow_from_the_seeds():
    starts = []
    for _ in range(2):
        keras.utils.set_random_seed(4)
        cell = ksr.RHNCell(5, depth=3, bias_initializer="random_normal")
        cell.build((None, 4))
        starts.append([np.array(each) for each in cell.trainable_variables])
    for a, b in zip(*starts, strict=True):
        np.testing.assert_array_equal(a, b)
    candidates = [bias[:5] for bias in starts[0][-3:]]
    assert (candidates[0] != candidates[1]).all()


class WithoutConfig(keras.initializers.Initializer):
    def __init__(self, scale, seed):
        self.scale = scale
        self.seed = seed

    def __call__(self, shape, dtype=None):
        return self.scale + keras.random.uniform(shape, seed=self.seed)


def test_an_initializer_without_a_configuration_keeps_its_arguments():
    cell = ksr.RHNCell(
        5, depth=3, recurrent_initializer=WithoutConfig(7.0, seed=1)
    )
    cell.build((None, 4))
    kernels = [
        np.array(getattr(cell, name)) for name in cell.recurrent_kernel_names
    ]
    for index, kernel in enumerate(kernels):
        assert (kernel >= 7).all()
        for other in kernels[:index]:
            assert (kernel != other).any()


def test_an_initializer_without_a_seed_serves_all():
    cell = ksr.RHNCell(3, depth=2, recurrent_initializer="ones")
    cell.build((None, 4))
    for name in cell.recurrent_kernel_names:
        np.testing.assert_array_equal(getattr(cell, name), 1)


BAD = {
    "units 0": {"units": 0},
    "units a float": {"units": 3.0},
    "depth 0": {"depth": 0},
    "depth below 0": {"depth": -1},
    "depth a float": {"depth": 2.0},
    "depth True": {"depth": True},
    "coupled None": {"coupled": None},
    "use_bias a string": {"use_bias": "no"},
    "transform_bias a string": {"transform_bias": "-2"},
    "transform_bias NaN": {"transform_bias": float("nan")},
    "dropout 1": {"dropout": 1.0},
    "dropout below 0": {"dropout": -0.1},
    "dropout None": {"dropout": None},
    "recurrent_dropout 1.5": {"recurrent_dropout": 1.5},
}


@pytest.mark.parametrize(
    "cls", [ksr.RHN, ksr.RHNCell, ksr.SparseRHN, ksr.SparseRHNCell]
)
@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD)
def test_bad_arguments_are_refused_by_name(cls, arguments):
    [(name, value)] = arguments.items()
    arguments = {"units": 3, **arguments, "name": "mine"}
    if cls in (ksr.SparseRHN, ksr.SparseRHNCell):
        arguments["sparsity"] = 0.5
    with pytest.raises(ValueError, match=f"^{cls.__name__} 'mine': ") as error:
        cls(**arguments)
    assert str(error.value).endswith(f"Received: {name}={value!r}")
