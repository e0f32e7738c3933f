"""The flags of the language model, and the settings that they choose."""

import dataclasses
import math

from absl import flags
from language_data import DATASETS
from language_network import LAYERS
from language_settings import PRESETS
from methods import METHODS

# Flags that say where to write and how much to do besides, not what to train.
FREE_FLAGS = (
    "data_dir",
    "generate",
    "output_dir",
    "prompt",
    "resume",
    "temperature",
)
BELOW_1 = 1 - 1e-9
# Of the whole training text, as in the literature.
WIKITEXT_2_VOCABULARY_SIZE = 33_278
# Settings that flags of the same name change: what they are, and the least and
# the greatest value.
SETTING_FLAGS = {
    "layers": ("Recurrent layers.", 1, None),
    "units": ("Units of each recurrent layer.", 1, None),
    "embedding_dim": ("Length of a token's vector.", 1, None),
    "depth": ("Micro-layers of an RHN.", 1, None),
    "batch_size": ("Parts of the text that are read side by side.", 1, None),
    "time_steps": (
        "Length of a window: how far gradients reach back.",
        1,
        None,
    ),
    "epochs": ("Epochs.", 1, None),
    "vocabulary_size": (
        "Most frequent tokens that get a vector; of wikitext-2 all "
        f"{WIKITEXT_2_VOCABULARY_SIZE} where it is not given.",
        3,
        None,
    ),
    "learning_rate": ("SGD's.", 0, None),
    "momentum": ("SGD's.", 0, BELOW_1),
    "clip_norm": (
        "Norm of all gradients together to which it is clipped; 0: it is not.",
        0,
        None,
    ),
    "decay": (
        "By what the learning rate is divided: in the presets tiny, small and "
        "small_rhn in each epoch after the fourth, in the others when "
        "perplexity in validation does not fall.",
        1,
        None,
    ),
    "dropout_words": ("Share of the vocabulary to drop.", 0, BELOW_1),
    "dropout_inputs": ("Share of the embedding to drop.", 0, BELOW_1),
    "dropout_hidden": ("Share of an RHN's state to drop.", 0, BELOW_1),
    "dropout_outputs": ("Share of layers' outputs to drop.", 0, BELOW_1),
    "sparsity": ("Share of all places that are empty.", 0, BELOW_1),
    "iss_strength": (
        "Of ISS's penalty, on a loss summed over the time steps.",
        0,
        None,
    ),
    "rewire_rate": (
        "Share of connections moved. Other methods than st_rnn have their own.",
        0,
        1,
    ),
}


def by_preset(name):
    """Says in a flag's help what it is by default, the commonest value first.

    Args:
        name: String, a field of `LanguageSettings`.

    Returns:
        String.
    """
    presets = {}
    for preset, settings in PRESETS.items():
        presets.setdefault(getattr(settings, name), []).append(preset)
    common = max(presets, key=lambda value: len(presets[value]))
    others = [
        f"; {value} for {', '.join(names)}"
        for value, names in presets.items()
        if value != common
    ]
    return f"By default {common}{''.join(others)}."


FLAGS = flags.FLAGS
flags.DEFINE_string(
    "dataset",
    None,
    f"One of {', '.join(DATASETS)}. By default docstrings, which needs no "
    "files, or text where there is a --text_file. ptb and wikitext-2 need a "
    "--data_dir.",
)
flags.DEFINE_string(
    "data_dir",
    None,
    "Folder that holds the text in three parts, itself or in a folder of the "
    "data set's name: ptb.train.txt, wiki.train.tokens or train.txt, and so "
    "on, also as .gz or .xz.",
)
flags.DEFINE_string(
    "text_file",
    None,
    "A text to learn from, whose last tenth of lines is set aside.",
)
flags.DEFINE_enum(
    "preset",
    None,
    list(PRESETS),
    "Settings, of which other flags may change some: tiny and small ones for "
    "CPUs, those of Liu et al. 2021 (paper) and of their next paper (selfish). "
    "By default tiny for "
    "docstrings and small for all others.",
)
flags.DEFINE_enum(
    "model", None, list(LAYERS), f"Recurrent layers. {by_preset('model')}"
)
flags.DEFINE_enum(
    "method", "st_rnn", list(METHODS), "How the model is trained."
)
flags.DEFINE_enum(
    "topology",
    None,
    ["uniform", "erdos_renyi"],
    f"Where connections are at first. {by_preset('topology')}",
)
flags.DEFINE_bool(
    "tied",
    None,
    f"Whether the embedding is the decoder too. {by_preset('tied')}",
)
flags.DEFINE_enum(
    "clipping",
    None,
    ["dense", "sparse"],
    "Whether clipping sees the gradients of empty places too, as in the "
    f"papers' code. {by_preset('clipping')}",
)
flags.DEFINE_enum(
    "engine",
    "auto",
    ["auto", "masked", "native"],
    "What computes sparse LSTM layers. Dense clipping takes the masked one.",
)
for name, (meaning, least, greatest) in SETTING_FLAGS.items():
    define = (
        flags.DEFINE_integer
        if isinstance(getattr(PRESETS["small"], name), int)
        else flags.DEFINE_float
    )
    define(
        name,
        None,
        f"{meaning} {by_preset(name)}",
        lower_bound=least,
        upper_bound=greatest,
    )
flags.DEFINE_bool(
    "jit", None, "Whether XLA compiles training. By default as Keras decides."
)
flags.DEFINE_integer(
    "seed",
    0,
    "Seed of everything drawn.",
    lower_bound=0,
    upper_bound=2**32 - 1,
)
flags.DEFINE_integer(
    "generate",
    30,
    "How many tokens to write in the end.",
    lower_bound=0,
    upper_bound=2**31 - 1,
)
flags.DEFINE_string("prompt", "the", "What the written tokens go on from.")
flags.DEFINE_float(
    "temperature", 0.8, "Of what is written; 0: the likeliest.", lower_bound=0
)
flags.register_validator(
    "prompt",
    # A terminal of another encoding leaves bytes that are no characters.
    lambda text: text == text.encode(errors="ignore").decode(),
    "must be text in UTF-8",
)
flags.DEFINE_string(
    "output_dir",
    None,
    "Folder to write to. By default language_modeling_output/DATASET in the "
    "current folder. A run without --resume removes what the last one wrote "
    "there. TensorBoard's logs go to --log_dir, a flag that absl has already, "
    "instead where that is given, and stay.",
)
# absl itself defines --log_dir, and uses it only when told to. Here it is
# TensorBoard's, by default `logs` in the output folder.
flags.DEFINE_bool(
    "resume",
    False,
    "Go on where a killed run with the same flags and the same text was, or "
    "with a finished run, by more --epochs than it had, but for "
    "magnitude_pruning, granet and iss, which choose one of the last quarter "
    "of them. The rewire rate falls "
    "until the last epoch: with more of them it falls slower from there on, "
    "not as in a run begun with as many.",
)
# NaN is beyond no bound.
for name in (*SETTING_FLAGS, "temperature"):
    flags.register_validator(
        name,
        lambda value: value is None or math.isfinite(value),
        "must be a finite number",
    )


def fill_in_flags():
    """Gives the data set and the preset, where they were not passed."""
    if FLAGS.dataset is None:
        FLAGS.dataset = "docstrings" if FLAGS.text_file is None else "text"
    if FLAGS.preset is None:
        FLAGS.preset = "tiny" if FLAGS.dataset == "docstrings" else "small"
    if FLAGS.vocabulary_size is None and FLAGS.dataset == "wikitext-2":
        FLAGS.vocabulary_size = WIKITEXT_2_VOCABULARY_SIZE


def chosen_settings():
    """The preset's settings, changed by the flags that were passed.

    Returns:
        `LanguageSettings`.

    Raises:
        ValueError: If flags do not go together.
    """
    settings = PRESETS[FLAGS.preset]
    given = {
        name: FLAGS[name].value
        for name in (*SETTING_FLAGS, "model", "tied", "topology", "clipping")
        if FLAGS[name].value is not None
    }
    method_rate = METHODS[FLAGS.method].rewire_rate
    if method_rate is not None:
        given.setdefault("rewire_rate", method_rate)
    settings = dataclasses.replace(settings, **given)
    if FLAGS.engine == "native":
        if settings.model == "rhn":
            raise ValueError(
                "There are no native kernels for recurrent highway networks. "
                "Received: engine='native', model='rhn'"
            )
        if settings.clipping == "dense":
            raise ValueError(
                "The native engine does not compute the gradients of empty "
                "places: expected `--clipping=sparse` with it. Received: "
                "engine='native', clipping='dense'"
            )
    return settings


def flags_without_effect(settings):
    """Names of the flags that were passed and that make no difference.

    Args:
        settings: `LanguageSettings`, the chosen ones.

    Returns:
        List of strings.
    """
    unused = METHODS[FLAGS.method].unused
    names = [name for name in ("rewire_rate", "topology") if name in unused]
    if "topology" in unused:
        names.append("sparsity")
    if FLAGS.method != "iss":
        names.append("iss_strength")
    if settings.model == "lstm":
        names += ["depth", "dropout_hidden"]
    if settings.optimizer == "nt_asgd":
        names.append("decay")
    return [name for name in names if FLAGS[name].present]
