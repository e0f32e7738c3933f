"""What reads the hidden units of a model, and where they are seen."""

import keras
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.structured.features import hidden_units
from keras_sparse_rnn.structured.removable_units import removable_units
from tests.structured import models

L = keras.layers


def name_of(consumer):
    # Dense layers have names by which nobody knows them.
    is_table = isinstance(consumer.kernel.layer, L.ReversibleEmbedding)
    return consumer.kernel.layer.name if is_table else "dense"


def consumers(model):
    """Layers, and rows of theirs, that read the units of each layer."""
    owners = {
        id(each.cell): each.name for each in models.recurrent_layers(model)
    }
    return {
        units.layer.name: [
            (owners.get(id(each.kernel.layer), name_of(each)), each.start)
            for each in units.consumers
        ]
        for units in removable_units(model)
    }


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (models.lstm, {"a": [("dense", 0)]}),
        (models.without_input, {"a": [("dense", 0)]}),
        (
            models.three,
            {"a": [("b", 0)], "b": [("c", 0)], "c": [("dense", 0)]},
        ),
        (
            models.sparse,
            {"a": [("b", 0)], "b": [("c", 0)], "c": [("dense", 0)]},
        ),
        (
            models.bidirectional,
            {
                "forward_a": [("forward_b", 0), ("backward_b", 0)],
                "backward_a": [("forward_b", 6), ("backward_b", 6)],
                "forward_b": [("dense", 0)],
                "backward_b": [("dense", 5)],
            },
        ),
        (models.cells, {"a": [("b", 0)], "b": [("dense", 0)]}),
        (models.every_step, {"a": [("dense", 0)]}),
        (models.encoder_decoder, {"a": [("b", 0)], "b": [("dense", 0)]}),
        (models.nested, {"a": [("b", 0)], "b": [("dense", 0), ("dense", 0)]}),
        (models.shared, {"a": [("dense", 0)]}),
        (models.stateful, {"a": [("b", 0)], "b": [("dense", 0)]}),
        (models.tied, {"a": [("table", 0)]}),
        (models.tied_stack, {"a": [("b", 2)], "b": [("table", 0)]}),
        (
            models.tied_in_both_directions,
            {
                "forward_lstm": [("table", 0)],
                "backward_lstm": [("table", 3)],
            },
        ),
    ],
)
def test_units_are_followed_to_the_rows_that_read_them(make, expected):
    assert consumers(make()) == expected


def test_units_are_read_by_all_branches():
    found = consumers(models.branches())
    assert sorted(found["a"]) == [
        ("b", 0),
        ("dense", 0),
        ("dense", 0),
        ("dense", 10),
    ]
    assert found["b"] == [("dense", 16)]


def test_what_a_tied_table_embeds_goes_with_the_units_it_decodes():
    model = models.tied_in_both_directions()
    forward, backward = removable_units(model)
    cells = [forward.layer.cell, backward.layer.cell]
    for units, start in ((forward, 0), (backward, 3)):
        found = [
            (each.kernel.layer, each.start) for each in units.lookup_consumers
        ]
        assert found == [(cell, start) for cell in cells]


def reads(layer, return_sequences=False):
    """A model in which a layer stands between an LSTM and a dense layer."""

    def make():
        return models.stack(
            L.LSTM(6, return_sequences=return_sequences, name="a"),
            layer(),
            L.Dense(2),
        )

    return make


def graph(between):
    """A Functional model of what a function makes of an LSTM and inputs."""

    def make():
        inputs = keras.Input((5, 4))
        return keras.Model(inputs, between(L.LSTM(6, name="a"), inputs))

    return make


class Own(L.LSTM):
    """What a subclass does with its units is not known."""


class Around(L.Wrapper):
    """Nor what a wrapper does with the layer inside."""

    def call(self, inputs):
        return self.layer(inputs)


def residual(lstm, inputs):
    hidden = lstm(inputs)
    return L.Dense(2)(L.Add()([hidden, L.Dense(6)(hidden)]))


def operation(lstm, inputs):
    return L.Dense(2)(keras.ops.flip(lstm(inputs), axis=-1))


def states(lstm, inputs):
    lstm.return_state = True
    hidden, *_ = lstm(inputs)
    return L.Dense(2)(hidden)


def started(lstm, inputs):
    state = L.Dense(6)(inputs[:, 0])
    return L.Dense(2)(lstm(inputs, initial_state=[state, state]))


def started_with_a_constant(lstm, inputs):
    ones = keras.ops.ones((3, 6))
    return L.Dense(2)(lstm(inputs, initial_state=[ones, ones]))


def starts_another(lstm, inputs):
    hidden = lstm(inputs)
    other = L.GRU(6, name="b")(inputs, initial_state=hidden)
    return L.Dense(2)(other)


def wrapped(lstm, inputs):
    return L.Dense(2)(Around(lstm)(inputs))


def dense_on_two(lstm, inputs):
    dense, hidden = L.Dense(2), lstm(inputs)
    other = L.Dense(6)(inputs[:, 0])
    return [dense(hidden), dense(other)]


def dense_is_wrapped(lstm, inputs):
    dense, hidden = L.Dense(2), lstm(inputs)
    return [dense(hidden), Around(dense)(L.Dense(6)(inputs))]


def also_an_output(lstm, inputs):
    hidden = lstm(inputs)
    return [L.Dense(2)(hidden), hidden]


def into_a_model(lstm, inputs):
    inner = models.stack(L.Dense(2), inputs=(6,))
    return inner(lstm(inputs))


def along_time(lstm, inputs):
    lstm.return_sequences = True
    hidden = lstm(inputs)
    joined = L.Concatenate(axis=1)([hidden, L.Dense(6)(inputs)])
    return L.Dense(2)(joined)


def softmax_of_one_direction(lstm, inputs):
    both = L.Bidirectional(
        L.GRU(6, name="a"),
        backward_layer=L.GRU(
            6, activation="softmax", go_backwards=True, name="b"
        ),
    )
    return L.Dense(2)(both(inputs))


def one_direction_alone(lstm, inputs):
    both = L.Bidirectional(lstm)
    of_both = L.Dense(2)(both(inputs))
    return [of_both, L.Dense(2)(both.forward_layer(inputs))]


def one_direction_wrapped(lstm, inputs):
    both = L.Bidirectional(lstm)
    of_both = L.Dense(2)(both(inputs))
    return [of_both, L.Dense(2)(Around(both.backward_layer)(inputs))]


def decoded_by_a_table(between, tie_weights=True):
    """A model that decodes what a function makes of tokens and their table."""

    def make():
        tokens = keras.Input((5,), dtype="int32")
        table = L.ReversibleEmbedding(9, 6, tie_weights)
        lstm = L.LSTM(6, return_sequences=True, name="a")
        outputs = between(lstm, table, tokens)
        return keras.Model(tokens, outputs)

    return make


def untied(lstm, table, tokens):
    return table(lstm(table(tokens)), reverse=True)


def squashed(lstm, table, tokens):
    """A feature of zeros is not one of zeros any more."""
    squash = L.Activation("sigmoid", name="squash")
    return table(lstm(squash(table(tokens))), reverse=True)


def embedded_is_an_output(lstm, table, tokens):
    return [table(lstm(table(tokens)), reverse=True), table(tokens)]


def embedded_is_added(lstm, table, tokens):
    embedded = table(tokens)
    return table(lstm(L.Add()([embedded, L.ReLU()(embedded)])), reverse=True)


def table_is_wrapped(lstm, table, tokens):
    return table(lstm(Around(table)(tokens)), reverse=True)


def embedded_is_decoded(lstm, table, tokens):
    embedded = table(tokens)
    return [table(lstm(embedded), reverse=True), table(embedded, reverse=True)]


def decoded_twice(lstm, table, tokens):
    other = L.Dense(6)(table(tokens))
    hidden = lstm(table(tokens))
    return [table(hidden, reverse=True), table(other, reverse=True)]


REFUSED = {
    "output": (lambda: models.stack(L.LSTM(6)), "are outputs of"),
    "norm": (reads(L.LayerNormalization), "LayerNormalization"),
    "flatten": (reads(L.Flatten, True), "Flatten"),
    "softmax": (reads(lambda: L.Activation("softmax")), "Activation"),
    "noise": (
        reads(lambda: L.Dropout(0.5, noise_shape=(None, 6))),
        "Dropout",
    ),
    "channels": (
        reads(lambda: L.GlobalMaxPooling1D(data_format="channels_first"), True),
        "GlobalMaxPooling1D",
    ),
    "masking": (reads(L.Masking, True), "Masking"),
    "low rank": (reads(lambda: L.Dense(3, lora_rank=1)), "Dense"),
    "stacked": (
        reads(lambda: L.RNN([L.GRUCell(3), L.GRUCell(3)]), True),
        "are read by RNN",
    ),
    "own activation": (
        lambda: models.stack(L.LSTM(6, activation="softmax"), L.Dense(2)),
        "an activation of their own",
    ),
    "one direction": (
        graph(softmax_of_one_direction),
        "an activation of their own",
    ),
    "merged": (
        lambda: models.stack(
            L.Bidirectional(L.LSTM(6), merge_mode="sum"), L.Dense(2)
        ),
        "merge_mode='sum'",
    ),
    "residual": (graph(residual), "are read by Add"),
    "operation": (graph(operation), "are read by Flip"),
    "states": (graph(states), "are returned as states"),
    "started": (graph(started), "an initial state that is passed in"),
    "started with a constant": (
        graph(started_with_a_constant),
        "an initial state that is passed in",
    ),
    "starts another": (graph(starts_another), "are read by GRU 'b'"),
    "dense on two": (graph(dense_on_two), "called on several"),
    "also an output": (graph(also_an_output), "are outputs of"),
    "into a model": (graph(into_a_model), "are read by Sequential"),
    "along time": (graph(along_time), "are read by Concatenate"),
    "untied decoder": (
        decoded_by_a_table(untied, tie_weights=False),
        "are read by ReversibleEmbedding",
    ),
    "tied, squashed": (
        decoded_by_a_table(squashed),
        "features that it embeds go through Activation 'squash'",
    ),
    "tied, an output": (
        decoded_by_a_table(embedded_is_an_output),
        "features that it embeds are outputs of",
    ),
    "tied, added": (
        decoded_by_a_table(embedded_is_added),
        "features that it embeds",
    ),
    "tied, decoded": (
        decoded_by_a_table(embedded_is_decoded),
        "features that it embeds are read by ReversibleEmbedding",
    ),
    "tied, decoded twice": (
        decoded_by_a_table(decoded_twice),
        "which is called on several layers' features",
    ),
}


@pytest.mark.parametrize(("make", "reason"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize(
    "use", [ksr.shrink, lambda model: ksr.add_iss_regularizer(model, 0.1)]
)
def test_units_that_are_seen_otherwise_are_not_removable(make, reason, use):
    model = make()
    with pytest.raises(ValueError, match="read by recurrent and `D") as error:
        use(model)
    assert reason in str(error.value)
    assert str(error.value).endswith(f"Received: model={model.name!r}")
    assert not model.losses


NONE_FOUND = {
    "no recurrent layer": lambda: models.stack(L.Dense(3)),
    "inside of a wrapper": lambda: models.stack(
        L.TimeDistributed(L.LSTM(3)), L.Dense(2), inputs=(2, 5, 4)
    ),
    "a class of the user's": lambda: models.stack(Own(3), L.Dense(2)),
    "in a wrapper of the user's": graph(wrapped),
}


@pytest.mark.parametrize("make", NONE_FOUND.values(), ids=NONE_FOUND)
def test_models_without_a_recurrent_layer_that_is_known(make):
    model = make()
    assert hidden_units(model) == []
    with pytest.raises(ValueError, match="Expected a model with a recurrent"):
        ksr.shrink(model)


def lstm_is_wrapped(lstm, inputs):
    return [L.Dense(2)(lstm(inputs)), L.Dense(2)(Around(lstm)(inputs))]


@pytest.mark.parametrize(
    "make",
    [
        graph(lstm_is_wrapped),
        graph(dense_is_wrapped),
        decoded_by_a_table(table_is_wrapped),
    ],
)
def test_layers_that_are_also_called_in_an_unknown_way_are_left_alone(make):
    [units] = hidden_units(make())
    assert "are read by Around" in units.seen_by


@pytest.mark.parametrize(
    ("between", "reason"),
    [
        (one_direction_alone, "are also those of"),
        (one_direction_wrapped, "are read by Around"),
    ],
)
def test_both_directions_are_left_alone_if_one_is(between, reason):
    forward, backward = hidden_units(graph(between)())
    assert reason in forward.seen_by
    assert backward.seen_by == forward.seen_by


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = L.LSTM(3)

    def call(self, x):
        return self.inner(x)


class ReadsMore(keras.Sequential):
    def call(self, x, training=None):
        return super().call(x) + self.layers[0](x)


@pytest.mark.parametrize("make", [Subclassed, lambda: ReadsMore([L.LSTM(3)])])
def test_models_whose_graph_is_not_known_are_refused(make):
    model = make()
    model(models.sequences())
    with pytest.raises(ValueError, match=r"Sequential or Functional.*Received"):
        ksr.add_iss_regularizer(model, 0.1)


def test_what_is_not_built_or_no_model_is_refused():
    model = keras.Sequential([L.LSTM(3), L.Dense(2)])
    for use in (
        ksr.shrink,
        ksr.alive_units,
        lambda model: ksr.add_iss_regularizer(model, 0.1),
        lambda model: ksr.zero_small_weights(model, 0.1),
    ):
        with pytest.raises(ValueError, match=r"must be built.*Received: model"):
            use(model)
        with pytest.raises(ValueError, match=r"Received: model=3$"):
            use(3)
    layer = L.LSTM(3)
    layer.build((None, 5, 4))
    with pytest.raises(ValueError, match="Sequential or Functional"):
        ksr.shrink(layer)
