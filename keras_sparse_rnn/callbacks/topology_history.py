"""Records the topology of every epoch, so that runs can be compared."""

import os
import pathlib

import keras

from keras_sparse_rnn.analysis.network_topology import network_topology
from keras_sparse_rnn.analysis.recorded_topologies import RecordedTopologies
from keras_sparse_rnn.analysis.recorded_topologies import packed_topology
from keras_sparse_rnn.analysis.recorded_topologies import recorded_files
from keras_sparse_rnn.analysis.recorded_topologies import save_recorded
from keras_sparse_rnn.sparse_layers import check_has_sparse_layers
from keras_sparse_rnn.sparse_layers import may_make_layers


class TopologyHistory(keras.callbacks.Callback):
    """Records which connections were trained in each epoch.

    The masks of all sparse weights are recorded at the end of each epoch.
    Callbacks that rewire once an epoch do so at its beginning, so this is the
    topology that was trained in the epoch; of those that rewire every few
    steps it is the last one in it. Masks take a bit per place, compressed.

    With a folder, a run that is killed and resumed by
    `keras.callbacks.BackupAndRestore` has in the end the record of one that
    was never killed, if this callback comes first in the list: else a run that
    is killed between the two lacks an epoch. An epoch's file is written whole
    or not at all. What the
    folder, or the memory, holds of the epoch that training begins with and of
    later ones is of an earlier run, and is deleted when training begins.

    Args:
        folder: String or path, where to write a file `epoch_00000.npz`,
            `epoch_00001.npz`, … for each epoch; it is made if it is not there.
            Each run, and each process, needs a folder of its own. `None` keeps
            them, packed, in memory. Defaults to `None`.

    Attributes:
        topologies: Mapping from epochs to
            `keras_sparse_rnn.analysis.NetworkTopology`s, those recorded until
            now. From a folder, `keras_sparse_rnn.analysis.load_topologies`
            gives the same.

    Raises:
        ValueError: If `folder` is no path; in training, if the model has no
            sparse layer.

    Example:

    ```python
    history = ksr.TopologyHistory("run_1")
    model.fit(x, y, epochs=10, callbacks=[ksr.SETCallback(0.4), history])
    ksr.analysis.exploration_rates(history.topologies)
    ```
    """

    def __init__(self, folder=None):
        super().__init__()
        if folder is not None and not isinstance(folder, (str, os.PathLike)):
            raise ValueError(
                "`folder` must be a string, a path, or None. "
                f"Received: folder={folder!r}"
            )
        self.folder = None if folder is None else pathlib.Path(folder)
        self._in_memory = {}

    @property
    def topologies(self):
        return RecordedTopologies(self._records())

    def on_train_begin(self, logs=None):
        self._has_begun = False
        if not may_make_layers(self.model):
            check_has_sparse_layers(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        if not self._has_begun:
            self._forget_from(epoch)
        self._has_begun = True

    def on_epoch_end(self, epoch, logs=None):
        check_has_sparse_layers(self.model)
        contents = packed_topology(network_topology(self.model))
        if self.folder is None:
            self._in_memory[epoch] = contents
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_recorded(self.folder, epoch, contents)

    def _records(self):
        if self.folder is None:
            return self._in_memory
        return recorded_files(self.folder)

    def _forget_from(self, epoch):
        for recorded, record in [*self._records().items()]:
            if recorded >= epoch:
                if self.folder is None:
                    del self._in_memory[recorded]
                else:
                    record.unlink()
