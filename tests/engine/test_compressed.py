"""Lists of connections: nothing is lost, and all is in the kernels' order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_sparse_rnn.engine import compressed
from keras_sparse_rnn.engine import dense_matrices
from tests.engine import sequences
from tests.engine.sequences import KINDS


def feature_of(connections, matrix, source, gate):
    """The feature that a gate's connection from a row of a matrix reads."""
    state_start = connections.input_copies * connections.inputs
    if matrix == 0:
        copy = gate if connections.input_copies > 1 else 0
        return copy * connections.inputs + source
    copies = connections.state_copies
    if connections.kind.resets_before and gate == 2:
        return state_start + copies * connections.units + source
    return (
        state_start + (gate if copies > 1 else 0) * connections.units + source
    )


def expected_weights(connections, masks):
    """Set of (row, feature, place), from the masks one place at a time."""
    kind, found = connections.kind, set()
    for matrix, mask in enumerate(masks):
        rows_of = (kind.input_rows, kind.state_rows)[matrix]
        for source, column in zip(*np.nonzero(mask), strict=True):
            gate, unit = divmod(int(column), connections.units)
            place = source * mask.shape[1] + column
            found.add(
                (
                    unit * kind.rows + rows_of[gate],
                    feature_of(connections, matrix, int(source), gate),
                    int(place) + (masks[0].size if matrix else 0),
                )
            )
    return found


def entries(lists):
    """Pairs of a result and a source, in the order of the lists."""
    sinks = np.repeat(np.arange(len(lists.starts) - 1), np.diff(lists.starts))
    return list(
        zip(
            sinks.tolist(),
            lists.sources[: lists.starts[-1]].tolist(),
            strict=True,
        )
    )


def listed_weights(connections):
    """Set of (row, feature, place), from the lists of rows."""
    kind, found = connections.kind, set()
    if not connections.tied:
        for (row, feature), place in zip(
            entries(connections.rows), connections.places.tolist(), strict=True
        ):
            found.add((row, feature, place))
        return found
    places = connections.places.reshape(-1, kind.gates)
    for (part, feature), of_gates in zip(
        entries(connections.rows), places.tolist(), strict=True
    ):
        unit, is_state = divmod(part, 2)
        rows_of = (kind.input_rows, kind.state_rows)[is_state]
        for row, place in zip(rows_of, of_gates, strict=True):
            found.add((unit * kind.rows + row, feature, place))
    return found


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=40)
@given(data=st.data())
def test_every_connection_is_listed_once_both_ways(name, data):
    kind = KINDS[name]
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    inputs = data.draw(st.integers(1, 40))
    units = data.draw(st.integers(1, 40))
    density = data.draw(st.floats(0, 1))
    tied = data.draw(st.booleans())
    masks = [
        sequences.draw_mask(rng, rows, kind.gates, units, density, tied=tied)
        for rows in (inputs, units)
    ]
    copies = [data.draw(st.sampled_from([1, kind.gates])) for _ in range(2)]
    connections = dense_matrices.compress(kind, *masks, *copies)
    listed = listed_weights(connections)
    assert listed == expected_weights(connections, masks)
    assert len(connections.places) == len(listed) == sum(map(np.sum, masks))

    # The lists of features are the same connections, seen from the other end.
    forward, backward = entries(connections.rows), entries(connections.features)
    gates = kind.gates if connections.tied else 1
    turned = connections.turned.reshape(-1, gates)
    assert sorted(connections.turned) == list(range(len(listed)))
    for (feature, sink), numbers in zip(backward, turned.tolist(), strict=True):
        row, source = forward[numbers[0] // gates]
        assert source == feature
        assert (row // 2 if connections.tied else row) == sink
        assert numbers == list(range(numbers[0], numbers[0] + gates))
    for lists in (connections.rows, connections.features):
        assert (lists.sources[lists.starts[-1] :] == 0).all()
        assert len(lists.sources) == lists.starts[-1] + compressed.PADDING


def test_results_with_as_many_connections_follow_each_other():
    kind = KINDS["lstm"]
    rng = np.random.default_rng(0)
    masks = [sequences.draw_mask(rng, 50, 4, 50, 0.3) for _ in range(2)]
    rows = dense_matrices.compress(kind, *masks).rows
    counts = np.diff(rows.starts)[rows.order]
    group = compressed.GROUP * kind.rows
    for begin in range(0, len(counts), group):
        assert sorted(rows.order[begin : begin + group]) == list(
            range(begin, min(begin + group, len(counts)))
        )
        assert (np.diff(counts[begin : begin + group]) >= 0).all()


@pytest.mark.parametrize("name", KINDS)
def test_a_bias_and_its_gradient_are_each_others_transpose(name):
    kind, units = KINDS[name], 5
    rng = np.random.default_rng(0)
    shape = (kind.gates * units,)
    if name == "gru_reset_after":
        shape = (2, *shape)
    bias = rng.normal(size=shape).astype("float32")
    rows = rng.normal(size=units * kind.rows).astype("float32")
    given = compressed.row_bias(kind, bias, units) @ rows
    turned = compressed.bias_gradient(kind, rows, shape)
    assert given == pytest.approx((turned * bias).sum(), rel=1e-5)
    assert not compressed.row_bias(kind, None, units).any()
