"""Loss, optimizer and learning rates of language models."""

import keras
from training_record import Replayed

import keras_sparse_rnn as ksr


def compile_model(model, settings, jit=None):
    """Compiles a language model.

    Args:
        model: A `keras.Model` that returns logits.
        settings: `LanguageSettings`.
        jit: Boolean, whether XLA compiles it, or `None`: as Keras decides.
            Defaults to `None`.
    """
    optimizer = (
        ksr.AveragedSGD
        if settings.optimizer == "nt_asgd"
        else keras.optimizers.SGD
    )
    model.compile(
        optimizer(
            settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            global_clipnorm=settings.clip_norm,
        ),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[ksr.Perplexity(from_logits=True)],
        jit_compile="auto" if jit is None else jit,
    )


def learning_rate_callbacks(settings, history_path):
    """The callbacks that change the learning rate, or begin to average.

    Args:
        settings: `LanguageSettings`.
        history_path: Path of the file of an `EpochRecord`: what a resumed run
            has seen.

    Returns:
        List of Keras callbacks.
    """
    if settings.optimizer == "nt_asgd":
        return [ksr.NonMonotoneAveraging("val_perplexity")]
    if settings.decay == 1:
        return []
    if settings.decay_after is None:
        return [
            Replayed(
                keras.callbacks.ReduceLROnPlateau(
                    "val_perplexity",
                    1 / settings.decay,
                    patience=0,
                    mode="min",
                    min_delta=0,
                ),
                history_path,
            )
        ]

    def learning_rate(epoch):
        falls = max(epoch + 1 - settings.decay_after, 0)
        return settings.learning_rate / settings.decay**falls

    return [keras.callbacks.LearningRateScheduler(learning_rate)]
