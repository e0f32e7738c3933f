"""What layers do where the native kernels were not built."""

import warnings

import keras
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.engine import choice
from keras_sparse_rnn.engine import library
from tests.engine.chosen import built
from tests.layers.engines import needs_kernels

pytestmark = pytest.mark.usefixtures("_without_gpu")


@pytest.fixture
def _without_kernels(monkeypatch):
    monkeypatch.setattr(library, "missing_reason", library.how_to_get_them)


def loaded(cls):
    """A layer of a file that was saved where it was native."""
    masked = cls(128, sparsity=0.9, engine="masked", name="mine")
    masked.build((None, None, 64))
    serialised = keras.saving.serialize_keras_object(masked)
    serialised["config"]["engine"] = "native"
    return keras.saving.deserialize_keras_object(serialised)


@pytest.mark.usefixtures("_without_kernels")
def test_missing_kernels_are_told_once_in_a_process():
    with pytest.warns(UserWarning, match="masked engine") as caught:
        layers = [built(), *map(loaded, [ksr.SparseGRU] * 2), built()]
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "SparseLSTM 'mine' runs on the masked engine" in message
    assert "as do others that could run on the native one" in message
    assert "apt-get install g++" in message
    assert "--force-reinstall" in message
    assert {layer.engine_in_use for layer in layers} == {"masked"}


@pytest.mark.usefixtures("_without_kernels")
def test_missing_kernels_are_not_told_to_who_would_not_use_them():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for arguments in (
            {"units": 4},
            {"sparsity": 0.1},
            {"engine": "masked"},
        ):
            assert built(**arguments).engine_in_use == "masked"


@pytest.mark.usefixtures("_without_kernels")
def test_missing_kernels_are_an_error_if_they_are_asked_for():
    with pytest.raises(
        ValueError, match=r"apt-get install g\+\+.*Received: engine='native'$"
    ):
        built("native")


@needs_kernels
def test_nothing_may_run_natively_without_kernels(monkeypatch):
    layer = ksr.SparseLSTM(128, sparsity=0.9, engine="native")
    assert choice.may_be_native(layer)
    monkeypatch.setattr(library, "missing_reason", lambda: "a reason")
    assert not choice.may_be_native(layer)


@pytest.mark.usefixtures("_without_kernels")
@pytest.mark.parametrize("cls", [ksr.SparseLSTM, ksr.SparseDense])
def test_a_saved_native_layer_is_masked_where_there_are_no_kernels(cls):
    with pytest.warns(UserWarning, match="'mine' runs on the masked engine"):
        layer = loaded(cls)
    assert layer.engine_in_use == "masked"
    assert layer.get_config()["engine"] == "native"


# What Keras makes of a layer that was not built, without a file.
COPIES = {
    "from_config": lambda layer: type(layer).from_config(layer.get_config()),
    "serialised": lambda layer: keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    ),
    "clone": lambda layer: keras.models.clone_model(keras.Sequential([layer])),
    "bidirectional": keras.layers.Bidirectional,
    "time distributed": keras.layers.TimeDistributed,
}


@pytest.mark.usefixtures("_without_kernels")
@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_copy_that_was_not_loaded_is_native_or_an_error(copy):
    layer = ksr.SparseLSTM(8, sparsity=0.9, engine="native")
    steps = (3,) if copy is keras.layers.TimeDistributed else ()
    with pytest.raises(
        ValueError, match=r"apt-get install g\+\+.*Received: engine='native'$"
    ):
        copy(layer).build((2, *steps, 4, 5))
