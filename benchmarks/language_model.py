"""How many tokens a second does a language model train on?

A whole training step of the language models of `examples/language_network.py`,
sparse ones on either engine, against plain Keras layers (for a recurrent
highway network the dense layer of this package) and PyTorch's `nn.LSTM` in a
process of its own: embedding, recurrent layers, decoder, loss, clipping, SGD.
All contestants of a case take turns, round by round; what is printed are
medians.

    python benchmarks/language_model.py --torch_python=PYTHON_WITH_TORCH
"""

import contextlib
import pathlib
import re
import sys

import keras
import numpy as np
import tensorflow as tf
from absl import app
from absl import flags
from contestants import torch_step
from measuring import in_turns
from measuring import print_table
from measuring import seconds
from measuring import write_json

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples"))

from language_network import LanguageModelSize  # noqa: E402
from language_network import build_language_model  # noqa: E402

FLAGS = flags.FLAGS
flags.DEFINE_integer("rounds", 9, "Rounds of a case.", lower_bound=1)
flags.DEFINE_float("case_seconds", 120, "Rounds end early after this time.")
flags.DEFINE_integer("threads", 2, "Threads of every contestant.")
flags.DEFINE_list("sizes", ["200", "650", "1500"], "Units of the LSTMs.")
flags.DEFINE_list(
    "depths", ["200x4", "830x10"], "Units and depth of the highway networks."
)
flags.DEFINE_list("sparsities", ["0.67", "0.8", "0.95"], "Of all matrices.")
flags.DEFINE_string(
    "torch_python", None, "Interpreter with PyTorch; without, it is left out."
)
flags.DEFINE_string(
    "json",
    str(ROOT / "benchmarks" / "results" / "language_model.json"),
    "File to write, case by case.",
)

for name, pattern, expected in (
    ("sizes", "[1-9][0-9]*", "integers"),
    ("depths", "[1-9][0-9]*x[1-9][0-9]*", "units and depth, as 830x10"),
    ("sparsities", r"0?\.[0-9]+|0", "numbers of at least 0 below 1"),
):
    flags.register_validator(
        name,
        lambda values, pattern=pattern: all(
            re.fullmatch(pattern, each) for each in values
        ),
        f"expects {expected}, parted by commas",
    )
flags.register_validator(
    "sparsities", bool, "expects at least one, for the masked layers"
)

VOCABULARY_SIZE = 10_000
BATCH = 20
LSTM_LAYERS = 2


def cases():
    """The cases, dictionaries: what is computed, as all are told it."""
    shared = {
        "what": "language_model",
        "vocabulary": VOCABULARY_SIZE,
        "batch": BATCH,
        "threads": FLAGS.threads,
    }
    for units in map(int, FLAGS.sizes):
        yield {
            **shared,
            "cell": "lstm",
            "units": units,
            "layers": LSTM_LAYERS,
            "depth": 1,
            # As Zaremba et al. do in their small and larger models.
            "steps": 20 if units <= 200 else 35,
        }
    for each in FLAGS.depths:
        units, depth = map(int, each.split("x"))
        yield {
            **shared,
            "cell": "rhn",
            "units": units,
            "layers": 1,
            "depth": depth,
            "steps": 20 if units <= 200 else 35,
        }


def contestants(case):
    """Name, arguments of sparse layers, engine and XLA, a list of tuples."""
    sparsities = [float(each) for each in FLAGS.sparsities]
    masked = {"sparsity": sparsities[0], "granularity": "kernel"}
    found = [
        (f"{name}{', XLA' * xla}", arguments, "masked", xla)
        for name, arguments in (("dense", None), ("masked", masked))
        for xla in (False, True)
    ]
    if case["cell"] == "lstm":
        found.extend(
            (
                f"native, {sparsity:g}",
                {"sparsity": sparsity, "granularity": "kernel"},
                "native",
                False,
            )
            for sparsity in sparsities
        )
    return found


def training_step(case, arguments, engine, xla):
    """A function that does one training step.

    Args:
        case: Dictionary of `cases`.
        arguments: Dictionary of arguments of sparse layers, or `None`.
        engine: String.
        xla: Boolean.
    """
    size = LanguageModelSize(
        case["vocabulary"],
        case["units"],
        (case["units"],) * case["layers"],
        case["cell"],
        case["depth"],
        # As the papers have it.
        is_tied=case["cell"] == "rhn",
    )
    model = build_language_model(
        size, case["batch"], case["steps"], arguments, engine=engine
    )
    model.compile(
        keras.optimizers.SGD(0.1, global_clipnorm=0.25),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=xla,
    )
    tokens, targets = (
        np.random.default_rng(0)
        .integers(case["vocabulary"], size=(2, case["batch"], case["steps"]))
        .astype("int32")
    )
    batches = iter(tf.data.Dataset.from_tensors((tokens, targets)).repeat())
    model.make_train_function()
    train_step = model.train_function

    def step():
        float(train_step(batches)["loss"])

    return step


def measure(case):
    """Seconds of each contestant, a dictionary, and PyTorch's version."""
    with contextlib.ExitStack() as stack:
        timed = {}
        for name, *how in contestants(case):
            step = training_step(case, *how)
            step()  # traces and compiles
            step()
            timed[name] = lambda step=step: seconds(step)
        torch_version = None
        if FLAGS.torch_python and case["cell"] == "lstm":
            timed["PyTorch"], torch_version = stack.enter_context(
                torch_step(case, FLAGS.torch_python)
            )
        return in_turns(timed, FLAGS.rounds, FLAGS.case_seconds), torch_version


def result_of(case):
    """What a case gave, a dictionary."""
    times, torch_version = measure(case)
    tokens = case["batch"] * case["steps"]
    return {
        **case,
        "torch": torch_version,
        "rounds": len(times["dense"]),
        "tokens_per_second": {
            name: tokens / float(np.median(each))
            for name, each in times.items()
        },
        "seconds": times,
    }


def report(results):
    """Prints all cases, and writes them."""
    names = dict.fromkeys(
        name for each in results for name in each["tokens_per_second"]
    )
    lines = [
        [
            f"{each['cell'].upper()} {each['layers']} × {each['units']}"
            + (f", depth {each['depth']}" if each["cell"] == "rhn" else ""),
            *(
                f"{each['tokens_per_second'][name]:,.0f}"
                if name in each["tokens_per_second"]
                else ""
                for name in names
            ),
        ]
        for each in results
    ]
    print_table(("tokens a second", *names), lines)
    write_json(FLAGS.json, results)


def main(_):
    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    tf.config.threading.set_inter_op_parallelism_threads(FLAGS.threads)
    results = []
    for case in cases():
        results.append(result_of(case))
        report(results)
        keras.backend.clear_session()


if __name__ == "__main__":
    app.run(main)
