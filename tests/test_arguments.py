"""Numbers as arguments: what is taken, and what is refused by its name."""

import decimal
import fractions

import numpy as np
import pytest

from keras_sparse_rnn import arguments

NAN, INF = float("nan"), float("inf")
NO_NUMBERS = ["1", None, True, False, np.True_, [1], np.array([1]), 1j]


@pytest.mark.parametrize(
    "value",
    [1, 0.5, NAN, INF, np.float32(1), np.int8(1), fractions.Fraction(1)],
)
def test_numbers(value):
    assert arguments.is_number(value)


@pytest.mark.parametrize("value", [*NO_NUMBERS, decimal.Decimal(1)])
def test_what_is_no_number(value):
    assert not arguments.is_number(value)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (3, 3),
        (np.int64(3), 3),
        (0.5, 0.5),
        (np.float32(0.5), 0.5),
        (fractions.Fraction(1, 10), 0.1),
        (fractions.Fraction(2), 2.0),
    ],
)
def test_numbers_as_pythons_own(value, plain):
    assert arguments.plain_number(value) == plain
    assert type(arguments.plain_number(value)) is type(plain)


@pytest.mark.parametrize("value", [True, False, np.True_])
def test_booleans(value):
    arguments.check_boolean("rescale", value)


@pytest.mark.parametrize("value", ["no", "", None, 0, 1, [], np.array([True])])
def test_what_is_no_boolean_is_refused(value):
    with pytest.raises(
        ValueError, match=r"^`rescale` must be True or"
    ) as error:
        arguments.check_boolean("rescale", value)
    assert str(error.value).endswith(f"Received: rescale={value!r}")


def test_one_of_some_strings():
    arguments.check_one_of("keep", "drawn", ("largest", "drawn"))


@pytest.mark.parametrize("value", ["x", None, 3, ["drawn"], np.array(["a"])])
def test_what_is_none_of_the_strings_is_refused(value):
    with pytest.raises(ValueError, match=r"`keep` .* \['drawn'\]") as error:
        arguments.check_one_of("keep", value, ("drawn",))
    assert str(error.value).endswith(f"Received: keep={value!r}")


@pytest.mark.parametrize("value", [2, 3, np.int64(2), np.uint8(9)])
def test_integers(value):
    arguments.check_integer("steps", value, 2)


@pytest.mark.parametrize("value", [1, -3, np.int64(1), 2.0, NAN, *NO_NUMBERS])
def test_integers_that_are_refused(value):
    with pytest.raises(ValueError, match=r"^`steps` .* at least 2") as error:
        arguments.check_integer("steps", value, 2)
    assert str(error.value).endswith(f"Received: steps={value!r}")


@pytest.mark.parametrize("value", [1e-9, 3, np.float32(0.1)])
def test_numbers_above_0(value):
    arguments.check_above_0("spread", value)


@pytest.mark.parametrize("value", [0, -0.1, NAN, INF, -INF, *NO_NUMBERS])
def test_numbers_above_0_that_are_refused(value):
    with pytest.raises(ValueError, match=r"^`spread` .* above 0") as error:
        arguments.check_above_0("spread", value)
    assert str(error.value).endswith(f"Received: spread={value!r}")


@pytest.mark.parametrize("value", [0, -2.5, np.float32(0.1)])
def test_finite_numbers(value):
    arguments.check_number("bias", value)


@pytest.mark.parametrize("value", [NAN, INF, -INF, *NO_NUMBERS])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(ValueError, match=r"^`bias` .* finite") as error:
        arguments.check_number("bias", value)
    assert str(error.value).endswith(f"Received: bias={value!r}")


@pytest.mark.parametrize("value", [0, 0.0, 0.999, np.float64(0.5)])
def test_rates(value):
    arguments.check_rate("dropout", value)


@pytest.mark.parametrize("value", [1, 1.0, -0.1, NAN, INF, *NO_NUMBERS])
def test_rates_that_are_refused(value):
    with pytest.raises(ValueError, match=r"^`dropout` .* in \[0, 1\)") as error:
        arguments.check_rate("dropout", value)
    assert str(error.value).endswith(f"Received: dropout={value!r}")


@pytest.mark.parametrize("value", [0, 0.0, 0.999, np.float64(0.5)])
def test_sparsities(value):
    arguments.check_sparsity(value)


@pytest.mark.parametrize("value", [1, 1.0, -0.1, NAN, INF, *NO_NUMBERS])
def test_sparsities_that_are_refused(value):
    with pytest.raises(ValueError, match=r"^`sparsity` must be in") as error:
        arguments.check_sparsity(value)
    assert str(error.value).endswith(f"Received: sparsity={value!r}")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mine", "dict 'mine'"), (None, "dict"), ("", "dict")],
)
def test_a_layer_is_called_by_its_class_and_its_name(name, expected):
    assert arguments.named(dict, name) == expected
