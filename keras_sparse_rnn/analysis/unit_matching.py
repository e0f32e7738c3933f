"""Matching the units of two networks whose order differs."""

import math

import numpy as np

from keras_sparse_rnn.analysis.network_topology import as_topology


def match_units(topology, other):
    """Matches the units of two networks by their incoming connections.

    A unit of one network does what another unit of the other does, and which
    number it has is chance. Layer after layer, the units of the two networks
    are matched one to one so that the mean of the normalised edit distances
    (see `edit_distance`) of matched units is the least; inputs that are units
    of a layer matched before are taken in the order of that matching, others
    in their own. A unit's incoming connections are those of all gates and of
    all matrices that lead to it.

    Units of a recurrent layer are inputs to each other. They are matched by
    their other connections first, and then again and again, with the recurrent
    connections in the order of the matching before, for as long as that
    lessens the distance; the same is tried from the order as it is, and the
    better of the two is taken. Where units are not told apart by what they are
    matched by, a better matching may be missed. If the whole network is no
    closer for the matching, all units are left in their order.

    Args:
        topology: `NetworkTopology`, or what stands for one, see
            `edit_distance`.
        other: As `topology`, of the same shapes.

    Returns:
        Dict from the name of the units of each layer of `topology` to an
        integer array: unit `j` is matched with unit `order[j]` of `other`.

    Raises:
        ValueError: If the networks are not of the same shapes, link other
            layers, or it is not known which layers they link.
        ImportError: If SciPy is not installed.

    Reference:
        - Liu et al., Topological Insights into Sparse Neural Networks, ECML
          PKDD 2020. The authors' code matches layer by layer in this way; how
          units of recurrent layers are matched is this package's.
    """
    assign = _linear_sum_assignment()
    topology, other = comparable(topology, other)
    for each in (topology, other):
        _check_wired(each)
    # Equally good matchings are told apart by the order of the networks: one
    # order for both ways makes the distance the same in both.
    swapped = _bits(other) < _bits(topology)
    pair = _Pair(*((other, topology) if swapped else (topology, other)))
    orders = {}
    for layer in pair.first.layers:
        orders[layer] = _match_layer(pair, layer, orders, assign)
    kept = pair.in_order()
    if pair.distance(kept) <= pair.distance(orders):
        orders = kept
    if swapped:
        orders = {layer: np.argsort(orders[layer]) for layer in orders}
    return {
        mine.name: orders[layer]
        for mine, layer in zip(topology.layers, pair.first.layers, strict=True)
    }


def layer_distances(topology, other, orders=None):
    """Distances of two networks, layer by layer.

    Args:
        topology: As for `edit_distance`.
        other: As for `edit_distance`.
        orders: Dict, as `match_units` returns it, of which units of `other` to
            compare to. Defaults to `None`: units of the same number.

    Returns:
        Dict from the name of the units of each layer of `topology` to a float
        in `[0, 1]`, the mean of the normalised edit distances of its units.

    Raises:
        ValueError: If the networks are not of the same shapes.
    """
    topology, other = comparable(topology, other)
    pair = _Pair(topology, other)
    by_layer = pair.in_order()
    if orders is not None:
        by_layer = {layer: orders[layer.name] for layer in topology.layers}
    return {
        layer.name: _mean(pair.unit_distances(layer, by_layer))
        for layer in topology.layers
    }


def comparable(topology, other):
    """Two `NetworkTopology`s of the same shapes, from what stands for them.

    Raises:
        ValueError: If they are of other shapes, or link other layers.
    """
    topology, other = as_topology(topology), as_topology(other)
    for name, of in (
        ("shapes", lambda each: [mask.shape for mask in each.masks]),
        ("gates", lambda each: [matrix.gates for matrix in each.matrices]),
        ("links of layers", _links),
    ):
        if of(topology) != of(other):
            raise ValueError(
                f"Networks must have the same {name} to be compared. "
                f"Received: {of(topology)} and {of(other)}"
            )
    return topology, other


class _Pair:
    """Two networks of the same shapes; `first`'s units name the layers."""

    def __init__(self, first, second):
        self.first, self.second = first, second

    def in_order(self):
        return {layer: np.arange(layer.size) for layer in self.first.layers}

    def distance(self, orders):
        return _mean(
            [
                _mean(self.unit_distances(layer, orders))
                for layer in self.first.layers
            ]
        )

    def unit_distances(self, layer, orders):
        """Normalised edit distance of each unit to the one it is matched to."""
        shared = of_first = of_second = 0
        for first, second in self._into(layer, orders):
            second = second[:, :, orders[layer]]
            shared = shared + (first & second).sum(axis=(0, 1))
            of_first = of_first + first.sum(axis=(0, 1))
            of_second = of_second + second.sum(axis=(0, 1))
        return _normalised(shared, of_first + of_second - shared)

    def all_distances(self, layer, orders):
        """The same of each unit to every other, by the inputs in `orders`."""
        shared = np.zeros((layer.size, layer.size))
        of_first = of_second = np.zeros(layer.size)
        for first, second in self._into(layer, orders):
            columns = (-1, layer.size)
            # Counts below 2²⁴ are exact in single precision.
            one = first.reshape(columns).astype(np.float32)
            two = second.reshape(columns).astype(np.float32)
            shared = shared + one.T @ two
            of_first = of_first + one.sum(axis=0)
            of_second = of_second + two.sum(axis=0)
        return _normalised(shared, np.add.outer(of_first, of_second) - shared)

    def _into(self, layer, orders):
        """Masks of both, `(inputs, gates, units)`, of the inputs in `orders`.

        Inputs that are no layer's units are in order, those of layers that
        have no order yet are left out.
        """
        for mine, its in zip(
            self.first.matrices, self.second.matrices, strict=True
        ):
            if mine.outputs != layer:
                continue
            if mine.inputs is None:
                yield mine.by_unit(), its.by_unit()
                continue
            rows, matched_rows, start = [], [], 0
            for units in mine.inputs:
                in_order = np.arange(units.size)
                if units in orders or units not in self.first.layers:
                    rows.append(start + in_order)
                    matched_rows.append(start + orders.get(units, in_order))
                start += units.size
            if rows:
                yield (
                    mine.by_unit()[np.concatenate(rows)],
                    its.by_unit()[np.concatenate(matched_rows)],
                )


def _match_layer(pair, layer, orders, assign):
    def matched(orders):
        return assign(pair.all_distances(layer, orders))[1]

    def distance(order):
        return _mean(pair.unit_distances(layer, {**orders, layer: order}))

    order = matched(orders)
    if not any(layer in each.inputs for each in pair.first.into(layer)):
        return order
    better = matched({**orders, layer: order})
    while distance(better) < distance(order):
        order = better
        better = matched({**orders, layer: order})
    return order


def _mean(values):
    """The mean, which does not depend on the order: not even its last bit."""
    return math.fsum(values) / len(values)


def _normalised(shared, union):
    """1 − shared / union, and 0 where neither has a connection."""
    return np.where(union > 0, 1 - shared / np.maximum(union, 1), 0.0)


def _links(topology):
    """Which layers are linked, by their places instead of their names."""
    places = {}
    return [
        (
            matrix.inputs
            and [
                places.setdefault(units.name, len(places))
                for units in matrix.inputs
            ],
            places.setdefault(matrix.outputs.name, len(places)),
        )
        for matrix in topology.matrices
    ]


def _check_wired(topology):
    unknown = [m.path for m in topology.matrices if m.inputs is None]
    if unknown:
        raise ValueError(
            "To match units it must be known which layers feed which: pass a "
            "`Sequential` or functional model that holds the layers directly, "
            "or a `NetworkTopology` whose `Connections` have `inputs`. "
            f"Received: no inputs known of {unknown}"
        )


def _bits(topology):
    return b"".join(np.packbits(mask).tobytes() for mask in topology.masks)


def _linear_sum_assignment():
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ImportError(
            "Matching units needs SciPy: "
            "`pip install keras_sparse_rnn[analysis]`."
        ) from error
    return linear_sum_assignment
