import json
import math

import pytest
from training_record import EpochRecord
from training_record import read_history
from training_record import summarize


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
        def evaluate(self, x, y, **kwargs):
            return {"accuracy": 0.5}

        def save_weights(self, path):
            kept.append(epoch)

    for epoch, (accuracy, loss) in enumerate(validated):
        if epoch in (0, killed_after):
            record = EpochRecord(history, "w.weights.h5", (None, None), 1)
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
