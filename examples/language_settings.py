"""Settings of language models: the papers', and what two cores manage."""

import dataclasses

from language_network import Dropout

# Below which ISS makes |w| 0, in Wen et al.'s code.
ISS_THRESHOLD = 1e-4


@dataclasses.dataclass(frozen=True)
class LanguageSettings:
    """How a language model is built and trained.

    The loss is the mean over the tokens of a window. Papers that sum over time
    steps, as Zaremba et al. do, have gradients `time_steps` times as large:
    their learning rates are multiplied here, their norms to clip to divided.

    Args:
        model: String, `"lstm"` or `"rhn"`.
        layers: Integer, recurrent layers.
        units: Integer, units of each.
        embedding_dim: Integer, length of a token's vector.
        depth: Integer, micro-layers of an RHN.
        tied: Boolean, whether the embedding is the decoder too.
        batch_size: Integer.
        time_steps: Integer, the length of a window.
        epochs: Integer.
        optimizer: String, `"sgd"` or `"nt_asgd"`, SGD that averages the
            weights when validation stops falling.
        learning_rate: Float.
        momentum: Float in `[0, 1)`.
        clip_norm: Float, to which the norm of all gradients is clipped.
        decay: Float of at least 1, by which the learning rate is divided.
        decay_after: Integer, the number of epochs after which it is, in each
            epoch, or `None`: when perplexity in validation has not fallen.
        dropout_words: Float in `[0, 1)`, see `Dropout`, as are the next four.
        dropout_inputs: Float in `[0, 1)`.
        dropout_hidden: Float in `[0, 1)`.
        dropout_outputs: Float in `[0, 1)`.
        locked_dropout: Boolean.
        initial_scale: Float, see `build_language_model`, or `None`.
        transform_bias: Float, an RHN's, or `None`, the layer's own.
        weight_decay: Float, or `None`.
        sparsity: Float in `[0, 1)`, of all matrices together.
        topology: String, `"uniform"` or `"erdos_renyi"`.
        rewire_rate: Float, ζ of ST-RNN.
        clipping: String, whether clipping sees the gradients of empty places
            too, `"dense"`, as in the papers' code, or not, `"sparse"`.
        iss_strength: Float, of ISS's penalty, on a loss that is summed over
            the time steps, as Wen et al.'s: theirs for 2 × 1500 units.
        vocabulary_size: Integer, most ids.
    """

    model: str = "lstm"
    layers: int = 2
    units: int = 200
    embedding_dim: int = 200
    depth: int = 1
    tied: bool = False
    batch_size: int = 20
    time_steps: int = 20
    epochs: int = 13
    optimizer: str = "sgd"
    learning_rate: float = 20.0
    momentum: float = 0.0
    clip_norm: float = 0.25
    decay: float = 2.0
    decay_after: int | None = 4
    dropout_words: float = 0.0
    dropout_inputs: float = 0.0
    dropout_hidden: float = 0.0
    dropout_outputs: float = 0.0
    locked_dropout: bool = False
    initial_scale: float | None = 0.1
    transform_bias: float | None = None
    weight_decay: float | None = None
    sparsity: float = 0.67
    topology: str = "uniform"
    rewire_rate: float = 0.8
    clipping: str = "dense"
    iss_strength: float = 0.00245
    vocabulary_size: int = 10_000

    @property
    def dropout(self):
        """`Dropout`."""
        return Dropout(
            self.dropout_words,
            self.dropout_inputs,
            self.dropout_hidden,
            self.dropout_outputs,
            self.locked_dropout,
        )


# Zaremba et al. 2014, their small model; ζ as for the large one.
_SMALL = LanguageSettings()

# Of the same effort as the small LSTM.
_SMALL_RHN = dataclasses.replace(
    _SMALL,
    model="rhn",
    layers=1,
    depth=4,
    tied=True,
    epochs=10,
    initial_scale=0.04,
    transform_bias=-2.0,
    sparsity=0.53,
    rewire_rate=0.5,
)

# Liu et al. 2021, section 4.2; what they do not give is as in the code of
# their next paper.
_PAPER_LSTM = LanguageSettings(
    units=1500,
    embedding_dim=1500,
    time_steps=35,
    epochs=100,
    learning_rate=2.0,
    momentum=0.9,
    clip_norm=10.0,
    decay=1.33,
    decay_after=None,
    dropout_inputs=0.65,
    dropout_outputs=0.65,
    initial_scale=None,
)
_PAPER_RHN = dataclasses.replace(
    _PAPER_LSTM,
    model="rhn",
    layers=1,
    units=830,
    embedding_dim=830,
    depth=10,
    tied=True,
    epochs=200,
    decay=1.11,
    dropout_words=0.2,
    dropout_hidden=0.25,
    locked_dropout=True,
    initial_scale=0.04,
    transform_bias=-2.0,
    sparsity=0.528,
    rewire_rate=0.5,
)

# Liu et al., Selfish Sparse RNN Training, ICML 2021.
_SELFISH_LSTM = dataclasses.replace(
    _PAPER_LSTM,
    optimizer="nt_asgd",
    learning_rate=40.0,
    momentum=0.0,
    clip_norm=0.25,
    decay=1.0,
    weight_decay=1.2e-6,
)
_SELFISH_RHN = dataclasses.replace(
    _PAPER_RHN,
    epochs=500,
    optimizer="nt_asgd",
    learning_rate=15.0,
    momentum=0.0,
    clip_norm=0.25,
    decay=1.0,
    weight_decay=1.2e-6,
    initial_scale=None,
    transform_bias=0.0,
)

# Little text, few minutes: what `docstrings` takes unless told otherwise.
_TINY = dataclasses.replace(
    _SMALL,
    layers=1,
    units=128,
    embedding_dim=128,
    epochs=6,
    dropout_outputs=0.2,
    # So that the native engine can run it.
    clipping="sparse",
    vocabulary_size=5000,
)

PRESETS = {
    "tiny": _TINY,
    "small": _SMALL,
    "small_rhn": _SMALL_RHN,
    "paper_lstm": _PAPER_LSTM,
    "paper_rhn": _PAPER_RHN,
    "selfish_lstm": _SELFISH_LSTM,
    "selfish_rhn": _SELFISH_RHN,
}
