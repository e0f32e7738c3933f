r"""Trains a sparse recurrent language model and hands over a SavedModel.

The models are those of Liu et al., "Efficient and effective training of sparse
recurrent neural networks" (2021): stacked LSTMs, or a recurrent highway network
whose embedding is the decoder too, all matrices sparse from the start and
rewired once an epoch. Or trained by another method (`--method`).

Without arguments it learns from the prose of installed packages' docstrings,
which takes a few minutes and downloads nothing:

    python examples/language_modeling.py

Other texts, and the papers' models (`--help` lists what each flag is then):

    python examples/language_modeling.py --dataset=ptb --data_dir=DIR
    python examples/language_modeling.py --dataset=ptb --data_dir=DIR \
        --preset=selfish_rhn
    python examples/language_modeling.py --text_file=FILE --generate=50
"""

import contextlib
import json
import shlex
import sys
import textwrap
from pathlib import Path

import keras
import language_flags
import numpy as np
import tensorflow as tf
from absl import app
from absl import flags
from absl import logging
from data_fingerprint import fingerprint
from epoch_backup import EpochBackup
from epoch_logs import tensorboard_callbacks
from language_corpus import read_corpus
from language_corpus import windows_of
from language_data import load_language
from language_flags import FREE_FLAGS
from language_flags import chosen_settings
from language_flags import fill_in_flags
from language_flags import flags_without_effect
from language_network import LanguageModelSize
from language_network import build_language_model
from language_network import size_of
from language_network import topology_of
from language_network import with_states
from language_pipeline import LanguageModel
from language_settings import ISS_THRESHOLD
from language_training import compile_model
from language_training import learning_rate_callbacks
from language_training import perplexity
from language_training import perplexity_rank
from method_cost import connections_by_path
from method_cost import model_cost
from method_cost import training_ratio
from methods import METHODS
from methods import Plan
from output_folder import interruptible
from output_folder import paths
from output_folder import prepare_output
from output_folder import results_file
from output_folder import saved_model_folder
from training_record import EpochRecord
from training_record import EpochTimer
from training_record import read_history

import keras_sparse_rnn as ksr

FLAGS = flags.FLAGS
# That `--help` lists them.
flags.adopt_module_key_flags(language_flags)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments. Received: argv={argv[1:]}")
    try:
        fill_in_flags()
        settings = chosen_settings()
        METHODS[FLAGS.method].check(1 - settings.sparsity)
        data = load_language(FLAGS.dataset, FLAGS.data_dir, FLAGS.text_file)
        corpus = read_corpus(data, settings.vocabulary_size)
        size = model_size(settings, len(corpus.vocabulary))
        train_windows, valid_windows = (
            windows_of(
                getattr(corpus, part),
                settings.batch_size,
                settings.time_steps,
                size.vocabulary_size,
                part,
            )
            for part in ("train", "valid")
        )
        # Last: whatever is wrong with flags or data leaves the last run alone.
        output = prepare_output(
            FLAGS.output_dir or Path("language_modeling_output", FLAGS.dataset),
            {
                flag.name: flag.value
                for flag in FLAGS.get_key_flags_for_module(sys.argv[0])
                if flag.name not in FREE_FLAGS
            },
            FLAGS.resume,
            METHODS,
            fingerprint(
                corpus.vocabulary, (corpus.train, corpus.valid, corpus.test)
            ),
            may_be_longer=not METHODS[FLAGS.method].settles,
        )
    except ValueError as error:
        # What was passed is wrong, and the message says what: no traceback.
        sys.exit(str(error))
    print(
        f"{data.name}: {data.description}; {len(corpus.train):,} training, "
        f"{len(corpus.valid):,} validation and {len(corpus.test):,} test "
        f"tokens, vocabulary of {len(corpus.vocabulary):,}",
        flush=True,
    )
    saved_model = saved_model_folder(output)
    with interruptible():
        model, plain, result = train(
            settings, size, corpus, (train_windows, valid_windows), output
        )
        print_result(result)
        if ksr.sparse_weights(model):
            print(f"\n{ksr.sparsity_report(model)}")

        LanguageModel(
            corpus.vocabulary,
            corpus.is_tokenized,
            *with_states(plain, size_of(plain, size)),
        ).export(saved_model)
        # Now that all is done: who finds the file need not run it again.
        results_file(output).write_text(
            json.dumps({FLAGS.method: result}, indent=2) + "\n"
        )
        try_saved_model(saved_model, data.test)
    command = [sys.executable, "examples/serve_language.py", str(saved_model)]
    print(f"\nServe it: {shlex.join(command)}")


def model_size(settings, vocabulary_size):
    """The size of the model that settings describe."""
    return LanguageModelSize(
        vocabulary_size,
        settings.embedding_dim,
        (settings.units,) * settings.layers,
        settings.model,
        settings.depth,
        settings.tied,
    )


def train(settings, size, corpus, windows, output):
    """Trains a model.

    Args:
        settings: `LanguageSettings`.
        size: `LanguageModelSize` of the full model.
        corpus: `Corpus`.
        windows: Pair of its training and validation parts in windows.
        output: `pathlib.Path` of the output folder.

    Returns:
        Tuple of the model with the weights of the epoch chosen on the
        validation text, the same of plain layers, and a dictionary of what it
        gave and costs.
    """
    method = METHODS[FLAGS.method]
    (x, y, sample_weight), valid_windows = windows
    topology = topology_of(
        size.matrices, settings.sparsity, settings.topology == "uniform"
    )
    plan = Plan(
        topology,
        settings.rewire_rate,
        settings.epochs,
        len(x) // settings.batch_size,
        {"granularity": "kernel", "clipping": settings.clipping},
        # The loss is a mean over the time steps.
        settings.iss_strength / settings.time_steps,
        ISS_THRESHOLD,
    )
    own_size = size
    if method.is_small:
        own_size = size.narrowed(
            sum(topology.connections(each.shape) for each in size.matrices)
        )
    for flag in flags_without_effect(settings):
        print(f"--{flag} makes no difference here.", flush=True)
    print(f"\nTraining the {settings.model}: {method.title}", flush=True)
    keras.utils.set_random_seed(FLAGS.seed)
    model = build_language_model(
        own_size,
        settings.batch_size,
        settings.time_steps,
        method.layers(plan),
        settings.dropout,
        settings.initial_scale,
        FLAGS.engine,
        settings.transform_bias,
    )
    compile_model(model, settings, FLAGS.jit)
    history_path, weights, backup = paths(output, FLAGS.method)
    first_candidate = method.first_candidate(plan)
    of_rate = learning_rate_callbacks(settings, history_path)
    averages = [
        each.averaged_weights
        for each in of_rate
        if isinstance(each, ksr.NonMonotoneAveraging)
    ]
    model.fit(
        x,
        y,
        sample_weight=sample_weight,
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        validation_data=valid_windows,
        validation_batch_size=settings.batch_size,
        # Windows follow each other.
        shuffle=False,
        callbacks=[
            EpochTimer(),
            ksr.EpochSeed(FLAGS.seed),
            ksr.ResetStates(),
            *method.callbacks(model, plan),
            *of_rate,
            EpochRecord(
                history_path,
                weights,
                perplexity_rank,
                first_candidate=first_candidate,
                describe=lambda model: {
                    "connections": connections_by_path(model)
                },
                kept_weights=(*averages, contextlib.nullcontext)[0],
            ),
            *tensorboard_callbacks(output, FLAGS.method, FLAGS.log_dir),
            EpochBackup(backup),
        ],
        # A line an epoch where nobody watches a progress bar.
        verbose=1 if sys.stdout.isatty() else 2,
    )
    trained = ksr.weight_matrices(model)
    model.load_weights(weights)
    plain = method.finish(model)
    plain_size = size_of(plain, size)
    history = read_history(history_path)
    chosen = max(history[first_candidate:], key=perplexity_rank)
    print("Scoring the validation and the test text", flush=True)
    result = {
        "epochs": settings.epochs,
        "chosen_epoch": chosen["epoch"] + 1,
        "valid": perplexity(plain, plain_size, corpus.valid, settings),
        "test": perplexity(plain, plain_size, corpus.test, settings),
        "valid_in_batches": chosen["val_perplexity"],
        "seconds": float(np.median([line["seconds"] for line in history])),
        **model_cost(
            ksr.weight_matrices(model if ksr.sparse_weights(model) else plain),
            size.matrices,
        ),
        "training_ratio": training_ratio(
            FLAGS.method,
            trained,
            size.matrices,
            plan,
            [line["connections"] for line in history],
        ),
    }
    return model, plain, result


def print_result(result):
    """Prints what a model gave, over all tokens and with states carried."""
    print(
        f"\n{METHODS[FLAGS.method].title}, epoch {result['chosen_epoch']}: "
        f"validation perplexity {result['valid']:.2f} "
        f"(in batches {result['valid_in_batches']:.2f}), "
        f"test perplexity {result['test']:.2f}; "
        f"{result['weights']:,} of {result['weights_dense']:,} weights; "
        f"FLOPs of the dense model: training {result['training_ratio']:.3f}, "
        f"inference {result['inference_ratio']:.3f}; "
        f"{result['seconds']:.1f} s an epoch"
    )


def try_saved_model(path, test):
    """Loads the SavedModel, and lets it score a text and go on with one.

    Args:
        path: `pathlib.Path` of the SavedModel.
        test: String, the test text.
    """
    signatures = tf.saved_model.load(str(path)).signatures
    line = next(line for line in test.split("\n") if line.strip())
    # A line may be a whole chapter, and need not have spaces.
    start = textwrap.shorten(line, 60, placeholder="") or line.strip()[:60]
    score = signatures["serving_default"](text=tf.constant([start]))
    print(
        f"\nThe SavedModel's perplexity of {start!r}, with which the test text "
        f"begins: {score['perplexity'].numpy()[0]:.2f}"
    )
    if FLAGS.generate:
        text = signatures["continue"](
            text=tf.constant(FLAGS.prompt),
            tokens=tf.constant(FLAGS.generate),
            temperature=tf.constant(FLAGS.temperature),
            seed=tf.constant(FLAGS.seed, tf.int64),
        )["continuation"]
        print(f"It goes on: {FLAGS.prompt} {text.numpy().decode()}")


if __name__ == "__main__":
    # Before the flags are read, so that --verbosity still has the last word.
    logging.set_verbosity(logging.WARNING)
    app.run(main)
