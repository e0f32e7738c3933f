"""At density 1 a recurrent layer is its plain namesake, bit for bit."""

import functools
import inspect
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from tests.layers import namesakes

ONE_BY_ONE = [
    {},
    {"activation": "relu"},
    {"activation": None},
    {"activation": keras.activations.elu},
    {"use_bias": False},
    {"kernel_initializer": "he_normal"},
    {"kernel_initializer": keras.initializers.RandomNormal(seed=5)},
    {"recurrent_initializer": "random_uniform"},
    {"bias_initializer": "ones"},
    {"kernel_regularizer": "l2"},
    {"bias_regularizer": "l1"},
    {"activity_regularizer": "l2"},
    {"kernel_constraint": "max_norm", "recurrent_constraint": "unit_norm"},
    {"bias_constraint": "non_neg"},
    {"dropout": 0.4},
    {"dropout": 0.4, "seed": 7},
    {"recurrent_dropout": 0.4, "seed": 7},
    {"return_sequences": True},
    {"return_state": True},
    {"return_sequences": True, "return_state": True},
    {"go_backwards": True, "return_sequences": True},
    {"stateful": True},
    {"unroll": True},
    {"zero_output_for_mask": True, "return_sequences": True},
    {"implementation": 1},
    {"implementation": 2},
    {"dtype": "float64"},
    {"dtype": "mixed_float16", "return_state": True},
    {"dtype": "mixed_bfloat16", "return_sequences": True},
    {"trainable": False},
]
OF_ONE_KIND = [
    ("LSTM", {"recurrent_activation": "hard_sigmoid"}),
    ("LSTM", {"unit_forget_bias": False}),
    ("LSTM", {"use_cudnn": False}),
    ("GRU", {"recurrent_activation": "hard_sigmoid"}),
    ("GRU", {"reset_after": False}),
    ("GRU", {"reset_after": False, "implementation": 1}),
    ("GRU", {"use_cudnn": False}),
    ("RHN", {"depth": 3}),
    ("RHN", {"depth": 2, "coupled": False}),
    ("RHN", {"depth": 2, "dropout": 0.3, "recurrent_dropout": 0.3}),
    ("RHN", {"transform_bias": None, "bias_initializer": "random_uniform"}),
]
# The layers share the code that takes these: one takes all, the others some.
EACH = [
    *[("LSTM", arguments) for arguments in ONE_BY_ONE],
    *[("GRU", arguments) for arguments in ONE_BY_ONE[::3]],
    *[
        (kind, arguments)
        for kind, some in (
            ("SimpleRNN", ONE_BY_ONE[1::3]),
            ("RHN", ONE_BY_ONE[2::3]),
        )
        for arguments in some
        if "implementation" not in arguments
    ],
    *OF_ONE_KIND,
]

# Values of every argument, from which combinations are drawn.
VALUES = {
    "activation": ["tanh", "relu", "softplus"],
    "recurrent_activation": ["sigmoid", "hard_sigmoid"],
    "use_bias": [True, False],
    "unit_forget_bias": [True, False],
    "reset_after": [True, False],
    "depth": [1, 3],
    "coupled": [True, False],
    "transform_bias": [-2.0, 0.5, None],
    "kernel_initializer": ["glorot_uniform", "he_normal"],
    "recurrent_initializer": ["orthogonal", "random_normal"],
    "bias_initializer": ["zeros", "ones"],
    "kernel_regularizer": [None, "l2", "orthogonal_regularizer"],
    "recurrent_regularizer": [None, "l1", "orthogonal_regularizer"],
    "bias_regularizer": [None, "l2"],
    "activity_regularizer": [None, "l2"],
    "kernel_constraint": [None, "max_norm"],
    "recurrent_constraint": [None, "non_neg"],
    "bias_constraint": [None, "unit_norm"],
    "dropout": [0.0, 0.5],
    "recurrent_dropout": [0.0, 0.5],
    "seed": [None, 11],
    "return_sequences": [False, True],
    "return_state": [False, True],
    "go_backwards": [False, True],
    "stateful": [False, True],
    "unroll": [False, True],
    "zero_output_for_mask": [False, True],
    "use_cudnn": ["auto", False],
    "dtype": ["float32", "float64", "mixed_float16", "mixed_bfloat16"],
}


def takes_float64(regularizer):
    """Whether this Keras's own regularizer computes with float64."""
    if regularizer is None:
        return True
    try:
        keras.regularizers.get(regularizer)(keras.ops.ones((2, 2), "float64"))
    except tf.errors.InvalidArgumentError:
        return False
    return True


def drawn_arguments(kind, number):
    """A combination of arguments that the namesake takes."""
    rng = random.Random(f"{kind}{number}")
    known = inspect.signature(namesakes.LAYERS[kind][0]).parameters
    arguments = {
        name: rng.choice(values)
        for name, values in VALUES.items()
        if name in known or name in ("zero_output_for_mask", "dtype")
    }
    if arguments["dtype"] == "float64":
        for name in [each for each in arguments if "regularizer" in each]:
            if not takes_float64(arguments[name]):
                arguments[name] = None
    step_mask = np.arange(namesakes.STEPS) < np.array([[2], [4]])
    return arguments, rng.choice([None, step_mask, step_mask[:, ::-1]])


def compare(kind, arguments, compiled, step_mask=None):
    ours, theirs = reversed(
        namesakes.pair(
            namesakes.LAYERS[kind], units=namesakes.UNITS, **arguments
        )
    )
    results = []
    for layer in (ours, theirs):
        keras.utils.set_random_seed(5)
        layer.build((namesakes.BATCH, None, namesakes.FEATURES))
        initial = namesakes.states(kind)
        if arguments.get("stateful"):
            initial = None
        calls = [
            namesakes.run(
                layer,
                namesakes.sequences(call),
                initial,
                compiled,
                mask=step_mask,
                training=call < 1,
            )
            for call in range(2)
        ]
        results.append([value for call in calls for value in call])
    namesakes.assert_same_start(ours, theirs)
    namesakes.assert_same_bits(*results)


def label(value):
    if isinstance(value, dict):
        pairs = (f"{k}={name_of(v)}" for k, v in value.items())
        return ",".join(pairs) or "defaults"
    return str(value)


def name_of(value):
    """Without addresses, so that every process names the test alike."""
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return value


@pytest.mark.parametrize(("kind", "arguments"), EACH, ids=label)
def test_each_argument_alone_in_eager_mode(kind, arguments):
    compare(kind, arguments, compiled=False)


@pytest.mark.parametrize("kind", namesakes.LAYERS)
@pytest.mark.parametrize("number", range(8))
def test_arguments_in_combination_in_eager_mode(kind, number):
    arguments, step_mask = drawn_arguments(kind, number)
    compare(kind, arguments, False, step_mask)


@pytest.fixture
def graphs_as_written():
    """TensorFlow's graph optimizer neither fuses operations nor merges sums.

    Where there is a mask it does so in other places: with some arguments, and
    on some processors, the last bit differs.
    """
    options = ("remapping", "arithmetic_optimization")
    tf.config.optimizer.set_experimental_options(dict.fromkeys(options, False))
    yield
    tf.config.optimizer.set_experimental_options(dict.fromkeys(options, True))


@pytest.mark.usefixtures("graphs_as_written")
@pytest.mark.parametrize("kind", namesakes.LAYERS)
@pytest.mark.parametrize("number", range(100, 104))
def test_arguments_in_combination_in_a_graph(kind, number):
    arguments, step_mask = drawn_arguments(kind, number)
    for name in ("kernel_regularizer", "recurrent_regularizer"):
        # It reads its weight several times: gradients of a variable are added
        # up in one sum, those of a masked weight first among themselves.
        if arguments[name] == "orthogonal_regularizer":
            arguments[name] = "l1"
    compare(kind, arguments, True, step_mask)


@pytest.mark.parametrize("kind", namesakes.LAYERS)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_graph_with_defaults_and_dropout(kind, dropout):
    compare(kind, {"dropout": dropout, "recurrent_dropout": dropout}, True)


@pytest.mark.parametrize("kind", namesakes.LAYERS)
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["l2", "orthogonal_regularizer"])
def test_a_regularizer_of_an_unrolled_layer(kind, compiled, name):
    arguments = {
        "unroll": True,
        "kernel_regularizer": name,
        "recurrent_regularizer": name,
    }
    compare(kind, arguments, compiled)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [(kind, {"dropout": 0.2}) for kind in namesakes.LAYERS]
    + [("LSTM", {"kernel_regularizer": "l2", "recurrent_regularizer": "l1"})],
    ids=label,
)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_training_steps_of_a_compiled_model(kind, arguments, jit_compile):
    results = []
    for cls, extra in zip(
        namesakes.LAYERS[kind], ({}, {"sparsity": 0}), strict=True
    ):
        keras.utils.set_random_seed(3)
        layer = cls(namesakes.UNITS, **arguments, **extra)
        head = keras.layers.Dense(
            1, kernel_initializer=keras.initializers.RandomNormal(seed=4)
        )
        model = keras.Sequential([layer, head])
        model.compile("adamw", "mse", jit_compile=jit_compile)
        inputs = namesakes.sequences()
        model.fit(inputs, inputs[:, 0, :1], epochs=2, verbose=0)
        variables = (*model.trainable_variables, *model.optimizer.variables)
        results.append([variable.numpy() for variable in variables])
    namesakes.assert_same_bits(*results)


@pytest.mark.parametrize("kind", namesakes.CELLS)
@pytest.mark.parametrize("around", ["RNN", "StackedRNNCells"])
@pytest.mark.parametrize(
    "policies",
    [
        ("float32", "float32"),
        ("mixed_float16", "float32"),
        ("float32", "mixed_bfloat16"),
        ("mixed_bfloat16", "mixed_bfloat16"),
    ],
)
def test_cells_whatever_the_precision_around_them(kind, around, policies):
    of_cell, of_layer = policies
    results = []
    for cls, extra in zip(
        namesakes.CELLS[kind], ({}, {"sparsity": 0}), strict=True
    ):
        keras.utils.set_random_seed(3)
        cells = [
            cls(
                namesakes.UNITS,
                kernel_initializer=keras.initializers.RandomNormal(seed=4),
                recurrent_initializer=keras.initializers.Orthogonal(seed=5),
                dtype=of_cell,
                **extra,
            )
            for _ in range(1 if around == "RNN" else 2)
        ]
        layer = keras.layers.RNN(
            cells if len(cells) > 1 else cells[0],
            return_sequences=True,
            return_state=True,
            dtype=of_layer,
        )
        results.append(
            namesakes.run(layer, namesakes.sequences(), training=True)
        )
    namesakes.assert_same_bits(*results)


@pytest.mark.parametrize("kind", namesakes.CELLS)
def test_a_cell_called_alone(kind):
    results = []
    for cell in namesakes.pair(
        namesakes.CELLS[kind], namesakes.UNITS, dropout=0.3, seed=1
    ):
        results.append(
            namesakes.run(
                cell,
                namesakes.sequences()[:, 0],
                states=namesakes.states(kind),
                training=True,
            )
        )
    namesakes.assert_same_bits(*results)


@pytest.mark.parametrize(
    ("namesake", "sparse"),
    [
        *namesakes.LAYERS.values(),
        *namesakes.CELLS.values(),
        (keras.layers.Dense, ksr.SparseDense),
        (keras.layers.Embedding, ksr.SparseEmbedding),
        (keras.layers.ReversibleEmbedding, ksr.SparseReversibleEmbedding),
    ],
)
def test_every_parameter_of_the_namesake_is_one_of_ours(namesake, sparse):
    theirs = inspect.signature(namesake).parameters
    ours = inspect.signature(sparse).parameters
    for name, parameter in theirs.items():
        assert ours[name].kind == parameter.kind
        assert ours[name].default == parameter.default
    added = {
        "epsilon",
        "sparsity",
        "topology",
        "topology_seed",
        "granularity",
        "keep_diagonal",
        "rescale",
        "clipping",
        "rewiring_state",
    }
    if (namesake, sparse) in namesakes.NATIVE_LAYERS.values():
        added |= {"engine", "recompute_gates"}
    if sparse in (ksr.SparseDense, ksr.SparseRHN):
        added |= {"engine"}
    assert set(ours) - set(theirs) == added
    assert issubclass(sparse, namesake)


STACKS = {
    "text model": (
        ("Embedding", "LSTM", "Dense"),
        lambda embedding, lstm, dense: [
            embedding(9, 5),
            lstm(4),
            dense(3),
        ],
    ),
    "Bidirectional": (
        ("Embedding", "LSTM", "GRU"),
        lambda embedding, lstm, gru: [
            embedding(9, 5),
            keras.layers.Bidirectional(lstm(4, return_sequences=True)),
            keras.layers.Bidirectional(gru(4)),
        ],
    ),
    "cells": (
        ("Embedding", "LSTMCell", "GRUCell"),
        lambda embedding, lstm, gru: [
            embedding(9, 5),
            keras.layers.RNN([lstm(4), gru(3)]),
        ],
    ),
}


@pytest.mark.parametrize("case", STACKS)
def test_all_initial_weights_are_those_of_keras_under_one_seed(case):
    kinds, make = STACKS[case]
    weights = []
    for prefix, module, extra in (
        ("", keras.layers, {}),
        ("Sparse", ksr, {"sparsity": 0}),
    ):
        keras.utils.set_random_seed(6)
        layers = make(
            *(
                functools.partial(getattr(module, prefix + kind), **extra)
                for kind in kinds
            )
        )
        model = keras.Sequential(
            [keras.Input((4,)), *layers, keras.layers.Dense(2)]
        )
        weights.append([v.numpy() for v in model.trainable_variables])
    for theirs, ours in zip(*weights, strict=True):
        np.testing.assert_array_equal(theirs, ours)
