import math

import keras
import numpy as np
import pytest
from language_network import LanguageModelSize
from language_network import build_language_model
from language_settings import PRESETS
from language_training import perplexity

SIZE = LanguageModelSize(7, 3, (4,))


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    return build_language_model(SIZE, 1, 1)


def score(model, ids, **arguments):
    ids = np.array(ids, "int32")
    return perplexity(model, SIZE, ids, PRESETS["tiny"], **arguments)


def test_perplexity_is_that_of_the_text_read_at_once(model):
    ids = np.random.default_rng(0).integers(0, 7, 1203)
    reader = build_language_model(SIZE, 1, len(ids))
    reader.set_weights(model.get_weights())
    # The end of a line stands before a text.
    logits = reader.predict(np.array([[0, *ids[:-1]]]), verbose=0)[0]
    chances = keras.ops.log_softmax(logits.astype("float64"))
    chosen = np.asarray(chances)[np.arange(len(ids)), ids]
    assert score(model, ids) == pytest.approx(
        math.exp(-chosen.mean()), rel=1e-5
    )


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, 7], r"'to score' of the text: .*7"),
        ([0, -1], r"'to score' of the text: .*-1"),
        ([], "'to score' of the text: .*token"),
    ],
)
def test_texts_that_the_model_cannot_score_are_refused(model, ids, message):
    with pytest.raises(ValueError, match=message):
        score(model, ids)
