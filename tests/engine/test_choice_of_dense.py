"""Which engine a `SparseDense` is given."""

import keras
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.engine import choice
from keras_sparse_rnn.engine import compressed
from tests.layers.engines import needs_kernels

pytestmark = pytest.mark.usefixtures("_without_gpu")


def own_activation(x):
    """It might compute anything."""
    return keras.activations.tanh(x)


def built_dense(inputs, units, sparsity, engine="auto", **arguments):
    layer = ksr.SparseDense(
        units, sparsity=sparsity, engine=engine, name="mine", **arguments
    )
    layer.build((None, inputs))
    return layer


@needs_kernels
@pytest.mark.parametrize(
    ("inputs", "units", "sparsity", "expected"),
    [
        (1024, 1024, 0.97, "native"),
        (1023, 1024, 0.97, "masked"),
        (1024, 1024, 0.96, "masked"),
        (1024, 1024, 0, "masked"),
        (128, 8192, 0.97, "native"),
        (2**14, 64, 0.99, "native"),
        # Too few units for blocks of rows to be worth it.
        (2**15, 63, 0.99, "masked"),
        (2**15, 2, 0.99, "masked"),
        (4, 2, 0.5, "masked"),
    ],
)
def test_auto_goes_by_the_places_and_density_of_a_dense_layer(
    inputs, units, sparsity, expected
):
    layer = built_dense(inputs, units, sparsity)
    assert layer.engine_in_use == expected
    assert layer.supports_jit == (expected == "masked")


@needs_kernels
@pytest.mark.parametrize("engine", ["masked", "native"])
@pytest.mark.parametrize(("units", "sparsity"), [(4, 0), (1024, 0.97)])
def test_a_dense_layers_engine_asked_for_is_had(engine, units, sparsity):
    layer = built_dense(1024, units, sparsity, engine)
    assert layer.engine_in_use == engine


@needs_kernels
@pytest.mark.parametrize(
    "policy", ["mixed_float16", "mixed_bfloat16", "float64"]
)
def test_a_dense_layer_of_another_type_is_masked_with_one_warning(policy):
    with pytest.warns(
        UserWarning,
        match=f"^SparseDense 'mine' runs on the .* float32, not {policy}",
    ) as caught:
        layer = built_dense(1024, 1024, 0.97, dtype=policy)
    assert len(caught) == 1
    assert layer.engine_in_use == "masked"
    assert built_dense(8, 8, 0.5, dtype=policy).engine_in_use == "masked"
    with pytest.raises(
        ValueError,
        match=f"^SparseDense 'mine' cannot run on the native engine: .*{policy}"
        r"\. .*Received: engine='native'$",
    ):
        built_dense(8, 8, 0.5, "native", dtype=policy)


@needs_kernels
@pytest.mark.parametrize("activation", [None, "softmax", own_activation])
def test_a_dense_layer_has_any_activation(activation):
    layer = built_dense(1024, 1024, 0.97, activation=activation)
    assert layer.engine_in_use == "native"


@needs_kernels
@pytest.mark.parametrize(
    ("engine", "units", "expected"),
    [
        ("auto", 64, True),
        ("auto", 2, False),
        ("native", 2, True),
        ("masked", 4096, False),
    ],
)
def test_what_dense_layer_may_come_to_run_natively(engine, units, expected):
    layer = ksr.SparseDense(units, sparsity=0.98, engine=engine)
    assert choice.may_be_native(layer) == expected
    assert layer.supports_jit != expected


@needs_kernels
def test_a_dense_kernel_of_more_places_is_masked_or_refused(monkeypatch):
    monkeypatch.setattr(compressed, "MOST_PLACES", 2**20 - 1)
    with pytest.warns(UserWarning, match="number 1,048,575 at most") as caught:
        layer = built_dense(1024, 1024, 0.97)
    assert len(caught) == 1
    assert layer.engine_in_use == "masked"
    with pytest.raises(ValueError, match=r"1,048,576 places, .*'native'$"):
        built_dense(1024, 1024, 0.97, "native")
