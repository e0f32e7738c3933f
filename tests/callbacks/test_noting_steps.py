"""Single steps that note gradients, and the functions they run in."""

import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.callbacks.noting_steps import NotingSteps
from tests.callbacks import tiny


@pytest.fixture
def model():
    model = tiny.dense_model("sgd")
    tiny.fit(model, epochs=1)
    return model


def noting_steps(model):
    return NotingSteps(model, [ksr.DenseGradients(model)])


def train(model):
    x, y = tiny.tokens(8)
    model.train_function(iter([(x, y)]))


def test_a_request_is_for_one_call(model):
    plain = model.train_function
    steps = noting_steps(model)
    [gradients] = steps.gradients
    train(model)
    assert not gradients.are_noted()
    for _ in range(2):
        steps.note_next()
        assert model.train_function is not plain
        train(model)
        assert gradients.are_noted()
        assert model.train_function is plain
    with gradients:
        pass
    train(model)
    assert not gradients.are_noted()


def test_several_who_ask_share_a_step_and_its_function(model):
    made = []
    make = model.make_train_function

    def counted(force=False):
        made.append(force)
        make(force)

    model.make_train_function = counted
    plain = model.train_function
    first, second = noting_steps(model), noting_steps(model)
    for asking in ([first], [second], [first, second], [second, first]) * 2:
        for each in (first, second):
            with each.gradients[0]:
                pass
        for each in asking:
            each.note_next()
        train(model)
        noted = [each for each in (first, second) if each in asking]
        assert [
            each for each in (first, second) if each.gradients[0].are_noted()
        ] == noted
    # One by the first alone, one by the second, one by both.
    assert made == [True] * 3
    first.end()
    second.note_next()
    second.end()
    assert model.train_function is plain


def test_the_plain_function_is_back_where_a_step_fails(model):
    plain = model.train_function
    steps = noting_steps(model)
    steps.note_next()
    x, y = tiny.tokens(8)
    with pytest.raises(ValueError, match="incompatible with the layer"):
        model.train_function(iter([(x[:, :3], y)]))
    assert model.train_function is plain
    assert not steps.gradients[0].are_noted()
    # And nobody notes what comes next.
    train(model)
    assert not steps.gradients[0].are_noted()


def test_the_end_takes_back_a_request_and_leaves_nothing(model):
    plain = model.train_function
    attributes = {*vars(model)}
    steps = noting_steps(model)
    steps.note_next()
    steps.end()
    assert model.train_function is plain
    assert {*vars(model)} == attributes


def test_after_a_new_compilation_the_old_functions_are_forgotten(model):
    steps = noting_steps(model)
    steps.note_next()
    train(model)
    model.compile("adam", "mse")
    model.make_train_function()
    plain = model.train_function
    steps = noting_steps(model)
    steps.note_next()
    train(model)
    assert model.train_function is plain
    assert int(model.optimizer.iterations) == 1
    assert steps.gradients[0].are_noted()
