"""One rewiring of all sparse weights of a model."""

import collections
import dataclasses

import keras

from keras_sparse_rnn import optimizer_slots
from keras_sparse_rnn import rewiring as rules
from keras_sparse_rnn.arguments import is_number
from keras_sparse_rnn.sparse_layers import sparse_layers
from keras_sparse_rnn.sparse_layers import sparse_weights
from keras_sparse_rnn.tracing import is_tracing


@dataclasses.dataclass(frozen=True)
class ModelRewiring:
    """What a rewiring did to a model.

    Args:
        connections_moved: Integer, new connections in all weights.
        rewire_rate: Float, the rate it was made with.
        by_weight: Dict from a weight's path to its connections moved.
    """

    connections_moved: int
    rewire_rate: float
    by_weight: dict


def rewire(
    model,
    optimizer,
    rewire_rate,
    rule="st_rnn",
    layers=None,
    new_slots="fresh",
    epoch=None,
):
    """Rewires a model once: drops connections and grows as many.

    For hand-written training loops, outside of `tf.function`; in `fit`,
    `SETCallback` does this. Weights that are not trainable are left alone. If
    anything is wrong, nothing is changed.

    Args:
        model: Built Keras model, or layer.
        optimizer: The Keras optimizer that trains it: slots of dropped and new
            connections are started anew. `None` means the optimizer that the
            model is compiled with.
        rewire_rate: Float in `[0, 1]`, the fraction ζ of each group's
            connections that is dropped.
        rule: `"st_rnn"`, `"set"`, or a
            `keras_sparse_rnn.rewiring.RewiringRule`. Its schedule is not used:
            `rewire_rate` is the present rate. Defaults to `"st_rnn"`.
        layers: List of layers or of their names, to which to keep. Defaults to
            `None`, all.
        new_slots: String, how optimizer slots of new connections start:
            `"fresh"`, as in a fresh optimizer, or `"survivors_mean"`, where
            second moments start at the mean of the group's survivors.
            Defaults to `"fresh"`.
        epoch: Integer, the epoch that begins, noted with the weights. Defaults
            to `None`.

    Returns:
        A `ModelRewiring`.

    Raises:
        ValueError: If it is called inside of a `tf.function`, the model is not
            built or has no sparse layer, there is no optimizer or one that is
            not supported, an argument is out of range, a weight is NaN, or the
            gates of a mask differ though `granularity="unit"`.

    Example:

    ```python
    for epoch in range(10):
        if epoch:
            rate = 0.4 * ksr.rewiring.cosine(epoch / 10)
            ksr.rewire(model, optimizer, rate)
        for x, y in batches:
            train_step(x, y)
    ```
    """
    if keras.backend.backend() == "tensorflow" and is_tracing():
        raise ValueError(
            "Rewiring computes with NumPy, on what the weights are now: call "
            "it outside of `tf.function`, between two training steps. "
            f"Received: model={model.name!r}, inside of a `tf.function`"
        )
    rule = rules.get(rule)
    check_rewire_rate(rewire_rate)
    check_new_slots(new_slots)
    check_has_sparse_layers(model)
    if not all(layer.built for layer in sparse_layers(model)):
        raise ValueError(
            "The model must be built before it is rewired: call it once, or "
            f"`model.build(input_shape)`. Received: model={model.name!r}, "
            "not built"
        )
    if optimizer is None:
        optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        raise ValueError(
            "Rewiring needs the optimizer that trains the model: compile the "
            f"model, or pass it. Received: optimizer=None, "
            f"model={model.name!r}, not compiled"
        )
    optimizer_slots.check_supported(optimizer)
    weights = [
        weight for weight in sparse_weights(model, layers) if weight.trainable
    ]
    bring_in_order(weights, optimizer)
    return rewire_weights(
        weights, optimizer, rewire_rate, rule, new_slots, epoch
    )


def bring_in_order(weights, optimizer):
    """Clears weights and slots at places that are no connections.

    Training with the mask leaves nothing there; `model.set_weights()` or a
    dense checkpoint may.

    Args:
        weights: List of `SparseWeight`s.
        optimizer: The Keras optimizer that trains them.

    Raises:
        ValueError: If the optimizer was built for other variables, or the
            gates of a mask differ though `granularity="unit"`; nothing is
            changed then.
    """
    trained = [weight for weight in weights if weight.trainable]
    for weight in trained:
        optimizer_slots.slots_of(optimizer, weight.value)
        weight.check_tied(weight.mask.numpy())
    for weight in weights:
        weight.enforce_mask()
    for weight in trained:
        optimizer_slots.clear_empty_places(optimizer, weight)


def rewire_weights(
    weights, optimizer, rewire_rate, rule, new_slots="fresh", epoch=None
):
    """Rewires weights that are in order, with arguments that are checked.

    Args:
        weights: List of trainable `SparseWeight`s.
        optimizer: The Keras optimizer that trains them.
        rewire_rate: As for `rewire`.
        rule: `RewiringRule`.
        new_slots: As for `rewire`.
        epoch: As for `rewire`.

    Returns:
        A `ModelRewiring`.

    Raises:
        ValueError: If a weight is NaN or the rule returns what it may not;
            nothing is changed then.
    """
    decided = [_decide(weight, rewire_rate, rule) for weight in weights]
    step = optimizer_slots.steps_made(optimizer)
    # Layers of the same name in nested models have weights of the same path.
    moved = collections.Counter()
    for weight, rewiring in zip(weights, decided, strict=True):
        weight.assign_rewiring(rewiring, rewire_rate, step, epoch)
        optimizer_slots.restart(optimizer, weight, rewiring, new_slots)
        moved[weight.path] += rewiring.connections_moved
    return ModelRewiring(moved.total(), float(rewire_rate), dict(moved))


def exploration_rate(weights):
    """Share of the places of all weights that were connections at any time.

    Args:
        weights: List of `SparseWeight`s.

    Returns:
        Float in `[0, 1]`, 0 if there are no weights.

    Reference:
        - Liu et al., Do We Actually Need Dense Over-Parameterization?, ICML
          2021: the in-time over-parameterization rate R_s
    """
    if not weights:
        return 0.0
    return sum(weight.ever_active for weight in weights) / sum(
        weight.total for weight in weights
    )


def check_rewire_rate(rewire_rate):
    """Raises `ValueError` unless the rewire rate is a number in `[0, 1]`."""
    if not (is_number(rewire_rate) and 0 <= rewire_rate <= 1):
        raise ValueError(
            "`rewire_rate` must be a number in [0, 1]. "
            f"Received: rewire_rate={rewire_rate!r}"
        )


def check_new_slots(new_slots):
    """Raises `ValueError` unless `new_slots` is a known policy."""
    if new_slots not in optimizer_slots.NEW_SLOTS:
        raise ValueError(
            f"`new_slots` must be one of {optimizer_slots.NEW_SLOTS}. "
            f"Received: new_slots={new_slots!r}"
        )


def check_has_sparse_layers(model):
    """Raises `ValueError` if a model has no sparse layer."""
    if not sparse_layers(model):
        raise ValueError(
            f"The model '{model.name}' has no sparse layer, such as "
            "`SparseLSTM` or `SparseEmbedding`, so there is nothing to "
            f"rewire. Received: model={model.name!r}"
        )


def _decide(weight, rewire_rate, rule):
    try:
        return rules.rewire(
            weight.value.numpy(),
            weight.mask.numpy(),
            weight.groups,
            rewire_rate,
            rule,
            weight.random_generator(),
            weight.keep_diagonal,
        )
    except ValueError as error:
        raise ValueError(
            f"'{weight.path}' was not rewired, nor any other weight. {error}"
        ) from None
