"""Trains by every method on two logical CPU devices.

Called with a folder. For each method it writes into it an `.npz` file with, for
each variable of a sparse weight, an array whose first axes are the batch before
which it was read and the replica; and `gradients.npz`, with dense gradients
that were noted on two replicas and what a tape gives on one.
"""

import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

import keras_sparse_rnn as ksr
from tests import dense_twin
from tests.callbacks import tiny
from tests.callbacks.mirrored import Replicas


def averaging(optimizer):
    optimizer.start_averaging()
    return optimizer


METHODS = {
    "RigL": lambda: ksr.RigLCallback(0.5, frequency=2),
    "SNFS": lambda: ksr.SNFSCallback(0.5),
    "DSR": lambda: ksr.DSRCallback(0.3),
    "DeepR": lambda: ksr.DeepRCallback(l1=0.5, temperature=1e-2, frequency=2),
    "pruning": lambda: ksr.MagnitudePruningCallback(0.9, frequency=2),
    "SNT-ASGD": lambda: ksr.SETCallback(0.5),
}
OPTIMIZERS = {
    "SNT-ASGD": lambda: averaging(ksr.AveragedSGD(0.1, momentum=0.5)),
}


class ReplicasOfState(Replicas):
    """Reads what methods carry along as well."""

    def _read(self):
        super()._read()
        for index, weight in enumerate(ksr.sparse_weights(self.model)):
            for suffix in ("signs", "rewiring", "rewiring_levels"):
                variable = getattr(
                    weight.layer, f"{weight.name}_{suffix}", None
                )
                if variable is not None:
                    self._note(f"{index} {suffix}", variable)


def adam():
    return keras.optimizers.Adam(0.02)


def two_layers(optimizer=adam, **compile_args):
    model = keras.Sequential(
        [
            keras.Input((tiny.LENGTH,), dtype="int32"),
            ksr.SparseEmbedding(tiny.VOCABULARY, 6, sparsity=0.5),
            keras.layers.Flatten(),
            ksr.SparseDense(4, sparsity=0.5),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer(), "mse", **compile_args)
    return model


def write_gradients(path, strategy):
    """Of one batch, summed over replicas; and the average of two batches."""
    x, y = tiny.tokens(16)
    arrays = {}
    for momentum in (0, 0.8):
        with strategy.scope():
            model = two_layers()
        weights = ksr.sparse_weights(model)
        gradients = ksr.DenseGradients(model, momentum=momentum)
        expected = [np.zeros(weight.shape) for weight in weights]
        for part in (slice(8), slice(8, 16)):
            dense = dense_twin.dense_gradients(model, x[part], y[part])
            expected = [
                momentum * old + (1 - momentum) * new
                for old, new in zip(expected, dense, strict=True)
            ]
            with gradients:
                model.fit(x[part], y[part], batch_size=8, verbose=0)
        noted = gradients.of(weights)
        for index, pair in enumerate(zip(noted, expected, strict=True)):
            arrays[f"{momentum} {index}"] = np.stack(pair)
    np.savez(path, **arrays)


def main(folder):
    # However few cores there are.
    tf.config.threading.set_inter_op_parallelism_threads(4)
    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [logical, logical])
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for name, make in METHODS.items():
        with strategy.scope():
            model = two_layers(OPTIMIZERS.get(name, adam))
        replicas = ReplicasOfState(strategy)
        tiny.fit(model, make(), replicas, epochs=2)
        np.savez(
            folder / f"{name}.npz",
            **{each: np.stack(read) for each, read in replicas.read.items()},
        )
    write_gradients(folder / "gradients.npz", strategy)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
