"""The record of topologies, epoch by epoch."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.analysis import load_topologies
from tests.callbacks import tiny


class MasksAtTheLastBatch(keras.callbacks.Callback):
    """What was trained, seen from within the epochs."""

    def __init__(self):
        super().__init__()
        self.masks = {}

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.masks[self.epoch] = tiny.masks(self.model)


def assert_holds(recorded, masks):
    assert [*recorded] == [*masks]
    for epoch, topology in recorded.items():
        for mask, its in zip(topology.masks, masks[epoch], strict=True):
            np.testing.assert_array_equal(mask, its)


@pytest.mark.parametrize("history_is_first", [True, False])
@pytest.mark.parametrize("frequency", ["epoch", 3])
def test_what_was_trained_in_each_epoch_is_recorded(
    tmp_path, frequency, history_is_first
):
    model = tiny.text_model()
    seen = MasksAtTheLastBatch()
    folder = tmp_path / "made" / "here"
    histories = [ksr.TopologyHistory(), ksr.TopologyHistory(folder)]
    callbacks = [ksr.SETCallback(0.5, frequency=frequency), *histories]
    if history_is_first:
        callbacks.reverse()
    tiny.fit(model, *callbacks, seen)
    first, *_, last = seen.masks.values()
    assert (first[0] != last[0]).any()
    for recorded in (
        histories[0].topologies,
        histories[1].topologies,
        load_topologies(folder),
    ):
        assert_holds(recorded, seen.masks)
    paths = [weight.path for weight in ksr.sparse_weights(model)]
    assert [m.path for m in recorded[0].matrices] == paths
    assert ksr.analysis.nnstd(recorded[2], model) == 0


@pytest.mark.parametrize("in_memory", [True, False])
def test_training_goes_on_with_the_record(tmp_path, in_memory):
    model = tiny.dense_model()
    history = ksr.TopologyHistory(None if in_memory else str(tmp_path))
    seen = MasksAtTheLastBatch()
    rewiring = ksr.SETCallback(0.5, end=9)
    tiny.fit(model, rewiring, history, seen, epochs=3)
    tiny.fit(model, rewiring, history, seen, initial_epoch=3, epochs=5)
    assert [*seen.masks] == [0, 1, 2, 3, 4]
    assert_holds(history.topologies, seen.masks)


@pytest.mark.parametrize("in_memory", [True, False])
def test_what_an_earlier_run_recorded_of_later_epochs_is_forgotten(
    tmp_path, in_memory
):
    history = ksr.TopologyHistory(None if in_memory else tmp_path)
    tiny.fit(tiny.dense_model(), history, epochs=4)
    tiny.fit(tiny.dense_model(), history, initial_epoch=1, epochs=2)
    assert [*history.topologies] == [0, 1]


def test_what_else_is_in_the_folder_is_left_alone(tmp_path):
    notes = tmp_path / "epoch_notes.npz"
    notes.write_text("mine")
    tiny.fit(tiny.dense_model(), ksr.TopologyHistory(tmp_path), epochs=1)
    assert notes.read_text() == "mine"
    assert [*load_topologies(tmp_path)] == [0]


def test_a_model_that_its_first_batch_builds():
    history = ksr.TopologyHistory()
    model = tiny.text_model(with_input=False)
    tiny.fit(model, history, epochs=1)
    assert len(history.topologies[0].matrices) == 3


def test_a_model_without_sparse_layers_is_refused():
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match="has no sparse layer") as error:
        tiny.fit(model, ksr.TopologyHistory())
    assert "rewire" not in str(error.value)


@pytest.mark.parametrize("folder", [3, True, ["a"]])
def test_a_folder_that_is_none(folder):
    with pytest.raises(ValueError, match="Received: folder="):
        ksr.TopologyHistory(folder)
