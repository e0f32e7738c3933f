"""From plain Keras layers to sparse ones."""

import functools
from collections.abc import Iterable
from collections.abc import Mapping

import keras
import numpy as np

from keras_sparse_rnn import keras_internals
from keras_sparse_rnn import topology as topologies
from keras_sparse_rnn.arguments import check_integer
from keras_sparse_rnn.arguments import check_one_of
from keras_sparse_rnn.arguments import named
from keras_sparse_rnn.conversion.clone import SPARSE_CLASSES
from keras_sparse_rnn.conversion.clone import clone_with_each
from keras_sparse_rnn.conversion.clone import copy_assets
from keras_sparse_rnn.conversion.clone import copy_state
from keras_sparse_rnn.conversion.clone import pairs
from keras_sparse_rnn.conversion.clone import serialised_layer
from keras_sparse_rnn.engine.choice import ENGINES
from keras_sparse_rnn.layers.engine_layer import EngineLayer
from keras_sparse_rnn.layers.signatures import check_added
from keras_sparse_rnn.rewiring.drop import smallest
from keras_sparse_rnn.sparse_layers import check_built
from keras_sparse_rnn.sparse_layers import sparse_layer_names
from keras_sparse_rnn.sparse_layers import sparse_weights
from keras_sparse_rnn.topology.allocation import METHODS

_BY_DEFAULT = SPARSE_CLASSES.keys() - {keras.layers.Dense}
_ANEW = (
    "To convert anew what is sparse already, call "
    "`keras_sparse_rnn.strip_sparsity(model)` first."
)


def sparsify(
    model,
    sparsity=None,
    allocation="uniform",
    settings=None,
    layers=None,
    keep="largest",
    granularity="gate",
    topology_seed=None,
    engine="auto",
):
    """Returns a sparse version of a built plain Keras model.

    Either a global budget, `sparsity`, is shared among the matrices, or each
    layer has its own `settings`. Biases stay dense. Layers that are sparse
    already are copied as they are and do not count towards the budget; to
    convert them anew, call `strip_sparsity` first. The result is not compiled;
    the model that is passed stays as it is.

    Args:
        model: Built Sequential or Functional model, of any nesting, or a
            single layer.
        sparsity: Float in `[0, 1)`, of all converted matrices together. The
            number of weights that are kept is exact, except that with
            `granularity="unit"` and no embedding it is a multiple of the
            gates.
        allocation: String, how the budget is shared: `"uniform"`,
            `"erdos_renyi"` (or `"er"`) or `"erdos_renyi_kernel"` (or
            `"erk"`), see `keras_sparse_rnn.topology.allocate`. Each gate
            counts as a matrix with `granularity="gate"`, the packed matrix
            otherwise. Defaults to `"uniform"`.
        settings: Dict from a layer's name, as in `model.summary()` or of a
            layer or cell inside a wrapper, to a dict of the arguments that a
            sparse layer takes on top of the plain one's, such as
            `{"epsilon": 10}`. Give either this or `sparsity`.
        layers: List of layers to convert under the global budget, or of names,
            which stand for all layers of a name. Defaults to `None`: recurrent
            layers, cells and embeddings; as in the papers, `Dense` layers only
            if they are in the list.
        keep: String, which weights are kept. `"largest"`: those with the
            largest |w| of each group; `"drawn"`: those of a topology that is
            drawn. Defaults to `"largest"`.
        granularity: String, of the layers under the global budget: `"gate"`,
            `"kernel"` or `"unit"`, see `SparseLSTM`. Defaults to `"gate"`.
        topology_seed: Integer of at least 0, from which each layer under the
            global budget gets a seed of its own. Defaults to `None`: seeds
            are drawn.
        engine: String, `"auto"`, `"masked"` or `"native"`, of the recurrent
            layers and `SparseDense` that come of it, whose `settings` go
            before; see `SparseLSTM`. Defaults to `"auto"`.

    Returns:
        A model, or layer, with the same names, sparse layers in place of
        plain ones, and weights of its own.

    Raises:
        ValueError: If the arguments contradict or are out of range, a layer's
            name is unknown or of one that is sparse already, a layer is
            quantized or has LoRA, nothing is left to convert, a layer cannot
            have `engine="native"`, or `model` is no Keras model or layer, is
            not built or cannot be taken apart.

    Example:

    ```python
    sparse = ksr.sparsify(model, sparsity=0.9, allocation="erk")
    sparse = ksr.sparsify(model, sparsity=0.9, engine="native")
    sparse = ksr.sparsify(model, settings={"lstm": {"epsilon": 10}})
    ```
    """
    check_one_of("keep", keep, ("largest", "drawn"))
    check_one_of("allocation", allocation, METHODS)
    check_one_of("engine", engine, ENGINES)
    if (sparsity is None) == (settings is None):
        raise ValueError(
            "Expected either `sparsity`, a global budget, or `settings`, a "
            f"dict per layer. Received: sparsity={sparsity}, "
            f"settings={settings}"
        )
    if settings is not None and layers is not None:
        raise ValueError(
            "`layers` goes with the global budget: `settings` names its "
            f"layers. Received: layers={layers}, settings={settings}"
        )
    check_built(model)
    if settings is not None and not _is_dict_of_dicts(settings):
        raise ValueError(
            "`settings` must be a dict from at least one layer's name to a "
            f"dict of arguments. Received: settings={settings!r}"
        )
    chosen = (
        _from_budget(
            model, sparsity, allocation, layers, granularity, topology_seed
        )
        if settings is None
        else _from_settings(model, settings)
    )

    sparse = clone_with_each(
        model,
        {
            layer: functools.partial(
                _sparse_namesake,
                sparse_class=SPARSE_CLASSES[type(layer)],
                arguments={**_engine_of(layer, engine), **arguments},
            )
            for layer, arguments in chosen
        },
    )
    copy_state(model, sparse)
    copy_assets(model, sparse)
    for plain_layer, layer in pairs(model, sparse):
        if type(layer) is type(plain_layer):
            continue
        for weight in sparse_weights(layer):
            if keep == "largest":
                weight.start_with(_largest(weight))
            weight.enforce_mask()
    return sparse


def _sparse_namesake(serialised, sparse_class, arguments):
    config = {**serialised["config"], **arguments}
    return serialised_layer(sparse_class, config)


def _engine_of(layer, engine):
    """The argument of a layer that has it: a cell or a table has no engine."""
    if issubclass(SPARSE_CLASSES[type(layer)], EngineLayer):
        return {"engine": engine}
    return {}


def _convertible(model):
    """Layers and cells that can be converted: lists of them, by name.

    The cell inside an `LSTM` is converted with it.
    """
    inside = [
        layer
        for layer in keras_internals.flatten_layers(model)
        if type(layer) in SPARSE_CLASSES
    ]
    cells_of_layers = {
        id(layer.cell)
        for layer in inside
        if hasattr(SPARSE_CLASSES[type(layer)], "cell_class")
    }
    found = {}
    for layer in inside:
        if id(layer) not in cells_of_layers:
            found.setdefault(layer.name, []).append(layer)
    return found


def _is_dict_of_dicts(settings):
    return (
        isinstance(settings, Mapping)
        and bool(settings)
        and all(isinstance(each, Mapping) for each in settings.values())
    )


def _from_settings(model, settings):
    """Pairs of a layer and its arguments."""
    convertible = _convertible(model)
    chosen = []
    for name, arguments in settings.items():
        _check_name(name, convertible, "settings", model)
        for layer in convertible[name]:
            sparse_class = SPARSE_CLASSES[type(layer)]
            check_added(sparse_class, named(sparse_class, name), arguments)
            _check_has_no_adapters(layer)
            chosen.append((layer, dict(arguments)))
    return chosen


def _from_budget(
    model, sparsity, allocation, layers, granularity, topology_seed
):
    """Pairs of a layer and its arguments."""
    convertible = _convertible(model)
    if layers is None:
        chosen = [
            layer
            for same_name in convertible.values()
            for layer in same_name
            if type(layer) in _BY_DEFAULT
        ]
    else:
        if isinstance(layers, str) or not isinstance(layers, Iterable):
            layers = [layers]
        found = [_layers_of(each, convertible, model) for each in layers]
        chosen = list(dict.fromkeys(layer for same in found for layer in same))
    if not chosen:
        already = sparse_layer_names(model)
        raise ValueError(
            "Expected a model with recurrent layers, cells or embeddings that "
            "are not sparse yet, or `layers` to convert. "
            + (f"{_ANEW} " if already else "")
            + f"Received: model={model.name!r}, layers={layers}"
            + (f", sparse already: {already}" if already else "")
        )
    places, shapes, tied = [], [], []
    for index, layer in enumerate(chosen):
        _check_has_no_adapters(layer)
        for matrix, shape, groups in _matrices(layer, granularity):
            for group in groups:
                places.append((index, matrix))
                shapes.append((shape[0], group.stop - group.start))
                tied.append(group.tied)
    counts = _connections(
        topologies.allocate(shapes, sparsity, allocation), tied
    )
    arguments = [
        {
            "granularity": granularity,
            "topology": {},
            "topology_seed": _seed_of(topology_seed, index),
        }
        for index in range(len(chosen))
    ]
    for (index, matrix), count in zip(places, counts, strict=True):
        of_layer = arguments[index]["topology"]
        of_layer.setdefault(matrix, []).append(topologies.FixedCount(count))
    return list(zip(chosen, arguments, strict=True))


def _connections(weights, tied):
    """Numbers of connections that carry `tied` weights each.

    What does not divide is passed on, last to matrices where a connection is
    one weight: the sum is exact if there is one, else short of one connection.
    """
    counts, left = [0] * len(weights), 0
    for index in sorted(range(len(weights)), key=lambda i: -tied[i]):
        left += weights[index]
        counts[index] = max(left // tied[index], 1)
        left -= counts[index] * tied[index]
    return counts


def _seed_of(topology_seed, index):
    """A seed of its own for each layer, so that equal layers differ."""
    if topology_seed is None:
        return None
    check_integer("topology_seed", topology_seed, 0)
    sequence = np.random.SeedSequence([topology_seed, index])
    return int(sequence.generate_state(1)[0])


def _matrices(layer, granularity):
    """Name, shape and groups of each matrix that becomes sparse."""
    sparse_class = SPARSE_CLASSES[type(layer)]
    cell = layer
    if hasattr(sparse_class, "cell_class"):
        sparse_class, cell = sparse_class.cell_class, layer.cell
    names, gates = sparse_class.names_and_gates(cell)
    for name in names:
        shape = tuple(keras_internals.weight_variable(cell, name).shape)
        yield (
            name,
            shape,
            topologies.matrix_groups(shape[1], gates, granularity),
        )


def _layers_of(layer, convertible, model):
    """The layer itself, or those of a name."""
    name = layer
    if isinstance(layer, keras.Layer):
        if any(layer in same_name for same_name in convertible.values()):
            return [layer]
        name = layer.name
        if name in convertible:
            raise ValueError(
                f"`layers` must hold layers of '{model.name}', or their "
                f"names. Received: layers={name!r} of another model"
            )
    _check_name(name, convertible, "layers", model)
    return convertible[name]


def _check_name(name, convertible, argument, model):
    if isinstance(name, str) and name in convertible:
        return
    if isinstance(name, str) and name in sparse_layer_names(model):
        raise ValueError(
            f"`{argument}` must name layers that are not sparse yet: "
            f"{[*convertible]}. {_ANEW} Received: {argument}={name!r}"
        )
    raise ValueError(
        f"`{argument}` must name layers that can be converted: "
        f"{[*convertible]}. Received: {argument}={name!r}"
    )


def _check_has_no_adapters(layer):
    """Raises `ValueError` for what no sparse layer can take over."""
    received = []
    if getattr(layer, "quantization_mode", None):
        received.append(f"dtype={layer.dtype_policy.name!r}")
    if getattr(layer, "lora_enabled", False):
        received.append(f"lora_rank={layer.lora_rank}")
    if received:
        raise ValueError(
            f"{named(type(layer), layer.name)} cannot be sparse with "
            "quantized weights or LoRA, which would bypass the mask. Leave it "
            "out of `layers` or `settings`, or convert the model before. "
            f"Received: {', '.join(received)}"
        )


def _largest(weight):
    """A mask with as many connections per group, at the largest |w|."""
    value = weight.value.numpy()
    drawn = weight.mask.numpy()
    mask = np.zeros_like(drawn)
    for group in weight.groups:
        score = np.abs(group.view(value)).sum(axis=1)
        if weight.keep_diagonal:
            score[topologies.on_diagonal(*score.shape)] = np.inf
        count = np.count_nonzero(group.view(drawn)[:, 0, :])
        chosen = np.zeros(score.size, bool)
        chosen[smallest(-score.reshape(-1), count)] = True
        group.view(mask)[:] = chosen.reshape(score.shape)[:, None, :]
    return mask
