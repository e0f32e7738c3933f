import pytest
from language_rows import HEADINGS
from language_rows import ROWS
from language_rows import Row
from language_rows import tables

RESULT = {
    "training_ratio": 0.33,
    "inference_ratio": 0.3301,
    "weights": 1_438_000,
    "valid": 120.456,
    "test": 115.0,
    "chosen_epoch": 12,
    "epochs": 13,
    "seconds": 60.0,
}


def test_keys_name_each_row_once():
    assert len({row.key for row in ROWS}) == len(ROWS) == 19


@pytest.mark.parametrize(
    ("method", "flags"),
    [
        ("st_rnn", ("--method=st_rnn", "--topology=uniform")),
        ("st_rnn_er", ("--method=st_rnn", "--topology=erdos_renyi")),
        ("set", ("--method=set", "--topology=erdos_renyi")),
        ("snfs", ("--method=snfs", "--topology=uniform")),
        ("dense", ("--method=dense",)),
    ],
)
def test_flags_of_a_row(method, flags):
    arguments = Row("lstm", 0.67, method, 1).arguments
    assert {*flags, "--seed=1", "--sparsity=0.67"} <= set(arguments)


def test_dense_model_is_one_row_for_all_sparsities():
    assert Row("lstm", 0.67, "dense").key == Row("lstm", 0.8, "dense").key


def test_tables_hold_what_was_run_by_seed():
    results = {
        row.key: RESULT
        for row in (
            Row("lstm", 0.67, "st_rnn", 1),
            Row("lstm", 0.67, "dense"),
            Row("rhn", 0.53, "static"),
        )
    }
    found = tables(results)
    assert [*found] == [
        "LSTM, 2 × 200 units, sparsity .67",
        "RHN, 200 units, depth 4, sparsity .53",
    ]
    # Of a run by further flags there is none here.
    assert tables(results, "+units=8") == {}
    lines = found["LSTM, 2 × 200 units, sparsity .67"]
    assert [line[:3] for line in lines] == [
        ["dense", "dense", "0"],
        ["ST-RNN", "uniform", "1"],
    ]
    assert len(lines[0]) == len(HEADINGS)
    assert lines[0][3:] == [
        "0.330",
        "0.330",
        "1.44 M",
        "120.46",
        "115.00",
        "12 of 13",
        "13",
    ]


def test_runs_by_further_flags_have_tables_of_their_own():
    row = Row("rhn", 0.53, "static")
    results = {f"{row.key}+units=8": RESULT}
    assert tables(results) == {}
    title = "RHN, 200 units, depth 4, sparsity .53 +units=8"
    assert [*tables(results, "+units=8")] == [title]
