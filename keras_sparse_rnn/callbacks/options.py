"""The options that presets of `RewiringCallback` pass on to it."""

import functools
import inspect

from keras_sparse_rnn.callbacks.rewiring_callback import RewiringCallback

REWIRING = (
    *("start", "end", "layers", "new_slots", "log_dir"),
    *("pruning", "pruned_together"),
)


def takes_options(*names):
    """Class decorator: `**options` of the constructor are these arguments.

    With this, `help()` and `inspect.signature()` show them, and an error about
    another one names the class.

    Args:
        *names: Strings, names of arguments of `RewiringCallback`.
    """
    known = inspect.signature(RewiringCallback.__init__).parameters

    def decorate(cls):
        constructor = cls.__init__
        own = inspect.signature(constructor).parameters.values()
        signature = inspect.Signature(
            [
                *(each for each in own if each.kind != each.VAR_KEYWORD),
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
            constructor(self, *args, **kwargs)

        __init__.__signature__ = signature
        cls.__init__ = __init__
        return cls

    return decorate
