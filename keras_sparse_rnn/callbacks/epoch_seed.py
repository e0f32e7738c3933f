"""Makes an epoch depend on (seed, epoch) alone, so that a run can resume."""

import keras
import numpy as np

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn.arguments import check_integer
from keras_sparse_rnn.callbacks.reset_states import reset_states


class EpochSeed(keras.callbacks.Callback):
    """Sets dropout seeds, RNN states and data order from (seed, epoch).

    Keras saves neither the seeds of dropout nor the states of stateful RNNs,
    and shuffles by random numbers that start again in a new process. With this
    callback a run that is killed and resumed by
    `keras.callbacks.BackupAndRestore` ends as one that was never killed. It
    also gives each epoch another order: after `set_random_seed`,
    `fit(shuffle=True)` repeats one permutation.

    At the beginning of each epoch every `SeedGenerator` of the model is set,
    stateful RNNs are reset, and `data.set_epoch(epoch)` is called.

    Args:
        seed: Integer of at least 0.
        data: Object with a method `set_epoch(epoch)` that orders the training
            data by (its seed, epoch), or `None`. Defaults to `None`.

    Raises:
        ValueError: If `seed` is no integer of at least 0, or `data` has no
            `set_epoch`.

    Example:

    ```python
    model.fit(
        batches,
        shuffle=False,
        callbacks=[
            ksr.EpochSeed(1, data=batches),
            ksr.SETCallback(0.4),
            keras.callbacks.BackupAndRestore("backup"),
        ],
    )
    ```
    """

    def __init__(self, seed, data=None):
        super().__init__()
        check_integer("seed", seed, 0)
        if data is not None and not hasattr(data, "set_epoch"):
            raise ValueError(
                "`data` must have a method `set_epoch(epoch)`. "
                f"Received: data={data}"
            )
        self.seed = int(seed)
        self.data = data

    def on_epoch_begin(self, epoch, logs=None):
        sequence = np.random.SeedSequence([self.seed, epoch])
        layers = keras_internals.flatten_layers(self.model)
        generators = {
            id(generator): generator
            for layer in layers
            for generator in keras_internals.seed_generators(layer)
        }
        seeds = sequence.generate_state(max(len(generators), 1), np.uint32)
        for generator, seed in zip(generators.values(), seeds, strict=False):
            dtype = keras.backend.standardize_dtype(generator.state.dtype)
            # 31 bits fit every backend's type of seed.
            generator.state.assign(np.array([seed >> 1, 0]).astype(dtype))
        reset_states(self.model)
        if self.data is not None:
            self.data.set_epoch(epoch)
