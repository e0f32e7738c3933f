"""The arguments on top of the namesake's: counts, seeds, and what is saved."""

import fractions
import math
import os
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests.layers import namesakes


@keras.saving.register_keras_serializable("tests")
def lower_triangle(shape, rng):
    return np.tri(*shape, dtype=bool)


@keras.saving.register_keras_serializable("tests")
def first_column(shape, rng):
    mask = np.zeros(shape, int)
    mask[:, 0] = 1
    return mask


def text_model(epsilon):
    return keras.Sequential(
        [
            keras.Input((100,), dtype="int32"),
            ksr.SparseEmbedding(20_000, 256, epsilon=epsilon),
            ksr.SparseLSTM(256, epsilon=epsilon),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


@pytest.mark.parametrize(
    ("epsilon", "active"), [(10, 243_520), (2, 48_704), (110, 2_678_720)]
)
def test_the_connections_of_the_papers_model_to_the_unit(epsilon, active):
    weights = ksr.sparse_weights(text_model(epsilon))
    assert sum(weight.active for weight in weights) == active
    assert sum(weight.total for weight in weights) == 5_644_288
    assert [w.active for w in weights] == [
        epsilon * 20_256,
        epsilon * 4 * 512,
        epsilon * 4 * 512,
    ]


@pytest.mark.parametrize(
    ("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("SimpleRNN", 1), ("RHN", 2)]
)
@pytest.mark.parametrize("granularity", ["gate", "kernel", "unit"])
def test_counts_are_exact_in_each_granularity(kind, gates, granularity):
    layer = namesakes.LAYERS[kind][1](7, sparsity=0.71, granularity=granularity)
    layer.build((None, None, 5))
    for weight, inputs in zip(layer.sparse_weights, (5, 7), strict=True):
        mask = weight.mask.numpy()
        by_gate = [mask[:, gate * 7 : (gate + 1) * 7] for gate in range(gates)]
        if granularity == "kernel":
            assert mask.sum() == int(0.29 * mask.size + 0.5)
            continue
        for part in by_gate:
            assert part.sum() == int(0.29 * inputs * 7 + 0.5)
        same = all((part == by_gate[0]).all() for part in by_gate)
        assert same == (granularity == "unit" or gates == 1)


@pytest.mark.parametrize("granularity", ["gate", "kernel", "unit"])
@pytest.mark.parametrize(
    ("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("SimpleRNN", 1), ("RHN", 2)]
)
def test_the_diagonal_is_kept_and_the_count_too(kind, gates, granularity):
    layer = namesakes.LAYERS[kind][1](
        8, sparsity=0.8, granularity=granularity, keep_diagonal=True
    )
    layer.build((None, None, 5))
    kernel, recurrent = layer.sparse_weights
    assert not kernel.keep_diagonal
    assert recurrent.keep_diagonal
    mask = recurrent.mask.numpy()
    for gate in range(gates):
        part = mask[:, gate * 8 : (gate + 1) * 8]
        assert part.diagonal().all()
        if granularity != "kernel":
            assert part.sum() == 13
    if granularity == "kernel":
        assert mask.sum() == math.floor(0.2 * 8 * 8 * gates + 0.5)


def test_rescaling_leaves_the_variance_of_the_dense_layer():
    keras.utils.set_random_seed(1)
    plain = ksr.SparseDense(40, sparsity=0.75, topology_seed=3)
    plain.build((None, 60))
    keras.utils.set_random_seed(1)
    rescaled = ksr.SparseDense(40, sparsity=0.75, topology_seed=3, rescale=True)
    rescaled.build((None, 60))
    mask = plain.sparse_weights[0].mask.numpy()
    np.testing.assert_array_equal(mask, rescaled.sparse_weights[0].mask.numpy())
    np.testing.assert_allclose(
        rescaled.sparse_weights[0].value,
        plain.sparse_weights[0].value * np.sqrt(60 / mask.sum(axis=0)),
        rtol=1e-6,
    )


TOPOLOGIES = {
    "an object": ksr.topology.FixedCount(5),
    "a function": lower_triangle,
    "a function of integers": first_column,
    "by weight": {
        "kernel": ksr.topology.Uniform(0.5),
        "recurrent_kernel": lower_triangle,
    },
    "by gate": [ksr.topology.FixedCount(count) for count in (1, 2, 3, 4)],
    "by weight and gate": {
        "kernel": [ksr.topology.FixedCount(n) for n in (4, 3, 2, 1)],
        "recurrent_kernel": (
            lower_triangle,
            first_column,
            lower_triangle,
            ksr.topology.ErdosRenyi(0.5),
        ),
    },
}


@pytest.mark.parametrize("topology", TOPOLOGIES.values(), ids=TOPOLOGIES)
def test_topologies_are_used_and_saved(topology, tmp_path):
    model = keras.Sequential(
        [keras.Input((4, 3)), ksr.SparseLSTM(3, topology=topology)]
    )
    first = [weight.mask.numpy() for weight in ksr.sparse_weights(model)]
    model.save(tmp_path / "a.keras")
    loaded = keras.models.load_model(tmp_path / "a.keras")
    anew = keras.models.clone_model(model)
    for other in (loaded, anew):
        for mask, weight in zip(first, ksr.sparse_weights(other), strict=True):
            np.testing.assert_array_equal(mask, weight.mask.numpy())


def test_topologies_by_weight_and_gate_have_the_counts_asked_for():
    layer = ksr.SparseLSTM(3, topology=TOPOLOGIES["by weight and gate"])
    layer.build((None, None, 3))
    kernel, recurrent = (w.mask.numpy() for w in layer.sparse_weights)
    counts = [kernel[:, 3 * g : 3 * g + 3].sum() for g in range(4)]
    assert counts == [4, 3, 2, 1]
    np.testing.assert_array_equal(recurrent[:, :3], np.tri(3, dtype=bool))
    assert recurrent[:, 3:6].sum(axis=0).tolist() == [3, 0, 0]
    assert recurrent[:, 9:].sum() == 3


def test_the_topology_seed_comes_from_the_global_seed_and_is_saved():
    layers = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        layer = ksr.SparseGRU(5, sparsity=0.5)
        layer.build((None, None, 4))
        layers.append(layer)
    again = ksr.SparseGRU.from_config(layers[0].get_config())
    again.build((None, None, 4))
    one, same, other, again = (
        [w.mask.numpy() for w in layer.sparse_weights]
        for layer in (*layers, again)
    )
    for a, b, c, d in zip(one, same, other, again, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, d)
        assert (a != c).any()
    assert isinstance(layers[0].get_config()["topology_seed"], int)


SEEDLESS = {
    "Dense": lambda: ksr.SparseDense(8, sparsity=0.5),
    "nothing drawn": lambda: ksr.SparseDense(
        8, sparsity=0.5, kernel_initializer="ones"
    ),
    "LSTM": lambda: ksr.SparseLSTM(8, sparsity=0.5),
    "LSTM, nothing drawn": lambda: ksr.SparseLSTM(
        8,
        sparsity=0.5,
        kernel_initializer="ones",
        recurrent_initializer=keras.initializers.Orthogonal(seed=1),
        seed=1,
    ),
    "cell": lambda: ksr.SparseGRUCell(8, sparsity=0.5),
}


@pytest.mark.parametrize("make", SEEDLESS.values(), ids=SEEDLESS)
def test_layers_made_one_after_the_other_have_other_seeds(make):
    seeds = []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        seeds.append([make().get_config()["topology_seed"] for _ in range(3)])
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == 3


def test_the_topology_seed_is_not_the_seed_of_dropout():
    masks = []
    for seed, topology_seed in ((1, 5), (2, 5), (1, 6)):
        layer = ksr.SparseLSTM(
            5, sparsity=0.5, seed=seed, topology_seed=topology_seed
        )
        layer.build((None, None, 4))
        assert layer.get_config()["seed"] == seed
        assert layer.get_config()["topology_seed"] == topology_seed
        masks.append(layer.sparse_weights[0].mask.numpy())
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()


def test_kernel_and_recurrent_kernel_have_topologies_of_their_own():
    layer = ksr.SparseLSTM(6, sparsity=0.5, topology_seed=1)
    layer.build((None, None, 6))
    kernel, recurrent = (w.mask.numpy() for w in layer.sparse_weights)
    assert (kernel != recurrent).any()


def test_the_topology_is_the_same_in_every_process():
    program = (
        "import zlib, keras, keras_sparse_rnn as ksr\n"
        "keras.utils.set_random_seed(4)\n"
        "layer = ksr.SparseLSTM(5, sparsity=0.5)\n"
        "layer.build((None, None, 4))\n"
        "for weight in layer.sparse_weights:\n"
        "    print(zlib.crc32(weight.mask.numpy().tobytes()))\n"
    )
    environments = [{"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2"}]
    printed = [run_program(program, each) for each in environments]
    assert printed[0] == printed[1]
    assert len(printed[0].split()) == 2


def run_program(program, environment):
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment, "PYTHONPATH": os.getcwd()},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@pytest.mark.parametrize("kind", namesakes.SPARSE)
def test_an_epsilon_above_what_is_there_saturates_with_one_warning(kind):
    size = {"input_dim": 7, "output_dim": 3} if "Embedding" in kind else {}
    layer = namesakes.SPARSE[kind](
        **(size or {"units": 3}), epsilon=1000, name="mine"
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        layer.build((None, 4, 3))
        layer(np.zeros((2, 4, 3)) if not size else np.zeros((2, 4)))
    assert len(caught) == 1
    assert "'mine'" in str(caught[0].message)
    assert str(caught[0].message).endswith("Received: epsilon=1000")
    for weight in layer.sparse_weights:
        assert weight.active == weight.total


def test_an_epsilon_that_just_fits_does_not_warn():
    layer = ksr.SparseDense(4, epsilon=16 / 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer.build((None, 4))
    assert layer.sparse_weights[0].active == 16


HALF = fractions.Fraction(1, 2)


@pytest.mark.parametrize("number", [HALF, np.float16(0.5), np.float64(0.5)])
@pytest.mark.parametrize(
    "arguments",
    [
        lambda number: {"epsilon": number},
        lambda number: {"sparsity": number},
        lambda number: {"topology": ksr.topology.ErdosRenyi(number)},
        lambda number: {"topology": ksr.topology.Uniform(number)},
    ],
    ids=["epsilon", "sparsity", "ErdosRenyi", "Uniform"],
)
def test_real_numbers_of_any_kind_are_saved_as_floats(
    arguments, number, tmp_path
):
    layer = ksr.SparseLSTM(3, topology_seed=3, **arguments(number))
    config = layer.get_config()
    again = ksr.SparseLSTM.from_config(config)
    again.build((None, 4, 3))
    assert repr(again.get_config()) == repr(config)
    assert type(number).__name__ not in repr(config)
    model = keras.Sequential([keras.Input((4, 3)), layer])
    model.save(tmp_path / "a.keras")
    loaded = keras.models.load_model(tmp_path / "a.keras").layers[0]
    for other in (again, loaded):
        for one, two in zip(
            layer.sparse_weights, other.sparse_weights, strict=True
        ):
            np.testing.assert_array_equal(one.mask.numpy(), two.mask.numpy())


def test_numbers_of_numpy_are_saved(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((4, 3)),
            ksr.SparseLSTM(
                3,
                epsilon=np.float32(0.5),
                topology_seed=np.int64(3),
                rescale=np.True_,
            ),
        ]
    )
    model.save(tmp_path / "a.keras")
    loaded = keras.models.load_model(tmp_path / "a.keras").layers[0]
    assert loaded.get_config()["epsilon"] == 0.5
    assert loaded.get_config()["topology_seed"] == 3
    assert loaded.get_config()["rescale"] is True
