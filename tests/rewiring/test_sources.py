"""What a rule's functions ask for, and how it is cut for them."""

import functools

import numpy as np
import pytest

from keras_sparse_rnn.rewiring import sources
from keras_sparse_rnn.topology.groups import Group


class Asking:
    def __call__(self, mask, count, rng, *, gradient, momentum):
        return []


def by_threshold(weights, rate, *, threshold, slack=0.1):
    return []


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (None, set()),
        (lambda weights, rate: [], set()),
        (lambda mask, gradient: [], set()),
        (lambda **others: [], set()),
        (by_threshold, {"threshold"}),
        (functools.partial(by_threshold, threshold=0.5), set()),
        (Asking(), {"gradient", "momentum"}),
        # Tells no signature.
        (np.add, set()),
    ],
)
def test_keyword_only_parameters_without_a_default_are_asked_for(
    function, names
):
    assert sources.asked_by(function) == names


@pytest.mark.parametrize(
    ("role", "function"),
    [
        ("drop", lambda weights, rate, *, gradient: []),
        ("grow", lambda mask, count, rng, *, threshold: []),
        ("grow", lambda mask, count, *, rng: []),
        ("new_values", lambda shape, rng, *, gradient: []),
        ("schedule", lambda *, progress: 1),
        ("redistribute", lambda survivors, dropped, places, *, rates: []),
    ],
)
def test_what_a_role_cannot_have_is_refused(role, function):
    (name,) = sources.asked_by(function)
    with pytest.raises(
        ValueError, match=rf"Received: {role}=.* asks for \['{name}'\]$"
    ):
        sources.check_asked(role, function)


@pytest.mark.parametrize("role", sources.MAY_ASK)
def test_what_a_role_may_have_passes(role):
    names = sources.MAY_ASK[role]
    arguments = "".join(f"{name}, " for name in sorted(names))
    star = "*, " if names else ""
    function = eval(f"lambda first, {star}{arguments}: None")
    assert sources.asked_by(function) == names
    sources.check_asked(role, function)


@pytest.mark.parametrize(
    ("needs", "given", "received"),
    [
        ({"gradient"}, {}, r"\['gradient'\].*Received: sources=\[\]$"),
        (
            {"gradient", "signs"},
            {"gradient": np.ones((2, 3)), "signs": None},
            r"looks at \['signs'\].*Received: sources=\['gradient'\]$",
        ),
        (set(), {"weights": 1}, r"Received: sources=\['weights'\]$"),
        (
            {"momentum"},
            {"momentum": np.ones((3, 2))},
            r"shape \(2, 3\)\. Received: momentum\.shape=\(3, 2\)$",
        ),
        ({"signs"}, {"signs": 1.0}, r"Received: signs\.shape=\(\)$"),
        ({"threshold"}, {"threshold": -1}, "Received: threshold=-1$"),
        ({"threshold"}, {"threshold": np.nan}, "Received: threshold=nan$"),
        ({"threshold"}, {"threshold": True}, "Received: threshold=True$"),
    ],
)
def test_sources_that_do_not_fit(needs, given, received):
    with pytest.raises(ValueError, match=received):
        sources.check_sources(needs, given, (2, 3))


def test_sources_that_fit_and_more_than_is_needed():
    sources.check_sources(
        {"threshold", "signs"},
        {"threshold": np.float32(0), "signs": np.ones((2, 3)), "gradient": 0},
        (2, 3),
    )


def test_magnitudes_are_summed_over_the_gates_of_a_place():
    source = np.arange(-12.0, 12.0).reshape(2, 12)
    group = Group("all", 3, 9, tied=2)
    expected = [
        [abs(source[i, 3 + j]) + abs(source[i, 6 + j]) for j in range(3)]
        for i in range(2)
    ]
    assert sources.magnitude_in(group, source).tolist() == expected


def test_the_mean_is_over_the_weights_that_are_connections():
    source = np.arange(-12.0, 12.0).reshape(2, 12)
    mask = np.zeros((2, 12), bool)
    group = Group("all", 3, 9, tied=2)
    assert sources.mean_magnitude_in(group, source, mask) == 0
    # Of these only the columns from 3 to 8 are of the group.
    mask[0, [0, 3, 6]] = True
    mask[1, [5, 8, 11]] = True
    mean = sources.mean_magnitude_in(group, source, mask)
    assert mean == (9 + 6 + 5 + 8) / 4
