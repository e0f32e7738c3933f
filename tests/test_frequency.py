import numpy as np
import pytest

from keras_sparse_rnn.frequency import Frequency
from keras_sparse_rnn.frequency import parse_frequency


@pytest.mark.parametrize(
    ("written", "count", "unit"),
    [
        ("epoch", 1, "epoch"),
        ("1 epoch", 1, "epoch"),
        ("2 epochs", 2, "epoch"),
        ("  12   epochs ", 12, "epoch"),
        ("step", 1, "step"),
        ("100 steps", 100, "step"),
        (1, 1, "step"),
        (100, 100, "step"),
        (np.int32(7), 7, "step"),
    ],
)
def test_what_users_write(written, count, unit):
    frequency = parse_frequency(written)
    assert frequency == Frequency(count, unit)
    assert type(frequency.count) is int
    assert frequency.is_by_steps is (unit == "step")


@pytest.mark.parametrize(
    "written",
    [
        None,
        True,
        False,
        0,
        -3,
        2.0,
        float("nan"),
        "",
        "0 epochs",
        "-1 epochs",
        "1.5 epochs",
        "2epochs",
        "epochs 2",
        "batch",
        "Epoch",
        ["epoch"],
        {"epoch": 1},
    ],
)
def test_what_is_none_of_these_is_refused(written):
    match = r"`frequency` must be \"epoch\", .*\"100 steps\"\. Received: "
    with pytest.raises(ValueError, match=match) as error:
        parse_frequency(written)
    assert str(error.value).endswith(f"frequency={written!r}")
