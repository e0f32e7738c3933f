"""Lists of connections that no kernel may be given, and who stops them."""

import dataclasses
import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

from keras_sparse_rnn.engine import checked_connections
from keras_sparse_rnn.engine import dense_matrices
from keras_sparse_rnn.engine import library
from keras_sparse_rnn.engine import memory
from keras_sparse_rnn.engine import native
from keras_sparse_rnn.engine import recurrence
from tests.engine import sequences
from tests.engine.sequences import KINDS

pytestmark = pytest.mark.skipif(
    not library.is_available(), reason="The native kernels were not built."
)
SETTINGS = recurrence.Settings("a layer")
UNITS = 21
# Cells, and whether their gates share connections.
CELLS = {
    **{name: (kind, False) for name, kind in KINDS.items()},
    **{
        f"{name}, tied": (kind, True)
        for name, kind in KINDS.items()
        if kind.can_be_tied
    },
}


def connections_of(cell):
    kind, tied = CELLS[cell]
    drawn = sequences.example(
        kind, inputs=20, units=UNITS, density=0.8, tied=tied
    )
    assert drawn.connections.tied == tied
    return drawn.connections


def changed(field, change):
    """Changes a copy of one field of lists in place."""

    def spoil(lists):
        array = getattr(lists, field).copy()
        change(array, lists)
        return dataclasses.replace(lists, **{field: array})

    return spoil


def replaced(field, change):
    """Puts another array in the place of a field of lists."""

    def spoil(lists):
        return dataclasses.replace(lists, **{field: change(lists)})

    return spoil


def put(index, value):
    def change(array, _):
        array[index] = value

    return change


def swap(first, second):
    def change(array, _):
        array[[first, second]] = array[[second, first]]

    return change


def twice(array, lists):
    first = pair_of(lists)
    array[first + 1] = array[first]


def unsorted(array, lists):
    first = pair_of(lists)
    array[[first, first + 1]] = array[[first + 1, first]]


def as_the_last(array, _):
    array[0] = array[-1]


def of_another_gate(array, _):
    array[0] += UNITS


def pair_of(lists):
    """Where the first result with two connections has its first."""
    return lists.starts[np.flatnonzero(np.diff(lists.starts) > 1)[0]]


SPOILS = {
    "a source below 0": changed("sources", put(0, -1)),
    "a source out of range": changed("sources", put(3, 1000)),
    "a source that is far out": changed("sources", put(3, 2**31 - 1)),
    "a source twice": changed("sources", twice),
    "sources not in order": changed("sources", unsorted),
    "padding that is not 0": changed("sources", put(-1, 1)),
    "a start after 0": changed("starts", put(0, 1)),
    "a start below 0": changed("starts", put(1, -1)),
    "starts that go back": changed("starts", put(2, 0)),
    "starts beyond the end": changed("starts", put(-1, 10**6)),
    "too few starts": replaced("starts", lambda lists: lists.starts[:-1]),
    "no padding": replaced("sources", lambda lists: lists.sources[:-16]),
    "sources of int64": replaced(
        "sources", lambda lists: lists.sources.astype(np.int64)
    ),
    "starts with gaps": replaced(
        "starts", lambda lists: np.repeat(lists.starts, 2)[::2]
    ),
}
ORDER_SPOILS = {
    "a result twice": changed("order", put(1, 0)),
    "a result below 0": changed("order", put(0, -1)),
    "a result out of range": changed("order", put(0, 1000)),
    "a result of another group": changed("order", swap(0, -1)),
    "too few results": replaced("order", lambda lists: lists.order[:-1]),
}


def spoiled():
    """All cells with all that can be wrong."""
    for cell, (_, tied) in CELLS.items():
        for field in ("rows", "features"):
            # Without an order in the tied lists of rows, none can be wrong.
            spoils = {**SPOILS, **ORDER_SPOILS}
            if tied and field == "rows":
                spoils = SPOILS
            for name, spoil in spoils.items():
                yield pytest.param(
                    cell, field, spoil, id=f"{cell}, {field}, {name}"
                )


@pytest.fixture
def no_kernel_runs(monkeypatch):
    """Nothing but the check may be called with what is not checked."""

    class OnlyTheCheck:
        def __getattr__(self, name):
            assert name in ("ksr_check_connections", "ksr_checksum"), name
            return getattr(loaded, name)

    loaded = library.load()
    monkeypatch.setattr(library, "load", OnlyTheCheck)


@pytest.mark.parametrize("cell", CELLS)
def test_good_connections_pass(cell):
    checked_connections.check_connections(SETTINGS, connections_of(cell))


@pytest.mark.usefixtures("no_kernel_runs")
@pytest.mark.parametrize(("cell", "field", "spoil"), [*spoiled()])
def test_bad_connections_are_refused_before_a_kernel_runs(cell, field, spoil):
    connections = connections_of(cell)
    bad = dataclasses.replace(
        connections, **{field: spoil(getattr(connections, field))}
    )
    with pytest.raises(library.NativeKernelsError) as caught:
        checked_connections.check_connections(SETTINGS, bad)
    assert "a layer: the native engine was given connections" in str(
        caught.value
    )


@pytest.mark.usefixtures("no_kernel_runs")
@pytest.mark.parametrize("field", ["places", "turned"])
@pytest.mark.parametrize(
    "change",
    [lambda x: x[:-4], lambda x: x.astype(np.int64), lambda x: x[::-1]],
    ids=["too short", "int64", "backwards"],
)
def test_places_of_weights_that_do_not_fit_are_refused(field, change):
    connections = connections_of("lstm")
    bad = dataclasses.replace(
        connections, **{field: change(getattr(connections, field))}
    )
    with pytest.raises(library.NativeKernelsError, match="connections"):
        checked_connections.check_connections(SETTINGS, bad)


WEIGHT_SPOILS = {
    "below 0": put(0, -1),
    "out of range": put(5, 10**6),
    "far out": put(-1, 2**31 - 1),
    "twice": put(3, 7),
    "twice, far from each other": as_the_last,
    "first and second": swap(0, 1),
    "first and last": swap(0, -1),
    "another gate's": of_another_gate,
}


@pytest.mark.usefixtures("no_kernel_runs")
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("field", ["places", "turned"])
@pytest.mark.parametrize("spoil", WEIGHT_SPOILS)
def test_weights_of_other_connections_are_refused(cell, field, spoil):
    bad = changed(field, WEIGHT_SPOILS[spoil])(connections_of(cell))
    with pytest.raises(library.NativeKernelsError, match="not in order"):
        checked_connections.check_connections(SETTINGS, bad)


@pytest.mark.usefixtures("no_kernel_runs")
@pytest.mark.parametrize("change", [lambda x: x + 10_000, lambda x: x[::-1]])
def test_no_weights_move_along_places_that_were_not_checked(change):
    drawn = sequences.example(KINDS["lstm"])
    places = drawn.connections.places
    bad = dataclasses.replace(drawn.connections, places=change(places))
    for function, given in (
        (dense_matrices.collect, [drawn.kernel, drawn.recurrent_kernel]),
        (dense_matrices.spread, drawn.arguments.weights),
    ):
        with pytest.raises(library.NativeKernelsError, match="out of range"):
            function(SETTINGS, bad, given)


@pytest.mark.usefixtures("no_kernel_runs")
@pytest.mark.parametrize("spoil", ["a source that is far out", "places"])
def test_no_pass_runs_on_connections_that_were_not_checked(spoil):
    drawn = sequences.example(KINDS["lstm"], density=0.8)
    good = drawn.connections
    bad = (
        changed("places", put(0, 2**30))(good)
        if spoil == "places"
        else dataclasses.replace(good, rows=SPOILS[spoil](good.rows))
    )
    # Each time: what was refused is not remembered as good.
    for _ in range(2):
        with pytest.raises(library.NativeKernelsError, match="out of range"):
            recurrence.forward(SETTINGS, bad, drawn.arguments, True, True)
        with pytest.raises(library.NativeKernelsError, match="out of range"):
            recurrence.backward(
                SETTINGS,
                bad,
                drawn.arguments,
                np.zeros(0, np.float32),
                drawn.outputs_gradient,
                drawn.state_gradients,
            )


def test_connections_are_checked_once_and_their_copies_again(monkeypatch):
    loaded, checks = library.load(), []

    class Counting:
        def __getattr__(self, name):
            if name == "ksr_check_connections":
                checks.append(name)
            return getattr(loaded, name)

    monkeypatch.setattr(library, "load", Counting)
    drawn = sequences.example(KINDS["lstm"])
    for _ in range(2):
        sequences.run(drawn)
    assert len(checks) == 1
    copy = dataclasses.replace(drawn.connections)
    sequences.run(dataclasses.replace(drawn, connections=copy))
    assert len(checks) == 2


ARRAYS = {
    **{
        f"{lists}.{name}": lambda connections, lists=lists, name=name: getattr(
            getattr(connections, lists), name
        )
        for lists in ("rows", "features")
        for name in ("starts", "sources", "order")
    },
    "places": lambda connections: connections.places,
    "turned": lambda connections: connections.turned,
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("cell", CELLS)
def test_connections_are_not_changed_in_place(cell, array):
    with pytest.raises(ValueError, match="read-only"):
        array(connections_of(cell))[...] = 0


def of_copies(connections, copy):
    """The same connections, of copies of their arrays."""

    def lists(given):
        return dataclasses.replace(
            given, **{name: copy(each) for name, each in vars(given).items()}
        )

    return dataclasses.replace(
        connections,
        rows=lists(connections.rows),
        features=lists(connections.features),
        places=copy(connections.places),
        turned=copy(connections.turned),
    )


def view_of_a_copy(array):
    """It is read-only, but what it is a view of is not."""
    view = array.copy().view()
    view.flags.writeable = False
    return view


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("copy", [np.copy, view_of_a_copy])
def test_connections_that_can_change_are_checked_in_each_call(
    copy, array, request
):
    drawn = sequences.example(KINDS["lstm"], density=0.8)
    connections = of_copies(drawn.connections, copy)
    drawn = dataclasses.replace(drawn, connections=connections)
    sequences.run(drawn)
    request.getfixturevalue("no_kernel_runs")
    changed = array(connections)
    (changed if changed.base is None else changed.base)[0] = 10**6
    with pytest.raises(library.NativeKernelsError, match="out of range"):
        sequences.run(drawn)


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_checked_connections_made_writeable_are_checked_again(array, request):
    drawn = sequences.example(KINDS["lstm"], density=0.8)
    sequences.run(drawn)
    request.getfixturevalue("no_kernel_runs")
    changed = array(drawn.connections)
    changed.flags.writeable = True
    changed[0] = 10**6
    with pytest.raises(library.NativeKernelsError, match="out of range"):
        sequences.run(drawn)


def test_nothing_keeps_connections_for_having_been_checked():
    drawn = sequences.example(KINDS["lstm"])
    sequences.run(drawn)
    left = weakref.ref(drawn.connections)
    del drawn
    gc.collect()
    assert left() is None


@pytest.mark.usefixtures("no_kernel_runs")
@pytest.mark.parametrize("kind", ["simple_rnn_tanh", "gru_reset_after"])
def test_connections_of_another_cell_are_refused(kind):
    connections = connections_of("lstm")
    bad = dataclasses.replace(connections, kind=KINDS[kind])
    with pytest.raises(library.NativeKernelsError, match="connections"):
        checked_connections.check_connections(SETTINGS, bad)


@pytest.mark.usefixtures("no_kernel_runs")
def test_sizes_that_do_not_fit_together_are_refused():
    connections = connections_of("lstm, tied")
    bad = dataclasses.replace(connections, input_copies=4)
    with pytest.raises(library.NativeKernelsError, match="sizes"):
        checked_connections.check_connections(SETTINGS, bad)


def inputs_of(drawn):
    given = drawn.arguments
    return native.Inputs(
        given.sequences,
        drawn.kernel,
        drawn.recurrent_kernel,
        given.bias,
        given.states,
        drawn.kernel_mask,
        drawn.recurrent_mask,
    )


@pytest.mark.usefixtures("no_kernel_runs")
def test_a_layers_connections_are_checked_before_they_are_used(monkeypatch):
    drawn = sequences.example(KINDS["lstm"], density=0.8)
    spoil = SPOILS["a source out of range"]

    def compress(*_):
        rows = spoil(drawn.connections.rows)
        return dataclasses.replace(drawn.connections, rows=rows)

    monkeypatch.setattr(native, "compress", compress)
    layer = native.NativeRecurrence(KINDS["lstm"], SETTINGS)
    # Each time: what was refused is not remembered as good.
    for _ in range(2):
        with pytest.raises(library.NativeKernelsError, match="out of range"):
            layer(inputs_of(drawn), wants_outputs=True, training=True)


def test_memory_that_a_layer_cannot_have_is_an_error_of_that_call(monkeypatch):
    drawn = sequences.example(KINDS["lstm"])
    layer = native.NativeRecurrence(KINDS["lstm"], SETTINGS)
    kernel = tf.constant(drawn.kernel)
    inputs = dataclasses.replace(inputs_of(drawn), kernel=kernel)
    empty, made = memory.empty, []

    def gradient(fails_at=None):
        def limited(shape, dtype=np.float32):
            made.append(shape)
            if len(made) == fails_at:
                empty(1 << 50)
            return empty(shape, dtype)

        made.clear()
        with monkeypatch.context() as context, tf.GradientTape() as tape:
            context.setattr(memory, "empty", limited)
            tape.watch(kernel)
            outputs, _ = layer(inputs, wants_outputs=True, training=True)
            return tape.gradient(outputs, kernel).numpy()

    expected = gradient()
    arrays = len(made)
    assert arrays > 10
    for fails_at in range(1, arrays + 1):
        with pytest.raises(MemoryError, match="Unable to allocate"):
            gradient(fails_at)
        assert len(made) == fails_at
    np.testing.assert_array_equal(gradient(), expected)


def test_candidates_that_would_be_summed_before_the_reset():
    connections = connections_of("gru_reset_before")
    rows = connections.rows
    order = rows.order.copy()
    order[[0, 63]] = order[[63, 0]]  # the first group's last is a candidate
    bad = dataclasses.replace(
        connections, rows=dataclasses.replace(rows, order=order)
    )
    with pytest.raises(library.NativeKernelsError, match="not in order"):
        checked_connections.check_connections(SETTINGS, bad)
