"""Perplexity, the measure of language models."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_sparse_rnn")
class Perplexity(keras.metrics.SparseCategoricalCrossentropy):
    """The exponential of the mean cross-entropy over tokens, in nats.

    Over all tokens since it was reset, each by its weight: that of a whole
    evaluation is no mean of those of its batches. Before any token it is 1.
    Pass it as one of `weighted_metrics` where sample weights tell tokens from
    padding, as those of `token_windows` do.

    Args:
        name: String. Defaults to `"perplexity"`.
        **kwargs: As for `keras.metrics.SparseCategoricalCrossentropy`:
            `from_logits`, `axis`, `dtype`, and `ignore_class` where the
            installed Keras's has it.

    Example:

    ```python
    model.compile(
        keras.optimizers.SGD(20.0, global_clipnorm=0.25),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[ksr.Perplexity(from_logits=True)],
    )
    ```
    """

    def __init__(self, name="perplexity", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        # Keras 3.12's metric has no such argument.
        ignored = getattr(self, "ignore_class", None)
        if ignored is not None:
            # Keras takes what is ignored out of weights, if there is one for
            # each token.
            of_tokens = ops.ones_like(y_true, dtype=self.dtype)
            if sample_weight is not None:
                given = ops.cast(sample_weight, self.dtype)
                has_own_axis = ops.ndim(given) > ops.ndim(of_tokens)
                if has_own_axis and given.shape[-1] == 1:
                    given = ops.squeeze(given, -1)
                while ops.ndim(given) < ops.ndim(of_tokens):
                    given = ops.expand_dims(given, -1)
                of_tokens = of_tokens * given
            sample_weight = of_tokens
        return super().update_state(y_true, y_pred, sample_weight)

    def result(self):
        return ops.exp(super().result())
