"""Keras optimizers that know sparse weights."""

from keras_sparse_rnn.optimizers.averaged_sgd import AveragedSGD

__all__ = ["AveragedSGD"]
