"""What is said of trainings that are too short to rewire."""

import logging

import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from tests.callbacks import tiny

UNKNOWN_LENGTH = pytest.mark.filterwarnings("ignore:Your input ran out of data")


def unknown_length(batches=4):
    x, y = tiny.tokens()
    return tf.data.Dataset.from_generator(
        lambda: (
            (x[i : i + 8], y[i : i + 8]) for i in range(0, 8 * batches, 8)
        ),
        output_signature=(
            tf.TensorSpec((8, tiny.LENGTH), "int32"),
            tf.TensorSpec((8, 1), "float32"),
        ),
    )


def said(caplog, caught):
    """Logs and Python warnings of what is not rewired."""
    logged = [r.getMessage() for r in caplog.records]
    warned = [str(each.message) for each in caught]
    return tuple(
        [each for each in texts if "rewired" in each]
        for texts in (logged, warned)
    )


@pytest.mark.parametrize(
    ("options", "epochs", "noted"),
    [
        # One epoch is a fair thing to try.
        ({}, 1, "logged"),
        ({}, 2, None),
        ({"start": 0}, 1, None),
        ({"frequency": "2 epochs"}, 1, "warned"),
        ({"start": 3}, 3, "warned"),
        ({"end": 1}, 3, "warned"),
        ({"start": 3, "end": 9}, 3, "warned"),
        ({"frequency": 4}, 1, "warned"),
        ({"frequency": 3}, 1, None),
        ({"frequency": 3, "end": 3}, 2, "warned"),
    ],
)
def test_a_fit_too_short_to_rewire_is_told_of(
    options, epochs, noted, caplog, recwarn
):
    model = tiny.dense_model()
    with caplog.at_level(logging.INFO, logger="keras_sparse_rnn"):
        tiny.fit(model, ksr.SETCallback(0.5, **options), epochs=epochs)
    logged, warned = said(caplog, recwarn)
    assert len(logged) == (noted == "logged")
    assert len(warned) == (noted == "warned")
    for message in (*logged, *warned):
        assert message.startswith("No connection will be rewired: ")
        assert "`initial_epoch=`" in message
    [weight] = ksr.sparse_weights(model)
    assert (weight.rewirings == 0) is (noted is not None)


def test_the_rest_of_an_interrupted_training_is_not_warned_of(caplog, recwarn):
    model = tiny.dense_model()
    callback = ksr.SETCallback(0.5, frequency=7)
    tiny.fit(model, callback, epochs=2)
    tiny.fit(model, callback, initial_epoch=2, epochs=3)
    logged, warned = said(caplog, recwarn)
    assert len(logged) == 1
    assert not warned


@UNKNOWN_LENGTH
@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (
            lambda: ksr.RigLCallback(frequency=1000, end=5000),
            # Keras counts a step more where data run out.
            r"beginning of step 1000, counted from 0, .* after 1[2-5] steps",
        ),
        (
            lambda: ksr.SNFSCallback(frequency=16, end=99),
            "SNFSCallback rewired nothing: the first time would have been",
        ),
        (
            lambda: ksr.RigLCallback(frequency=100, end=50),
            "No connection will be rewired: .* it ends before step 50",
        ),
    ],
)
def test_one_of_unknown_length_is_warned_of_once_it_is_over(callback, message):
    model = tiny.text_model()
    with pytest.warns(UserWarning, match=message) as caught:
        tiny.fit(model, callback(), x=unknown_length(), y=None)
    assert len([w for w in caught if "rewired" in str(w.message)]) == 1


@UNKNOWN_LENGTH
def test_one_of_unknown_length_that_was_rewired_is_not(recwarn, caplog):
    model = tiny.dense_model()
    callback = ksr.SETCallback(0.5, frequency=11, end=99)
    tiny.fit(model, callback, x=unknown_length(), y=None)
    assert said(caplog, recwarn) == ([], [])
    # Its last rewiring was in the training before.
    tiny.fit(model, callback, x=unknown_length(2), y=None, epochs=1)
    assert said(caplog, recwarn) == ([], [])
