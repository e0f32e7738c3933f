"""Scores lines from standard input, or goes on with them.

    python examples/serve_language.py SAVED_MODEL
    python examples/serve_language.py SAVED_MODEL --continue 30

SAVED_MODEL is the folder that language_modeling.py wrote. Each line of the
input is a text in UTF-8. Its answer is the perplexity of its tokens, how many
there are, the end of the line among them, and how many of them are unknown; or,
with --continue, the text and as many tokens more, the end of a line as <eos>:

    echo "Returns the gradient of the" | python examples/serve_language.py ...

Only TensorFlow and tensorflow-text are needed.
"""

import argparse
import os
import sys
from pathlib import Path

import tensorflow as tf
import tensorflow_text  # noqa: F401, registers the tokeniser's operations


def load_language_model(path):
    """Loads the signatures of a SavedModel that knows a language.

    Args:
        path: String or path of the SavedModel's folder.

    Returns:
        Tuple of two functions, those of the signatures `serving_default` and
        `continue`.

    Raises:
        ValueError: If there is no SavedModel, or it has no such signatures.
    """
    if not Path(path, "saved_model.pb").is_file():
        raise ValueError(
            "Expected the folder of a SavedModel, with saved_model.pb in it. "
            f"Received: path={str(path)!r}"
        )
    loaded = tf.saved_model.load(str(path))
    if not {"serving_default", "continue"} <= set(loaded.signatures):
        raise ValueError(
            "Expected a SavedModel of language_modeling.py, with the "
            "signatures 'serving_default' and 'continue'. Received: path="
            f"{str(path)!r}, signatures={sorted(loaded.signatures)}"
        )
    signatures = (
        loaded.signatures["serving_default"],
        loaded.signatures["continue"],
    )
    for each in signatures:
        # A signature does not keep the variables it uses alive, its owner does.
        each.owner = loaded
    return signatures


def integer(name, least, most):
    """Makes the reader of a flag that is an integer.

    Args:
        name: String, the flag's name.
        least: Integer, the lowest value.
        most: Integer, the highest value.

    Returns:
        Function of a string that returns an integer.
    """

    def read(text):
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f"must be an integer from {least} to {most}. "
                f"Received: {name}={text}"
            )
        return value

    return read


def temperature(text):
    """Reads the flag of that name, a float."""
    try:
        value = float(text)
    except ValueError:
        value = None
    # The model's numbers are of this type; NaN compares to none.
    if value is None or not 0 <= value <= float(tf.float32.max):
        raise argparse.ArgumentTypeError(
            "must be a finite number of at least 0. "
            f"Received: temperature={text}"
        )
    return value


def arguments():
    """Reads the command line, and ends the process if it is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("saved_model", help="the SavedModel's folder")
    parser.add_argument(
        "--continue",
        dest="tokens",
        type=integer("continue", 1, tf.int32.max),
        help="how many tokens to write; without it texts are scored",
    )
    parser.add_argument(
        "--temperature",
        type=temperature,
        default=0.8,
        help="0: the likeliest token (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=integer("seed", 0, tf.int64.max),
        default=0,
        help="of what is drawn (default: %(default)s)",
    )
    return parser.parse_args()


def main():
    """Serves until the input ends.

    Returns:
        Integer, the exit status: 0, or 2 for a wrong argument.
    """
    given = arguments()
    try:
        score, go_on = load_language_model(given.saved_model)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if sys.stdin.isatty():
        print("One text a line; end with Ctrl-D.", file=sys.stderr)
    # Bytes that are no UTF-8 must not end the service.
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    try:
        for line in sys.stdin:
            text = line.strip()
            if given.tokens is not None:
                written = go_on(
                    text=tf.constant(text),
                    tokens=tf.constant(given.tokens),
                    temperature=tf.constant(given.temperature),
                    seed=tf.constant(given.seed, tf.int64),
                )["continuation"]
                lines = written.numpy().decode().split("\n")
                print(text, " <eos> ".join(lines), flush=True)
            else:
                scored = score(text=tf.constant([text]))
                perplexity, tokens, unknown = (
                    scored[name].numpy()[0]
                    for name in ("perplexity", "tokens", "unknown")
                )
                print(
                    f"{perplexity:.2f}\t{tokens} tokens, {unknown} unknown",
                    flush=True,
                )
    except KeyboardInterrupt:
        print(file=sys.stderr)
    except BrokenPipeError:
        # Who reads has enough. Nothing is left to be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
