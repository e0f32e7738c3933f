"""One rewiring of all sparse weights of a model."""

import math

import keras

from keras_sparse_rnn import optimizer_slots
from keras_sparse_rnn import rewiring as rules
from keras_sparse_rnn.arguments import check_boolean
from keras_sparse_rnn.arguments import check_sparsity
from keras_sparse_rnn.arguments import is_number
from keras_sparse_rnn.dense_gradient import clips_dense
from keras_sparse_rnn.dense_gradients import DenseGradients
from keras_sparse_rnn.joint_rewiring import Request
from keras_sparse_rnn.joint_rewiring import rewire_weights
from keras_sparse_rnn.rewiring_state import KINDS
from keras_sparse_rnn.rewiring_state import start_signs
from keras_sparse_rnn.sparse_layers import check_has_sparse_layers
from keras_sparse_rnn.sparse_layers import chosen_sparse_layers
from keras_sparse_rnn.sparse_layers import sparse_layers
from keras_sparse_rnn.sparse_layers import sparse_weights
from keras_sparse_rnn.tracing import is_tracing


def rewire(
    model,
    optimizer,
    rewire_rate,
    rule="st_rnn",
    layers=None,
    new_slots="fresh",
    epoch=None,
    gradients=None,
    sparsity=None,
    pruned_together=False,
):
    """Rewires a model once: drops connections and grows as many.

    For hand-written training loops, outside of `tf.function`; in `fit`,
    `SETCallback` and its likes do this. Weights that are not trainable are left
    alone. If anything is wrong, nothing is changed.

    Args:
        model: Built Keras model, or layer.
        optimizer: The Keras optimizer that trains it: slots of dropped and new
            connections are started anew. `None` means the optimizer that the
            model is compiled with.
        rewire_rate: Float in `[0, 1]`, the fraction ζ of each group's
            connections that is dropped.
        rule: `"st_rnn"`, `"set"`, `"rigl"`, `"snfs"`, `"dsr"`, `"deep_r"`, or
            a `keras_sparse_rnn.rewiring.RewiringRule`. Its schedule is not
            used: `rewire_rate` is the present rate. Defaults to `"st_rnn"`.
        layers: List of layers or of their names, to which to keep. Defaults to
            `None`, all.
        new_slots: String, how optimizer slots of new connections start:
            `"fresh"`, as in a fresh optimizer, or `"survivors_mean"`, where
            second moments start at the mean of the group's survivors.
            Defaults to `"fresh"`.
        epoch: Integer, the epoch that begins, noted with the weights. Defaults
            to `None`.
        gradients: `keras_sparse_rnn.DenseGradients` of a training step, which
            rules that go by gradients need, as `"rigl"`. Defaults to `None`.
        sparsity: Float in `[0, 1)`, to which the smallest |w| are pruned
            before; with a rewire rate of 0 that is all. Defaults to `None`, no
            pruning.
        pruned_together: Boolean, whether the connections of all weights
            compete in pruning, and not those of each group by itself. Defaults
            to `False`.

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
    check_boolean("pruned_together", pruned_together)
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
    noted = None
    if gradients is not None and not isinstance(gradients, DenseGradients):
        raise ValueError(
            "`gradients` must be a `keras_sparse_rnn.DenseGradients`. "
            f"Received: gradients={gradients!r}"
        )
    if "gradient" in rule.needs:
        if gradients is None:
            raise ValueError(
                "The rule goes by dense gradients: pass `gradients=`, the "
                "`keras_sparse_rnn.DenseGradients` of a training step. "
                f"Received: gradients=None, rule={rule}"
            )
        noted = gradients.of(weights)
    check_carries(weights, rule)
    if sparsity is not None:
        check_sparsity(sparsity)
        check_target(rules.ConstantSparsity(sparsity), weights)
    bring_in_order(weights, optimizer)
    return rewire_weights(
        weights,
        optimizer,
        Request(rewire_rate, rule, new_slots, epoch, sparsity, pruned_together),
        noted,
    )


def carry_along(rule, model, layers=None):
    """Lets layers keep what a rule carries along.

    Args:
        rule: `RewiringRule`.
        model: Keras model. Layers that are not built yet are left out.
        layers: List of layers or of their names, to which to keep. Defaults to
            `None`, all.
    """
    for layer in chosen_sparse_layers(model, layers):
        for kind in sorted(rule.needs & {*KINDS}):
            if layer.built:
                layer.carry(kind)


def check_carries(weights, rule):
    """Raises `ValueError` if a rule needs what layers do not carry along."""
    for kind in sorted(rule.needs & {*KINDS}):
        for weight in weights:
            if kind not in weight.layer.rewiring_state:
                raise ValueError(
                    f"The rule looks at the {kind} of '{weight.path}', which "
                    f"its layer must keep: make it with "
                    f"rewiring_state=[{kind!r}]. Received: rewiring_state="
                    f"{[*weight.layer.rewiring_state]}"
                )


def bring_in_order(weights, optimizer):
    """Clears weights and slots at places that are no connections.

    Training with the mask leaves nothing there; `model.set_weights()` or a
    dense checkpoint may.

    Args:
        weights: List of `SparseWeight`s.
        optimizer: The Keras optimizer that trains them.

    Raises:
        ValueError: If the optimizer was built for other variables, it averages
            weights of a layer with `clipping="dense"`, or the gates of a mask
            differ though `granularity="unit"`; nothing is changed then.
    """
    trained = [weight for weight in weights if weight.trainable]
    _check_averages_hold(trained, optimizer)
    for weight in trained:
        optimizer_slots.slots_of(optimizer, weight.value)
        weight.check_tied(weight.mask.numpy())
    for weight in weights:
        weight.enforce_mask()
        if "signs" in weight.layer.rewiring_state:
            start_signs(weight)
    for weight in trained:
        optimizer_slots.clear_empty_places(optimizer, weight)


def _check_averages_hold(weights, optimizer):
    """Refuses averages of weights that were never 0 where they should be.

    With `clipping="dense"` an update moves empty places, which are 0 again
    after it; the optimizer averages in between.
    """
    if not optimizer_slots.averages_weights(optimizer):
        return
    for weight in weights:
        if clips_dense(weight.layer):
            raise ValueError(
                f"The moving average of '{weight.path}' would not be 0 where "
                "there is no connection: leave out `use_ema=True`, or make the "
                "layer with clipping='sparse'. Received: clipping='dense', "
                f"optimizer={optimizer.name} with use_ema=True"
            )


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


def sparsity(weights):
    """Share of the places of all weights that are empty.

    Args:
        weights: List of `SparseWeight`s.

    Returns:
        Float in `[0, 1)`, 0 if there are no weights.
    """
    places = sum(weight.total for weight in weights)
    active = sum(weight.active for weight in weights)
    return 1 - active / places if places else 0.0


def check_target(schedule, weights):
    """Raises `ValueError` if weights are sparser than they are to become.

    Args:
        schedule: A sparsity schedule. Only one that tells its
            `final_sparsity`, or `target_sparsity`, is checked.
        weights: List of `SparseWeight`s.
    """
    final = _final_sparsity(schedule)
    if final is None or not are_sparser(weights, final):
        return
    raise ValueError(
        f"Pruning to a sparsity of {final} would need connections that are "
        f"not there: the layers have a sparsity of {sparsity(weights):.4f} "
        f"already. Received: pruning={schedule}"
    )


def are_sparser(weights, target):
    """Whether weights are sparser than a target, by more than is rounded.

    Args:
        weights: List of `SparseWeight`s.
        target: Float, a sparsity.

    Returns:
        Boolean.
    """
    return target < sparsity(weights) - _rounding(weights)


def reaches_target(schedule, weights):
    """Whether weights are as sparse as a schedule is to make them.

    Args:
        schedule: As for `check_target`.
        weights: List of `SparseWeight`s.

    Returns:
        Boolean, `False` if the schedule does not tell.
    """
    final = _final_sparsity(schedule)
    return final is not None and sparsity(weights) >= final - _rounding(weights)


def is_target(schedule, sparsity):
    """Whether a sparsity is the one that a schedule ends with.

    Args:
        schedule: As for `check_target`.
        sparsity: Float, what the schedule returned, perhaps in single
            precision.

    Returns:
        Boolean, `False` if the schedule does not tell.
    """
    final = _final_sparsity(schedule)
    return final is not None and math.isclose(sparsity, final, rel_tol=1e-6)


def tells_target(schedule):
    """Whether a schedule tells the sparsity that it ends with."""
    return _final_sparsity(schedule) is not None


def _final_sparsity(schedule):
    return getattr(
        schedule, "final_sparsity", getattr(schedule, "target_sparsity", None)
    )


def _rounding(weights):
    """How far a sparsity may be off: counts are rounded in each group."""
    groups = sum(len(weight.groups) for weight in weights)
    return groups / max(sum(weight.total for weight in weights), 1)


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
