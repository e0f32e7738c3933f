"""Callbacks that write down what each epoch gave, as it comes."""

import contextlib
import json
import math
import time
from pathlib import Path

import keras


class EpochTimer(keras.callbacks.Callback):
    """Adds `seconds`, the time an epoch trained, to the epoch's logs.

    Validation is not counted, nor is what other callbacks do after it. Put it
    first in the list: then the time of the others at an epoch's beginning, a
    rewiring for one, is counted.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()
        self._seconds = None

    def on_test_begin(self, logs=None):
        if self._seconds is None:
            self._seconds = time.perf_counter() - self._start

    def on_epoch_end(self, epoch, logs=None):
        self.on_test_begin()
        logs["seconds"] = self._seconds


class EpochRecord(keras.callbacks.Callback):
    """Appends the logs of each epoch to a file, and keeps the best weights.

    The file holds one JSON object a line. A process that is killed and resumed
    goes on with both: an epoch that is run again is recorded again, and its
    last line counts.

    Put it behind the callbacks that add to the logs, and before
    `EpochBackup`: an epoch that will not be run again is on record then.

    Args:
        history_path: String or path of the file to append to.
        weights_path: String or path for the best weights, which must end in
            `.weights.h5`.
        rank: Function of an epoch's logs, by which the best one is chosen,
            that of the greatest rank.
        first_candidate: Integer, the first epoch, from 0, whose weights may be
            the best ones. Defaults to `0`.
        describe: Function of the model that returns a dict of what to write
            down besides the logs. Defaults to `None`.
        test: Function of the model that returns a dict of what to add to the
            logs. Defaults to `None`.
        kept_weights: Function that returns a context manager in which the
            model has the weights to keep. Defaults to those it has.
    """

    def __init__(
        self,
        history_path,
        weights_path,
        rank,
        first_candidate=0,
        describe=None,
        test=None,
        kept_weights=contextlib.nullcontext,
    ):
        super().__init__()
        self.history_path = Path(history_path)
        self.weights_path = Path(weights_path)
        self.rank = rank
        self.first_candidate = first_candidate
        self.describe = describe
        self.test = test
        self.kept_weights = kept_weights
        self._best = max(
            map(rank, candidates(read_history(history_path), first_candidate)),
            default=None,
        )

    def on_train_begin(self, logs=None):
        # Half a line, left by a kill, must not get the next one appended.
        history = read_history(self.history_path)
        partial = self.history_path.with_suffix(".partial")
        partial.write_text("".join(map(_line, history)), encoding="utf-8")
        partial.replace(self.history_path)

    def on_epoch_end(self, epoch, logs=None):
        if self.test is not None:
            logs.update(self.test(self.model))
        rank = self.rank(logs)
        is_candidate = epoch >= self.first_candidate
        # The weights first: a kill between the two only repeats the writing.
        if is_candidate and (self._best is None or rank > self._best):
            self._best = rank
            with self.kept_weights():
                self.model.save_weights(self.weights_path)
        values = {name: float(value) for name, value in logs.items()}
        if self.describe is not None:
            values.update(self.describe(self.model))
        with open(self.history_path, "a", encoding="utf-8") as file:
            file.write(_line({"epoch": epoch, **values}))


class Replayed(keras.callbacks.Callback):
    """Shows a callback the epochs before the one that a run resumes with.

    Keras saves the learning rate that `ReduceLROnPlateau` has come to, but not
    what it has seen.

    Args:
        callback: Keras callback of which `on_epoch_end` matters alone.
        history_path: String or path of an `EpochRecord`'s file.
    """

    def __init__(self, callback, history_path):
        super().__init__()
        self.callback = callback
        self.history_path = history_path
        self._is_up_to_date = False

    def set_model(self, model):
        super().set_model(model)
        self.callback.set_model(model)

    def on_train_begin(self, logs=None):
        self.callback.on_train_begin(logs)
        self._is_up_to_date = False

    def on_epoch_begin(self, epoch, logs=None):
        if self._is_up_to_date:
            return
        rate = float(self.model.optimizer.learning_rate)
        for line in read_history(self.history_path):
            if line["epoch"] < epoch:
                self.callback.on_epoch_end(line["epoch"], dict(line))
        self.model.optimizer.learning_rate = rate
        self._is_up_to_date = True

    def on_epoch_end(self, epoch, logs=None):
        self.callback.on_epoch_end(epoch, logs)


def read_history(path):
    """Reads the file of an `EpochRecord`.

    Args:
        path: String or path. It need not exist.

    Returns:
        List of dictionaries, one for each epoch, in the epochs' order. Of an
        epoch that was run twice, the last line.

    Raises:
        ValueError: If a line is not a JSON object with an epoch.
    """
    path = Path(path)
    epochs = {}
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                epochs[record["epoch"]] = record
            except (ValueError, KeyError, TypeError) as error:
                # A kill in the middle of writing leaves half a last line; the
                # epoch is run again then.
                if number < len(lines):
                    raise ValueError(
                        f"{path}, line {number}: expected a JSON object with "
                        f"an epoch. Received: line={line!r}"
                    ) from error
    return [epochs[epoch] for epoch in sorted(epochs)]


def validation_rank(line):
    """By what the best epoch is chosen, the greatest rank.

    Args:
        line: Dictionary of an epoch's logs.

    Returns:
        Tuple of the accuracy on the validation data, which is the same in
        several epochs where there are few, and the loss on it, negative.
    """
    loss = float(line["val_loss"])
    return float(line["val_accuracy"]), -math.inf if math.isnan(loss) else -loss


def candidates(history, first_candidate):
    """The epochs of a history that may be chosen.

    Args:
        history: List of dictionaries, from `read_history`.
        first_candidate: Integer, the first of them, from 0.

    Returns:
        List of dictionaries.
    """
    return [line for line in history if line["epoch"] >= first_candidate]


def summarize(history, first_candidate=0):
    """Picks from a history what a table of results shows.

    Args:
        history: List of dictionaries, from `read_history`.
        first_candidate: Integer, the first epoch, from 0, that may be chosen
            or the best. Defaults to `0`.

    Returns:
        Dictionary with `chosen_epoch` (counted from 1, the first of those of
        the best `validation_rank`), `chosen`, `last` and `best` (test
        accuracies of the chosen, the last and the best epoch) and `seconds`
        (median time an epoch trained).
    """
    eligible = candidates(history, first_candidate)
    chosen = max(eligible, key=validation_rank)
    seconds = sorted(line["seconds"] for line in history)
    return {
        "chosen_epoch": chosen["epoch"] + 1,
        "chosen": chosen["test_accuracy"],
        "last": history[-1]["test_accuracy"],
        "best": max(line["test_accuracy"] for line in eligible),
        "seconds": seconds[len(seconds) // 2],
    }


def _line(record):
    return json.dumps(record) + "\n"
