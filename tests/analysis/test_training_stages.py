"""What each method trains, against the formulas written out."""

import functools

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import keras_sparse_rnn as ksr
from keras_sparse_rnn.analysis import training_stages


def square(active, places=100):
    return [ksr.WeightMatrix("kernel", (places // 10, 10), active)]


@pytest.mark.parametrize(
    ("method", "settings", "expected"),
    [
        ("dense", {}, 1),
        ("static", {}, 0.2),
        ("set", {}, 0.2),
        ("st_rnn", {}, 0.2),
        ("dsr", {}, 0.2),
        ("deep_r", {}, 0.2),
        ("snfs", {}, (2 * 0.2 + 1) / 3),
        ("rigl", {"frequency": 1}, (3 * 0.2 + 2 * 0.2 + 1) / 6),
        ("rigl", {"frequency": 1, "rewired_share": 0}, 0.2),
        (
            "rigl",
            {"frequency": 1, "rewired_share": 0.75},
            (0.75 * (3 * 0.2 + 2 * 0.2 + 1) + 0.25 * 3 * 0.2)
            / (0.75 * 6 + 0.25 * 3),
        ),
        ("rigl", {"frequency": 100}, (60 + 2 * 0.2 + 1) / 303),
        ("rigl", {"frequency": "100 steps"}, (60 + 2 * 0.2 + 1) / 303),
        (
            "rigl",
            {"frequency": "2 epochs", "steps_per_epoch": 50},
            (60 + 2 * 0.2 + 1) / 303,
        ),
        ("iss", {"shrunk": square(50, 50), "dense_share": 0.25}, 0.625),
        ("iss", {"shrunk": square(50, 50), "dense_share": 1}, 1),
    ],
)
def test_the_formulas(method, settings, expected):
    cost = ksr.training_cost_of_matrices(square(20), method, **settings)
    assert cost.training_ratio == pytest.approx(expected)
    assert cost.method == method


def cubic(step):
    """Prunes at every tenth step from 20 on, to 0.8 at step 60."""
    done = min(max((step - 20) / 40, 0), 1)
    return step >= 20 and step % 10 == 0, 0.8 - 0.8 * (1 - done) ** 3


def slow_mean_density(schedule, steps):
    density, total = 1.0, 0.0
    for step in range(steps):
        should_prune, sparsity = schedule(step)
        if should_prune:
            density = round(100 * (1 - sparsity)) / 100
        total += density
    return total / steps


@pytest.mark.parametrize("steps", [5, 20, 21, 55, 100])
def test_pruning_is_integrated_over_its_schedule(steps):
    cost = ksr.training_cost_of_matrices(
        square(37), "magnitude_pruning", schedule=cubic, steps=steps
    )
    mean = slow_mean_density(cubic, steps)
    assert cost.training_ratio == pytest.approx(mean)
    last = [step for step in range(steps) if cubic(step)[0]]
    at_end = 1 - cubic(last[-1])[1] if last else 1
    assert cost.parameters == round(100 * at_end)
    assert cost.inference_ratio == cost.parameters / 100
    granet = ksr.training_cost_of_matrices(
        square(37), "granet", schedule=cubic, steps=steps, frequency=9
    )
    # One step of ten takes a dense gradient: a third of it is dense.
    assert granet.training_ratio == pytest.approx(mean + 0.1 * (1 - mean) / 3)


def test_pruning_leaves_dense_matrices_alone_and_a_connection_everywhere():
    matrices = [
        ksr.WeightMatrix("tiny", (1, 2)),
        *square(100),
        ksr.WeightMatrix("head", (10, 3), sparse=False),
    ]
    cost = ksr.training_cost_of_matrices(
        matrices, "magnitude_pruning", schedule=lambda _: (1, 0.9), steps=1
    )
    assert cost.parameters == 1 + 10 + 30


def test_a_schedule_may_answer_in_tensors():
    def schedule(step):
        ones = keras.ops.ones(())
        return ones > 0, ones / 2

    cost = ksr.training_cost_of_matrices(
        square(100), "magnitude_pruning", schedule=schedule, steps=2
    )
    assert cost.training_ratio == 0.5


histories = st.lists(st.integers(0, 100), min_size=1, max_size=9)


@given(counts=histories)
@pytest.mark.parametrize("method", ["dsr", "deep_r", "magnitude_pruning"])
def test_a_history_is_averaged(method, counts):
    cost = ksr.training_cost_of_matrices(
        square(1), method, history=[{"kernel": count} for count in counts]
    )
    assert cost.training_ratio == pytest.approx(np.mean(counts) / 100)
    assert cost.parameters == counts[-1]


@given(counts=histories, every=st.integers(1, 9))
def test_dense_gradients_come_on_top_of_a_history(counts, every):
    history = [{"kernel": np.int64(count)} for count in counts]
    mean = np.mean(counts) / 100
    snfs = ksr.training_cost_of_matrices(square(1), "snfs", history=history)
    assert snfs.training_ratio == pytest.approx((2 * mean + 1) / 3)
    granet = ksr.training_cost_of_matrices(
        square(1), "granet", history=history, frequency=every
    )
    share = 1 / (every + 1)
    assert granet.training_ratio == pytest.approx(mean + share * (1 - mean) / 3)


def test_a_history_may_leave_matrices_out():
    matrices = [*square(20), ksr.WeightMatrix("other", (10, 10), 40)]
    cost = ksr.training_cost_of_matrices(
        matrices, "dsr", history=[{}, {"other": 20}, {"kernel": 40}]
    )
    assert cost.training_ratio == pytest.approx((60 + 40 + 80) / 600)


def test_a_function_is_a_method():
    def halved(matrices, dense_steps):
        half = [each.with_active(each.places // 2) for each in matrices]
        return [
            training_stages.Stage(matrices, dense_steps),
            training_stages.Stage(half, 10 - dense_steps),
        ]

    cost = ksr.training_cost_of_matrices(square(100), halved, dense_steps=4)
    assert cost.training_ratio == pytest.approx(0.7)
    assert cost.method == "halved"
    part = functools.partial(halved, dense_steps=0)
    assert ksr.training_cost_of_matrices(square(100), part).parameters == 50


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("sett", {}, r"`method` must be one of \['dense'.*method='sett'"),
        (None, {}, r"Received: method=None"),
        (
            "set",
            {"frequency": 3},
            r"method='set' needs no settings, and knows no settings\. "
            r"Received: settings=\['frequency'\]",
        ),
        (
            "rigl",
            {},
            r"needs the settings \['frequency'\], and knows .*"
            r"Received: settings=\[\]",
        ),
        ("rigl", {"frequency": 0}, r"Received: frequency=0"),
        ("rigl", {"frequency": "batch"}, r"Received: frequency='batch'"),
        (
            "rigl",
            {"frequency": "epoch"},
            r"Received: frequency='epoch', steps_per_epoch=None",
        ),
        (
            "granet",
            {"frequency": "epoch", "steps_per_epoch": 0, "history": [{}]},
            r"Received: steps_per_epoch=0",
        ),
        ("granet", {"frequency": 1}, r"either `schedule`.*or `history`"),
        ("magnitude_pruning", {}, r"either `schedule`.*or `history`"),
        (
            "magnitude_pruning",
            {"schedule": cubic, "history": [{}]},
            r"either `schedule`.*or `history`",
        ),
        ("magnitude_pruning", {"schedule": cubic}, r"Received: steps=None"),
        (
            "magnitude_pruning",
            {"schedule": cubic, "steps": 0},
            r"`steps` must be.*Received: steps=0",
        ),
        (
            "magnitude_pruning",
            {"schedule": lambda step: (True, 1.0), "steps": 3},
            r"sparsity in \[0, 1\)\. Received: 1\.0 at step 0",
        ),
        (
            "magnitude_pruning",
            {"schedule": lambda step: 0.5, "steps": 3},
            r"must return a pair.*Received: 0\.5",
        ),
        (
            "iss",
            {"dense_share": 0.5},
            r"needs the settings \['shrunk', 'dense_share'\], and",
        ),
        (
            "iss",
            {"dense_share": 1.5, "shrunk": square(10)},
            r"in \[0, 1\]\. Received: dense_share=1\.5",
        ),
        (
            "rigl",
            {"frequency": 9, "rewired_share": -1},
            r"`rewired_share` must be in \[0, 1\]\. Received: rewired_share=-1",
        ),
        (ksr.RigLCallback, {}, r"must be one of \['dense', .*RigLCallback"),
        (ksr.RigLCallback(), {}, r"must be one of \['dense', .*RigLCallback"),
        ("snfs", {"history": []}, r"an entry for each epoch"),
        ("snfs", {"history": [3]}, r"must be a dict.*Received: entry=3"),
        (
            "snfs",
            {"history": [{"wrong": 3}]},
            r"\['kernel'\].*paths=\['wrong'\]",
        ),
        ("snfs", {"history": [{"kernel": 101}]}, r"100 places.*active=101"),
        (lambda matrices: [], {}, r"at least one stage.*Received: stages=\[\]"),
    ],
)
def test_wrong_methods_and_settings_are_refused(method, settings, message):
    with pytest.raises(ValueError, match=message):
        ksr.training_cost_of_matrices(square(20), method, **settings)


def test_pruning_where_nothing_has_a_mask_is_refused():
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4)])
    with pytest.raises(ValueError, match=r"Received: matrices=\["):
        ksr.training_cost(model, "magnitude_pruning", schedule=cubic, steps=100)
