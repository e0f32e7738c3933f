"""What is used of Keras's parts that are not public."""

import keras
import pytest

from keras_sparse_rnn import keras_internals

OPTIMIZERS = {
    "SGD": keras.optimizers.SGD,
    "Adam": keras.optimizers.Adam,
    "Ftrl": keras.optimizers.Ftrl,
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_trained_variables_are_those_an_optimizer_was_built_with(make):
    variables = [keras.Variable([0.0] * size) for size in (3, 1, 2)]
    optimizer = make()
    assert keras_internals.trained_variables(optimizer) == []
    optimizer.build(variables)
    slots = optimizer.add_optimizer_variables(variables, "slot")
    found = keras_internals.trained_variables(optimizer)
    for one, variable, slot in zip(found, variables, slots, strict=True):
        assert one is variable
        assert slot.shape == variable.shape
