"""The state of a training, saved after each epoch."""

import shutil
from pathlib import Path

import keras

# Inside of the folder: what is whole, by the epochs done, and what may not be.
WHOLE = "epochs-"
PARTIAL = "partial"


class EpochBackup(keras.callbacks.BackupAndRestore):
    """Keras's callback, for processes that may be killed while it saves, too.

    Keras overwrites the last weights, and the number of the epoch after them: a
    kill in between leaves weights that cannot be read, or that are an epoch
    ahead. Here what is written gets its name when it is whole, and only then
    what was before is removed. The last backup stays when training has ended:
    resuming it trains nothing.

    Args:
        folder: String or path of a folder of its own.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        super().__init__(str(self.folder / PARTIAL), delete_checkpoint=False)

    def on_train_begin(self, logs=None):
        self._remove([Path(self.backup_dir)])
        whole = self._whole()
        if whole:
            shutil.copytree(whole[-1], self.backup_dir)
        super().on_train_begin(logs)
        self._remove([*whole[:-1], Path(self.backup_dir)])

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        before = self._whole()
        Path(self.backup_dir).rename(self.folder / f"{WHOLE}{epoch + 1:06d}")
        self._remove(before)

    def _whole(self):
        return sorted(self.folder.glob(f"{WHOLE}*"))

    @staticmethod
    def _remove(folders):
        for each in folders:
            if each.exists():
                shutil.rmtree(each)
