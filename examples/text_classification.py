r"""Trains a sparse recurrent text classifier and hands over a SavedModel.

The model is the one of Liu et al., "Efficient and effective training of sparse
recurrent neural networks" (2021): embedding, one recurrent layer, softmax;
embedding and recurrent layer sparse from the start and rewired once an epoch.
Or trained by another method: dense, static masks, SET, RigL, SNFS, DSR, DeepR,
gradual pruning, GraNet, ISS (`--method`).

Without arguments it learns to tell installed packages apart by the prose of
their docstrings, which takes a few minutes and downloads nothing:

    python examples/text_classification.py

Other data sets, with the paper's settings where it gives them:

    python examples/text_classification.py --dataset=imdb --data_dir=DIR
    python examples/text_classification.py --dataset=ag_news --data_dir=DIR
    python examples/text_classification.py --dataset=csv --train_csv=FILE \
        --text_column=review --label_column=stars
"""

import contextlib
import json
import shlex
import sys
from pathlib import Path

import keras
import tensorflow as tf
import text_flags
from absl import app
from absl import flags
from absl import logging
from data_fingerprint import fingerprint
from epoch_backup import EpochBackup
from epoch_logs import tensorboard_callbacks
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
from text_arrays import text_arrays
from text_data import limit_train
from text_datasets import load_text
from text_flags import FREE_FLAGS
from text_flags import fill_in_flags
from text_flags import flags_without_effect
from text_model import TextModelSize
from text_model import build_text_model
from text_model import hidden_matrices
from text_pipeline import ShuffledBatches
from text_pipeline import TextClassifier
from text_split import check_splittable
from training_record import EpochRecord
from training_record import EpochTimer
from training_record import read_history
from training_record import summarize
from training_record import validation_rank

import keras_sparse_rnn as ksr

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(text_flags)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments. Received: argv={argv[1:]}")
    try:
        data = load_data()
        fill_in_flags()
        arrays = text_arrays(
            data,
            FLAGS.vocabulary_size,
            FLAGS.sequence_length,
            FLAGS.validation_fraction,
            FLAGS.seed,
        )
        size = TextModelSize(
            arrays.vectorizer.vocabulary_size,
            FLAGS.sequence_length,
            FLAGS.embedding_dim,
            FLAGS.units,
            len(data.label_names),
            FLAGS.cell,
        )
        topology = ksr.topology.ErdosRenyi(FLAGS.epsilon)
        METHODS[FLAGS.method].check(size.connections(topology) / size.weights)
        # Last: whatever is wrong with flags or data leaves the last run alone.
        output = prepare_output(
            FLAGS.output_dir
            or Path("text_classification_output", FLAGS.dataset),
            {
                flag.name: flag.value
                for flag in FLAGS.get_key_flags_for_module(sys.argv[0])
                if flag.name not in FREE_FLAGS
            },
            FLAGS.resume,
            METHODS,
            fingerprint(
                [*arrays.vocabulary, *map(str.encode, data.label_names)],
                (*arrays.train, *arrays.validation, *arrays.test),
            ),
            may_be_longer=not METHODS[FLAGS.method].settles,
        )
    except ValueError as error:
        # What was passed is wrong, and the message says what: no traceback.
        sys.exit(str(error))
    print(
        f"{data.name}: {data.description}; {len(data.train_texts):,} training "
        f"and {len(data.test_texts):,} test texts; labels: "
        f"{', '.join(data.label_names)}",
        flush=True,
    )

    for flag in flags_without_effect():
        print(f"--method={FLAGS.method} makes no use of --{flag}.", flush=True)
    saved_model = saved_model_folder(output)
    with interruptible():
        model, plain, result = train(FLAGS.method, size, arrays, output)
        results = {FLAGS.method: result}
        if FLAGS.compare_dense and FLAGS.method != "dense":
            results["dense"] = train("dense", size, arrays, output)[-1]

        print(f"\n{data.name}: {data.description}")
        print_results(results)
        if ksr.sparse_weights(model):
            print(f"\n{ksr.sparsity_report(model)}")
        print()

        TextClassifier(arrays.vectorizer, plain, data.label_names).export(
            saved_model
        )
        try_saved_model(saved_model, data)
        # Now that all is done: who finds the file need not run it again.
        results_file(output).write_text(json.dumps(results, indent=2) + "\n")
    # This Python, which has TensorFlow, whether or not it is on the path.
    command = [sys.executable, "examples/serve.py", str(saved_model)]
    print(f"\nServe it: {shlex.join(command)}")


def load_data():
    """Loads the data set that the flags name.

    Returns:
        A `TextData` of whose training texts a validation part can be split.

    Raises:
        ValueError: If a flag or a file is wrong.
    """
    data = load_text(
        FLAGS.dataset,
        FLAGS.data_dir,
        FLAGS.train_csv,
        FLAGS.test_csv,
        FLAGS.text_column,
        FLAGS.label_column,
        seed=FLAGS.seed,
    )
    if FLAGS.train_limit:
        data = limit_train(data, FLAGS.train_limit, FLAGS.seed)
    check_splittable(
        data.train_labels,
        data.train_groups,
        data.label_names,
        f"The data set '{data.name}': a validation part",
    )
    return data


def train(name, size, arrays, output):
    """Trains one model.

    Args:
        name: String, the method's.
        size: `TextModelSize` of the full model.
        arrays: `TextArrays`.
        output: `pathlib.Path` of the output folder.

    Returns:
        Tuple of the model with the weights of the epoch chosen on the
        validation data, the same of plain Keras layers, and a dictionary of
        what it gave and costs.
    """
    method = METHODS[name]
    batches = ShuffledBatches(*arrays.train, FLAGS.batch_size, FLAGS.seed)
    topology = ksr.topology.ErdosRenyi(FLAGS.epsilon)
    plan = Plan(topology, FLAGS.rewire_rate, FLAGS.epochs, len(batches))
    own_size = size
    if method.is_small:
        own_size = size.narrowed(size.connections(topology))
    print(f"\nTraining the {FLAGS.cell}: {method.title}", flush=True)
    keras.utils.set_random_seed(FLAGS.seed)
    scope = contextlib.nullcontext()
    if FLAGS.strategy == "mirrored":
        scope = tf.distribute.MirroredStrategy().scope()
    with scope:
        model = build_text_model(
            own_size, FLAGS.learning_rate, method.layers(plan), FLAGS.engine
        )

    history_path, weights, backup = paths(output, name)
    first_candidate = method.first_candidate(plan)
    callbacks = [
        EpochTimer(),
        ksr.EpochSeed(FLAGS.seed, data=batches),
        *method.callbacks(model, plan),
        EpochRecord(
            history_path,
            weights,
            validation_rank,
            first_candidate,
            lambda model: {"connections": connections_by_path(model)},
            lambda model: tested(model, arrays),
        ),
    ]
    callbacks += tensorboard_callbacks(output, name, FLAGS.log_dir)
    callbacks.append(EpochBackup(backup))
    model.fit(
        batches,
        epochs=FLAGS.epochs,
        validation_data=arrays.validation,
        validation_batch_size=FLAGS.batch_size,
        # `ShuffledBatches` shuffles, from the seed and the epoch.
        shuffle=False,
        callbacks=callbacks,
        # A line an epoch where nobody watches a progress bar.
        verbose=1 if sys.stdout.isatty() else 2,
    )
    trained = hidden_matrices(model)
    model.load_weights(weights)
    plain = method.finish(model)
    history = read_history(history_path)
    result = {
        "epochs": FLAGS.epochs,
        **summarize(history, first_candidate),
        # What is pruned is 0 in the plain model, and its matrices seem full.
        **model_cost(
            hidden_matrices(model if ksr.sparse_weights(model) else plain),
            size.matrices,
        ),
        "training_ratio": training_ratio(
            name,
            trained,
            size.matrices,
            plan,
            [line["connections"] for line in history],
        ),
    }
    return model, plain, result


def tested(model, arrays):
    """What a model gives on the test texts.

    Args:
        model: Compiled model.
        arrays: `TextArrays`.

    Returns:
        Dictionary from a name to a float.
    """
    found = model.evaluate(
        *arrays.test, batch_size=FLAGS.batch_size, verbose=0, return_dict=True
    )
    return {f"test_{name}": value for name, value in found.items()}


def print_results(results):
    """Prints a table of the trained models.

    Args:
        results: Dictionary from a method's name to what it gave.
    """
    titles = "connections  epoch  test at it  test last  test best  s/epoch"
    print(f"{'model':24}{titles}")
    for name, result in results.items():
        print(
            f"{f'{name} {FLAGS.cell}':24}{result['weights']:>11,}"
            f"{result['chosen_epoch']:>7}{result['chosen']:>12.2%}"
            f"{result['last']:>11.2%}{result['best']:>11.2%}"
            f"{result['seconds']:>9.1f}"
        )
    print("(epoch: the one with the best accuracy on the validation data)")


def try_saved_model(path, data):
    """Loads the SavedModel and classifies one test text of each label.

    Args:
        path: `pathlib.Path` of the SavedModel.
        data: The `TextData`.
    """
    labels = data.test_labels.tolist()
    firsts = [labels.index(i) for i in sorted(set(labels))][:5]
    texts = [data.test_texts[i] for i in firsts]
    classify = tf.saved_model.load(str(path)).signatures["serving_default"]
    answer = classify(text=tf.constant(texts))
    print("The SavedModel's answers to some test texts:")
    for i, text, label, probabilities in zip(
        firsts,
        texts,
        answer["label"].numpy(),
        answer["probabilities"].numpy(),
        strict=True,
    ):
        print(
            f"  {label.decode():12} {probabilities.max():7.2%}  "
            f"(is {data.label_names[labels[i]]})  "
            f"{' '.join(text.split())[:60]}"
        )


if __name__ == "__main__":
    # Before the flags are read, so that --verbosity still has the last word.
    logging.set_verbosity(logging.WARNING)
    app.run(main)
