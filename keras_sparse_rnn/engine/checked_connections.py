"""Lists of connections as the kernels are given them, checked before that."""

import ctypes
import weakref

import numpy as np

from keras_sparse_rnn.engine import library
from keras_sparse_rnn.engine.compressed import PADDING
from keras_sparse_rnn.engine.compressed import weights_fit

# Found good, by identity: equality would compare their arrays.
_checked = weakref.WeakValueDictionary()


def check_connections(settings, connections):
    """Raises if a list of connections is out of range or not in order.

    By such lists the kernels would read and write where they must not. What
    was found good and cannot change is not looked at again.

    Args:
        settings: `Settings`.
        connections: `Connections`.

    Raises:
        NativeKernelsError: If it is.
    """
    is_fixed = not any(map(_can_change, _arrays(connections)))
    if is_fixed and _checked.get(id(connections)) is connections:
        return
    # The kernels cannot see how long an array is.
    if not _lists_fit(connections):
        library.check(library.BAD_CONNECTIONS, settings.owner)
    filled = Fields(settings, connections)
    filled.fields.batch = filled.fields.steps = 1
    library.check(
        library.load().ksr_check_connections(ctypes.byref(filled.fields)),
        settings.owner,
    )
    # Nor where in a layer's matrices a weight lies.
    if not weights_fit(connections):
        library.check(library.BAD_CONNECTIONS, settings.owner)
    if is_fixed:
        _checked[id(connections)] = connections


def _arrays(connections):
    for lists in (connections.rows, connections.features):
        yield from (lists.starts, lists.sources, lists.order)
    yield from (connections.places, connections.turned)


def _can_change(array):
    """Whether it can be written to, or what it is a view of."""
    return array.flags.writeable or array.base is not None


def _lists_fit(connections):
    """Whether all lists are as long as the kernels take them to be."""
    each = connections.weights_per_connection
    count = len(connections.places) // each
    lengths = [
        (connections.places, count * each),
        (connections.turned, count * each),
    ]
    for lists, is_ordered in (
        (connections.rows, not connections.tied),
        (connections.features, True),
    ):
        sums = len(lists.starts) - 1
        lengths += [
            (lists.starts, sums + 1),
            (lists.sources, count + PADDING),
            (lists.order, sums if is_ordered else 0),
        ]
    return all(
        array.shape == (length,)
        and array.dtype == np.int32
        and array.flags.c_contiguous
        for array, length in lengths
    ) and (
        connections.rows.starts[-1] == connections.features.starts[-1] == count
    )


class Fields:
    """The C structure, with the arrays that it points to.

    Args:
        settings: `recurrence.Settings`.
        connections: `Connections`, of which only the arrays' addresses and
            the lengths of lists are read.
    """

    def __init__(self, settings, connections):
        self.owner = settings.owner
        self._alive = []
        self.fields = library.Recurrence(
            cell=connections.kind.number,
            threads=settings.threads,
            backwards=settings.go_backwards,
            keeps_gates=settings.keeps_gates,
            tied=connections.tied,
            inputs=connections.inputs,
            units=connections.units,
            input_copies=connections.input_copies,
            state_copies=connections.state_copies,
        )
        for name in ("rows", "features"):
            lists, given = (
                getattr(self.fields, name),
                getattr(connections, name),
            )
            lists.sums = len(given.starts) - 1
            for field in ("starts", "sources", "order"):
                setattr(lists, field, self.address(getattr(given, field)))

    def address(self, array):
        """Where an array lies, which is kept from being freed."""
        self._alive.append(array)
        return array.ctypes.data
