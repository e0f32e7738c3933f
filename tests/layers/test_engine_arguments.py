"""The arguments `engine` and `recompute_gates`, on the way through Keras."""

import copy
import pickle
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from keras_sparse_rnn.engine import choice
from tests.layers import engines
from tests.layers import namesakes

kinds = pytest.mark.parametrize("kind", namesakes.NATIVE_LAYERS)
with_dense = pytest.mark.parametrize(
    "kind", [*namesakes.NATIVE_LAYERS, "Dense"]
)
UNITS = choice.FEWEST_UNITS


@pytest.fixture(autouse=True)
def _without_gpu(monkeypatch):
    monkeypatch.setattr(choice, "_has_gpu", lambda: False)


def make(kind="LSTM", units=4, sparsity=0.9, **arguments):
    return namesakes.SPARSE[kind](units, sparsity=sparsity, **arguments)


def model_of(layer, with_input=True, **compile_arguments):
    layers = [layer, keras.layers.Dense(2)]
    model = keras.Sequential(
        [keras.Input((4, 3)), *layers] if with_input else layers
    )
    model.compile("sgd", "mse", **compile_arguments)
    return model


def fit(model):
    inputs = namesakes.sequences()
    return model.fit(inputs, np.ones((len(inputs), 2)), epochs=2, verbose=0)


@with_dense
def test_defaults_and_what_is_told_before_and_after_building(kind):
    layer = make(kind)
    assert layer.engine == "auto"
    assert getattr(layer, "recompute_gates", False) is False
    assert layer.engine_in_use is None
    layer.build((None, None, 3))
    assert layer.engine_in_use == "masked"


@with_dense
@pytest.mark.parametrize(
    "engine", ["cuda", "Native", "", None, True, 1, ["native"]], ids=repr
)
def test_engines_that_there_are_not(kind, engine):
    with pytest.raises(
        ValueError,
        match=rf"^Sparse{kind} 'mine': `engine` must be one of "
        r"\['auto', 'masked', 'native'\]\. Received: engine=",
    ) as raised:
        make(kind, engine=engine, name="mine")
    assert str(raised.value).endswith(f"Received: engine={engine!r}")


@kinds
@pytest.mark.parametrize("value", [None, 1, "yes"], ids=repr)
def test_recompute_gates_is_a_boolean(kind, value):
    with pytest.raises(
        ValueError,
        match=rf"^Sparse{kind} 'mine': `recompute_gates` must be True or False",
    ) as raised:
        make(kind, recompute_gates=value, name="mine")
    assert str(raised.value).endswith(f"Received: recompute_gates={value!r}")


@with_dense
@pytest.mark.parametrize("engine", choice.ENGINES)
def test_the_configuration_goes_round(kind, engine):
    others = {} if kind == "Dense" else {"recompute_gates": True}
    layer = make(kind, engine=engine, **others)
    config = layer.get_config()
    assert {**config, "engine": engine, **others} == config
    again = type(layer).from_config(config)
    assert again.engine == engine
    assert getattr(again, "recompute_gates", True) is True
    assert again.get_config() == config


@with_dense
def test_a_configuration_of_before_there_were_engines(kind):
    layer = make(kind)
    config = layer.get_config()
    del config["engine"]
    config.pop("recompute_gates", None)
    again = type(layer).from_config(config)
    assert again.get_config() == layer.get_config()


@with_dense
def test_arguments_may_change_until_the_layer_is_built(kind):
    layer = make(kind, units=UNITS, name="mine")
    layer.engine = "masked"
    assert layer.engine == layer.get_config()["engine"] == "masked"
    assert layer.supports_jit
    with pytest.raises(
        ValueError,
        match=rf"^Sparse{kind} 'mine': `engine` must be one of .*"
        "Received: engine='cuda'$",
    ):
        layer.engine = "cuda"
    assert layer.engine == "masked"
    if kind != "Dense":
        layer.recompute_gates = True
        assert layer.get_config()["recompute_gates"] is True
        with pytest.raises(ValueError, match=r"Received: recompute_gates=1$"):
            layer.recompute_gates = 1
    layer.build((None, None, 3))
    assert layer.engine_in_use == "masked"


@engines.needs_kernels
def test_an_engine_given_before_building_is_had():
    layer = make(engine="masked")
    layer.engine = "native"
    layer.build((None, None, 3))
    assert layer.engine_in_use == "native"


@engines.needs_kernels
@with_dense
@pytest.mark.parametrize("engine", engines.ENGINES)
def test_another_engine_is_refused_once_the_layer_is_built(kind, engine):
    layer = make(kind, engine=engine, name="mine")
    inputs = namesakes.sequences()
    expected = layer(inputs).numpy()
    (other,) = {*engines.ENGINES} - {engine}
    for value in (other, "auto"):
        with pytest.raises(
            ValueError,
            match=rf"^Sparse{kind} 'mine' has been built, with "
            rf"engine='{engine}' for good\. To switch, .*"
            rf"\. Received: engine='{value}'$",
        ):
            layer.engine = value
    with pytest.raises(ValueError, match=r"'mine': `engine` must be one of"):
        layer.engine = "cuda"
    layer.engine = engine  # which changes nothing
    assert layer.get_config()["engine"] == layer.engine_in_use == engine
    # What the error says how to.
    another = make(kind, engine=other)
    another.build(inputs.shape)
    another.set_weights(layer.get_weights())
    assert another.engine_in_use == other
    np.testing.assert_allclose(another(inputs), expected, atol=1e-6)


@kinds
def test_how_gates_are_kept_is_fixed_once_the_layer_is_built(kind):
    layer = make(kind, name="mine")
    layer.build((None, None, 3))
    with pytest.raises(
        ValueError,
        match=rf"^Sparse{kind} 'mine' has been built, with "
        r"recompute_gates=False for good\..*Received: recompute_gates=True$",
    ):
        layer.recompute_gates = True
    assert layer.get_config()["recompute_gates"] is False


@engines.needs_kernels
def test_copies_of_all_kinds_run_on_the_same_engine():
    layer = make(engine="native")
    model = model_of(layer)
    inputs = namesakes.sequences()
    expected = model(inputs).numpy()
    for other in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        keras.models.clone_model(model),
        keras.Sequential.from_config(model.get_config()),
    ):
        other.set_weights(model.get_weights())
        assert other.layers[0].engine_in_use == "native"
        np.testing.assert_array_equal(other(inputs), expected)
    np.testing.assert_array_equal(copy.deepcopy(layer)(inputs), layer(inputs))


@engines.needs_kernels
@pytest.mark.parametrize("engine", engines.ENGINES)
def test_both_directions_of_bidirectional(engine):
    layer = keras.layers.Bidirectional(
        make(engine=engine, recompute_gates=True, return_sequences=True)
    )
    layer.build((None, 4, 3))
    for each in (layer.forward_layer, layer.backward_layer):
        assert each.engine_in_use == engine
        assert each.recompute_gates is True


@engines.needs_kernels
def test_sparsify_takes_the_arguments_and_strip_leaves_them_out():
    plain = keras.Sequential(
        [keras.Input((4, 3)), keras.layers.LSTM(4, name="lstm")]
    )
    sparse = ksr.sparsify(
        plain,
        settings={
            "lstm": {
                "sparsity": 0.5,
                "engine": "native",
                "recompute_gates": True,
            }
        },
    )
    assert sparse.layers[0].engine_in_use == "native"
    assert sparse.layers[0].recompute_gates is True
    stripped = ksr.strip_sparsity(sparse)
    assert type(stripped.layers[0]) is keras.layers.LSTM
    assert "engine" not in stripped.layers[0].get_config()
    inputs = namesakes.sequences()
    np.testing.assert_allclose(sparse(inputs), stripped(inputs), atol=1e-6)
    assert ksr.sparsify(plain, sparsity=0.5).layers[0].engine == "auto"


def test_sparsify_refuses_engines_that_there_are_not():
    plain = keras.Sequential(
        [keras.Input((4, 3)), keras.layers.LSTM(4, name="lstm")]
    )
    with pytest.raises(ValueError, match=r"Received: engine='cuda'"):
        ksr.sparsify(
            plain, settings={"lstm": {"sparsity": 0.5, "engine": "cuda"}}
        )


@engines.needs_kernels
@pytest.mark.parametrize("engine", ["auto", "native"])
@pytest.mark.parametrize("with_input", [True, False])
@pytest.mark.parametrize("compiled", ["auto", False])
def test_models_are_not_handed_to_xla_by_themselves(
    engine, with_input, compiled
):
    # Without an input a layer is built while the training step is traced,
    # where no variable can be read.
    layer = make(units=UNITS, engine=engine)
    assert not layer.supports_jit
    model = model_of(layer, with_input, jit_compile=compiled)
    fit(model)
    assert model.jit_compile is False
    assert layer.engine_in_use == "native"
    assert not layer.supports_jit


@engines.needs_kernels
def test_a_subclassed_model_is_built_by_a_symbolic_call():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.recurrent = make(units=UNITS)

        def call(self, x):
            return self.recurrent(x)

    model = Model()
    # Keras builds the layers inside while it traces the call.
    assert model(keras.Input((4, 3))).shape == (None, UNITS)
    assert model.recurrent.engine_in_use == "native"
    assert model(namesakes.sequences()).shape == (namesakes.BATCH, UNITS)


@engines.needs_kernels
@pytest.mark.parametrize("engine", ["auto", "native"])
@pytest.mark.parametrize("with_input", [True, False])
def test_xla_asked_for_in_compile_is_refused_by_keras_with_a_warning(
    engine, with_input
):
    layer = make(units=UNITS, engine=engine)
    with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
        model = model_of(layer, with_input, jit_compile=True)
    fit(model)
    assert layer.engine_in_use == "native"


@pytest.mark.parametrize("arguments", [{"units": 4}, {"engine": "masked"}])
def test_a_masked_layer_is_compiled_by_xla(arguments):
    layer = make("SimpleRNN", **{"units": UNITS, **arguments})
    assert layer.supports_jit
    model = model_of(layer, jit_compile=True)
    fit(model)
    assert model.jit_compile is True
    assert layer.engine_in_use == "masked"
    assert layer.supports_jit


@engines.needs_kernels
@kinds
def test_a_function_for_xla_is_masked_with_one_warning(kind):
    layer = make(kind, UNITS, name="mine")
    inputs = namesakes.sequences()
    expected = layer(inputs).numpy()
    compiled = tf.function(lambda x: layer(x), jit_compile=True)
    with pytest.warns(
        UserWarning, match=rf"Sparse{kind} 'mine' runs on the masked engine"
    ) as caught:
        found = [compiled(inputs), compiled(inputs[:1])]
    assert len(caught) == 1
    np.testing.assert_allclose(found[0], expected, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[:1], atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(layer(inputs), expected)
    assert layer.engine_in_use == "native"


@engines.needs_kernels
def test_layers_in_a_function_for_xla_give_one_warning_together():
    layers = [make(units=UNITS, return_sequences=True) for _ in range(3)]
    model = keras.Sequential([keras.Input((4, 3)), *layers])
    compiled = tf.function(lambda x: model(x), jit_compile=True)
    with pytest.warns(UserWarning, match="masked engine, as do others") as told:
        compiled(namesakes.sequences())
    assert len(told) == 1


@engines.needs_kernels
@kinds
def test_a_function_for_xla_cannot_hold_a_layer_that_asks_for_native(kind):
    layer = make(kind, engine="native", name="mine")
    layer.build((None, None, namesakes.FEATURES))
    compiled = tf.function(lambda x: layer(x), jit_compile=True)
    with pytest.raises(
        ValueError,
        match=rf"Sparse{kind} 'mine': XLA cannot compile the native engine.*"
        "Received: engine='native' in a function with jit_compile=True",
    ):
        compiled(namesakes.sequences())
    # And the layer is as it was.
    assert layer(namesakes.sequences()).shape == (namesakes.BATCH, 4)


@engines.needs_kernels
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_policy_for_all_layers(policy):
    keras.config.set_dtype_policy(policy)
    with pytest.warns(UserWarning, match=f"of float32, not {policy}"):
        model = model_of(make(units=UNITS))
    fit(model)
    assert model.layers[0].engine_in_use == "masked"


@engines.needs_kernels
def test_a_layer_of_float32_under_another_policy_is_native():
    keras.config.set_dtype_policy("mixed_float16")
    layer = make(units=UNITS, dtype="float32")
    layer(namesakes.sequences())
    assert layer.engine_in_use == "native"
