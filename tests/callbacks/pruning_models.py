"""Models that are pruned in `fit`, schedules, and how much is left."""

import keras
import numpy as np
import tensorflow as tf

import keras_sparse_rnn as ksr
from tests.callbacks import tiny


def full_model(optimizer="adam", sparsity=0.0, **compile_args):
    """A model that starts dense, quick to train, with several groups."""
    model = keras.Sequential(
        [
            keras.Input((tiny.LENGTH,)),
            ksr.SparseDense(40, sparsity=sparsity, topology_seed=3),
            ksr.SparseDense(10, sparsity=sparsity, topology_seed=4),
        ]
    )
    model.compile(optimizer, "mse", **compile_args)
    return model


def sparsity(model):
    masks = tiny.masks(model)
    return 1 - sum(map(np.sum, masks)) / sum(map(np.size, masks))


def cubic(step, end, final=0.8, begin=0, initial=0.0):
    share = min(max((step - begin) / (end - begin), 0), 1)
    return final + (initial - final) * (1 - share) ** 3


def assert_counts(model, target):
    """Each group keeps its share, to the nearest integer."""
    for weight in ksr.sparse_weights(model):
        for group in weight.groups:
            mask = weight.mask.numpy()[group.columns]
            assert mask.sum() == int((1 - target) * mask.size + 0.5)


class Asked:
    """A schedule that says yes at some steps, and notes all it is asked."""

    def __init__(self, steps, sparsity=0.5):
        self.steps, self.sparsity = steps, sparsity
        self.asked = []

    def __call__(self, step):
        self.asked.append(step)
        return step in self.steps, self.sparsity


class LikeTfmot:
    """Tests `step % frequency` and returns tensors, as those of tfmot do."""

    def __init__(self, target_sparsity, begin, frequency):
        self.target_sparsity = target_sparsity
        self.begin, self.frequency = begin, frequency

    def __call__(self, step):
        step = tf.convert_to_tensor(step)
        is_due = tf.logical_and(
            step >= self.begin,
            tf.equal((step - self.begin) % self.frequency, 0),
        )
        return is_due, tf.constant(self.target_sparsity, tf.float32)
