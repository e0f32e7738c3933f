"""The arguments that say how a sparse layer is executed."""

import dataclasses

from keras_sparse_rnn.arguments import check_boolean
from keras_sparse_rnn.arguments import check_one_of
from keras_sparse_rnn.engine.choice import ENGINES


@dataclasses.dataclass(frozen=True)
class EngineArguments:
    """How a layer is executed.

    The fields are the layers' arguments, documented there.
    """

    engine: str = "auto"

    def validated(self, owner):
        """The same arguments, checked.

        Args:
            owner: String that names the layer in errors.

        Returns:
            The arguments.

        Raises:
            ValueError: If an argument is out of range.
        """
        try:
            self._check()
        except ValueError as error:
            raise ValueError(f"{owner}: {error}") from None
        return self

    def _check(self):
        check_one_of("engine", self.engine, ENGINES)


@dataclasses.dataclass(frozen=True)
class RecurrenceArguments(EngineArguments):
    """How a recurrence is executed."""

    recompute_gates: bool = False

    def _check(self):
        super()._check()
        check_boolean("recompute_gates", self.recompute_gates)


# Of all layers.
ENGINE_ARGUMENT_NAMES = tuple(
    field.name for field in dataclasses.fields(RecurrenceArguments)
)
