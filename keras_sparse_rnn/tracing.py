"""Whether TensorFlow computes at once or traces a function.

Keras has no public word for it. Other backends trace as a rule: what is said
of them here is what is right for a traced function.
"""

import keras


def is_tracing():
    """Whether a function is being traced, and values are not known yet."""
    if keras.backend.backend() != "tensorflow":
        return True
    import tensorflow as tf

    return not tf.executing_eagerly()


def belongs_to_this_trace(tensor):
    """Whether the function that is being traced may use a tensor.

    A tensor that was made in the graph of this function, or of one around it,
    as the graph around a loop's body.
    """
    made_in = getattr(tensor, "graph", None)  # None: made in eager mode.
    return any(graph is made_in for graph in _graphs())


def is_of_this_graph(tensor):
    """Whether a tensor was made in this very graph, not in one around it."""
    return next(_graphs(), None) is getattr(tensor, "graph", None)


def _graphs():
    import tensorflow as tf

    graph = tf.compat.v1.get_default_graph()
    while graph is not None:
        yield graph
        graph = getattr(graph, "outer_graph", None)
