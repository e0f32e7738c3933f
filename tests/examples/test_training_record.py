import json

import pytest
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


def test_summary_takes_the_first_of_the_best_validated_epochs():
    history = [
        {"epoch": e, "val_accuracy": v, "test_accuracy": t, "seconds": s}
        for e, v, t, s in [
            (0, 0.5, 0.6, 9.0),
            (1, 0.8, 0.7, 2.0),
            (2, 0.8, 0.75, 1.0),
            (3, 0.6, 0.72, 3.0),
        ]
    ]
    assert summarize(history) == {
        "chosen_epoch": 2,
        "chosen": 0.7,
        "last": 0.72,
        "best": 0.75,
        "seconds": 3.0,
    }
