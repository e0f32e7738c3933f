"""The options that presets of `RewiringCallback` pass on to it."""

import functools
import inspect

from keras_sparse_rnn.callbacks.rewiring_callback import RewiringCallback

REWIRING = (
    *("start", "end", "layers", "new_slots", "log_dir"),
    *("pruning", "pruned_together"),
)


def takes_options(*names, by_place=()):
    """Class decorator: `**options` of the constructor are these arguments.

    With this, `help()` and `inspect.signature()` show them, and an error about
    another one names the class.

    Args:
        *names: Strings, names of arguments of `RewiringCallback`.
        by_place: Tuple of strings, more of them, which may be passed by place
            too, after the constructor's own. Defaults to `()`.
    """
    known = inspect.signature(RewiringCallback.__init__).parameters

    def decorate(cls):
        constructor = cls.__init__
        own = inspect.signature(constructor).parameters.values()
        signature = inspect.Signature(
            [
                *(each for each in own if each.kind != each.VAR_KEYWORD),
                *(known[name] for name in by_place),
                *(
                    known[name].replace(kind=inspect.Parameter.KEYWORD_ONLY)
                    for name in names
                ),
            ]
        )

        @functools.wraps(constructor)
        def __init__(self, *args, **kwargs):  # noqa: N807
            unknown = [
                each for each in kwargs if each not in signature.parameters
            ]
            if unknown:
                raise TypeError(
                    f"{cls.__name__} expects the arguments "
                    f"{[*signature.parameters][1:]}. Received: "
                    + ", ".join(f"{each}={kwargs[each]!r}" for each in unknown)
                )
            try:
                bound = signature.bind(self, *args, **kwargs)
            except TypeError as error:
                # Python's own says `__init__()`, of no class.
                raise TypeError(
                    f"{cls.__name__} expects the arguments "
                    f"{[*signature.parameters][1:]}: {error}"
                ) from None
            constructor(**bound.arguments)

        __init__.__signature__ = signature
        cls.__init__ = __init__
        return cls

    return decorate
