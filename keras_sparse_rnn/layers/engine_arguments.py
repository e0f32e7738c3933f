"""The arguments that say how a sparse recurrent layer is executed."""

import dataclasses

from keras_sparse_rnn.arguments import check_boolean
from keras_sparse_rnn.arguments import check_one_of
from keras_sparse_rnn.engine.choice import ENGINES


@dataclasses.dataclass(frozen=True)
class EngineArguments:
    """How a recurrence is executed.

    The fields are the layers' arguments, documented there.
    """

    engine: str = "auto"
    recompute_gates: bool = False

    def validated(self, owner):
        """The same arguments, checked.

        Args:
            owner: String that names the layer in errors.

        Returns:
            `EngineArguments`.

        Raises:
            ValueError: If an argument is out of range.
        """
        try:
            check_one_of("engine", self.engine, ENGINES)
            check_boolean("recompute_gates", self.recompute_gates)
        except ValueError as error:
            raise ValueError(f"{owner}: {error}") from None
        return self


ENGINE_ARGUMENT_NAMES = tuple(
    field.name for field in dataclasses.fields(EngineArguments)
)
