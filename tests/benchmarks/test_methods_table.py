from methods_table import HEADINGS
from methods_table import by_method
from methods_table import epsilons
from methods_table import mean
from methods_table import row
from methods_table import rows


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
