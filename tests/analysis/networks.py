"""Networks of random masks, and copies whose units are in another order."""

import numpy as np

from keras_sparse_rnn.analysis import Connections
from keras_sparse_rnn.analysis import NetworkTopology
from keras_sparse_rnn.analysis import Units

INPUTS, WORDS, CELLS, CLASSES = (
    Units("words", 30),
    Units("embedding", 7),
    Units("lstm", 6),
    Units("dense", 4),
)
GATES = 4


def linked():
    """Path, inputs, outputs and gates: an embedding, an LSTM, a layer."""
    return [
        ("embeddings", INPUTS, WORDS, 1),
        ("kernel", WORDS, CELLS, GATES),
        ("recurrent_kernel", CELLS, CELLS, GATES),
        ("dense", CELLS, CLASSES, 1),
    ]


def network(masks):
    return NetworkTopology(
        tuple(
            Connections(path, mask, (inputs,), outputs)
            for (path, inputs, outputs, _), mask in zip(
                linked(), masks, strict=True
            )
        )
    )


def random_masks(rng, density=0.4):
    return [
        rng.random((inputs.size, outputs.size * gates)) < density
        for _, inputs, outputs, gates in linked()
    ]


def random_network(seed, density=0.4):
    return network(random_masks(np.random.default_rng(seed), density))


def random_orders(seed):
    """A new order for the units of each layer, none for the inputs."""
    rng = np.random.default_rng(seed)
    orders = {
        units.name: rng.permutation(units.size)
        for units in (WORDS, CELLS, CLASSES)
    }
    return {INPUTS.name: np.arange(INPUTS.size), **orders}


def in_other_order(topology, orders):
    """The same network where unit `orders[j]` of each layer is the `j`-th."""
    masks = []
    for (_, inputs, outputs, gates), mask in zip(
        linked(), topology.masks, strict=True
    ):
        columns = [
            gate * outputs.size + unit
            for gate in range(gates)
            for unit in orders[outputs.name]
        ]
        masks.append(mask[orders[inputs.name]][:, columns])
    return network(masks)
