import numpy as np
import pytest
from text_split import check_splittable
from text_split import stratified_split


@pytest.mark.parametrize(
    ("sizes", "fraction", "expected"),
    [
        ([10, 20], 0.1, [1, 2]),
        ([10, 20], 0.5, [5, 10]),
        ([2, 100], 0.01, [1, 1]),
        ([2, 2], 0.99, [1, 1]),
    ],
)
def test_shares(sizes, fraction, expected):
    labels = np.repeat([0, 1], sizes)
    rest, drawn = stratified_split(labels, fraction, seed=3)
    assert np.bincount(labels[drawn]).tolist() == expected
    both = np.sort(np.concatenate([rest, drawn]))
    np.testing.assert_array_equal(both, np.arange(len(labels)))


def test_groups_stay_whole():
    labels = np.repeat([0, 1], 60)
    groups = np.arange(120) // 6
    rest, drawn = stratified_split(labels, 0.25, 0, groups)
    assert not set(groups[rest]) & set(groups[drawn])
    # 15 of 60 are asked for: three groups of six reach that.
    assert np.bincount(labels[drawn]).tolist() == [18, 18]


def test_seed():
    labels = np.zeros(100, int)
    first, same, other = (
        stratified_split(labels, 0.3, seed)[1].tolist() for seed in (0, 0, 1)
    )
    assert first == same != other


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_fraction_out_of_range(fraction):
    with pytest.raises(ValueError, match="Received: fraction="):
        stratified_split([0, 0, 1, 1], fraction, 0)


def test_label_with_one_example():
    with pytest.raises(ValueError, match="Received: label=1 with 1"):
        stratified_split([0, 0, 1], 0.5, 0)


@pytest.mark.parametrize(
    ("labels", "groups", "received"),
    [
        ([0, 0, 1], None, "'good' with 1"),
        ([0, 1, 1], None, "'bad' with 1"),
        ([0, 0, 1, 1], [0, 1, 2, 2], "'good' with 1"),
    ],
)
def test_what_cannot_be_split_is_named(labels, groups, received):
    groups = None if groups is None else np.array(groups)
    with pytest.raises(ValueError, match=r"^This split expects ") as error:
        check_splittable(labels, groups, ("bad", "good"), "This split")
    assert str(error.value).endswith(f"Received: label={received}")


def test_a_label_without_examples_does_not_hinder_a_split():
    check_splittable([0, 0, 2, 2], None, ("bad", "fair", "good"))
