"""What is the sparse recurrent highway network's own: one mask a matrix."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.analysis.unit_matching import layer_distances
from tests.engine.test_masked import selects
from tests.engine.test_masked import signature
from tests.layers import namesakes
from tests.layers import rhn_reference


def make(units=8, inputs=5, **arguments):
    layer = ksr.SparseRHN(units, **{"sparsity": 0.6, "depth": 3, **arguments})
    layer.build((None, None, inputs))
    return layer


def language_model(sparsity):
    """Of the paper's size; the embedding's table is that of the decoder."""
    zeros = {
        "kernel_initializer": "zeros",
        "recurrent_initializer": "zeros",
    }
    table = ksr.SparseReversibleEmbedding(
        10_000, 830, sparsity=sparsity, embeddings_initializer="zeros"
    )
    layer = ksr.SparseRHN(
        830, depth=10, sparsity=sparsity, return_sequences=True, **zeros
    )
    tokens = keras.Input((35,), dtype="int32")
    return keras.Model(tokens, table(layer(table(tokens)), reverse=True))


def test_the_papers_language_model_has_the_papers_weights():
    model = language_model(1 - 0.472)
    report = ksr.sparsity_report(model)
    assert [row.shape for row in report.matrices] == [
        (10_000, 830),
        *[(830, 1660)] * 11,
    ]
    assert report.total == 10_000 * 830 + 11 * 830 * 1660 == 23_455_800
    assert round(report.active / 1e6, 2) == 11.07
    matrices = ksr.weight_matrices(model, time_steps=35)
    assert [each.applications for each in matrices] == [35] * 12


@pytest.mark.parametrize("coupled", [True, False])
@pytest.mark.parametrize("granularity", ["gate", "kernel", "unit"])
def test_each_matrix_has_counts_of_its_own(coupled, granularity):
    layer = make(coupled=coupled, granularity=granularity)
    gates = 2 if coupled else 3
    assert [weight.name for weight in layer.sparse_weights] == [
        "kernel",
        "recurrent_kernel_0",
        "recurrent_kernel_1",
        "recurrent_kernel_2",
    ]
    for weight, inputs in zip(layer.sparse_weights, (5, 8, 8, 8), strict=True):
        mask = weight.mask.numpy()
        by_gate = mask.reshape(inputs, gates, 8).sum(axis=(0, 2))
        if granularity == "kernel":
            assert mask.sum() == int(0.4 * mask.size + 0.5)
        else:
            assert (by_gate == int(0.4 * inputs * 8 + 0.5)).all()
    masks = [weight.mask.numpy() for weight in layer.sparse_weights[1:]]
    assert (masks[0] != masks[1]).any()
    assert (masks[1] != masks[2]).any()


def test_erdos_renyi_by_gate():
    layer = make(epsilon=1.5, sparsity=None)
    assert [weight.active for weight in layer.sparse_weights] == [
        2 * round(1.5 * (5 + 8)),
        *[2 * int(1.5 * (8 + 8))] * 3,
    ]


def test_the_diagonal_of_every_recurrent_kernel_is_kept():
    layer = make(sparsity=0.85, keep_diagonal=True)
    kernel, *recurrent = layer.sparse_weights
    assert not kernel.keep_diagonal
    for _ in range(2):
        for weight in recurrent:
            assert weight.keep_diagonal
            for gate in np.split(weight.mask.numpy(), 2, axis=1):
                assert gate.diagonal().all()
        ksr.rewire(layer, keras.optimizers.SGD(), 0.5)


def test_a_topology_for_each_matrix():
    uniform = ksr.topology.Uniform
    layer = make(
        depth=2,
        sparsity=None,
        topology={
            "kernel": uniform(0.5),
            "recurrent_kernel_0": uniform(0.25),
            "recurrent_kernel_1": [uniform(0.75), uniform(0)],
        },
    )
    sparsities = [weight.sparsity for weight in layer.sparse_weights]
    assert sparsities == [0.5, 0.25, 0.375]
    again = ksr.SparseRHN.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("cls", [ksr.SparseRHN, ksr.SparseRHNCell])
@pytest.mark.parametrize(
    "names", [("kernel", "recurrent_kernel"), ("kernel", "recurrent_kernel_0")]
)
def test_a_topology_for_other_matrices_is_refused(cls, names):
    topology = dict.fromkeys(names, ksr.topology.Uniform(0.5))
    with pytest.raises(
        ValueError,
        match=r"^SparseRHN.* 'mine' expects `topology` to be given for "
        r"'kernel' and 'recurrent_kernel_0' and 'recurrent_kernel_1', and "
        r"for nothing else\. Received: topology=",
    ):
        cls(3, depth=2, topology=topology, name="mine")


def test_initial_weights_are_rescaled_by_what_reaches_an_output():
    plain, rescaled = (
        make(recurrent_initializer="ones", rescale=rescale, topology_seed=1)
        for rescale in (False, True)
    )
    for weight, other in zip(
        plain.sparse_weights[1:], rescaled.sparse_weights[1:], strict=True
    ):
        mask = weight.mask.numpy()
        fan_in = np.maximum(mask.sum(axis=0), 1)
        np.testing.assert_array_equal(weight.value.numpy(), mask)
        np.testing.assert_allclose(
            other.value.numpy(), mask * np.sqrt(8 / fan_in), rtol=1e-6
        )


@pytest.mark.parametrize("coupled", [True, False])
def test_outputs_are_those_of_the_masked_weights(coupled):
    layer = make(coupled=coupled, dtype="float64", return_sequences=True)
    for weight in layer.sparse_weights:
        # Not 0 outside of the mask, so that the raw weight would show.
        weight.value.assign(weight.value + 0.3)
    inputs = np.random.default_rng(0).normal(size=(2, 4, 5))
    outputs, _ = rhn_reference.run(
        rhn_reference.weights_of(layer.cell),
        inputs,
        np.zeros((2, 8)),
        3,
        coupled=coupled,
    )
    np.testing.assert_allclose(layer(inputs), outputs, rtol=1e-10)
    for weight in layer.sparse_weights:
        read = np.array(getattr(layer.cell, weight.name))
        np.testing.assert_array_equal(
            read, np.where(weight.mask.numpy(), weight.value.numpy(), 0)
        )


def test_each_matrix_is_masked_once_and_outside_the_loop():
    layer = make(inputs=namesakes.FEATURES, depth=4)
    assert selects(layer, signature()) == (5, 0)


@pytest.mark.parametrize("engine", ["auto", "masked"])
def test_no_engine_but_the_masked_one_and_no_warning(engine):
    layer = make(units=128, sparsity=0.9, engine=engine)
    assert layer.engine_in_use == "masked"
    assert layer.supports_jit


def test_the_native_engine_is_refused_with_the_reason():
    layer = ksr.SparseRHN(4, sparsity=0.5, engine="native", name="mine")
    with pytest.raises(
        ValueError,
        match=r"^SparseRHN 'mine' cannot run on the native engine: there are "
        r"no kernels for SparseRHNCell.*Received: engine='native'$",
    ):
        layer.build((None, None, 3))
    with pytest.raises(ValueError, match=r"RHN.*Received: recompute_gates="):
        ksr.SparseRHN(4, sparsity=0.5, recompute_gates=True)


def test_units_are_linked_by_every_recurrent_kernel():
    model = keras.Sequential(
        [
            keras.Input((4, 3)),
            ksr.SparseRHN(
                5,
                depth=2,
                sparsity=0.5,
                return_sequences=True,
                topology_seed=1,
            ),
            ksr.SparseRHN(4, sparsity=0.5, topology_seed=2),
        ]
    )
    topology = ksr.analysis.network_topology(model)
    first, second = topology.layers
    assert [matrix.outputs for matrix in topology.matrices] == [
        *[first] * 3,
        *[second] * 2,
    ]
    assert [matrix.inputs for matrix in topology.matrices[1:]] == [
        *[(first,)] * 2,
        (first,),
        (second,),
    ]
    assert {matrix.gates for matrix in topology.matrices} == {2}
    # Units in another order, in all matrices at once, are the same network.
    order = np.array([3, 0, 4, 1, 2])
    columns = np.concatenate([order, order + 5])
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    kernel, *recurrent = other.layers[0].sparse_weights
    for weight in (kernel, *recurrent):
        rows = slice(None) if weight is kernel else order
        weight.start_with(weight.mask.numpy()[rows][:, columns])
    reader = other.layers[1].sparse_weights[0]
    reader.start_with(reader.mask.numpy()[order])
    orders = {first.name: np.argsort(order), second.name: np.arange(4)}
    assert layer_distances(model, other, orders) == dict.fromkeys(orders, 0)
    assert ksr.analysis.nnstd(model, other) < ksr.analysis.edit_distance(
        model, other
    )


def test_a_dense_models_file_loads(tmp_path):
    def models():
        for cls, extra in ((ksr.RHN, {}), (ksr.SparseRHN, {"sparsity": 0.5})):
            layer = cls(4, depth=2, **extra)
            yield keras.Sequential(
                [keras.Input((4, 3)), keras.layers.Bidirectional(layer)]
            )

    dense, sparse = models()
    dense.save_weights(tmp_path / "dense.weights.h5")
    ksr.load_dense_weights(sparse, tmp_path / "dense.weights.h5")
    kernels = [v.numpy() for v in dense.weights if "kernel" in v.name]
    for value, weight in zip(kernels, ksr.sparse_weights(sparse), strict=True):
        np.testing.assert_array_equal(
            weight.value.numpy(), np.where(weight.mask.numpy(), value, 0)
        )


def test_a_stripped_layer_is_an_rhn_and_back_again():
    layer = make(seed=3, recurrent_dropout=0.3)
    plain = ksr.strip_sparsity(layer)
    assert type(plain) is ksr.RHN
    inputs = np.random.default_rng(0).normal(size=(2, 4, 5))
    for training in (False, True):
        np.testing.assert_array_equal(
            plain(inputs, training=training), layer(inputs, training=training)
        )
    sparse = ksr.sparsify(plain, sparsity=0.6)
    assert type(sparse) is ksr.SparseRHN
    report = ksr.sparsity_report(sparse)
    assert report.active == int(0.4 * report.total + 0.5)
    assert len(report.matrices) == 4
