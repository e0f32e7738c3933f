"""Answers lines from standard input with a saved text classifier.

    python examples/serve.py text_classification_output/docstrings/saved_model

SAVED_MODEL is the folder that text_classification.py wrote. Each line of the
input is a text in UTF-8; each answer is its label and the label's probability,
separated by a tab, or an empty line for an empty one:

    echo "Returns the gradient." | python examples/serve.py SAVED_MODEL

Only TensorFlow and tensorflow-text are needed.
"""

import os
import sys
from pathlib import Path

import tensorflow as tf
import tensorflow_text  # noqa: F401, registers the tokeniser's operations

USAGE = "usage: serve.py SAVED_MODEL"


def load_classifier(path):
    """Loads the signature of a SavedModel that classifies strings.

    Args:
        path: String or path of the SavedModel's folder.

    Returns:
        Function that takes `text`, a string tensor of shape `(batch,)`.

    Raises:
        ValueError: If there is no SavedModel, or it classifies no strings.
    """
    if not Path(path, "saved_model.pb").is_file():
        raise ValueError(
            "Expected the folder of a SavedModel, with saved_model.pb in it. "
            f"Received: path={str(path)!r}"
        )
    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures.get("serving_default")
    outputs = signature.structured_outputs if signature else {}
    if not {"label", "probabilities"} <= set(outputs):
        raise ValueError(
            "Expected a SavedModel whose signature 'serving_default' returns "
            "'label' and 'probabilities'. Received: path="
            f"{str(path)!r}, signatures={sorted(loaded.signatures)}, "
            f"outputs={sorted(outputs)}"
        )
    # A signature does not keep the variables it uses alive, its owner does.
    signature.owner = loaded
    return signature


def answer(classify, line):
    """Classifies one line.

    Args:
        classify: The signature.
        line: String.

    Returns:
        String: the label, a tab, and its probability. Empty for a line with
        nothing but white space.
    """
    text = line.strip()
    if not text:
        return ""
    result = classify(text=tf.constant([text]))
    label = result["label"].numpy()[0].decode()
    return f"{label}\t{result['probabilities'].numpy()[0].max():.4f}"


def main(argv):
    """Serves until the input ends.

    Args:
        argv: List of strings, the arguments without the program's name.

    Returns:
        Integer, the exit status: 0, or 2 for a wrong argument.
    """
    if argv in (["-h"], ["--help"]):
        print(f"{USAGE}\n\n{__doc__.strip()}")
        return 0
    if len(argv) != 1 or argv[0].startswith("-"):
        print(f"{USAGE}\nSee serve.py --help.", file=sys.stderr)
        return 2
    try:
        classify = load_classifier(argv[0])
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if sys.stdin.isatty():
        print("One text a line; end with Ctrl-D.", file=sys.stderr)
    # Bytes that are no UTF-8 must not end the service.
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    try:
        for line in sys.stdin:
            print(answer(classify, line), flush=True)
    except KeyboardInterrupt:
        print(file=sys.stderr)
    except BrokenPipeError:
        # Who reads has enough. Nothing is left to be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
