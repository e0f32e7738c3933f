import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import keras_sparse_rnn as ksr

BEFORE = 7


def test_rows_go_on_from_batch_to_batch():
    inputs, targets, weights = ksr.token_windows(
        np.arange(1, 13), batch_size=2, time_steps=3, before=0
    )
    assert inputs.tolist() == [[0, 1, 2], [6, 7, 8], [3, 4, 5], [9, 10, 11]]
    assert targets.tolist() == [[1, 2, 3], [7, 8, 9], [4, 5, 6], [10, 11, 12]]
    assert weights.tolist() == [[1, 1, 1]] * 4


def test_tail_is_padded_with_weight_0():
    _, _, weights = ksr.token_windows(np.arange(1, 8), 2, 3, before=0)
    assert weights.tolist() == [[1, 1, 1], [1, 1, 1], [1, 0, 0], [0, 0, 0]]


def test_first_token_is_not_predicted_without_one_before():
    inputs, targets, weights = ksr.token_windows(np.arange(5), 1, 2)
    assert inputs.tolist() == [[0, 1], [2, 3]]
    assert targets.tolist() == [[1, 2], [3, 4]]
    assert weights.all()


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=60),
    st.integers(1, 7),
    st.integers(1, 9),
    st.booleans(),
)
def test_each_token_is_predicted_once_from_the_one_before(
    tokens, batch_size, time_steps, has_before
):
    before = BEFORE if has_before else None
    predicted = len(tokens) - (not has_before)
    if -(-predicted // batch_size) < time_steps:
        with pytest.raises(ValueError, match="tokens are predicted"):
            ksr.token_windows(tokens, batch_size, time_steps, before)
        return
    windows = ksr.token_windows(tokens, batch_size, time_steps, before)
    # Row b of all batches, one after the other.
    inputs, targets, weights = (
        np.concatenate(
            [each[b::batch_size].reshape(-1) for b in range(batch_size)]
        )
        for each in windows
    )
    assert len(inputs) % (batch_size * time_steps) == 0
    context = [BEFORE, *tokens] if has_before else tokens
    assert inputs[weights == 1].tolist() == context[:-1]
    assert targets[weights == 1].tolist() == context[1:]
    assert set(weights.tolist()) <= {0, 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tokens": [1.0, 2.0]}, r"array of integers.*tokens=\[1.0, 2.0\]"),
        ({"tokens": [[1, 2]]}, r"of integers.*tokens=\[\[1, 2\]\]"),
        ({"tokens": [[1, 2], [3]]}, r"of integers.*tokens=\[\[1, 2\], \[3"),
        ({"tokens": []}, r"array of integers.*Received: tokens=\[\]"),
        ({"tokens": np.ones((1, 2))}, r"shape=\(1, 2\), dtype=float64"),
        ({"tokens": np.arange(0)}, r"Received: len\(tokens\)=0"),
        ({"batch_size": 0}, "Received: batch_size=0"),
        ({"time_steps": 0}, "Received: time_steps=0"),
        ({"tokens": [1, -1]}, "between 0 and.*Received: tokens with -1"),
        (
            {"tokens": np.arange(10) + 2**33},
            f"0 and {2**31 - 1}, .*Received: tokens with {2**33}$",
        ),
        (
            {"tokens": np.array([2**63], "uint64")},
            f"int32 holds.*tokens with {2**63}$",
        ),
        (
            {"tokens": [0, 2**31], "vocabulary_size": 2**40},
            f"int32 holds.*tokens with {2**31}$",
        ),
        ({"before": 2**33}, f"int32 holds.*Received: before with {2**33}$"),
        ({"before": 2**70}, f"int32 holds.*Received: before with {2**70}$"),
        ({"vocabulary_size": 3}, "0 and 2.*Received: tokens with 3"),
        ({"before": 9, "vocabulary_size": 4}, "Received: before with 9"),
        ({"before": -1}, "Received: before=-1"),
        ({"time_steps": 4}, "at least 4 tokens.*len.*=4, of which 3"),
    ],
)
def test_refuses_what_makes_no_stream(arguments, message):
    with pytest.raises(ValueError, match=message):
        ksr.token_windows(
            **{
                "tokens": np.arange(4),
                "batch_size": 1,
                "time_steps": 1,
                **arguments,
            }
        )


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "uint64"])
def test_ids_of_any_type_of_integers_are_read(dtype):
    tokens = np.array([3, 1, 2], dtype)
    for vocabulary_size in (None, 300, 2**40):
        for before in (9, 299):
            inputs, targets, _ = ksr.token_windows(
                tokens, 1, 3, before, vocabulary_size
            )
            assert inputs.tolist() == [[before, 3, 1]]
            assert targets.tolist() == [[3, 1, 2]]
            assert inputs.dtype == targets.dtype == "int32"


def test_the_largest_id_is_that_of_int32():
    largest = 2**31 - 1
    inputs, targets, _ = ksr.token_windows([largest], 1, 1, before=largest)
    assert inputs.tolist() == targets.tolist() == [[largest]]


def language_model(batch_size, time_steps):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(batch_size, time_steps), dtype="int32"),
            keras.layers.Embedding(10, 6),
            ksr.SparseLSTM(
                8, return_sequences=True, stateful=True, sparsity=0.5
            ),
            keras.layers.Dense(10),
        ]
    )
    model.compile(
        "sgd",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[ksr.Perplexity(from_logits=True)],
    )
    return model


@pytest.mark.parametrize("batch_size", [1, 3])
def test_perplexity_of_a_stream_is_that_of_all_its_tokens_at_once(batch_size):
    tokens = np.random.default_rng(0).integers(0, 10, 50)
    stateful = language_model(batch_size, 7)
    x, y, weights = ksr.token_windows(tokens, batch_size, 7, before=0)
    found = stateful.evaluate(
        x,
        y,
        sample_weight=weights,
        batch_size=batch_size,
        verbose=0,
        return_dict=True,
        callbacks=[ksr.ResetStates()],
    )["perplexity"]
    # In one window; each of the parts begins with a state of 0.
    steps = -(-50 // batch_size)
    whole = language_model(batch_size, steps)
    whole.set_weights(stateful.get_weights())
    x, y, weights = ksr.token_windows(tokens, batch_size, steps, before=0)
    logits = whole.predict(x, batch_size=batch_size, verbose=0)
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    of_targets = np.take_along_axis(shares, y[..., None], -1)[..., 0]
    expected = np.exp(-np.log(of_targets[weights == 1]).mean())
    assert found == pytest.approx(expected, rel=1e-5)
