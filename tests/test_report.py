"""Counts, bytes and multiply-adds, and the table that a person reads."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr

L = keras.layers


def papers_model():
    return keras.Sequential(
        [
            keras.Input((100,), dtype="int32"),
            ksr.SparseEmbedding(20_000, 256, epsilon=10),
            ksr.SparseLSTM(256, epsilon=10),
            L.Dense(2, activation="softmax"),
        ]
    )


def test_the_papers_model():
    report = ksr.sparsity_report(papers_model())
    assert report.active == 243_520
    assert report.total == 5_644_288
    assert round(100 * report.sparsity, 2) == 95.69
    first, second = str(report).splitlines()[:2]
    assert first == "243,520 of 5,644,288 connections, 95.69 %"
    assert second == ""
    assert report.biases == 1024
    assert report.dense_weights == 514
    assert report.bytes_dense == 4 * 5_644_288
    assert report.bytes_connections == 8 * 243_520
    assert report.bytes_masked == 5 * 5_644_288 + 5_644_288 // 8
    assert report.multiply_adds == 2 * 20_480 + 512
    assert report.multiply_adds_dense == 2 * 262_144 + 512
    assert report.training_multiply_adds == 3 * report.multiply_adds
    assert report.training_ratio == report.forward_ratio == 41_472 / 524_800
    assert report.exploration_rate == 243_520 / 5_644_288
    text = str(report)
    assert "1,024 biases of sparse layers, 514 weights of other" in text
    assert "non-trainable parameters" in text
    assert "Bytes of these matrices, without biases, other layers" in text
    assert "of these matrices and other layers' (no look-ups, no" in text
    assert "20,000×256" in text


def test_rows_by_matrix_and_gate():
    model = keras.Sequential(
        [
            keras.Input((4, 5)),
            ksr.SparseLSTM(3, sparsity=0.5, return_sequences=True),
            ksr.SparseGRU(3, sparsity=0.5, granularity="kernel"),
            ksr.SparseDense(2, sparsity=0.5),
        ]
    )
    report = ksr.sparsity_report(model)
    assert [row.group for row in report.rows] == [
        *(["all", "i", "f", "c", "o"] * 2),
        *["all", "all"],
        "all",
    ]
    for weight, row in zip(
        ksr.sparse_weights(model), report.matrices, strict=True
    ):
        assert row.path == weight.path
        assert (row.active, row.total) == (weight.active, weight.total)
        assert row.shape == weight.shape
        parts = [r for r in report.rows if r.path == row.path][1:]
        if parts:
            assert sum(part.active for part in parts) == row.active
            assert {part.shape for part in parts} == {(row.shape[0], 3)}
    table = str(report).splitlines()[2:18]
    assert table[0].split() == [
        "matrix",
        "gate",
        "shape",
        "active",
        "total",
        "sparsity",
    ]
    ends = {len(line) for line in table if line.rstrip().endswith("%")}
    assert len(ends) == 1


def test_shared_weights_are_counted_once():
    one, two = keras.Input((4,)), keras.Input((4,))
    table = ksr.SparseEmbedding(7, 3, sparsity=0.5)
    shared = ksr.SparseLSTM(3, sparsity=0.5)
    both = L.Concatenate()([shared(table(one)), shared(table(two))])
    model = keras.Model([one, two], L.Dense(2)(both))
    report = ksr.sparsity_report(model)
    assert len(report.matrices) == 3
    assert report.total == 21 + 36 + 36
    assert report.biases == 12
    assert report.dense_weights == 14
    outer = keras.Model(model.inputs, model(model.inputs))
    again = ksr.sparsity_report(outer)
    assert again.total == report.total
    assert again.multiply_adds == report.multiply_adds


@pytest.mark.parametrize("dtype", ["float32", "float64", "mixed_float16"])
def test_bytes_follow_what_is_stored(dtype):
    layer = ksr.SparseDense(4, sparsity=0.5, dtype=dtype)
    layer.build((None, 4))
    report = ksr.sparsity_report(layer)
    size = 8 if dtype == "float64" else 4
    assert report.bytes_dense == 16 * size
    assert report.bytes_masked == 16 * size + 16 + 2
    assert report.bytes_connections == 8 * (size + 4)


def test_bytes_are_those_of_the_variables():
    layer = ksr.SparseLSTM(3, sparsity=0.5)
    layer.build((None, None, 5))
    report = ksr.sparsity_report(layer)
    kept = [
        getattr(layer.cell, f"{name}{suffix}").numpy().nbytes
        for name in ("kernel", "recurrent_kernel")
        for suffix in ("_mask", "_ever_active")
    ]
    values = [weight.value.numpy().nbytes for weight in layer.sparse_weights]
    assert report.bytes_masked == sum(kept) + sum(values)


def test_the_exploration_rate_grows_with_rewiring():
    model = keras.Sequential(
        [keras.Input((4, 5)), ksr.SparseLSTM(3, sparsity=0.8)]
    )
    model.compile("adam", "mse")
    model.fit(np.ones((2, 4, 5)), np.ones((2, 3)), verbose=0)
    before = ksr.sparsity_report(model)
    ksr.rewire(model, model.optimizer, 0.5)
    after = ksr.sparsity_report(model)
    assert before.exploration_rate == before.active / before.total
    assert after.exploration_rate > before.exploration_rate
    assert after.active == before.active


def test_a_model_with_nothing_sparse():
    report = ksr.sparsity_report(
        keras.Sequential([keras.Input((3,)), L.Dense(2)])
    )
    assert (report.active, report.total, report.sparsity) == (0, 0, 0)
    assert report.rows == ()
    assert report.dense_weights == 8
    assert report.forward_ratio == 1
    assert str(report).startswith("0 of 0 connections, 0.00 %\n")
    assert f"'{report.name}' has no sparse layers.\n" in str(report)
    assert "matrix  gate" not in str(report)
    assert "8 weights of other layers" in str(report)


def test_an_unbuilt_model_with_nothing_sparse_is_refused():
    model = keras.Sequential([L.LSTM(3), L.Dense(2)], name="mine")
    with pytest.raises(
        ValueError, match=r"must be built.*Received: model='mine', not built"
    ):
        ksr.sparsity_report(model)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: ksr.SparseLSTM(3, epsilon=1, name="mine"),
        lambda: L.RNN(ksr.SparseLSTMCell(3, epsilon=1), name="mine"),
        lambda: ksr.SparseEmbedding(3, 2, epsilon=1, name="mine"),
    ],
)
def test_an_unbuilt_layer_is_named_as_the_user_named_it(layer):
    with pytest.raises(ValueError, match=r"^The layer 'mine' must be built"):
        ksr.sparsity_report(keras.Sequential([layer()]))


def test_an_unbuilt_model_is_refused():
    model = keras.Sequential([ksr.SparseLSTM(3, epsilon=1, name="mine")])
    with pytest.raises(
        ValueError, match=r"must be built.*Received: model=.*not built"
    ):
        ksr.sparsity_report(model)


def test_what_is_no_model_is_refused():
    with pytest.raises(ValueError, match=r"layer\. Received: model=3$"):
        ksr.sparsity_report(3)


def test_the_two_biases_of_a_plain_gru_multiply_nothing():
    model = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            ksr.SparseEmbedding(20, 4, sparsity=0.5),
            keras.layers.GRU(8),
        ]
    )
    report = ksr.sparsity_report(model)
    assert report.multiply_adds == 4 * 24 + 8 * 24
