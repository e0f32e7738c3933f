"""What the choice of an engine goes by."""

import pytest

from keras_sparse_rnn.engine import choice


@pytest.fixture
def _without_gpu(monkeypatch):
    """The choice is the same where the tests run on a machine with a GPU."""
    monkeypatch.setattr(choice, "_has_gpu", lambda: False)
