"""How far two topologies are apart."""

import math
from collections.abc import Mapping

import numpy as np

from keras_sparse_rnn.analysis.network_topology import as_topology
from keras_sparse_rnn.analysis.unit_matching import layer_distances
from keras_sparse_rnn.analysis.unit_matching import match_units


def edit_distance(topology, other):
    """Normalised edit distance of two topologies, units in their order.

    The distance of two units is the number of incoming connections that one of
    them has and the other has not, over the number that at least one of them
    has: `|A Δ B| / |A ∪ B|`, and 0 if neither has any. A unit's incoming
    connections are those of all gates and of all matrices that lead to it. The
    distance of two layers is the mean over their units, that of two networks
    the mean over their layers. It is 0 for equal masks, 1 for masks that have
    no connection in common, and symmetric.

    Args:
        topology: `NetworkTopology`; built Keras model or layer; mask, an array
            of shape `(inputs, units)`; or list of masks or of
            `SparseWeight`s. Weights are paired by their place, not their name.
        other: As `topology`, of the same shapes.

    Returns:
        Float in `[0, 1]`.

    Raises:
        ValueError: If the topologies are not of the same shapes, or something
            else is passed.

    Example:

    >>> ksr.analysis.edit_distance(
    ...     np.array([[1, 0], [0, 1]]), np.array([[1, 1], [0, 1]])
    ... )
    0.25

    Reference:
        - Liu et al., Topological Insights into Sparse Neural Networks, ECML
          PKDD 2020: the normalised edit distance of two neurons
    """
    return _mean(layer_distances(topology, other))


def nnstd(topology, other):
    """Neural network sparse topology distance: of units that are matched.

    The `edit_distance` after the units of the two networks are matched as by
    `match_units`, which see: two networks that differ in the order of their
    units alone do the same and are at no distance. It is 0 for equal masks,
    symmetric, never more than `edit_distance`, and 0 for two networks that
    differ in the order of their units alone, so long as the units of each
    layer differ in the connections that they are matched by.

    Units of the last layer are matched as all others.

    Args:
        topology: As for `edit_distance`, but no list: it must be known which
            layers feed which.
        other: As `topology`, of the same shapes.

    Returns:
        Float in `[0, 1]`.

    Raises:
        ValueError: If the topologies are not of the same shapes, link other
            layers, or it is not known which layers they link.
        ImportError: If SciPy is not installed.

    Example:

    >>> ksr.analysis.nnstd(
    ...     np.array([[1, 0], [0, 1]]), np.array([[0, 1], [1, 0]])
    ... )
    0.0

    Reference:
        - Liu et al., Topological Insights into Sparse Neural Networks, ECML
          PKDD 2020
    """
    topology, other = as_topology(topology), as_topology(other)
    orders = match_units(topology, other)
    return _mean(layer_distances(topology, other, orders))


def distance_matrix(topologies, distance=nnstd):
    """Distances between all pairs of topologies, of epochs or of runs.

    Args:
        topologies: List of what `distance` takes, or mapping such as
            `load_topologies` returns, whose values are compared.
        distance: Function of two topologies, symmetric: `nnstd` or
            `edit_distance`. Defaults to `nnstd`.

    Returns:
        Float array of shape `(n, n)`, symmetric, 0 on the diagonal.

    Raises:
        ValueError: As `distance`.

    Example:

    ```python
    recorded = ksr.analysis.load_topologies("run_1")
    distances = ksr.analysis.distance_matrix(recorded)
    ksr.analysis.plot_topology_distance(distances, labels=recorded)
    ```
    """
    if isinstance(topologies, Mapping):
        topologies = topologies.values()
    topologies = [as_topology(topology) for topology in topologies]
    distances = np.zeros((len(topologies), len(topologies)))
    for row, topology in enumerate(topologies):
        for column, other in enumerate(topologies[:row]):
            distances[row, column] = distance(topology, other)
    return distances + distances.T


def _mean(by_layer):
    return math.fsum(by_layer.values()) / len(by_layer)
