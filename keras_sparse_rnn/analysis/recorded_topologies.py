"""Topologies in files, and those of a run, epoch by epoch."""

import io
import json
import os
import pathlib
import re
from collections.abc import Collection
from collections.abc import Mapping

import numpy as np

from keras_sparse_rnn.analysis.connections import Connections
from keras_sparse_rnn.analysis.connections import NetworkTopology
from keras_sparse_rnn.analysis.connections import Units
from keras_sparse_rnn.analysis.network_topology import as_topology

_NAME = re.compile(r"epoch_(\d{5,})\.npz")


class RecordedTopologies(Mapping):
    """Topologies of a run: a mapping from epochs, in order, to topologies.

    A topology is read when it is asked for, so that those of a long run need
    not be in memory together.

    Args:
        records: Dict from epochs to the paths of files, or to their contents.
    """

    def __init__(self, records):
        self._records = {epoch: records[epoch] for epoch in sorted(records)}

    def __getitem__(self, epoch):
        record = self._records[epoch]
        return _read(io.BytesIO(record) if type(record) is bytes else record)

    def __iter__(self):
        return iter(self._records)

    def __len__(self):
        return len(self._records)


def load_topologies(folder):
    """The topologies that `keras_sparse_rnn.TopologyHistory` recorded.

    Args:
        folder: String or path.

    Returns:
        A `RecordedTopologies`: a mapping from epochs to `NetworkTopology`s.

    Raises:
        ValueError: If nothing is recorded in the folder.

    Example:

    ```python
    recorded = ksr.analysis.load_topologies("run_1")
    ksr.analysis.edit_distance(recorded[0], recorded[9])
    ```
    """
    files = recorded_files(folder)
    if not files:
        raise ValueError(
            "Expected a folder with topologies that `TopologyHistory` "
            f"recorded. Received: folder={os.fspath(folder)!r}"
        )
    return RecordedTopologies(files)


def recorded_files(folder):
    """Dict from epochs to the files of a folder that record them."""
    files = {}
    for path in pathlib.Path(folder).glob("epoch_*.npz"):
        named = _NAME.fullmatch(path.name)
        if named:
            files[int(named[1])] = path
    return files


def save_recorded(folder, epoch, contents):
    """Writes the file of an epoch, all of it or nothing.

    Args:
        folder: `pathlib.Path`.
        epoch: Integer.
        contents: Bytes, as of `packed_topology`.
    """
    path = folder / f"epoch_{epoch:05}.npz"
    # Whoever is killed in writing leaves no file that is half there.
    partial = path.with_suffix(".npz.partial")
    partial.write_bytes(contents)
    os.replace(partial, path)


def packed_topology(topology):
    """The bytes of a file of a topology, with a bit per place, compressed.

    Args:
        topology: `NetworkTopology`.

    Returns:
        Bytes of a `.npz` file.
    """
    matrices = [
        {
            "path": matrix.path,
            "shape": matrix.mask.shape,
            "inputs": matrix.inputs
            and [[units.name, units.size] for units in matrix.inputs],
            "outputs": [matrix.outputs.name, matrix.outputs.size],
        }
        for matrix in topology.matrices
    ]
    bits = {
        f"mask_{place}": np.packbits(mask)
        for place, mask in enumerate(topology.masks)
    }
    file = io.BytesIO()
    np.savez_compressed(file, matrices=np.array(json.dumps(matrices)), **bits)
    return file.getvalue()


def in_order(topologies):
    """Yields the topologies of consecutive epochs, each with its epoch.

    Args:
        topologies: Mapping from epochs to what stands for a topology (see
            `edit_distance`), or sequence, whose epochs are 0, 1, ….

    Yields:
        Pairs of an integer and a `NetworkTopology`.

    Raises:
        ValueError: If there are none, an epoch is missing between two others,
            or the shapes of two topologies differ.
    """
    check_are_topologies(topologies)
    if isinstance(topologies, Mapping):
        epochs = sorted(topologies)
        records = (topologies[epoch] for epoch in epochs)
    else:
        epochs, records = range(len(topologies)), topologies
    if not epochs:
        raise ValueError(
            "Expected the topologies of at least one epoch. "
            f"Received: topologies={topologies!r}"
        )
    if [*epochs] != [*range(epochs[0], epochs[-1] + 1)]:
        raise ValueError(
            "Expected topologies of consecutive epochs. "
            f"Received: epochs={[*epochs]}"
        )
    shapes = None
    for epoch, record in zip(epochs, records, strict=True):
        topology = as_topology(record)
        its_shapes = [mask.shape for mask in topology.masks]
        if shapes is not None and its_shapes != shapes:
            raise ValueError(
                f"Expected topologies of the shapes {shapes}. "
                f"Received: {its_shapes} of epoch {epoch}"
            )
        shapes = its_shapes
        yield epoch, topology


def check_are_topologies(topologies):
    """Raises `ValueError` unless it is a mapping or a list of epochs."""
    if isinstance(topologies, str) or not isinstance(topologies, Collection):
        raise ValueError(
            "Expected the topologies of epochs, such as `.topologies` of a "
            "`TopologyHistory`, what `load_topologies` returns, or a list. "
            f"Received: topologies={topologies!r}"
        )


def _read(file):
    with np.load(file) as arrays:
        matrices = json.loads(str(arrays["matrices"]))
        return NetworkTopology(
            tuple(
                _connections(matrix, arrays[f"mask_{place}"])
                for place, matrix in enumerate(matrices)
            )
        )


def _connections(matrix, bits):
    shape = tuple(matrix["shape"])
    mask = np.unpackbits(bits, count=int(np.prod(shape)))
    inputs = matrix["inputs"]
    return Connections(
        matrix["path"],
        mask.reshape(shape).astype(bool),
        None if inputs is None else tuple(Units(*units) for units in inputs),
        Units(*matrix["outputs"]),
    )
