"""Which engine a recurrent layer is given: by size, settings and machine."""

import re
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from keras_sparse_rnn.engine import choice
from keras_sparse_rnn.engine import compressed
from tests.engine.chosen import built
from tests.layers.engines import needs_kernels

pytestmark = pytest.mark.usefixtures("_without_gpu")


def own_activation(x):
    """It might compute anything."""
    return keras.activations.tanh(x)


KINDS = {
    "LSTM": (ksr.SparseLSTM, {}, compressed.LSTM),
    "GRU": (ksr.SparseGRU, {}, compressed.GRU_RESET_AFTER),
    "GRU reset before": (
        ksr.SparseGRU,
        {"reset_after": False},
        compressed.GRU_RESET_BEFORE,
    ),
    "SimpleRNN": (ksr.SparseSimpleRNN, {}, compressed.SIMPLE_RNN_TANH),
    "SimpleRNN relu": (
        ksr.SparseSimpleRNN,
        {"activation": keras.activations.relu},
        compressed.SIMPLE_RNN_RELU,
    ),
    "LSTM relu": (ksr.SparseLSTM, {"activation": "relu"}, None),
    "LSTM hard sigmoid": (
        ksr.SparseLSTM,
        {"recurrent_activation": "hard_sigmoid"},
        None,
    ),
    "GRU linear": (ksr.SparseGRU, {"activation": None}, None),
    "GRU tanh gates": (ksr.SparseGRU, {"recurrent_activation": "tanh"}, None),
    "SimpleRNN sigmoid": (
        ksr.SparseSimpleRNN,
        {"activation": "sigmoid"},
        None,
    ),
    "SimpleRNN own function": (
        ksr.SparseSimpleRNN,
        {"activation": own_activation},
        None,
    ),
}
# Why a layer of the right size is masked.
AGAINST = {
    "activation": (
        {"activation": "relu"},
        "kernels for activation='tanh' with recurrent_activation='sigmoid', "
        "but not for activation='relu'",
    ),
    "gates": (
        {"recurrent_activation": "hard_sigmoid"},
        "but not for recurrent_activation='hard_sigmoid'",
    ),
    "mixed float16": ({"dtype": "mixed_float16"}, "float32, not mixed_float16"),
    "mixed bfloat16": (
        {"dtype": "mixed_bfloat16"},
        "float32, not mixed_bfloat16",
    ),
    "float64": ({"dtype": "float64"}, "float32, not float64"),
    "cuDNN": ({"use_cudnn": True}, "`use_cudnn=True` asks for cuDNN"),
}
against = pytest.mark.parametrize(
    ("arguments", "reason"), AGAINST.values(), ids=AGAINST
)


@pytest.mark.parametrize(
    ("cls", "arguments", "expected"), KINDS.values(), ids=KINDS
)
def test_the_kernels_of_a_cell(cls, arguments, expected):
    layer = cls(2, sparsity=0.5, **arguments)
    assert choice.cell_kind(layer.cell) is expected


@pytest.mark.parametrize(
    ("cls", "arguments", "reason"),
    [
        (
            ksr.SparseSimpleRNN,
            {"activation": own_activation},
            "there are kernels for activation='tanh' or 'relu', but not for "
            "activation='own_activation'",
        ),
        (
            ksr.SparseGRU,
            {"activation": None, "recurrent_activation": "tanh"},
            "there are kernels for activation='tanh' with "
            "recurrent_activation='sigmoid', but not for activation='linear' "
            "and recurrent_activation='tanh'",
        ),
    ],
)
def test_activations_without_kernels_are_named(cls, arguments, reason):
    layer = cls(2, sparsity=0.5, **arguments)
    assert choice.settings_against_native(layer) == reason


@needs_kernels
@pytest.mark.parametrize(
    "cls", [ksr.SparseLSTM, ksr.SparseGRU, ksr.SparseSimpleRNN]
)
@pytest.mark.parametrize(
    ("units", "sparsity", "expected"),
    [
        (64, 0.9, "native"),
        (63, 0.9, "masked"),
        (400, 0.6, "native"),
        (128, 0.59, "masked"),
        (128, 0, "masked"),
    ],
)
def test_auto_goes_by_units_and_density(cls, units, sparsity, expected):
    layer = built(units=units, sparsity=sparsity, cls=cls)
    assert layer.engine_in_use == expected
    # Of a masked layer Keras decides, which looks for cuDNN.
    assert expected == "masked" or not layer.supports_jit


@needs_kernels
@pytest.mark.parametrize(
    ("of_inputs", "of_state", "expected"),
    [(0.9, 0.05, "native"), (0.05, 0.9, "masked")],
)
def test_density_is_of_both_matrices_together(of_inputs, of_state, expected):
    layer = ksr.SparseLSTM(
        128,
        topology={
            "kernel": ksr.topology.Uniform(1 - of_inputs),
            "recurrent_kernel": ksr.topology.Uniform(1 - of_state),
        },
    )
    layer.build((None, None, 20))
    weights = layer.sparse_weights
    assert choice.drawn_density(layer.cell) == sum(
        each.active for each in weights
    ) / sum(each.total for each in weights)
    assert layer.engine_in_use == expected


@needs_kernels
@pytest.mark.parametrize("engine", ["masked", "native"])
@pytest.mark.parametrize(("units", "sparsity"), [(4, 0), (128, 0.9)])
def test_an_engine_asked_for_is_had_at_any_size(engine, units, sparsity):
    layer = built(engine, units, sparsity)
    assert layer.engine_in_use == engine


@needs_kernels
def test_a_gpu_is_not_left_idle_but_by_request(monkeypatch):
    monkeypatch.setattr(choice, "_has_gpu", lambda: True)
    assert built().engine_in_use == "masked"
    assert built("native").engine_in_use == "native"


@needs_kernels
@against
def test_what_has_no_kernels_is_masked_with_one_warning(arguments, reason):
    with pytest.warns(UserWarning, match=reason) as caught:
        layer = built(**arguments)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "SparseLSTM 'mine' runs on the masked engine" in message
    assert "engine='masked' says so without a warning" in message
    assert layer.engine_in_use == "masked"


@needs_kernels
def test_each_reason_is_told_once_in_a_process():
    with pytest.warns(UserWarning, match="masked engine") as caught:
        layers = [
            built(**arguments)
            for arguments, _ in AGAINST.values()
            for _ in range(2)
        ]
    assert len(caught) == len(AGAINST)
    assert {layer.engine_in_use for layer in layers} == {"masked"}
    for each, (_, reason) in zip(caught, AGAINST.values(), strict=True):
        assert re.search(
            f"as do others that are made so: .*{reason}", str(each.message)
        )


@against
def test_there_is_no_warning_where_the_size_decides(arguments, reason):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert built(units=4, **arguments).engine_in_use == "masked"
        assert built("masked", **arguments).engine_in_use == "masked"


@against
def test_native_is_refused_where_it_cannot_be_had(arguments, reason):
    with pytest.raises(
        ValueError,
        match=rf"^SparseLSTM 'mine' cannot run on the native engine: .*{reason}"
        r".* Use engine='auto' or 'masked'\. Received: engine='native'$",
    ):
        built("native", **arguments)


def test_other_backends_are_masked_and_say_so_only_if_asked(monkeypatch):
    automatic, native = (
        ksr.SparseLSTM(128, sparsity=0.9, engine=engine)
        for engine in ("auto", "native")
    )
    for layer in (automatic, native):
        layer.cell.build((None, 64))
    monkeypatch.setattr(choice.keras.backend, "backend", lambda: "jax")
    assert choice.choose(automatic, "A layer") == "masked"
    assert not choice.may_be_native(automatic)
    with pytest.raises(
        ValueError,
        match=r"A layer .* needs the TensorFlow backend, not jax\..*"
        r"Received: engine='native'$",
    ):
        choice.choose(native, "A layer")


@needs_kernels
@pytest.mark.parametrize(
    ("engine", "units", "arguments", "expected"),
    [
        ("masked", 128, {}, False),
        ("native", 4, {}, True),
        ("auto", 64, {}, True),
        ("auto", 63, {}, False),
        ("auto", 128, {"activation": "relu"}, False),
        ("auto", 128, {"dtype": "mixed_float16"}, False),
    ],
    ids=str,
)
def test_what_may_come_to_run_natively_before_it_is_built(
    engine, units, arguments, expected
):
    layer = ksr.SparseLSTM(units, sparsity=0.9, engine=engine, **arguments)
    assert choice.may_be_native(layer) == expected


@needs_kernels
def test_a_gpu_counts_only_if_tensorflow_may_use_it(monkeypatch):
    monkeypatch.undo()  # of what this file's other tests go by
    visible = {"GPU": ["a GPU"]}
    monkeypatch.setattr(tf.config, "list_physical_devices", {**visible}.get)
    monkeypatch.setattr(tf.config, "get_visible_devices", visible.get)
    assert built().engine_in_use == "masked"
    assert ksr.SparseLSTM(128, sparsity=0.9).supports_jit
    # As `tf.config.set_visible_devices([], "GPU")` does.
    visible["GPU"] = []
    assert built().engine_in_use == "native"
    assert not ksr.SparseLSTM(128, sparsity=0.9).supports_jit


@needs_kernels
def test_matrices_of_as_many_places_as_the_kernels_number(monkeypatch):
    monkeypatch.setattr(compressed, "MOST_PLACES", (64 + 128) * 4 * 128)
    for engine in ("auto", "native"):
        layer = built(engine)
        assert layer.engine_in_use == "native"
        assert layer(np.zeros((1, 2, 64), "float32")).shape == (1, 128)


@needs_kernels
def test_matrices_of_more_places_are_masked_or_refused(monkeypatch):
    monkeypatch.setattr(compressed, "MOST_PLACES", (64 + 128) * 4 * 128 - 1)
    reason = "98,304 places, but the kernels number 98,303 at most"
    with pytest.warns(UserWarning, match=reason) as caught:
        layers = [built(), built()]
    assert len(caught) == 1
    for layer in layers:
        assert layer.engine_in_use == "masked"
        assert layer(np.zeros((1, 2, 64), "float32")).shape == (1, 128)
    with pytest.raises(
        ValueError,
        match=rf"^SparseLSTM 'mine' cannot run on the native engine: .*{reason}"
        r"\. Use engine='auto' or 'masked'\. Received: engine='native'$",
    ):
        built("native")


class DoublingCell(ksr.SparseLSTMCell):
    """Computes otherwise than the cell that it extends."""

    def call(self, inputs, states, training=False):
        output, states = super().call(inputs, states, training=training)
        return 2 * output, states


class DoublingLSTM(ksr.SparseLSTM):
    cell_class = DoublingCell


@needs_kernels
def test_a_cell_of_ones_own_is_masked():
    with pytest.warns(UserWarning, match="no kernels for DoublingCell"):
        layer = built(cls=DoublingLSTM)
    assert layer.engine_in_use == "masked"
    with pytest.raises(ValueError, match=r"DoublingCell.*Received: engine="):
        built("native", cls=DoublingLSTM)


@needs_kernels
def test_xla_is_left_to_what_is_too_dense_before_it_is_built():
    assert ksr.SparseLSTM(128, sparsity=0.5).supports_jit
    assert not ksr.SparseLSTM(128, sparsity=0.8).supports_jit
    assert ksr.SparseDense(128, sparsity=0.9).supports_jit
    assert not ksr.SparseDense(128, sparsity=0.99).supports_jit


@needs_kernels
@pytest.mark.parametrize("features", [64, 96, 100])
@pytest.mark.parametrize("sparsity", [0.6, 0.59999])
def test_xla_is_not_left_to_what_is_drawn_just_sparse_enough(
    features, sparsity
):
    layer = ksr.SparseLSTM(128, sparsity=sparsity)
    could_be_compiled = layer.supports_jit
    layer.build((None, None, features))
    assert layer.engine_in_use == "masked" or not could_be_compiled
