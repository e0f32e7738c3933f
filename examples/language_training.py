"""Loss, optimizer, learning rates and perplexity of language models."""

import math

import keras
from language_corpus import windows_of
from language_network import build_language_model
from training_record import Replayed

import keras_sparse_rnn as ksr

# Time steps of a window in which nothing is trained.
SCORED_AT_ONCE = 500


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


def perplexity_rank(line):
    """By what the best epoch is chosen, the greatest rank.

    Args:
        line: Dictionary of an epoch's logs.

    Returns:
        Float.
    """
    value = float(line["val_perplexity"])
    return -math.inf if math.isnan(value) else -value


def perplexity(plain, size, ids, settings, batch_size=1):
    """The perplexity of all of a text, states carried over.

    Args:
        plain: Model of plain layers.
        size: Its `LanguageModelSize`.
        ids: Integer array, the text.
        settings: `LanguageSettings`.
        batch_size: Integer. The text is read in as many parts, each from a
            state of 0. Defaults to `1`, which the measure is defined by.

    Returns:
        Float.

    Raises:
        ValueError: If there is no token, or one that the model has no vector
            for.
    """
    # The longer the faster; it makes no difference to states carried over.
    time_steps = min(SCORED_AT_ONCE, max(1, -(-len(ids) // batch_size)))
    x, y, sample_weight = windows_of(
        ids, batch_size, time_steps, size.vocabulary_size, "to score"
    )
    reader = build_language_model(size, batch_size, time_steps)
    reader.set_weights(plain.get_weights())
    compile_model(reader, settings, jit=False)
    return reader.evaluate(
        x,
        y,
        sample_weight=sample_weight,
        batch_size=batch_size,
        verbose=0,
        return_dict=True,
        callbacks=[ksr.ResetStates()],
    )["perplexity"]
