"""From masks and matrices to connections and their weights, and back.

The kernels know of connections alone. Layers whose variables are matrices come
to them through here.
"""

import numpy as np

from keras_sparse_rnn.engine import compressed
from keras_sparse_rnn.engine import library
from keras_sparse_rnn.engine import memory
from keras_sparse_rnn.engine.checked_arrays import check_array
from keras_sparse_rnn.engine.checked_connections import check_connections


def compress(
    kind, kernel_mask, recurrent_mask=None, input_copies=1, state_copies=1
):
    """The connections of two masks, or of one.

    Args:
        kind: `CellKind`.
        kernel_mask: Boolean array of shape `(inputs, gates * units)`.
        recurrent_mask: Boolean array of shape `(units, gates * units)`, or
            `None` for a product.
        input_copies: Integer, 1 or the number of gates. Defaults to 1.
        state_copies: Integer, 1 or the number of gates. Defaults to 1.

    Returns:
        `Connections`, whose arrays are read-only.

    Raises:
        ValueError: If the masks are no boolean matrices that fit together, or
            have more than `compressed.MOST_PLACES`.
    """
    if recurrent_mask is None:
        recurrent_mask = kernel_mask[:0]
    units = _checked_units(kind, kernel_mask, recurrent_mask)
    matrices = [
        mask.reshape(len(mask), kind.gates, units)
        for mask in (kernel_mask, recurrent_mask)
    ]
    tied = (
        kind.can_be_tied
        and input_copies == state_copies == 1
        and all((each == each[:, :1]).all() for each in matrices)
    )
    layout = compressed.Layout(
        kind, len(kernel_mask), units, input_copies, state_copies, tied
    )
    places = np.concatenate(
        [
            np.flatnonzero(kernel_mask),
            kernel_mask.size + np.flatnonzero(recurrent_mask),
        ]
    )
    if tied:
        places = places[places % layout.columns < units]
    return compressed.arrange(layout, places)


def collect(settings, connections, matrices):
    """The weights of the connections.

    Args:
        settings: `recurrence.Settings`.
        connections: `Connections`.
        matrices: List of contiguous `float32` arrays, the kernel and, but for
            a product, the recurrent kernel, of `connections.matrix_shapes`.

    Returns:
        `float32` array, in the order of `connections.places`.

    Raises:
        ValueError: If there is a matrix too many or too few, or one is no
            array, not contiguous, or of another shape or type.
        NativeKernelsError: If the lists of connections are out of range or
            not in order.
        MemoryError: If there is not enough memory.
    """
    check_connections(settings, connections)
    shapes = connections.matrix_shapes
    names = compressed.MATRIX_NAMES[: len(shapes)]
    if len(matrices) != len(shapes):
        raise ValueError(
            f"{settings.owner} expects a list of `{'` and `'.join(names)}`. "
            f"Received: len(matrices)={len(matrices)}"
        )
    for name, matrix, shape in zip(names, matrices, shapes, strict=True):
        check_array(settings.owner, name, matrix, shape)
    weights = memory.empty(connections.places.shape)
    _run("ksr_gather", settings, connections, matrices, weights)
    return weights


def spread(settings, connections, weights):
    """The matrices of a layer from the weights of its connections.

    Args:
        settings: `recurrence.Settings`.
        connections: `Connections`.
        weights: Contiguous `float32` array in the order of
            `connections.places`, of weights or of their gradients.

    Returns:
        List of `float32` arrays like those of `collect`, which are 0 where
        there is no connection.

    Raises:
        ValueError: If `weights` is no array, not contiguous, or of another
            shape or type.
        NativeKernelsError: If the lists of connections are out of range or
            not in order.
        MemoryError: If there is not enough memory.
    """
    check_connections(settings, connections)
    check_array(settings.owner, "weights", weights, connections.places.shape)
    matrices = [memory.empty(shape) for shape in connections.matrix_shapes]
    _run("ksr_scatter", settings, connections, matrices, weights)
    return matrices


def _checked_units(kind, kernel_mask, recurrent_mask):
    """How many units there are, if the masks fit together."""
    for name, mask in (
        ("kernel_mask", kernel_mask),
        ("recurrent_mask", recurrent_mask),
    ):
        if mask.dtype != bool or mask.ndim != 2:
            raise ValueError(
                f"`{name}` must be a boolean matrix. Received: "
                f"{name}.dtype={mask.dtype}, {name}.shape={mask.shape}"
            )
    units = len(recurrent_mask) if kind.states else kernel_mask.shape[1]
    columns = kind.gates * units
    if not kernel_mask.shape[1] == recurrent_mask.shape[1] == columns:
        raise ValueError(
            f"Both masks must have {columns} columns, {kind.gates} gates of "
            f"{units} units. Received: "
            f"kernel_mask.shape={kernel_mask.shape}, "
            f"recurrent_mask.shape={recurrent_mask.shape}"
        )
    return units


def _run(function, settings, connections, matrices, weights):
    first, second = matrices if len(matrices) == 2 else (*matrices, weights[:0])
    status = getattr(library.load(), function)(
        first.ctypes.data,
        first.size,
        second.ctypes.data,
        second.size,
        connections.places.ctypes.data,
        len(connections.places),
        weights.ctypes.data,
        settings.threads,
    )
    library.check(status, settings.owner)
