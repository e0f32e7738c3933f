"""These tests are of pure NumPy code: there is nothing of Keras to reset."""

import pytest


@pytest.fixture(autouse=True)
def _fresh_keras():
    """In place of the fixture above, which takes longer than these tests."""
