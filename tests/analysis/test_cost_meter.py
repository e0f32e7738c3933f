"""The running total of training, against the formulas written out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import keras_sparse_rnn as ksr


def matrices(active):
    return [ksr.WeightMatrix("kernel", (10, 10), active)]


def test_nothing_counted_yet():
    meter = ksr.CostMeter(matrices(20))
    assert (meter.steps, meter.multiply_adds) == (0, 0)
    assert meter.ratio == 1


def test_a_step_is_three_forward_passes():
    meter = ksr.CostMeter(matrices(20))
    meter.add(matrices(20), steps=7)
    assert meter.steps == 7
    assert meter.multiply_adds == 7 * 3 * 20
    assert meter.multiply_adds_dense == 7 * 3 * 100
    assert meter.ratio == 0.2


@given(
    active=st.integers(0, 100),
    steps=st.integers(1, 1000),
    every=st.integers(1, 50),
)
def test_dense_gradients_are_counted_as_rigl_counts_them(active, steps, every):
    meter = ksr.CostMeter(matrices(active))
    meter.add(matrices(active), steps * (every + 1), dense_gradients=steps)
    published = (3 * active * every + 2 * active + 100) / (every + 1)
    assert meter.ratio == pytest.approx(published / 300)


def test_stretches_add_up():
    meter = ksr.CostMeter(matrices(100))
    meter.add(matrices(100), steps=10)
    meter.add(matrices(50), steps=20, dense_gradients=5)
    meter.add(matrices(25), steps=30)
    assert meter.steps == 60
    assert meter.multiply_adds == (
        10 * 300 + 15 * 150 + 5 * (2 * 50 + 100) + 30 * 75
    )
    assert meter.ratio == meter.multiply_adds / (60 * 300)


@given(
    stretches=st.lists(
        st.tuples(st.integers(0, 100), st.integers(0, 9)), min_size=1
    ),
    cut=st.integers(0, 9),
)
def test_a_count_can_go_on_where_it_stopped(stretches, cut):
    whole = ksr.CostMeter(matrices(100))
    first = ksr.CostMeter(matrices(100))
    for active, steps in stretches:
        whole.add(matrices(active), steps, steps / 2)
    for active, steps in stretches[:cut]:
        first.add(matrices(active), steps, steps / 2)
    second = ksr.CostMeter(matrices(100), first.steps, first.multiply_adds)
    for active, steps in stretches[cut:]:
        second.add(matrices(active), steps, steps / 2)
    assert second.ratio == pytest.approx(whole.ratio)
    assert 0 <= whole.ratio <= 1


def test_matrices_weigh_by_how_often_they_are_applied():
    kernel = ksr.WeightMatrix("kernel", (10, 10), 20, applications=9)
    head = ksr.WeightMatrix("head", (10, 10), sparse=False)
    table = ksr.WeightMatrix("embeddings", (1000, 10), 1, applications=0)
    meter = ksr.CostMeter([kernel, head, table])
    meter.add([kernel, head, table])
    assert meter.ratio == (9 * 20 + 100) / (9 * 100 + 100)


def test_where_nothing_is_multiplied_the_ratio_is_1():
    table = [ksr.WeightMatrix("embeddings", (9, 2), 3, applications=0)]
    meter = ksr.CostMeter(table)
    meter.add(table, steps=3, dense_gradients=1)
    assert meter.ratio == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": -1}, r"`steps` must be.*Received: steps=-1"),
        ({"steps": float("inf")}, r"Received: steps=inf"),
        ({"steps": True}, r"Received: steps=True"),
        ({"dense_gradients": -0.5}, r"Received: dense_gradients=-0.5"),
        (
            {"steps": 2, "dense_gradients": 3},
            r"at most steps=2\. Received: dense_gradients=3",
        ),
    ],
)
def test_impossible_stretches_are_refused_and_not_counted(arguments, message):
    meter = ksr.CostMeter(matrices(20))
    with pytest.raises(ValueError, match=message):
        meter.add(matrices(20), **arguments)
    assert (meter.steps, meter.multiply_adds) == (0, 0)


@pytest.mark.parametrize("name", ["steps", "multiply_adds"])
def test_impossible_counts_to_go_on_from_are_refused(name):
    with pytest.raises(ValueError, match=rf"Received: {name}=-1"):
        ksr.CostMeter(matrices(20), **{name: -1})
