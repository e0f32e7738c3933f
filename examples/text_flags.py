"""The flags of the text classifier."""

import math

from absl import flags
from methods import METHODS
from text_datasets import CSV_DATASETS
from text_datasets import DATASETS
from text_model import LAYERS
from text_settings import SETTING_NAMES
from text_settings import SETTINGS
from text_settings import by_dataset

# Flags that say where to write and how much to do besides, not what to train.
# A run may be resumed with others than it began with.
FREE_FLAGS = ("output_dir", "resume", "compare_dense")


FLAGS = flags.FLAGS
# Not an enum: `load_text` has a better message.
flags.DEFINE_string("dataset", "docstrings", f"One of {', '.join(DATASETS)}.")
flags.DEFINE_string(
    "data_dir",
    None,
    "Folder that holds the data set, itself or in a folder of its name. imdb: "
    "aclImdb/{train,test}/{neg,pos}/*.txt, or aclImdb_v1.tar.gz as it is "
    "downloaded. ag_news: train.csv, test.csv and classes.txt, also as .gz or "
    ".xz.",
)
flags.DEFINE_string(
    "train_csv", None, f"CSV file to train on, for {', '.join(CSV_DATASETS)}."
)
flags.DEFINE_string(
    "test_csv", None, "CSV file to test on. By default a part of --train_csv."
)
flags.DEFINE_string(
    "text_column",
    "text",
    "Name of the text's column, or its number from 0 in a file without header.",
)
flags.DEFINE_string("label_column", "label", "Name or number, likewise.")
flags.DEFINE_integer(
    "train_limit", None, "Train on about this many texts only.", lower_bound=2
)
flags.DEFINE_float(
    "validation_fraction",
    0.1,
    "Share of the training texts that is set aside to choose the epoch.",
    lower_bound=0.001,
    upper_bound=0.9,
)
flags.DEFINE_enum(
    "method",
    "st_rnn",
    list(METHODS),
    "How the model is trained. small_dense: as many weights as --epsilon gives "
    "connections. magnitude_pruning, granet and iss: chosen by validation is "
    "one of the epochs after three quarters of them, when pruning is done.",
)
flags.DEFINE_enum("cell", "lstm", list(LAYERS), "The recurrent layer.")
flags.DEFINE_integer(
    "units", 256, "Units of the recurrent layer.", lower_bound=1
)
flags.DEFINE_integer(
    "embedding_dim", 256, "Length of a word's vector.", lower_bound=1
)
flags.DEFINE_integer(
    "vocabulary_size",
    20_000,
    "Most frequent words that get a vector.",
    lower_bound=3,
)
flags.DEFINE_integer(
    "sequence_length", 100, "Last words of a text to read.", lower_bound=1
)
flags.DEFINE_integer(
    "batch_size", None, by_dataset("batch_size"), lower_bound=1
)
flags.DEFINE_float(
    "learning_rate",
    None,
    f"Adam's. {by_dataset('learning_rate')}",
    lower_bound=0,
)
flags.DEFINE_float(
    "rewire_rate",
    None,
    "Share of connections moved. By default the papers': set and rigl 0.3, "
    "snfs and granet 0.5, dsr 0.2. st_rnn: "
    f"{by_dataset('rewire_rate').lower()}",
    lower_bound=0,
    upper_bound=1,
)
flags.DEFINE_float(
    "epsilon",
    None,
    f"Erdős–Rényi level of sparsity. {by_dataset('epsilon')}",
    lower_bound=1e-3,
)
flags.DEFINE_enum(
    "engine",
    "auto",
    ["auto", "masked", "native"],
    "What computes the sparse recurrent layer.",
)
flags.DEFINE_integer("epochs", None, by_dataset("epochs"), lower_bound=1)
flags.DEFINE_bool(
    "compare_dense", False, "Train the dense model too, on the same batches."
)
flags.DEFINE_enum("strategy", "none", ["none", "mirrored"], "tf.distribute.")
flags.DEFINE_integer(
    "seed",
    0,
    "Seed of everything drawn.",
    lower_bound=0,
    upper_bound=2**32 - 1,
)
flags.DEFINE_string(
    "output_dir",
    None,
    "Folder to write to. By default text_classification_output/DATASET in the "
    "current folder. A run without --resume removes what the last one wrote "
    "there. TensorBoard's logs go to --log_dir, a flag that absl has already, "
    "instead where that is given, and stay.",
)
# absl itself defines --log_dir, a "directory to write logfiles into", and uses
# it only when told to. Here it is TensorBoard's, by default `logs` in the
# output folder.
flags.DEFINE_bool(
    "resume",
    False,
    "Go on where a killed run with the same flags and the same texts was, or "
    "with a finished run, by more --epochs than it had, but for "
    "magnitude_pruning, granet and iss, which choose one of the last quarter "
    "of them. The rewire rate falls "
    "until the last epoch: with more of them it falls slower from there on, "
    "not as in a run begun with as many.",
)
# NaN is beyond no bound.
for flag in ("learning_rate", "rewire_rate", "epsilon", "validation_fraction"):
    flags.register_validator(
        flag,
        lambda value: value is None or math.isfinite(value),
        "must be a finite number",
    )


def fill_in_flags():
    """Gives flags that were not passed the data set's, or method's, values."""
    if FLAGS.rewire_rate is None:
        FLAGS.rewire_rate = METHODS[FLAGS.method].rewire_rate
    for name, value in zip(SETTING_NAMES, SETTINGS[FLAGS.dataset], strict=True):
        if FLAGS[name].value is None:
            setattr(FLAGS, name, value)


def flags_without_effect():
    """Names of the flags that were passed and that the method ignores.

    Returns:
        List of strings.
    """
    # The flag of this model's topology.
    names = [
        {"topology": "epsilon"}.get(name, name)
        for name in METHODS[FLAGS.method].unused
    ]
    if FLAGS.method == "dense":
        names.append("compare_dense")
    return [name for name in names if FLAGS[name].present]
