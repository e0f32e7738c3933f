"""From plain models to sparse ones."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests.conversion import models

L = keras.layers
kinds = pytest.mark.parametrize(
    ("make", "inputs"), models.MODELS.values(), ids=models.MODELS
)


@kinds
@pytest.mark.parametrize("allocation", ["uniform", "er", "erk"])
def test_the_global_budget_is_exact(make, inputs, allocation):
    sparse = ksr.sparsify(make(), sparsity=0.63, allocation=allocation)
    report = ksr.sparsity_report(sparse)
    assert report.active == int(0.37 * report.total + 0.5)
    for weight in ksr.sparse_weights(sparse):
        assert (weight.value.numpy()[~weight.mask.numpy()] == 0).all()


@kinds
def test_without_sparsity_nothing_changes_but_the_classes(make, inputs):
    model = make()
    sparse = ksr.sparsify(model, sparsity=0)
    assert all(w.sparsity == 0 for w in ksr.sparse_weights(sparse))
    assert len(ksr.sparse_weights(sparse)) > 0
    models.assert_same_outputs(model, sparse, inputs())
    models.assert_same_outputs(model, sparse, inputs(), training=True)
    assert sparse.name == model.name
    assert not sparse.compiled


@kinds
def test_the_model_that_is_passed_stays_as_it_is(make, inputs):
    model = make()
    before = model.get_weights()
    sparse = ksr.sparsify(model, sparsity=0.5)
    for weight in ksr.sparse_weights(sparse):
        weight.value.assign(weight.value * 0)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("granularity", ["gate", "kernel", "unit"])
def test_the_largest_weights_of_each_group_are_kept(granularity):
    model = models.nested()
    sparse = ksr.sparsify(model, sparsity=0.6, granularity=granularity)
    plain = {v.path: v.numpy() for v in model.weights}
    for weight in ksr.sparse_weights(sparse):
        value, mask = plain[weight.path], weight.mask.numpy()
        np.testing.assert_array_equal(
            weight.value.numpy(), np.where(mask, value, 0)
        )
        for group in weight.groups:
            score = np.abs(group.view(value)).sum(axis=1)
            kept = group.view(mask)
            assert (kept == kept[:, :1]).all()
            kept = kept[:, 0]
            assert score[kept].min() > score[~kept].max()
        assert weight.ever_active == weight.active


def test_a_drawn_topology_follows_the_seed_and_not_the_weights():
    model = models.nested()
    one, same, other = (
        ksr.sparsify(model, sparsity=0.6, keep="drawn", topology_seed=seed)
        for seed in (1, 1, 2)
    )
    masks = [
        np.concatenate([w.mask.numpy().ravel() for w in ksr.sparse_weights(m)])
        for m in (one, same, other)
    ]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()
    largest = ksr.sparsify(model, sparsity=0.6, topology_seed=1)
    assert any(
        (a.mask.numpy() != b.mask.numpy()).any()
        for a, b in zip(
            ksr.sparse_weights(one), ksr.sparse_weights(largest), strict=True
        )
    )


def test_settings_by_layer():
    model = models.sequential()
    lstm, gru, dense = model.layers[1:]
    sparse = ksr.sparsify(
        model,
        settings={
            lstm.name: {"epsilon": 0.5, "granularity": "unit"},
            gru.name: {"sparsity": 0.25, "keep_diagonal": True},
            dense.name: {"topology": ksr.topology.FixedCount(2)},
        },
    )
    kinds = [type(layer).__name__ for layer in sparse.layers]
    assert kinds == ["Embedding", "SparseLSTM", "SparseGRU", "SparseDense"]
    active = [weight.active for weight in ksr.sparse_weights(sparse)]
    assert active == [4 * 4, 4 * 4, 3 * 9, 3 * 7, 2]
    recurrent = ksr.sparse_weights(sparse)[3].mask.numpy()
    for gate in range(3):
        assert recurrent[:, 3 * gate : 3 * gate + 3].diagonal().all()


@pytest.mark.parametrize("granularity", ["gate", "kernel", "unit"])
@pytest.mark.parametrize("keep", ["largest", "drawn"])
def test_the_diagonal_of_each_gate_is_kept(granularity, keep):
    model = keras.Sequential([keras.Input((4, 3)), L.LSTM(5, name="lstm")])
    arguments = {
        "sparsity": 0.5,
        "granularity": granularity,
        "keep_diagonal": True,
    }
    sparse = ksr.sparsify(model, settings={"lstm": arguments}, keep=keep)
    sparse.compile("sgd", "mse")
    for rewired in (False, True):
        if rewired:
            ksr.rewire(sparse, sparse.optimizer, 0.8)
        weight = ksr.sparse_weights(sparse)[1]
        for gate in np.split(weight.mask.numpy(), 4, axis=1):
            assert gate.diagonal().all()
        assert weight.active == {"kernel": 50}.get(granularity, 4 * 13)


def test_dense_layers_only_if_they_are_named():
    model = models.sequential()
    names = [model.layers[1].name, model.layers[-1].name]
    sparse = ksr.sparsify(model, sparsity=0.5, layers=names)
    kinds = [type(layer).__name__ for layer in sparse.layers]
    assert kinds == ["Embedding", "SparseLSTM", "GRU", "SparseDense"]
    by_default = ksr.sparsify(model, sparsity=0.5)
    assert type(by_default.layers[-1]) is L.Dense


def test_layers_may_be_given_themselves():
    model = models.nested()
    [lstm, gru] = model.get_layer("inner").layers
    dense = model.layers[-1]
    sparse = ksr.sparsify(model, sparsity=0.5, layers=[lstm, dense, lstm.name])
    kinds = [type(layer) for layer in sparse.get_layer("inner").layers]
    assert kinds == [ksr.SparseLSTM, L.GRU]
    assert type(sparse.layers[-1]) is ksr.SparseDense
    alone = ksr.sparsify(model, sparsity=0.5, layers=gru)
    assert len(ksr.sparse_weights(alone)) == 2


def test_one_of_the_layers_of_a_name_may_be_given():
    model = keras.Sequential(
        [
            keras.Input((4, 3)),
            L.Bidirectional(L.RNN(L.GRUCell(5, name="cell"))),
        ]
    )
    backward = model.layers[0].backward_layer.cell
    sparse = ksr.sparsify(model, sparsity=0.5, layers=[backward])
    both = sparse.layers[0]
    assert type(both.forward_layer.cell) is L.GRUCell
    assert type(both.backward_layer.cell) is ksr.SparseGRUCell


@pytest.mark.parametrize(
    "other", [lambda: L.LSTM(3, name="lstm"), lambda: L.Dropout(0.5)]
)
def test_layers_of_another_model_are_refused(other):
    model = keras.Sequential([keras.Input((4, 3)), L.LSTM(3, name="lstm")])
    with pytest.raises(ValueError, match=r"`layers` must.*Received: layers='"):
        ksr.sparsify(model, sparsity=0.5, layers=[other()])


def test_layers_inside_of_wrappers_go_by_their_own_names():
    model = models.cells()
    sparse = ksr.sparsify(model, settings={"second": {"sparsity": 0.5}})
    stack = sparse.layers[-1].cell.cells
    assert [type(cell).__name__ for cell in stack] == [
        "LSTMCell",
        "SparseGRUCell",
    ]
    both = models.bidirectional()
    forward = both.layers[0].forward_layer.name
    sparse = ksr.sparsify(both, settings={forward: {"sparsity": 0.5}})
    directions = sparse.layers[0]
    assert isinstance(directions.forward_layer, ksr.SparseLSTM)
    assert type(directions.backward_layer) is L.LSTM


def test_sparse_layers_that_are_there_already_stay_bit_for_bit():
    model = keras.Sequential(
        [
            keras.Input((4, 3)),
            ksr.SparseLSTM(4, sparsity=0.5, return_sequences=True),
            L.GRU(3),
        ]
    )
    model.compile("adam", "mse")
    model.fit(models.sequences(), np.zeros((2, 3)), verbose=0)
    ksr.rewire(model, model.optimizer, 0.5)
    model.fit(models.sequences(), np.zeros((2, 3)), verbose=0)
    sparse = ksr.sparsify(model, sparsity=0)
    models.assert_same_outputs(model, sparse, models.sequences())
    for one, two in zip(
        model.layers[0].variables, sparse.layers[0].variables, strict=True
    ):
        np.testing.assert_array_equal(one.numpy(), two.numpy())


def test_a_budget_goes_to_what_is_not_sparse_yet():
    model = models.nested()
    lstm, gru = model.get_layer("inner").layers
    first = ksr.sparsify(model, sparsity=0.5, layers=[lstm.name])
    both = ksr.sparsify(first, sparsity=0.75)
    weights = ksr.sparse_weights(both)
    for weight, other in zip(
        weights[:2], ksr.sparse_weights(first), strict=True
    ):
        np.testing.assert_array_equal(weight.mask.numpy(), other.mask.numpy())
    later = weights[2:]
    assert all(f"/{gru.name}/" in weight.path for weight in later)
    places = sum(weight.total for weight in later)
    assert sum(weight.active for weight in later) == int(0.25 * places + 0.5)


@pytest.mark.parametrize(
    "arguments",
    [
        lambda name: {"sparsity": 0.9},
        lambda name: {"sparsity": 0.9, "layers": [name]},
        lambda name: {"settings": {name: {"epsilon": 1}}},
    ],
    ids=["all", "layers", "settings"],
)
def test_what_is_sparse_already_is_converted_anew_only_when_stripped(arguments):
    model = models.nested()
    name = model.get_layer("inner").layers[0].name
    sparse = ksr.sparsify(model, sparsity=0.5)
    with pytest.raises(
        ValueError, match=rf"not sparse yet.*strip_sparsity.*Received: .*{name}"
    ):
        ksr.sparsify(sparse, **arguments(name))
    plain = ksr.strip_sparsity(sparse)
    assert ksr.sparse_weights(ksr.sparsify(plain, **arguments(name)))


def test_a_layer_without_a_model():
    layer = L.LSTM(4, dropout=0.3, seed=3)
    expected = layer(models.sequences())
    sparse = ksr.sparsify(layer, sparsity=0)
    assert type(sparse) is ksr.SparseLSTM
    np.testing.assert_array_equal(sparse(models.sequences()), expected)


def test_frozen_layers_and_models_stay_frozen():
    model = models.nested()
    model.get_layer("inner").trainable = False
    sparse = ksr.sparsify(model, sparsity=0.5)
    assert not sparse.get_layer("inner").trainable
    assert not any(w.trainable for w in ksr.sparse_weights(sparse))
    assert len(sparse.trainable_variables) == 2
    model = models.sequential()
    model.layers[1].trainable = False
    sparse = ksr.sparsify(model, sparsity=0.5)
    flags = [layer.trainable for layer in sparse.layers]
    assert flags == [True, False, True, True]


def custom_loss(y, predicted):
    return keras.ops.mean((y - predicted) ** 2)


def test_what_a_model_is_compiled_with_does_not_matter():
    model = models.nested()
    model.compile("adam", lambda y, p: custom_loss(y, p))
    model.fit(models.sequences(), np.zeros((2, 2)), verbose=0)
    sparse = ksr.sparsify(model, sparsity=0.5)
    assert not sparse.compiled
    assert model.compiled
    model.fit(models.sequences(), np.zeros((2, 2)), verbose=0)


class Twice(L.Layer):
    def call(self, x):
        return 2 * x


class Composite(L.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = L.LSTM(3, name="hidden")

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = L.LSTM(3)

    def call(self, x):
        return self.inner(x)


def test_custom_layers_besides_need_no_registration():
    model = keras.Sequential([keras.Input((4, 3)), Twice(), L.LSTM(3)])
    sparse = ksr.sparsify(model, sparsity=0)
    assert type(sparse.layers[0]) is Twice
    models.assert_same_outputs(model, sparse, models.sequences())


def test_what_cannot_be_converted_is_an_error_and_not_left_dense():
    model = keras.Sequential([keras.Input((4, 3)), Composite()])
    with pytest.raises(
        ValueError, match=r"hidden' cannot be converted.*Received: model="
    ):
        ksr.sparsify(model, sparsity=0.5)


@pytest.mark.parametrize("inside", [False, True])
def test_subclassed_models_are_refused(inside):
    model = Subclassed()
    model(models.sequences())
    if inside:
        model = keras.Sequential([keras.Input((4, 3)), model])
    with pytest.raises(ValueError, match=r"subclass.*Received: .*Subclassed"):
        ksr.sparsify(model, sparsity=0.5)


BAD = {
    "neither": ({}, "either `sparsity`"),
    "both": ({"sparsity": 0.5, "settings": {}}, "either `sparsity`"),
    "layers and settings": (
        {"settings": {}, "layers": ["lstm"]},
        "`layers` goes with the global budget",
    ),
    "keep": ({"sparsity": 0.5, "keep": "smallest"}, "`keep` must be"),
    "unknown layer": (
        {"sparsity": 0.5, "layers": ["nobody"]},
        "`layers` must name",
    ),
    "unknown setting": (
        {"settings": {"nobody": {"epsilon": 1}}},
        "`settings` must name",
    ),
    "misspelled setting": (
        {"settings": {"dense": {"eps": 1}}},
        "SparseDense 'dense' expects only arguments",
    ),
    "the plain layer's setting": (
        {"settings": {"dense": {"sparsity": 0.9, "units": 3}}},
        "SparseDense 'dense' expects only .*`engine`",
    ),
    "engine": (
        {"settings": {"dense": {"sparsity": 0.9, "engine": "fast"}}},
        "SparseDense 'dense': `engine` must be one of",
    ),
    "setting out of range": (
        {"settings": {"dense": {"epsilon": -1}}},
        "SparseDense 'dense': `epsilon` must be",
    ),
    "no setting": (
        {"settings": {"dense": {}}},
        "SparseDense 'dense' expects exactly one of",
    ),
    "sparsity": ({"sparsity": 1.0}, "`sparsity` must be in"),
    "sparsity a string": ({"sparsity": "0.9"}, "`sparsity` must be in"),
    "layers no names": ({"sparsity": 0.5, "layers": 3}, "`layers` must name"),
    "settings no dict": ({"settings": 3}, "`settings` must be a dict"),
    "settings empty": ({"settings": {}}, "`settings` must be a dict"),
    "arguments no dict": (
        {"settings": {"nobody": 3}},
        "`settings` must be a dict",
    ),
    "budget": ({"sparsity": 0.999}, "at least one connection per matrix"),
    "allocation": (
        {"sparsity": 0.5, "allocation": "fair"},
        "`allocation` must be one of",
    ),
    "allocation in capitals": (
        {"sparsity": 0.5, "allocation": "ERK"},
        "`allocation` must be one of",
    ),
    "allocation a list": (
        {"sparsity": 0.5, "allocation": ["er"]},
        "`allocation` must be one of",
    ),
    "layers a list of lists": (
        {"sparsity": 0.5, "layers": [["lstm"]]},
        "`layers` must name",
    ),
    "keep a list": ({"sparsity": 0.5, "keep": ["drawn"]}, "`keep` must be"),
    "granularity": (
        {"sparsity": 0.5, "granularity": "row"},
        "`granularity` must be one of",
    ),
    "seed": ({"sparsity": 0.5, "topology_seed": -1}, "topology_seed"),
    "seed True": ({"sparsity": 0.5, "topology_seed": True}, "topology_seed"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=rf"(?s){message}.*Received: "):
        ksr.sparsify(models.nested(), **arguments)


@pytest.mark.parametrize("kind", [L.Embedding, L.Dense])
@pytest.mark.parametrize("by", ["layers", "settings"])
@pytest.mark.parametrize("change", ["quantize", "enable_lora"])
def test_layers_with_adapters_are_refused_by_name(kind, by, change):
    model = models.sequential()
    [layer] = [each for each in model.layers if type(each) is kind]
    getattr(layer, change)("int8" if change == "quantize" else 2)
    received = "dtype='int8" if change == "quantize" else "lora_rank=2"
    arguments = (
        {"sparsity": 0.5, "layers": [layer.name]}
        if by == "layers"
        else {"settings": {layer.name: {"sparsity": 0.5}}}
    )
    with pytest.raises(
        ValueError,
        match=rf"{kind.__name__} '{layer.name}'.*Received: {received}",
    ):
        ksr.sparsify(model, **arguments)


def test_unbuilt_models_and_models_with_nothing_to_convert_are_refused():
    with pytest.raises(ValueError, match=r"must be built.*Received: model="):
        ksr.sparsify(keras.Sequential([L.LSTM(3)]), sparsity=0.5)
    plain = keras.Sequential([keras.Input((3,)), L.Dense(2)])
    with pytest.raises(ValueError, match=r"recurrent layers.*Received: "):
        ksr.sparsify(plain, sparsity=0.5)


@pytest.mark.parametrize("model", [3, None, keras.Sequential])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(ValueError, match=r"model or layer\. Received: model="):
        ksr.sparsify(model, sparsity=0.5)


def test_a_layer_that_is_called_inside_and_outside_of_a_wrapper_is_refused():
    model, name = models.called_inside_and_outside(L.GRU(4), L.Bidirectional)
    with pytest.raises(ValueError, match=rf"^'{name}' is called by .*'twice'$"):
        ksr.sparsify(model, sparsity=0.5)
