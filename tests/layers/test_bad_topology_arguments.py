"""Arguments on top of the namesake's that are refused, and how."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests.layers import namesakes


@keras.saving.register_keras_serializable("tests")
def everywhere(shape, rng):
    return np.ones(shape, bool)


@keras.saving.register_keras_serializable("tests")
def transposed(shape, rng):
    return np.ones((shape[0] + 1, shape[1]), bool)


@keras.saving.register_keras_serializable("tests")
def nothing(shape, rng):
    return np.zeros(shape, bool)


@keras.saving.register_keras_serializable("tests")
def halves(shape, rng):
    return np.full(shape, 0.5)


def unregistered(shape, rng):
    return np.ones(shape, bool)


BAD = {
    "none given": {},
    "two given": {"epsilon": 1, "sparsity": 0.5},
    "three given": {"epsilon": 1, "sparsity": 0.5, "topology": nothing},
    "epsilon 0": {"epsilon": 0},
    "epsilon below 0": {"epsilon": -1},
    "epsilon NaN": {"epsilon": float("nan")},
    "epsilon infinite": {"epsilon": float("inf")},
    "epsilon a string": {"epsilon": "10"},
    "epsilon True": {"epsilon": True},
    "sparsity 1": {"sparsity": 1.0},
    "sparsity below 0": {"sparsity": -0.1},
    "sparsity NaN": {"sparsity": float("nan")},
    "sparsity a string": {"sparsity": "0.9"},
    "sparsity False": {"sparsity": False},
    "unregistered function": {"topology": unregistered},
    "lambda": {"topology": lambda shape, rng: np.ones(shape, bool)},
    "class in place of an object": {"topology": ksr.topology.Uniform},
    "no function": {"topology": 3},
    "unregistered within a dict": {"topology": {"kernel": unregistered}},
    "other weights": {"topology": {"bias": everywhere}},
    "a weight misspelled": {
        "topology": {
            "kernel": everywhere,
            "recurrent_kernel": everywhere,
            "embeddings": everywhere,
            "kernl": everywhere,
        }
    },
    "no weight": {"topology": {}},
    "too many for the gates": {"topology": [everywhere] * 7},
    "too few for the gates": {"topology": []},
    "unknown granularity": {"sparsity": 0.5, "granularity": "row"},
    "granularity a list": {"sparsity": 0.5, "granularity": ["gate"]},
    "keep_diagonal a string": {"sparsity": 0.5, "keep_diagonal": "no"},
    "keep_diagonal None": {"sparsity": 0.5, "keep_diagonal": None},
    "rescale a string": {"sparsity": 0.5, "rescale": "no"},
    "rescale 1": {"sparsity": 0.5, "rescale": 1},
    "seed below 0": {"sparsity": 0.5, "topology_seed": -1},
    "seed a float": {"sparsity": 0.5, "topology_seed": 1.5},
    "seed a string": {"sparsity": 0.5, "topology_seed": "1"},
    "seed True": {"sparsity": 0.5, "topology_seed": True},
}
ALL_CLASSES = [
    *namesakes.SPARSE.values(),
    ksr.SparseLSTMCell,
    ksr.SparseGRUCell,
    ksr.SparseSimpleRNNCell,
    ksr.SparseRHNCell,
]
BAD_AT_BUILD = {
    "wrong shape": {"topology": transposed},
    "empty mask": {"topology": nothing},
    "no booleans": {"topology": halves},
}


@pytest.mark.parametrize("kind", ["LSTM", "Embedding"])
@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD)
def test_bad_arguments_are_refused_by_name(kind, arguments):
    size = {"input_dim": 7, "output_dim": 3} if "Embedding" in kind else {}
    size = size or {"units": 3}
    with pytest.raises(ValueError, match=r"Received: [^.]") as raised:
        namesakes.SPARSE[kind](**size, name="mine", **arguments)
    assert f"Sparse{kind} 'mine'" in str(raised.value)


WRONG_LISTS = [
    (ksr.SparseLSTM, "gate", 3, "4 groups"),
    (ksr.SparseLSTM, "kernel", 4, "one group"),
    (ksr.SparseGRUCell, "gate", 4, "3 groups"),
    (ksr.SparseGRU, "unit", 3, "one group"),
    (ksr.SparseDense, "gate", 2, "one group"),
]


@pytest.mark.parametrize(
    ("cls", "granularity", "length", "groups"), WRONG_LISTS
)
@pytest.mark.parametrize("by_weight", [False, True])
def test_lists_of_topologies_are_as_long_as_there_are_groups(
    cls, granularity, length, groups, by_weight
):
    topology = [everywhere] * length
    if by_weight:
        names = ("kernel",)
        if cls is not ksr.SparseDense:
            names = ("kernel", "recurrent_kernel")
        topology = dict.fromkeys(names, topology)
    with pytest.raises(
        ValueError, match=rf"'mine' has {groups} .*Received: topology="
    ):
        cls(3, topology=topology, granularity=granularity, name="mine")


@pytest.mark.parametrize("also", [{}, {"sparsity": 0.5}, {"sparsity": 2}])
@pytest.mark.parametrize("cls", ALL_CLASSES, ids=lambda cls: cls.__name__)
def test_an_unknown_argument_is_named_before_anything_else(cls, also):
    sizes = {"input_dim": 7, "output_dim": 3}
    if "Embedding" not in cls.__name__:
        sizes = {"units": 3}
    for arguments in (sizes, {}):
        with pytest.raises(ValueError, match="expects the arg") as raised:
            cls(**arguments, name="mine", desity=0.1, **also)
        message = str(raised.value)
        namesake = cls.__name__.removeprefix("Sparse")
        package = "keras_sparse_rnn" if "RHN" in namesake else "keras.layers"
        assert message.startswith(f"{cls.__name__} 'mine' expects the")
        assert f"`{package}.{namesake}` and `epsilon`, `spars" in message
        assert message.endswith("Received: desity=0.1")


class Named(ksr.SparseGRU):
    """A user's layer with an argument of its own."""

    def __init__(self, units, label="", **kwargs):
        super().__init__(units, **kwargs)
        self.label = label


def test_a_users_layer_says_what_it_does_not_know():
    assert Named(3, label="a", sparsity=0.5).label == "a"
    with pytest.raises(ValueError, match=r"^Named .* Received: desity=0\.1$"):
        Named(3, label="a", desity=0.1)


def test_what_keras_takes_without_naming_it_is_known():
    with pytest.raises(ValueError, match=r"exactly one of .* epsilon=None"):
        ksr.SparseLSTM(3, implementation=1, zero_output_for_mask=True)


@pytest.mark.parametrize("kind", ["LSTM", "Dense"])
@pytest.mark.parametrize("arguments", BAD_AT_BUILD.values(), ids=BAD_AT_BUILD)
def test_bad_topologies_are_refused_by_name_when_built(kind, arguments):
    layer = namesakes.SPARSE[kind](3, name="mine", **arguments)
    with pytest.raises(ValueError, match=r"Received: [^.]") as raised:
        layer.build((None, 4, 3))
    assert f"Sparse{kind} 'mine'" in str(raised.value)
    assert layer.weights == []


def test_a_diagonal_that_does_not_fit_is_refused_by_name():
    layer = ksr.SparseGRU(6, sparsity=0.9, keep_diagonal=True, name="mine")
    with pytest.raises(
        ValueError,
        match=r"'mine', weight 'recurrent_kernel', in each gate: .*, 6 here\."
        r" Received: connections=4$",
    ):
        layer.build((None, None, 5))


def test_diagonals_of_all_gates_that_do_not_fit_are_refused_by_name():
    layer = ksr.SparseLSTM(
        6, sparsity=0.9, granularity="kernel", keep_diagonal=True, name="mine"
    )
    with pytest.raises(
        ValueError,
        match=r"'mine', weight 'recurrent_kernel': .*24 here in 4 gates.*"
        r"Received: connections=14$",
    ):
        layer.build((None, None, 5))
