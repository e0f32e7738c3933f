"""The masked engine: where, when and how often a mask is applied."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from keras_sparse_rnn import dense_gradient
from keras_sparse_rnn.masked_weight import masked
from tests.layers import namesakes


def selects(function, *inputs):
    """Selections in a traced graph: outside of loops, and inside of them."""
    graph = tf.function(function).get_concrete_function(*inputs).graph
    library = graph.as_graph_def().library.function
    assert any("body" in each.signature.name for each in library)
    # Only what the outputs need: `Bidirectional` first tries a fused call.
    live, waiting = set(), [tensor.op for tensor in graph.outputs]
    while waiting:
        node = waiting.pop()
        if node not in live:
            live.add(node)
            waiting += [tensor.op for tensor in node.inputs]
    outside = sum(node.type == "SelectV2" for node in live)
    inside = sum(
        node.op == "SelectV2" for each in library for node in each.node_def
    )
    return outside, inside


def signature():
    shape = (None, 6, namesakes.FEATURES)
    return tf.TensorSpec(shape, tf.float32)


def around(kind, cells, sparsity=0.5, **kwargs):
    """Layers that run the cell of a kind in each way Keras knows."""
    layer_class = namesakes.LAYERS[kind]
    for index, extra in enumerate(({}, {"sparsity": sparsity})):
        if cells == "layer":
            layer = layer_class[index](namesakes.UNITS, **kwargs, **extra)
        else:
            made = [
                namesakes.CELLS[kind][index](namesakes.UNITS, **kwargs, **extra)
                for _ in range(cells)
            ]
            layer = keras.layers.RNN(made if cells > 1 else made[0])
        layer.build((None, 6, namesakes.FEATURES))
        yield layer


@pytest.mark.parametrize("kind", namesakes.LAYERS)
@pytest.mark.parametrize("cells", ["layer", 1, 3])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_mask_is_applied_once_and_outside_the_loop(kind, cells, dropout):
    counts = []
    for layer in around(
        kind, cells, dropout=dropout, recurrent_dropout=dropout
    ):
        counts.append(
            selects(lambda x, layer=layer: layer(x, training=True), signature())
        )
    (outside_dense, inside_dense), (outside, inside) = counts
    assert inside == inside_dense
    assert outside == outside_dense + 2 * (1 if cells == "layer" else cells)
    if not dropout:
        assert inside == 0


@pytest.mark.parametrize("kind", namesakes.LAYERS)
@pytest.mark.parametrize("cells", ["layer", 1, 3])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("unroll", [False, True])
def test_a_mask_is_applied_once_in_eager_mode(
    monkeypatch, kind, cells, dropout, unroll
):
    _, layer = around(kind, cells, dropout=dropout, recurrent_dropout=dropout)
    layer.unroll = unroll
    count = [0]

    def counted(weight, mask):
        count[0] += 1
        return masked(weight, mask)

    monkeypatch.setattr(dense_gradient, "masked", counted)
    for _ in range(2):
        count[0] = 0
        layer(tf.ones((2, 6, namesakes.FEATURES)), training=True)
        assert count[0] == 2 * (1 if cells == "layer" else cells)


@pytest.mark.parametrize("kind", namesakes.LAYERS)
def test_time_step_masks_select_in_the_loop_as_ever(kind):
    counts = [
        selects(
            lambda x, layer=layer: layer(x, mask=x[:, :, 0] > 0), signature()
        )
        for layer in around(kind, "layer")
    ]
    assert counts[0][1] == counts[1][1] > 0
    assert counts[1][0] == counts[0][0] + 2


@pytest.mark.parametrize("kind", namesakes.LAYERS)
@pytest.mark.parametrize("cells", ["layer", 1, 3])
@pytest.mark.parametrize("sparsity", [0.5, 0])
def test_a_regularizer_of_an_unrolled_layer_masks_by_step_at_density_one_only(
    kind, cells, sparsity
):
    _, layer = around(
        kind,
        cells,
        sparsity=sparsity,
        kernel_regularizer="l2",
        recurrent_regularizer="l1",
    )
    layer.unroll = True
    steps = 6
    graph = tf.function(layer).get_concrete_function(signature()).graph
    selections = sum(op.type == "SelectV2" for op in graph.get_operations())
    weights = 2 * (1 if cells == "layer" else cells)
    if sparsity:
        assert selections == weights
    else:
        assert selections >= weights * steps


@pytest.mark.parametrize("direction", [None, "bidirectional"])
def test_layers_around_a_layer_leave_the_loop_alone(direction):
    counts = []
    for layer in (keras.layers.LSTM(3), ksr.SparseLSTM(3, sparsity=0.5)):
        if direction:
            layer = keras.layers.Bidirectional(layer)
        layer.build((None, 6, namesakes.FEATURES))
        counts.append(selects(layer, signature()))
    (outside_dense, inside_dense), (outside, inside) = counts
    assert inside == inside_dense
    assert outside == outside_dense + (4 if direction else 2)


@pytest.mark.parametrize("kind", namesakes.CELLS)
def test_a_cell_called_alone_after_training_sees_fresh_weights(kind):
    cell = namesakes.CELLS[kind][1](namesakes.UNITS, sparsity=0.5)
    model = keras.Sequential([keras.layers.RNN(cell)])
    model.compile("sgd", "mse")
    inputs = namesakes.sequences()
    model.fit(inputs, np.ones((2, namesakes.UNITS)), verbose=0)
    states = namesakes.states(kind)
    first = cell(inputs[:, 0], states)[0].numpy()
    for weight in cell.sparse_weights:
        weight.value.assign(-2 * weight.value)
    second = cell(inputs[:, 0], states)[0].numpy()
    assert (first != second).any()
    assert not cell._held_weights.weights


def test_a_layer_that_raised_leaves_nothing_behind():
    layer = ksr.SparseLSTM(namesakes.UNITS, sparsity=0.5)
    layer.build((None, None, namesakes.FEATURES))
    inputs = namesakes.sequences()
    wrong = [tf.zeros((2, 7))] * 2
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        layer(inputs, initial_state=wrong)
    assert not layer.cell._held_weights.weights
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        tf.function(layer)(inputs, initial_state=wrong)
    assert not layer.cell._held_weights.weights
    expected = layer(inputs).numpy()
    for weight in layer.sparse_weights:
        weight.value.assign(2 * weight.value)
    assert (layer(inputs).numpy() != expected).any()


@pytest.mark.parametrize("traced", [False, True])
def test_a_cell_whose_rnn_raised_in_its_loop_sees_fresh_weights(traced):
    cell = ksr.SparseLSTMCell(namesakes.UNITS, sparsity=0.5)
    layer = keras.layers.RNN(cell)
    inputs, states = namesakes.sequences(), namesakes.states("LSTM")
    expected = layer(inputs).numpy()
    alone = cell(inputs[:, 0], states)[0].numpy()
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        (tf.function(layer) if traced else layer)(
            inputs, initial_state=[tf.zeros((2, 7))] * 2
        )
    np.testing.assert_array_equal(cell(inputs[:, 0], states)[0], alone)
    traced_alone = tf.function(lambda x: cell(x, states)[0])(inputs[:, 0])
    np.testing.assert_allclose(traced_alone, alone, rtol=1e-5)
    for weight in cell.sparse_weights:
        weight.value.assign(-2 * weight.value)
    assert (cell(inputs[:, 0], states)[0].numpy() != alone).any()
    assert (layer(inputs).numpy() != expected).any()


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_reading_a_kernel_gives_the_masked_one_as_it_is_stored(policy):
    layer = ksr.SparseLSTM(namesakes.UNITS, sparsity=0.5, dtype=policy)
    layer(namesakes.sequences())
    for weight in layer.sparse_weights:
        # Even where what is stored outside of the mask is not 0.
        weight.value.assign(np.ones(weight.shape))
        read = getattr(layer.cell, weight.name).numpy()
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, weight.mask.numpy())


def test_an_infinite_weight_outside_the_mask_does_no_harm():
    layer = ksr.SparseGRU(namesakes.UNITS, sparsity=0.5)
    inputs = namesakes.sequences()
    expected = layer(inputs).numpy()
    for weight in layer.sparse_weights:
        mask = weight.mask.numpy()
        weight.value.assign(np.where(mask, weight.value.numpy(), np.inf))
    np.testing.assert_array_equal(layer(inputs).numpy(), expected)
    for gradient in namesakes.run(layer, inputs)[2:]:
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("kind", namesakes.CELLS)
def test_gradients_are_zero_outside_the_mask(kind):
    layer = namesakes.LAYERS[kind][1](namesakes.UNITS, sparsity=0.6)
    layer.build((None, None, namesakes.FEATURES))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(namesakes.sequences()))
    gradients = tape.gradient(
        total, [weight.value.value for weight in layer.sparse_weights]
    )
    for weight, gradient in zip(layer.sparse_weights, gradients, strict=True):
        mask = weight.mask.numpy()
        assert (gradient.numpy()[~mask] == 0).all()
        assert (gradient.numpy()[mask] != 0).any()


def test_two_layers_of_one_cell_class_hold_their_own_weights():
    layers = [ksr.SparseLSTM(3, sparsity=0.5, topology_seed=s) for s in (1, 2)]
    inputs = namesakes.sequences()
    alone = [layer(inputs).numpy() for layer in layers]

    @tf.function
    def together(x):
        return [layer(x) for layer in layers]

    for one, other in zip(together(inputs), alone, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert (alone[0] != alone[1]).any()
