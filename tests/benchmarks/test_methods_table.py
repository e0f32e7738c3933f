import pytest
from methods_table import BEGIN
from methods_table import END
from methods_table import HEADINGS
from methods_table import by_method
from methods_table import epsilons
from methods_table import markdown_table
from methods_table import mean
from methods_table import row
from methods_table import rows
from methods_table import write_block


def run(chosen, **others):
    return {
        "chosen": chosen,
        "best": chosen + 0.01,
        "chosen_epoch": 3,
        "weights": 1000,
        "training_ratio": 0.5,
        "inference_ratio": 0.25,
        "seconds": 2.0,
        **others,
    }


def test_row_of_one_seed():
    assert row("SET", [run(0.8)]) == [
        "SET",
        "1",
        "80.00%",
        "3",
        "81.00%",
        "1,000",
        "0.500",
        "0.250",
        "2.0",
    ]


def test_row_of_several_seeds():
    runs = [
        run(0.80, chosen_epoch=5, weights=1000, seconds=2.0),
        run(0.82, chosen_epoch=2, weights=1001, seconds=9.0),
        run(0.84, chosen_epoch=4, training_ratio=0.8, seconds=3.0),
    ]
    cells = dict(zip(HEADINGS, row("SNFS", runs), strict=True))
    # The deviation of a sample: the root of (4 + 0 + 4) / 2 square points.
    assert cells["test accuracy"] == "82.00% ± 2.00"
    assert cells["epoch"] == "2–5"
    assert cells["FLOPs, training"] == "0.600"
    assert cells["weights"] == "1,000"
    # The median: one run had the machine to share.
    assert cells["s/epoch"] == "3.0"


def test_row_of_runs_without_weights():
    taken_over = run(0.8)
    del taken_over["weights"]
    cells = dict(zip(HEADINGS, row("dense", [taken_over]), strict=True))
    assert cells["weights"] == ""
    cells = dict(
        zip(HEADINGS, row("dense", [taken_over, run(0.8)]), strict=True)
    )
    assert cells["weights"] == "1,000"


def test_mean_leaves_out_what_is_missing():
    assert mean([{"a": 1}, {}, {"a": 4}, {"a": None}], "a") == 2.5
    assert mean([{}], "a") is None


def test_rows_are_in_the_order_of_the_titles():
    found = {"b": [run(0.8)], "a": [run(0.9)], "unknown": [run(0.7)]}
    titles = {"a": "A", "none": "N", "b": "B"}
    assert [cells[0] for cells in rows(found, titles)] == ["A", "B"]


def test_by_method_adds_what_does_not_depend_on_epsilon():
    of_dataset = {
        "any": {"dense": {"0": {"chosen": 0.8}, "1": {"chosen": 0.9}}},
        "10": {"set": {"0": {"chosen": 0.7}}, "rigl": {}},
        "2": {"set": {"0": {"chosen": 0.6}}},
    }
    assert by_method(of_dataset, "10") == {
        "dense": [{"chosen": 0.8}, {"chosen": 0.9}],
        "set": [{"chosen": 0.7}],
    }
    assert by_method(of_dataset, "2")["set"] == [{"chosen": 0.6}]


def test_epsilons_are_ordered_as_numbers():
    assert epsilons({"2": {}, "any": {}, "10": {}, "0.5": {}}) == [
        "10",
        "2",
        "0.5",
    ]


def test_markdown_table():
    assert markdown_table(["a", "b"], [["1", "2"], ["3", "4"]]) == (
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |"
    )


def test_a_block_is_replaced_and_the_rest_stays(tmp_path):
    path = tmp_path / "methods.md"
    path.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\nAfter ε\n", "utf-8")
    for text in ("first", "second"):
        write_block(path, text)
        assert path.read_text("utf-8") == (
            f"# Before\n\n{BEGIN}\n\n{text}\n\n{END}\n\nAfter ε\n"
        )


def test_a_block_is_written_to_a_new_file_and_replaced_there(tmp_path):
    for text in ("first", "second"):
        write_block(tmp_path / "new.md", text)
    content = (tmp_path / "new.md").read_text("utf-8")
    assert content == f"{BEGIN}\n\nsecond\n\n{END}\n"


@pytest.mark.parametrize("content", ["", f"{BEGIN}\n", f"{END}\n{BEGIN}\n"])
def test_a_file_without_both_markers_is_left_alone(tmp_path, content):
    path = tmp_path / "methods.md"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"Received: path='.*methods\.md'"):
        write_block(path, "text")
    assert path.read_text() == content
