"""Trains on two logical CPU devices and writes what each replica holds.

Called with a folder and an engine. Into the folder it writes `replicas.npz`,
for each variable an array whose first axes are the batch before which it was
read and the replica; `losses.json`, with the losses of the first epoch on two
replicas and on one; and `meetings.json`, how many native calls ran while
another one did, and how many did not.
"""

import json
import pathlib
import sys
import threading

import keras
import numpy as np
import tensorflow as tf

import keras_sparse_rnn as ksr
from keras_sparse_rnn.engine import recurrence
from tests.callbacks import tiny


class Replicas(keras.callbacks.Callback):
    """Reads every replica's own values before each batch and at the end."""

    def __init__(self, strategy):
        super().__init__()
        self.strategy = strategy
        self.read = {}

    def on_train_batch_begin(self, batch, logs=None):
        self._read()

    def on_train_end(self, logs=None):
        self._read()

    def _read(self):
        for index, weight in enumerate(ksr.sparse_weights(self.model)):
            self._note(f"{index} mask", weight.mask)
            self._note(f"{index} value", weight.value)
            prefix = weight.path.replace("/", "_")
            for variable in self.model.optimizer.variables:
                if variable.name.startswith(prefix):
                    self._note(f"{index} slot {variable.name}", variable)

    def _note(self, name, variable):
        local = self.strategy.experimental_local_results(variable.value)
        values = np.stack([replica.numpy() for replica in local])
        self.read.setdefault(name, []).append(values)


class Meetings:
    """Lets native calls begin only two at a time, or notes that none came."""

    def __init__(self, forward):
        self.forward = forward
        self.barrier = threading.Barrier(2)
        self.met, self.missed = 0, 0

    def __call__(self, *args):
        try:
            # Once broken it keeps no call waiting any more.
            self.barrier.wait(timeout=60)
            self.met += 1
        except threading.BrokenBarrierError:
            self.missed += 1
        return self.forward(*args)


def main(folder, engine):
    # However few cores there are.
    tf.config.threading.set_inter_op_parallelism_threads(4)
    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [logical, logical])
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

    def optimizer():
        return keras.optimizers.AdamW(0.01, use_ema=True)

    with strategy.scope():
        mirrored = tiny.text_model(optimizer(), engine=engine)
    single = tiny.text_model(optimizer(), engine=engine)
    single.set_weights(mirrored.get_weights())

    replicas = Replicas(strategy)
    two = tiny.fit(mirrored, ksr.SETCallback(0.6), replicas)
    every = ksr.SETCallback(0.4, rule="set", frequency=3)
    tiny.fit(mirrored, every, replicas, epochs=2)
    one = tiny.fit(single, ksr.SETCallback(0.6), epochs=1)
    np.savez(
        folder / "replicas.npz",
        **{name: np.stack(values) for name, values in replicas.read.items()},
    )
    losses = [two.history["loss"][0], one.history["loss"][0]]
    (folder / "losses.json").write_text(json.dumps(losses))

    meetings = recurrence.forward = Meetings(recurrence.forward)
    tiny.fit(mirrored, epochs=1)
    counts = [meetings.met, meetings.missed]
    (folder / "meetings.json").write_text(json.dumps(counts))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
