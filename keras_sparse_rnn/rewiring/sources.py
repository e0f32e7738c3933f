"""What a rule's functions look at besides their arguments by place.

A function asks for it by the name of a keyword-only parameter without a
default, as in `def largest_gradient(mask, count, rng, *, gradient)`. A
parameter with a default is the function's own affair and is never supplied, so
`functools.partial(below_threshold, threshold=0.01)` asks for nothing.
"""

import inspect

import numpy as np

from keras_sparse_rnn.arguments import is_number

MAY_ASK = {
    "drop": frozenset({"rng", "threshold", "signs"}),
    "grow": frozenset({"dropped", "gradient", "momentum"}),
    "new_values": frozenset(),
    "schedule": frozenset(),
    "redistribute": frozenset({"momentum"}),
    "walk": frozenset({"signs", "learning_rate", "steps"}),
}
# What is not at hand in a rewiring: someone must supply it.
SOURCES = frozenset({"threshold", "signs", "gradient", "momentum"})


def asked_by(function):
    """The names that a function asks for.

    Args:
        function: A callable, or `None`, which asks for nothing.

    Returns:
        Frozenset of strings.
    """
    if function is None:
        return frozenset()
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        # Some functions written in C tell no signature: they cannot ask.
        return frozenset()
    return frozenset(
        parameter.name
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY
        and parameter.default is parameter.empty
    )


def check_asked(role, function):
    """Raises `ValueError` if a function asks for what its role cannot have.

    Args:
        role: String, a key of `MAY_ASK`.
        function: A callable or `None`.
    """
    unknown = asked_by(function) - MAY_ASK[role]
    if unknown:
        raise ValueError(
            f"`{role}` may ask, by keyword-only parameters without a default, "
            f"for {sorted(MAY_ASK[role])} only. Received: {role}="
            f"{function!r}, which asks for {sorted(unknown)}"
        )


def check_sources(needs, sources, shape):
    """Raises `ValueError` unless the sources fit a matrix and a rule.

    Args:
        needs: Set of names, those that must be there.
        sources: Dict from names to what was supplied: `threshold` a number,
            the others arrays. More than is needed does no harm.
        shape: Tuple of integers, the packed matrix's shape.
    """
    unknown = sources.keys() - SOURCES
    if unknown:
        raise ValueError(
            f"What a rule can look at is {sorted(SOURCES)}. "
            f"Received: sources={sorted(unknown)}"
        )
    missing = [name for name in sorted(needs) if sources.get(name) is None]
    if missing:
        given = sorted(name for name in sources if sources[name] is not None)
        raise ValueError(
            f"The rule looks at {missing}, which must be supplied by keyword. "
            f"Received: sources={given}"
        )
    for name in sorted(needs):
        value = sources[name]
        if name == "threshold":
            if not (is_number(value) and 0 <= value < np.inf):
                raise ValueError(
                    "`threshold` must be a finite number of at least 0. "
                    f"Received: threshold={value!r}"
                )
        elif np.shape(value) != shape:
            raise ValueError(
                f"`{name}` must be an array of the weight's shape {shape}. "
                f"Received: {name}.shape={np.shape(value)}"
            )


def magnitude_in(group, source):
    """The magnitude of a source at each place of a group.

    Args:
        group: `Group`.
        source: Array of the packed matrix's shape.

    Returns:
        Array of shape `(inputs, outputs)`, the sum of magnitudes over the
        weights that a connection there would carry.
    """
    return np.abs(group.view(np.asarray(source))).sum(axis=1)


def mean_magnitude_in(group, source, mask):
    """The mean magnitude of a source over the weights of a group.

    Args:
        group: `Group`.
        source: Array of the packed matrix's shape.
        mask: Boolean array of the same shape.

    Returns:
        Float, the mean over the group's weights that are connections, 0 if
        there are none.
    """
    among = group.view(np.asarray(source))[group.view(mask)]
    return float(np.abs(among).mean()) if among.size else 0.0
