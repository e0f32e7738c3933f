"""Which units of a network are connected: masks, and what they link."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Units:
    """Units of a layer, or places of an input, whose order is one of many.

    Args:
        name: String, by which the units are told from others of the network.
        size: Integer, how many there are.
    """

    name: str
    size: int


@dataclasses.dataclass(frozen=True, eq=False)
class Connections:
    """Connections of one matrix.

    Args:
        path: String, the matrix's path in its model.
        mask: Boolean array of shape `(inputs, gates * units)`, the gates side
            by side as Keras packs them.
        inputs: Tuple of `Units`, those that the rows belong to, one after the
            other; `None` if it is not known.
        outputs: `Units`, those that each gate's columns belong to.

    Raises:
        ValueError: If the mask is no matrix, or the sizes do not fit it.
    """

    path: str
    mask: np.ndarray
    inputs: tuple
    outputs: Units

    def __post_init__(self):
        mask = np.asarray(self.mask, bool)
        check_is_matrix(self.path, mask)
        object.__setattr__(self, "mask", mask)
        size = self.outputs.size
        if size < 1 or mask.shape[1] % size:
            raise ValueError(
                f"The columns of '{self.path}' must be those of one or more "
                f"gates of {size} units each. Received: mask.shape={mask.shape}"
            )
        if self.inputs is None:
            return
        object.__setattr__(self, "inputs", tuple(self.inputs))
        rows = sum(units.size for units in self.inputs)
        if rows != mask.shape[0]:
            raise ValueError(
                f"The rows of '{self.path}' must be as many as its inputs, "
                f"{rows}. Received: mask.shape={mask.shape}"
            )

    @property
    def gates(self):
        """Integer, how many gates are packed side by side."""
        return self.mask.shape[1] // self.outputs.size

    def by_unit(self):
        """The mask as `(inputs, gates, units)`, no copy."""
        return self.mask.reshape(-1, self.gates, self.outputs.size)


@dataclasses.dataclass(frozen=True, eq=False)
class NetworkTopology:
    """Connections of a network at one time.

    Args:
        matrices: Tuple of `Connections`, in the order of the layers.

    Raises:
        ValueError: If there is no matrix, or two of them disagree on how many
            units of one name there are.
    """

    matrices: tuple

    def __post_init__(self):
        object.__setattr__(self, "matrices", tuple(self.matrices))
        if not self.matrices:
            raise ValueError(
                "A topology must have at least one matrix. "
                f"Received: matrices={self.matrices}"
            )
        sizes = {}
        for matrix in self.matrices:
            for units in (*(matrix.inputs or ()), matrix.outputs):
                if sizes.setdefault(units.name, units.size) != units.size:
                    raise ValueError(
                        f"'{matrix.path}' must have {sizes[units.name]} units "
                        f"of the name '{units.name}', as other matrices do. "
                        f"Received: size={units.size}"
                    )

    @property
    def masks(self):
        """Tuple of boolean arrays, one per matrix."""
        return tuple(matrix.mask for matrix in self.matrices)

    @property
    def active(self):
        """Integer, the number of connections."""
        return sum(int(np.count_nonzero(mask)) for mask in self.masks)

    @property
    def total(self):
        """Integer, the number of places."""
        return sum(mask.size for mask in self.masks)

    @property
    def layers(self):
        """Tuple of `Units` that connections lead to, in order, each once."""
        return tuple(dict.fromkeys(matrix.outputs for matrix in self.matrices))

    def places(self):
        """All masks in one boolean array, `(total,)`."""
        return np.concatenate([mask.reshape(-1) for mask in self.masks])

    def into(self, units):
        """List of the `Connections` that lead to these units."""
        return [m for m in self.matrices if m.outputs == units]


def check_is_matrix(path, mask):
    """Raises `ValueError` unless a mask has two dimensions and columns."""
    if mask.ndim != 2 or not mask.shape[1]:
        raise ValueError(
            f"The mask of '{path}' must be of shape (inputs, columns). "
            f"Received: mask.shape={mask.shape}"
        )
