import numpy as np
import pytest
from text_data import TextData
from text_data import limit_train


def test_limit_train_is_stratified_and_says_so():
    data = TextData(
        "x",
        [str(i) for i in range(100)],
        np.repeat([0, 1], [80, 20]),
        ["t"],
        np.array([0]),
        ("a", "b"),
        "all",
        np.arange(100) // 2,
    )
    small = limit_train(data, 10, seed=0)
    assert np.bincount(small.train_labels).tolist() == [8, 2]
    assert [int(text) // 2 for text in small.train_texts] == list(
        small.train_groups
    )
    assert small.description == "all; 10 of 100 used"
    assert small.test_texts == ["t"]
    assert limit_train(data, 100, seed=0) is data


def test_limit_train_names_a_label_with_one_text():
    labels = np.array([0, 0, 1])
    data = TextData("x", [*"abc"], labels, ["t"], labels[:1], ("p", "q"), "all")
    with pytest.raises(ValueError, match=r"'x'.*Received: label='q' with 1$"):
        limit_train(data, 2, seed=0)
