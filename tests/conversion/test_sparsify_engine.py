"""The engine of layers that become sparse."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests.layers import engines

L = keras.layers


def model():
    """All that has an engine when it is sparse, a cell and a table."""
    return keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            L.Embedding(7, 3, name="table"),
            L.LSTM(4, return_sequences=True, name="lstm"),
            L.Bidirectional(L.GRU(3, return_sequences=True, name="gru")),
            L.RNN(L.SimpleRNNCell(3, name="cell"), return_sequences=True),
            L.SimpleRNN(5, name="simple"),
            L.Dense(2, name="head"),
        ]
    )


def engines_of(sparse):
    """The argument and the engine in use of each layer that has them."""
    return {
        layer.name: (layer.engine, layer.engine_in_use)
        for layer in sparse._flatten_layers()
        if hasattr(layer, "engine_in_use")
    }


RECURRENT = ("lstm", "forward_gru", "backward_gru", "simple")


@engines.needs_kernels
@pytest.mark.parametrize("engine", ["masked", "native"])
def test_the_engine_goes_to_every_layer_that_has_one(engine):
    everything = ["table", *RECURRENT, "cell", "head"]
    sparse = ksr.sparsify(
        model(), sparsity=0.3, layers=everything, engine=engine
    )
    assert engines_of(sparse) == dict.fromkeys(
        [*RECURRENT, "head"], (engine, engine)
    )
    # With the cell and the table, which have none.
    assert len(ksr.sparse_weights(sparse)) == 2 * len(RECURRENT) + 1 + 2 + 1
    tokens = np.random.default_rng(0).integers(0, 7, (2, 4))
    stripped = ksr.strip_sparsity(sparse)
    np.testing.assert_allclose(sparse(tokens), stripped(tokens), atol=1e-6)


def test_the_engine_is_chosen_where_none_is_named():
    sparse = ksr.sparsify(model(), sparsity=0.3)
    assert engines_of(sparse) == dict.fromkeys(RECURRENT, ("auto", "masked"))


@engines.needs_kernels
def test_a_layers_settings_go_before():
    sparse = ksr.sparsify(
        model(),
        settings={
            "table": {"sparsity": 0.5},
            "lstm": {"sparsity": 0.5, "engine": "masked"},
            "simple": {"sparsity": 0.5},
            "head": {"sparsity": 0.5, "engine": "auto"},
        },
        engine="native",
    )
    assert engines_of(sparse) == {
        "lstm": ("masked", "masked"),
        "simple": ("native", "native"),
        "head": ("auto", "masked"),
    }


@engines.needs_kernels
def test_a_layer_that_cannot_have_the_engine_is_named():
    plain = keras.Sequential(
        [keras.Input((4, 3)), L.LSTM(4, activation="relu", name="mine")]
    )
    with pytest.raises(
        ValueError,
        match=r"SparseLSTM 'mine' cannot run on the native engine: .*"
        r"Received: engine='native'",
    ):
        ksr.sparsify(plain, sparsity=0.5, engine="native")
    sparse = ksr.sparsify(plain, sparsity=0.5, engine="masked")
    assert engines_of(sparse) == {"mine": ("masked", "masked")}


@pytest.mark.parametrize("engine", ["cuda", None, True, ["native"]])
@pytest.mark.parametrize(
    "arguments", [{"sparsity": 0.5}, {"settings": {"lstm": {"epsilon": 1}}}]
)
def test_engines_that_there_are_not(engine, arguments):
    with pytest.raises(
        ValueError, match=r"^`engine` must be one of \['auto'"
    ) as raised:
        ksr.sparsify(model(), engine=engine, **arguments)
    assert str(raised.value).endswith(f"Received: engine={engine!r}")
