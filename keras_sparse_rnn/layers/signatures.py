"""The signatures of sparse layers: the namesake's arguments and more."""

import dataclasses
import inspect

from keras_sparse_rnn.arguments import named
from keras_sparse_rnn.layers.topology_arguments import TopologyArguments

# What Keras and sparse layers take out of `**kwargs`.
_TAKEN_UNNAMED = {
    "implementation",
    "input_dim",
    "input_shape",
    "topology_owner",
    "topology_place",
}


def check_names(cls, namesake, owner, arguments):
    """Checks that a sparse layer takes arguments of these names.

    Args:
        cls: Class of a sparse layer.
        namesake: Plain class that it extends.
        owner: String that names the layer in errors.
        arguments: Dict of the arguments.

    Raises:
        ValueError: If the class takes no argument of a name.
    """
    known = _TAKEN_UNNAMED.union(
        *(
            inspect.signature(base.__init__).parameters
            for base in cls.__mro__
            if "__init__" in vars(base)
        )
    )
    unknown = [name for name in arguments if name not in known]
    if unknown:
        raise ValueError(
            f"{owner} expects the arguments of "
            f"`{_public_name(namesake)}` and "
            f"{', '.join(f'`{name}`' for name in _added(cls))}, and no "
            "others. Received: "
            + ", ".join(f"{name}={arguments[name]!r}" for name in unknown)
        )


def check_added(cls, owner, arguments):
    """Checks arguments that a sparse layer takes on top of its namesake's.

    Args:
        cls: Class of a sparse layer.
        owner: String that names the layer in errors.
        arguments: Dict of the arguments.

    Raises:
        ValueError: If the class adds no argument of a name, or an argument is
            out of range.
    """
    added = _added(cls)
    unknown = [name for name in arguments if name not in added]
    if unknown:
        raise ValueError(
            f"{owner} expects only arguments that the plain layer does not "
            f"have: {', '.join(f'`{name}`' for name in added)}. Received: "
            + ", ".join(f"{name}={arguments[name]!r}" for name in unknown)
        )
    for argument_class in _argument_classes(cls):
        names = [field.name for field in dataclasses.fields(argument_class)]
        argument_class(
            **{name: arguments[name] for name in names if name in arguments}
        ).validated(owner)


def _public_name(namesake):
    package = namesake.__module__.partition(".")[0]
    layers = "keras.layers" if package == "keras" else package
    return f"{layers}.{namesake.__name__}"


def _argument_classes(cls):
    return getattr(cls, "argument_classes", (TopologyArguments,))


def _added(cls):
    """The fields of the arguments that a class adds, by name."""
    return {
        field.name: field
        for arguments in _argument_classes(cls)
        for field in dataclasses.fields(arguments)
    }


def takes_arguments_of(namesake):
    """Class decorator: the signature is the namesake's and what is added.

    The constructor itself passes on what it does not know, so that a layer
    takes every argument that its namesake takes in any release of Keras. With
    this, `help()` and `inspect.signature()` show them.
    """

    def decorate(cls):
        parameters = list(
            inspect.signature(namesake.__init__).parameters.values()
        )
        keywords = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
            )
            for field in _added(cls).values()
        ]

        def constructor(self, *args, **kwargs):
            try:
                super(cls, self).__init__(*args, **kwargs)
            except (TypeError, ValueError):
                # A misspelled argument is often why another one is missing.
                owner = named(type(self), kwargs.get("name"))
                check_names(type(self), namesake, owner, kwargs)
                raise

        constructor.__name__ = "__init__"
        constructor.__qualname__ = f"{cls.__qualname__}.__init__"
        constructor.__signature__ = inspect.Signature(
            [*parameters[:-1], *keywords, parameters[-1]]
        )
        cls.__init__ = constructor
        return cls

    return decorate
