"""Labelled texts as arrays of word ids, a validation part set aside."""

import dataclasses

from text_pipeline import TextVectorizer
from text_pipeline import build_vocabulary
from text_split import stratified_split


@dataclasses.dataclass(frozen=True)
class TextArrays:
    """What a model is trained, validated and tested on.

    Args:
        vocabulary: List of bytes, the words that have an id of their own.
        vectorizer: The `TextVectorizer` that made the arrays.
        train: Tuple `(ids, labels)` of NumPy arrays.
        validation: Tuple, likewise.
        test: Tuple, likewise.
    """

    vocabulary: list
    vectorizer: TextVectorizer
    train: tuple
    validation: tuple
    test: tuple


def text_arrays(
    data, vocabulary_size, sequence_length, validation_fraction, seed
):
    """Splits and vectorises a data set.

    Args:
        data: `TextData`.
        vocabulary_size: Integer, see `build_vocabulary`.
        sequence_length: Integer, see `TextVectorizer`.
        validation_fraction: Float between 0 and 1, the share of the training
            texts that is set aside.
        seed: Integer, of the split.

    Returns:
        A `TextArrays`.

    Raises:
        ValueError: If there is too little to split, or no word.
    """
    trained, validated = stratified_split(
        data.train_labels, validation_fraction, seed, data.train_groups
    )
    # It comes from the texts that are trained on, no others.
    vocabulary = build_vocabulary(
        [data.train_texts[i] for i in trained], vocabulary_size
    )
    vectorizer = TextVectorizer(vocabulary, sequence_length)
    ids = vectorizer.arrays(data.train_texts)
    return TextArrays(
        vocabulary,
        vectorizer,
        (ids[trained], data.train_labels[trained]),
        (ids[validated], data.train_labels[validated]),
        (vectorizer.arrays(data.test_texts), data.test_labels),
    )
