import json
import math

import keras
import pytest
from training_record import EpochRecord
from training_record import Replayed
from training_record import read_history
from training_record import summarize
from training_record import validation_rank


def lines(*epochs):
    return "".join(
        json.dumps({"epoch": epoch, "val_accuracy": value}) + "\n"
        for epoch, value in epochs
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", []),
        (lines((0, 0.5), (1, 0.6)), [(0, 0.5), (1, 0.6)]),
        # Epoch 1 was run again after a kill.
        (lines((0, 0.5), (1, 0.6), (1, 0.7)), [(0, 0.5), (1, 0.7)]),
        # A kill in the middle of a line.
        (lines((0, 0.5)) + '{"epoch": 1, "val', [(0, 0.5)]),
    ],
)
def test_read_history(tmp_path, content, expected):
    path = tmp_path / "history.jsonl"
    path.write_text(content)
    history = read_history(path)
    assert [(r["epoch"], r["val_accuracy"]) for r in history] == expected


def test_history_with_a_broken_line_in_the_middle(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text(lines((0, 0.5)) + "nonsense\n" + lines((1, 0.5)))
    with pytest.raises(
        ValueError, match=r"line 2: .*Received: line='nonsense'"
    ):
        read_history(path)


def test_history_that_does_not_exist(tmp_path):
    assert read_history(tmp_path / "history.jsonl") == []


def epoch_record(epoch, val_accuracy, val_loss, **others):
    return {
        "epoch": epoch,
        "val_accuracy": val_accuracy,
        "val_loss": val_loss,
        **others,
    }


@pytest.mark.parametrize(
    ("validated", "best"),
    [
        ([(0.5, 0.1), (0.8, 0.5), (0.8, 0.4), (0.8, 0.6)], 2),
        ([(0.5, 0.1), (0.8, 0.5), (0.8, 0.5), (0.6, 0.2)], 1),
        ([(0.8, math.nan), (0.8, 9.0), (0.8, math.nan)], 1),
    ],
)
@pytest.mark.parametrize("killed_after", [None, 1, 2])
def test_kept_weights_are_of_the_epoch_of_the_summary(
    tmp_path, validated, best, killed_after
):
    history = tmp_path / "history.jsonl"
    kept = []

    class Model:
        def save_weights(self, path):
            kept.append(epoch)

    for epoch, (accuracy, loss) in enumerate(validated):
        if epoch in (0, killed_after):
            record = EpochRecord(
                history,
                "w.weights.h5",
                validation_rank,
                test=lambda model: {"test_accuracy": 0.5},
            )
            record.set_model(Model())
            record.on_train_begin()
        logs = epoch_record(epoch, accuracy, loss, seconds=1.0)
        record.on_epoch_end(epoch, {**logs})
    assert kept[-1] == best
    assert summarize(read_history(history))["chosen_epoch"] == best + 1


def test_summary_takes_the_first_of_the_best_validated_epochs():
    history = [
        epoch_record(e, v, loss, test_accuracy=t, seconds=s)
        for e, v, loss, t, s in [
            (0, 0.5, 0.1, 0.6, 9.0),
            (1, 0.8, 0.5, 0.7, 2.0),
            (2, 0.8, 0.5, 0.75, 1.0),
            (3, 0.6, 0.2, 0.72, 3.0),
        ]
    ]
    assert summarize(history) == {
        "chosen_epoch": 2,
        "chosen": 0.7,
        "last": 0.72,
        "best": 0.75,
        "seconds": 3.0,
    }


class Optimizer:
    learning_rate = 1.0


class Trained:
    def __init__(self):
        self.optimizer = Optimizer()


def plateau(history):
    replayed = Replayed(
        keras.callbacks.ReduceLROnPlateau(
            "val_loss", 0.5, patience=1, mode="min", min_delta=0
        ),
        history,
    )
    replayed.set_model(Trained())
    replayed.on_train_begin()
    return replayed


@pytest.mark.parametrize("resumed_at", [1, 2, 3, 4, 5])
def test_replayed_callback_knows_what_was_before_the_resumed_epoch(
    tmp_path, resumed_at
):
    losses = [3.0, 2.0, 2.5, 2.2, 1.0, 1.1]
    history = tmp_path / "history.jsonl"
    whole, rates = plateau(tmp_path / "none.jsonl"), []
    for epoch, loss in enumerate(losses):
        whole.on_epoch_begin(epoch)
        whole.on_epoch_end(epoch, {"val_loss": loss})
        rates.append(whole.model.optimizer.learning_rate)
    assert rates == [1, 1, 0.5, 0.25, 0.25, 0.125]
    # Of an epoch that is run again there may be a line.
    history.write_text(
        "".join(
            json.dumps({"epoch": epoch, "val_loss": loss}) + "\n"
            for epoch, loss in enumerate(losses[: resumed_at + 1])
        )
    )
    resumed = plateau(history)
    # As `BackupAndRestore` does.
    resumed.model.optimizer.learning_rate = rates[resumed_at - 1]
    for epoch in range(resumed_at, len(losses)):
        resumed.on_epoch_begin(epoch)
        resumed.on_epoch_end(epoch, {"val_loss": losses[epoch]})
        assert resumed.model.optimizer.learning_rate == rates[epoch]
