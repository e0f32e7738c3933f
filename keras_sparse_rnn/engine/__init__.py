"""How a recurrence with sparse weights is executed."""

from keras_sparse_rnn.engine.masked import MaskedCell
from keras_sparse_rnn.engine.masked import MaskedWeight

__all__ = ["MaskedCell", "MaskedWeight"]
