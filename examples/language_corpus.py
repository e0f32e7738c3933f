"""The parts of a text as ids of tokens, and in windows."""

import dataclasses

import numpy as np
from language_pipeline import END_ID
from language_pipeline import build_vocabulary
from language_pipeline import token_ids
from language_pipeline import tokens_of

import keras_sparse_rnn as ksr


@dataclasses.dataclass(frozen=True)
class Corpus:
    """The parts of a text as ids.

    Args:
        vocabulary: List of bytes.
        train: Integer array.
        valid: Integer array.
        test: Integer array.
        is_tokenized: As for `language_pipeline.tokenize`.
    """

    vocabulary: list
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    is_tokenized: bool


def read_corpus(data, vocabulary_size):
    """The parts of a text as ids of tokens.

    Args:
        data: `LanguageData`.
        vocabulary_size: Integer, most ids.

    Returns:
        `Corpus`.

    Raises:
        ValueError: If the training text has no token.
    """
    tokens = [
        tokens_of(text, data.is_tokenized)
        for text in (data.train, data.valid, data.test)
    ]
    vocabulary = build_vocabulary(tokens[0], vocabulary_size)
    return Corpus(
        vocabulary,
        *(token_ids(each, vocabulary) for each in tokens),
        data.is_tokenized,
    )


def windows_of(ids, batch_size, time_steps, vocabulary_size, part):
    """A part of a text in windows; the end of a line stands before it.

    Args:
        ids: Integer array of shape `(n,)`.
        batch_size: Integer.
        time_steps: Integer.
        vocabulary_size: Integer, which all ids must be below.
        part: String, which part of the text it is, for errors.

    Returns:
        Tuple of three arrays, as of `ksr.token_windows`.

    Raises:
        ValueError: If the text is too short, or of another vocabulary.
    """
    try:
        return ksr.token_windows(
            ids,
            batch_size,
            time_steps,
            before=END_ID,
            vocabulary_size=vocabulary_size,
        )
    except ValueError as error:
        raise ValueError(f"The part '{part}' of the text: {error}") from None
