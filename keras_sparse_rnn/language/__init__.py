"""What training a language model on a stream of tokens takes."""

from keras_sparse_rnn.language.perplexity import Perplexity
from keras_sparse_rnn.language.token_windows import token_windows

__all__ = ["Perplexity", "token_windows"]
