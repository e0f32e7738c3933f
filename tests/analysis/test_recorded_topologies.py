"""Topologies in files."""

import numpy as np
import pytest

from keras_sparse_rnn.analysis import Connections
from keras_sparse_rnn.analysis import NetworkTopology
from keras_sparse_rnn.analysis import RecordedTopologies
from keras_sparse_rnn.analysis import Units
from keras_sparse_rnn.analysis import load_topologies
from keras_sparse_rnn.analysis import recorded_topologies
from tests.analysis import networks


def assert_equal(topology, other):
    assert [(m.path, m.inputs, m.outputs) for m in topology.matrices] == [
        (m.path, m.inputs, m.outputs) for m in other.matrices
    ]
    for mask, its in zip(topology.masks, other.masks, strict=True):
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, its)


def save(folder, epoch, topology):
    contents = recorded_topologies.packed_topology(topology)
    recorded_topologies.save_recorded(folder, epoch, contents)


def test_what_is_saved_is_loaded_epoch_by_epoch(tmp_path):
    saved = {epoch: networks.random_network(epoch) for epoch in (9, 10, 8)}
    for epoch, topology in saved.items():
        save(tmp_path, epoch, topology)
    (tmp_path / "epoch_best.npz").write_bytes(b"of someone else")
    loaded = load_topologies(tmp_path)
    assert [*loaded] == [8, 9, 10]
    for epoch, topology in loaded.items():
        assert_equal(topology, saved[epoch])


def test_what_is_packed_is_unpacked_in_memory():
    units = Units("ε", 3)
    topology = NetworkTopology(
        [
            Connections("a/b", np.eye(3), None, units),
            Connections("a/c", np.zeros((3, 3)), (units,), units),
        ]
    )
    packed = recorded_topologies.packed_topology(topology)
    assert_equal(RecordedTopologies({0: packed})[0], topology)


def test_a_file_takes_at_most_a_bit_per_place():
    mask = np.random.default_rng(1).random((2000, 400)) < 0.01
    topology = NetworkTopology([Connections("a", mask, None, Units("a", 400))])
    packed = recorded_topologies.packed_topology(topology)
    assert len(packed) < mask.size / 8 + 1000


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    save(tmp_path, 0, networks.random_network(0))

    def killed(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(recorded_topologies.os, "replace", killed)
    for epoch in (0, 1):
        with pytest.raises(KeyboardInterrupt):
            save(tmp_path, epoch, networks.random_network(5))
    loaded = load_topologies(tmp_path)
    assert [*loaded] == [0]
    assert_equal(loaded[0], networks.random_network(0))


def test_a_folder_without_topologies(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ValueError, match=f"Received: folder='{folder}'"):
            load_topologies(folder)
