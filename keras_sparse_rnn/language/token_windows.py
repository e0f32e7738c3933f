"""One long text as batches of windows, for truncated backpropagation."""

import reprlib

import numpy as np

from keras_sparse_rnn.arguments import check_integer

# Windows are arrays of this type.
_LARGEST_ID = np.iinfo("int32").max


def token_windows(
    tokens, batch_size, time_steps, before=None, vocabulary_size=None
):
    """Cuts a stream of tokens into windows, in batches for stateful layers.

    The stream is cut into `batch_size` parts of the same length, which lie
    side by side: row b of each batch goes on where row b of the one before
    ended, so that stateful layers carry their state from window to window, and
    gradients reach back to a window's beginning. Each token is predicted from
    those before it, once: what a part or the last window lacks is padding, of
    weight 0. `fit` must keep the order: pass it `shuffle=False`. Keras's loss
    is a mean that padding counts in; `Perplexity` leaves it out.

    Args:
        tokens: Integer array of shape `(n,)`, the ids, which `int32` must
            hold.
        batch_size: Integer of at least 1.
        time_steps: Integer of at least 1, the length of a window. A part of
            the stream must be as long at least.
        before: Integer, the id that stands before the first token, from which
            that is predicted, for instance that of the end of a sentence.
            Defaults to `None`: the first token is not predicted.
        vocabulary_size: Integer, how many ids the model knows. Defaults to
            `None`: not checked.

    Returns:
        Tuple of three arrays of shape `(batches * batch_size, time_steps)`:
        ids that a model reads, ids that it is to predict, and weights, floats
        that are 0 at padding and 1 elsewhere.

    Raises:
        ValueError: If `tokens` is no such array, an id is out of range, a size
            is below 1, or the stream is too short for a window.

    Example:

    ```python
    x, y, weights = ksr.token_windows(ids, 20, 35, before=eos)
    model.fit(
        x,
        y,
        sample_weight=weights,
        batch_size=20,
        shuffle=False,
        callbacks=[ksr.ResetStates()],
    )
    ```

    Reference:
        - Zaremba et al., Recurrent Neural Network Regularization,
          arXiv:1409.2329, section 4.1
    """
    check_integer("batch_size", batch_size, 1)
    check_integer("time_steps", time_steps, 1)
    tokens = _checked_tokens(tokens, vocabulary_size)
    length = len(tokens)
    if before is not None:
        check_integer("before", before, 0)
        _check_known(np.array([before]), "before", vocabulary_size)
        tokens = np.concatenate([np.array([before], tokens.dtype), tokens])
    predicted = max(len(tokens) - 1, 0)
    steps = -(-predicted // batch_size)
    if steps < time_steps:
        raise ValueError(
            f"Windows of {time_steps} time steps in batches of {batch_size} "
            "expect a stream in which at least "
            f"{(time_steps - 1) * batch_size + 1} tokens are predicted. "
            f"Received: len(tokens)={length}, of which {predicted} are"
        )
    return tuple(
        _in_windows(values, batch_size, steps, time_steps)
        for values in (
            tokens[:-1],
            tokens[1:],
            np.ones(predicted, np.float32),
        )
    )


def _in_windows(values, batch_size, steps, time_steps):
    """Parts of so many steps as rows, cut into batches one below the other."""
    parts = np.zeros(batch_size * steps, values.dtype)
    parts[: len(values)] = values
    parts = np.pad(
        parts.reshape(batch_size, steps), ((0, 0), (0, -steps % time_steps))
    )
    windows = parts.reshape(batch_size, -1, time_steps)
    return np.ascontiguousarray(windows.swapaxes(0, 1)).reshape(-1, time_steps)


def _checked_tokens(tokens, vocabulary_size):
    try:
        ids = np.asarray(tokens)
    except ValueError:
        # Of lists of different lengths NumPy makes no array.
        ids = None
    if ids is None or ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        received = (
            f"tokens={reprlib.repr(tokens)}"
            if ids is None or isinstance(tokens, (list, tuple))
            else f"shape={ids.shape}, dtype={ids.dtype}"
        )
        raise ValueError(
            "`tokens` must be an array of integers of shape `(n,)`. "
            f"Received: {received}"
        )
    if vocabulary_size is not None:
        check_integer("vocabulary_size", vocabulary_size, 1)
    _check_known(ids, "tokens", vocabulary_size)
    return ids.astype("int32")


def _check_known(ids, name, vocabulary_size):
    """Raises `ValueError` for ids that no model, or this one, can take."""
    highest, whose = _LARGEST_ID, "those that int32 holds"
    if vocabulary_size is not None and vocabulary_size <= _LARGEST_ID:
        highest, whose = vocabulary_size - 1, "those of the model's vocabulary"
    wrong = ids[(ids < 0) | (ids > highest)]
    if len(wrong):
        raise ValueError(
            f"`{name}` must be ids between 0 and {highest}, {whose}. "
            f"Received: {name} with {wrong[0]}"
        )
