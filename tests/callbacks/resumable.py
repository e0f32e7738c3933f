"""Trains in processes that kill themselves, or are left alone.

Called with a folder, it reads from the folder's `runs.json` a list of runs,
each a dict of arguments of `train`, and does each one in a process of its
own. The exit codes are written to `codes.json`.
"""

import json
import os
import pathlib
import signal
import sys
import traceback

import keras
import numpy as np
import tensorflow as tf

import keras_sparse_rnn as ksr

BATCH = 4
BATCHES = 4
EPOCHS = 4


class Shuffled(keras.utils.PyDataset):
    """Ordered by (seed, epoch)."""

    def __init__(self, x, y, shuffles):
        super().__init__()
        self.x, self.y = x, y
        self.shuffles = shuffles
        self.order = np.arange(len(x))

    def set_epoch(self, epoch):
        if self.shuffles:
            rng = np.random.default_rng((7, epoch))
            self.order = rng.permutation(len(self.x))

    def __len__(self):
        return len(self.x) // BATCH

    def __getitem__(self, index):
        chosen = self.order[index * BATCH : (index + 1) * BATCH]
        return self.x[chosen], self.y[chosen]


class Killer(keras.callbacks.Callback):
    def __init__(self, epoch, batch, when):
        super().__init__()
        self.at = (epoch, batch, when)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        self._kill_if_at(batch, "begin")

    def on_train_batch_end(self, batch, logs=None):
        self._kill_if_at(batch, "end")

    def _kill_if_at(self, batch, when):
        if (self.epoch, batch, when) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


class Journal(keras.callbacks.Callback):
    """Notes in a file where training begins and before which batches masks
    are rewired."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        if self.seen is None:
            self._note("begins")

    def on_train_begin(self, logs=None):
        self.seen = None

    def on_train_batch_begin(self, batch, logs=None):
        if self._weight().rewirings != self.seen:
            self._note("rewired")

    def _note(self, event):
        weight = self._weight()
        self.seen = weight.rewirings
        entry = {
            "event": event,
            "epoch": self.epoch,
            "step": int(self.model.optimizer.iterations),
            "rewirings": weight.rewirings,
            "last_step": weight.last_step,
        }
        with open(self.path, "a") as file:
            file.write(json.dumps(entry) + "\n")

    def _weight(self):
        return ksr.sparse_weights(self.model)[0]


def make_model(optimizer, dropout, stateful, engine):
    embedding = ksr.SparseEmbedding(12, 8, sparsity=0.5)
    lstm = ksr.SparseLSTM(
        6,
        sparsity=0.6,
        dropout=dropout,
        recurrent_dropout=dropout,
        stateful=stateful,
        engine=engine,
    )
    layers = [keras.Input((5,), batch_size=BATCH, dtype="int32"), embedding]
    layers += [lstm, keras.layers.Dropout(dropout), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.get(optimizer), "mse")
    return model


def make_callback(name, schedule=None, **options):
    """The callback of a method, its schedule of pruning as name and options."""
    if schedule is not None:
        kind, arguments = schedule
        options["pruning"] = getattr(ksr.rewiring, kind)(**arguments)
    if name == "MagnitudePruningCallback" and schedule is not None:
        options["final_sparsity"] = options.pop("pruning")
    return getattr(ksr, name)(**options)


def train(
    folder,
    name,
    seed=1,
    optimizer="adam",
    dropout=0.0,
    stateful=False,
    shuffles=False,
    engine="masked",
    rewiring=None,
    method=None,
    order="seed set averaging backup kill",
    save_freq="epoch",
    kill=None,
    averaging=None,
):
    """Trains, from the backup if there is one, and writes the final state."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    model = make_model(optimizer, dropout, stateful, engine)
    rng = np.random.default_rng(5)
    x = rng.integers(0, 12, (BATCH * BATCHES, 5)).astype("int32")
    y = rng.normal(size=(len(x), 1)).astype("float32")
    data = Shuffled(x, y, shuffles)
    if method is None:
        method = {"name": "SETCallback", "rewire_rate": 0.5, **(rewiring or {})}
    callbacks = {
        "seed": ksr.EpochSeed(3, data=data),
        "set": make_callback(**method),
        "backup": keras.callbacks.BackupAndRestore(
            folder / f"{name}.backup", save_freq=save_freq
        ),
    }
    validation = None
    if averaging is not None:
        callbacks["averaging"] = ksr.NonMonotoneAveraging(**averaging)
        # The better it is trained the worse it is at this.
        validation = x, -y
    if kill is not None:
        callbacks["kill"] = Killer(*kill)
    listed = [callbacks[each] for each in order.split() if each in callbacks]
    listed.append(Journal(folder / f"{name}.journal"))
    listed.insert(0, ksr.TopologyHistory(folder / f"{name}.topologies"))
    if stateful:
        # States need the size of a batch, which a `PyDataset` does not tell.
        data = tf.data.Dataset.from_tensor_slices((x, y))
        data = data.batch(BATCH, drop_remainder=True)
    model.fit(
        data,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
        callbacks=listed,
        validation_data=validation,
    )
    variables = [*model.variables, *model.optimizer.variables]
    arrays = {
        f"{index} {variable.name}": np.array(variable)
        for index, variable in enumerate(variables)
    }
    np.savez(folder / f"{name}.npz", **arrays)


def in_a_process(function, *args, **kwargs):
    """Forks, before TensorFlow has started anything in this process."""
    child = os.fork()
    if not child:
        code = 1
        try:
            function(*args, **kwargs)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    runs = json.loads((folder / "runs.json").read_text())
    codes = [in_a_process(train, folder, **run) for run in runs]
    (folder / "codes.json").write_text(json.dumps(codes))
