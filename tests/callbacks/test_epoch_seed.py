import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests.callbacks import tiny


def begin(model, epoch, seed=1, data=None):
    callback = ksr.EpochSeed(seed, data=data)
    callback.set_model(model)
    callback.on_epoch_begin(epoch)


def dropout_model():
    """Seed generators at several depths: nine of them."""
    inner = keras.Sequential(
        [
            keras.Input((tiny.LENGTH, 3)),
            keras.layers.Bidirectional(
                ksr.SparseGRU(
                    4, sparsity=0.5, dropout=0.5, return_sequences=True
                )
            ),
            keras.layers.SpatialDropout1D(0.5),
        ]
    )
    cells = [
        ksr.SparseLSTMCell(4, sparsity=0.5, recurrent_dropout=0.5),
        keras.layers.LSTMCell(3, dropout=0.5),
    ]
    return keras.Sequential(
        [
            keras.Input((tiny.LENGTH, 3)),
            inner,
            keras.layers.TimeDistributed(keras.layers.Dropout(0.5)),
            keras.layers.RNN(cells),
            keras.layers.Dropout(0.5, seed=5),
        ]
    )


def generators(model):
    """The states of all seed generators, found by their variables' names."""
    return {
        id(variable): np.array(variable).tolist()
        for variable in model.variables
        if variable.name.startswith("seed_generator_state")
    }


def test_seeds_follow_from_seed_and_epoch_alone():
    first, second = dropout_model(), dropout_model()
    states = {}
    for seed, epoch in [(1, 0), (1, 1), (2, 0), (2, 1)]:
        begin(first, epoch, seed)
        states[seed, epoch] = [*generators(first).values()]
        begin(second, 7, seed)
        begin(second, epoch, seed)
        assert [*generators(second).values()] == states[seed, epoch]
    assert len(states[1, 0]) >= 6
    # Every generator has its own seed in each epoch and for each seed.
    everything = [tuple(state) for each in states.values() for state in each]
    assert len(set(everything)) == len(everything)


def test_an_epoch_begun_again_drops_the_same():
    model = dropout_model()
    x = np.ones((2, tiny.LENGTH, 3), "float32")
    begin(model, 4)
    first = [np.array(model(x, training=True)) for _ in range(2)]
    # Within the epoch it goes on.
    assert (first[0] != first[1]).any()
    begin(model, 4)
    again = [np.array(model(x, training=True)) for _ in range(2)]
    np.testing.assert_array_equal(first, again)


def test_states_of_stateful_layers_start_at_zero():
    inputs = keras.Input((tiny.LENGTH, 3), batch_size=2)
    x = keras.layers.Bidirectional(
        ksr.SparseLSTM(4, sparsity=0.5, stateful=True, return_sequences=True)
    )(inputs)
    cells = [ksr.SparseGRUCell(3, sparsity=0.5), keras.layers.GRUCell(2)]
    stacked = keras.layers.RNN(cells, stateful=True)
    model = keras.Model(inputs, stacked(x))
    data = np.ones((2, tiny.LENGTH, 3), "float32")
    fresh = np.array(model(data))
    assert (np.array(model(data)) != fresh).any()
    begin(model, 0)
    np.testing.assert_array_equal(model(data), fresh)
    assert all(np.array(state).any() for state in stacked.states)


class EpochAsTarget(keras.utils.PyDataset):
    """The target is the epoch that was set; epochs are read as they come."""

    epoch = None

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return 3

    def __getitem__(self, index):
        y = np.full((4, 40), self.epoch, "float32")
        return np.zeros((4, tiny.LENGTH), "float32"), y


@pytest.mark.parametrize(
    "arguments",
    [{}, {"initial_epoch": 2}, {"validation_data": tiny.tokens(8)}],
    ids=["plain", "initial_epoch", "validation"],
)
def test_data_is_told_the_epoch_before_its_first_batch(arguments):
    model = tiny.dense_model(keras.optimizers.SGD(0.0))
    data = EpochAsTarget()
    history = tiny.fit(
        model,
        ksr.EpochSeed(1, data=data),
        epochs=5,
        x=data,
        y=None,
        **arguments,
    ).history
    epochs = range(arguments.get("initial_epoch", 0), 5)
    np.testing.assert_allclose(history["loss"], np.square(epochs))


def test_nothing_to_set_is_no_error():
    model = tiny.dense_model()
    before = tiny.state(model)
    begin(model, 3)
    assert tiny.same(tiny.state(model), before)


@pytest.mark.parametrize("seed", [-1, 1.5, "1", None, True, np.array([1, 2])])
def test_seed_must_be_an_integer_of_at_least_0(seed):
    with pytest.raises(ValueError, match=r"`seed` .*Received: seed="):
        ksr.EpochSeed(seed)


def test_data_must_be_able_to_set_an_epoch():
    with pytest.raises(ValueError, match=r"`set_epoch\(.*Received: data=\[1]$"):
        ksr.EpochSeed(1, data=[1])
