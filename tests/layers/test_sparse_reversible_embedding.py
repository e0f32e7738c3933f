"""`SparseReversibleEmbedding`: one table and one mask for both uses."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from keras_sparse_rnn.engine import masked
from tests.layers import namesakes

CLASSES = (keras.layers.ReversibleEmbedding, ksr.SparseReversibleEmbedding)
IDS = np.array([[0, 3, 3], [6, 1, 0]])
HIDDEN = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
ARGUMENTS = [
    {},
    {"tie_weights": False},
    {"mask_zero": True},
    {"embeddings_initializer": "he_normal"},
    {"embeddings_regularizer": "l2"},
    {"logit_soft_cap": 0.1},
    {"reverse_dtype": "float64"},
    {"trainable": False},
    {"dtype": "float64"},
    {"dtype": "mixed_float16"},
    {"dtype": "mixed_bfloat16", "tie_weights": False},
]
tied = pytest.mark.parametrize("tie_weights", [True, False])


def make(tie_weights=True, sparsity=0.5, **arguments):
    layer = ksr.SparseReversibleEmbedding(
        7, 4, tie_weights, sparsity=sparsity, topology_seed=1, **arguments
    )
    layer.build()
    return layer


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=lambda a: ",".join(a))
def test_at_density_one_it_is_the_namesake_bit_for_bit(
    arguments, reverse, compiled
):
    inputs = HIDDEN if reverse else IDS
    dense, sparse = namesakes.pair(CLASSES, 7, 4, **arguments)
    results = []
    for layer in (dense, sparse):
        layer.build()
        results.append(
            namesakes.run(layer, inputs, None, compiled, reverse=reverse)
        )
    namesakes.assert_same_start(dense, sparse)
    namesakes.assert_same_bits(*results)


@tied
def test_both_uses_are_masked(tie_weights):
    layer = make(tie_weights)
    weights = layer.sparse_weights
    names = ["embeddings"] if tie_weights else list(layer.sparse_names)
    assert [weight.name for weight in weights] == names
    assert [weight.active for weight in weights] == [14] * len(names)
    values = []
    for weight in weights:
        mask = weight.mask.numpy()
        values.append(np.where(mask, weight.value.numpy(), 0))
        weight.value.assign(np.where(mask, weight.value, np.inf))
    np.testing.assert_array_equal(layer(IDS), values[0][IDS])
    decoder = values[0].T if tie_weights else values[1]
    np.testing.assert_allclose(
        layer(HIDDEN, reverse=True), HIDDEN @ decoder, rtol=1e-5, atol=1e-7
    )


def test_an_untied_decoder_has_a_mask_of_its_own():
    one, other = make(tie_weights=False).sparse_weights
    assert (one.mask.numpy() != other.mask.numpy().T).any()


@tied
def test_the_table_is_masked_once_in_each_call_in_reverse(
    monkeypatch, tie_weights
):
    layer = make(tie_weights)
    masked_weights = []
    masking = masked.effective_weight

    def counted(layer, name):
        masked_weights.append(name)
        return masking(layer, name)

    monkeypatch.setattr(masked, "effective_weight", counted)
    layer(IDS)
    assert masked_weights == []
    layer(HIDDEN, reverse=True)
    assert masked_weights == [layer.sparse_names[-1]]


@pytest.mark.parametrize("compiled", [False, True])
def test_the_gradient_is_the_sum_of_both_uses(compiled):
    layer = make()
    [weight] = layer.sparse_weights

    def gradient():
        with tf.GradientTape() as tape:
            logits = layer(layer(IDS), reverse=True)
            loss = tf.reduce_sum(logits * tf.sin(tf.range(7.0)))
        return tf.convert_to_tensor(tape.gradient(loss, weight.value.value))

    found = (
        tf.function(gradient, jit_compile=True)() if compiled else gradient()
    )
    table, upstream = weight.value.numpy(), np.sin(np.arange(7.0))
    expected = upstream[:, None] * table[IDS].sum(axis=(0, 1))
    np.add.at(expected, IDS, upstream @ table)
    np.testing.assert_allclose(
        found, np.where(weight.mask, expected, 0), rtol=1e-4, atol=1e-6
    )


def test_look_ups_alone_leave_the_gradient_sparse():
    layer = make()
    with tf.GradientTape() as tape:
        outputs = layer(IDS)
    [weight] = layer.sparse_weights
    gradient = tape.gradient(outputs, weight.value.value)
    assert isinstance(gradient, tf.IndexedSlices)


def test_ragged_indices_are_taken_as_by_the_namesake():
    ids = tf.ragged.constant([[1, 2, 2], [3]])
    dense, sparse = namesakes.pair(CLASSES, 7, 4)
    np.testing.assert_array_equal(
        sparse(ids).to_tensor(), dense(ids).to_tensor()
    )


def language_model(tie_weights, **arguments):
    table = ksr.SparseReversibleEmbedding(
        12, 6, tie_weights, sparsity=0.5, name="table"
    )
    tokens = keras.Input((5,), dtype="int32")
    hidden = ksr.SparseLSTM(6, sparsity=0.5, return_sequences=True)(
        table(tokens)
    )
    model = keras.Model(tokens, table(hidden, reverse=True))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, **arguments)
    return model


@pytest.mark.parametrize(
    ("method", "tie_weights", "jit_compile"),
    [
        (lambda: ksr.SETCallback(0.5), True, True),
        (lambda: ksr.RigLCallback(0.5, frequency=2), True, False),
        (lambda: ksr.SNFSCallback(0.5, frequency=2), False, False),
    ],
    ids=["SET", "RigL", "SNFS"],
)
def test_a_language_model_is_trained_rewired_saved_and_stripped(
    tmp_path, method, tie_weights, jit_compile
):
    model = language_model(tie_weights, jit_compile=jit_compile)
    x = np.random.default_rng(2).integers(0, 12, (16, 5))
    before = [weight.mask.numpy() for weight in ksr.sparse_weights(model)]
    assert len(before) == 3 + (not tie_weights)
    model.fit(x, np.roll(x, 1), 4, epochs=3, verbose=0, callbacks=[method()])
    after = ksr.sparse_weights(model)
    assert sum(weight.active for weight in after) == sum(map(np.sum, before))
    for mask, weight in zip(before, after, strict=True):
        assert (weight.mask.numpy() != mask).any()
        assert not weight.value.numpy()[~weight.mask.numpy()].any()

    expected = model(x)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), expected)
    plain = ksr.strip_sparsity(model)
    assert type(plain.get_layer("table")) is keras.layers.ReversibleEmbedding
    np.testing.assert_array_equal(plain(x), expected)
    plain.save_weights(tmp_path / "dense.weights.h5")
    ksr.load_dense_weights(model, tmp_path / "dense.weights.h5")
    np.testing.assert_array_equal(model(x), expected)


def test_a_tied_table_is_counted_once():
    report = ksr.sparsity_report(language_model(True))
    assert [row.shape for row in report.matrices] == [(12, 6), (6, 24), (6, 24)]
    assert report.total == 12 * 6 + 2 * 6 * 24
    assert report.multiply_adds == report.active
    assert report.dense_weights == 0


@tied
def test_units_of_the_table_and_of_its_decoder(tie_weights):
    topology = ksr.analysis.network_topology(language_model(tie_weights))
    found = [
        (each.inputs and [units.name for units in each.inputs], each.outputs)
        for each in topology.matrices
    ]
    assert found[0] == (["inputs of table"], ksr.analysis.Units("table", 6))
    if not tie_weights:
        units = ksr.analysis.Units("table in reverse", 12)
        assert found.pop(1) == (None, units)
    assert [inputs for inputs, _ in found[1:]] == [
        ["table"],
        ["sparse_lstm/lstm_cell"],
    ]


@pytest.mark.parametrize(
    ("tie_weights", "names"),
    [
        (True, ["reverse_embeddings"]),
        (True, ["embeddings", "reverse_embeddings"]),
        (False, ["embeddings"]),
    ],
)
def test_topologies_are_for_the_weights_that_there_are(tie_weights, names):
    topology = {name: ksr.topology.Uniform(0.5) for name in names}
    with pytest.raises(ValueError, match=r"'mine' expects `topology`.*Receiv"):
        ksr.SparseReversibleEmbedding(
            7, 4, tie_weights=tie_weights, topology=topology, name="mine"
        )


@pytest.mark.parametrize("tie_weights", ["no", 1, None, 0.0])
def test_tying_is_a_boolean(tie_weights):
    for arguments in ((7, 4, tie_weights), (7, 4)):
        named = {} if len(arguments) == 3 else {"tie_weights": tie_weights}
        with pytest.raises(ValueError, match=r"ing 'mine': `tie_w") as error:
            ksr.SparseReversibleEmbedding(
                *arguments, **named, sparsity=0.5, name="mine"
            )
        received = f"Received: tie_weights={tie_weights!r}"
        assert str(error.value).endswith(received)


@tied
@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 4, 1), ()])
@pytest.mark.parametrize(
    "decode",
    [
        lambda layer, shape: layer(np.ones(shape, "float32"), reverse=True),
        lambda layer, shape: tf.function(layer)(tf.ones(shape), reverse=True),
        lambda layer, shape: layer(keras.KerasTensor(shape), reverse=True),
        lambda layer, shape: layer.compute_output_shape(shape, reverse=True),
    ],
    ids=["eager", "traced", "symbolic", "shape"],
)
def test_what_has_another_last_dimension_is_not_decoded(
    tie_weights, shape, decode
):
    layer = make(tie_weights, name="mine")
    received = re.escape(f"Received: inputs.shape={shape}")
    with pytest.raises(
        ValueError, match=rf"'mine' expects .*\(\.\.\., 4\).*{received}"
    ):
        decode(layer, shape)


def test_a_functional_model_does_not_decode_what_does_not_fit():
    table = ksr.SparseReversibleEmbedding(7, 4, sparsity=0.5, name="mine")
    hidden = keras.layers.Dense(5)(table(keras.Input((3,), dtype="int32")))
    with pytest.raises(
        ValueError, match=r"'mine' .*inputs\.shape=\(None, 3, 5\)"
    ):
        table(hidden, reverse=True)


@tied
def test_a_last_dimension_that_is_not_known_yet_is_decoded(tie_weights):
    layer = make(tie_weights)

    @tf.function(input_signature=[tf.TensorSpec((None, None, None))])
    def decode(hidden):
        return layer(hidden, reverse=True)

    np.testing.assert_allclose(
        decode(HIDDEN), layer(HIDDEN, reverse=True), rtol=1e-5
    )


def test_the_decoder_has_a_topology_of_its_own():
    topology = {
        "embeddings": ksr.topology.Uniform(0.25),
        "reverse_embeddings": ksr.topology.Uniform(0.75),
    }
    layer = ksr.SparseReversibleEmbedding(
        7, 4, tie_weights=False, topology=topology
    )
    layer.build()
    assert [weight.active for weight in layer.sparse_weights] == [21, 7]


@tied
def test_shapes_and_configuration(tie_weights):
    layer = make(tie_weights, mask_zero=True, logit_soft_cap=2.0)
    ids = keras.KerasTensor((None, 3), "int32")
    hidden = keras.KerasTensor((None, 3, 4))
    assert layer(ids).shape == (None, 3, 4)
    assert layer(hidden, reverse=True).shape == (None, 3, 7)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again.build()
    for one, other in zip(
        again.sparse_weights, layer.sparse_weights, strict=True
    ):
        np.testing.assert_array_equal(one.mask.numpy(), other.mask.numpy())
