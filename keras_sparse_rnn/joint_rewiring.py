"""One rewiring of several weights together.

What happens to all of them is decided before any of them is changed: a rule
may share out over all what each has dropped, and what is refused changes
nothing.
"""

import collections
import contextlib
import dataclasses

from keras import ops

from keras_sparse_rnn import optimizer_slots
from keras_sparse_rnn import rewiring as rules
from keras_sparse_rnn.rewiring.sources import asked_by
from keras_sparse_rnn.rewiring_state import assign_signs
from keras_sparse_rnn.rewiring_state import momentum_of
from keras_sparse_rnn.rewiring_state import signs_of


@dataclasses.dataclass(frozen=True)
class ModelRewiring:
    """What a rewiring did to a model.

    Args:
        connections_moved: Integer, new connections in all weights.
        rewire_rate: Float, the rate it was made with.
        by_weight: Dict from a weight's path to its connections moved.
        connections_pruned: Integer, connections that went and were not made
            up for. Defaults to `0`.
    """

    connections_moved: int
    rewire_rate: float
    by_weight: dict
    connections_pruned: int = 0


@dataclasses.dataclass(frozen=True)
class Request:
    """What a rewiring is to do.

    Args:
        rewire_rate: Float in `[0, 1]`, the present rate.
        rule: `RewiringRule`.
        new_slots: String, how optimizer slots of new connections start, see
            `optimizer_slots.restart`. Defaults to `"fresh"`.
        epoch: Integer, the epoch that begins, or `None` to leave the last one
            noted. Defaults to `None`.
        sparsity: Float in `[0, 1)`, to which to prune first, or `None`.
            Defaults to `None`.
        pruned_together: Boolean, whether the connections of all weights
            compete in pruning, and not those of each group by itself. Defaults
            to `False`.
    """

    rewire_rate: float
    rule: rules.RewiringRule
    new_slots: str = "fresh"
    epoch: int | None = None
    sparsity: float | None = None
    pruned_together: bool = False


def rewire_weights(weights, optimizer, request, gradients=None):
    """Rewires weights that are in order, with arguments that are checked.

    Args:
        weights: List of trainable `SparseWeight`s.
        optimizer: The Keras optimizer that trains them.
        request: `Request`.
        gradients: List of float arrays of the weights' shapes, their dense
            gradients, which only some rules need. Defaults to `None`.

    Returns:
        A `ModelRewiring`.

    Raises:
        ValueError: If a weight is NaN, the rule needs a gradient that is not
            given or an average of none, or returns what it may not; nothing is
            changed then.
    """
    if not weights:
        return ModelRewiring(0, float(request.rewire_rate), {})
    matrices = [
        _Matrix.of(weight, request.rule, gradient)
        for weight, gradient in zip(
            weights, gradients or [None] * len(weights), strict=True
        )
    ]
    _check_momentum(matrices, request)
    step = optimizer_slots.steps_made(optimizer)
    if request.rule.walk is not None:
        rate = float(ops.convert_to_numpy(optimizer.learning_rate))
        for each in matrices:
            each.walk(request.rule.walk, rate, step)
    pruned = _prune(matrices, request)
    is_full = all(each.mask.all() for each in matrices)
    if is_full:
        # What is dropped anywhere could only come back at 0.
        rule = dataclasses.replace(request.rule, redistribute=None)
        request = dataclasses.replace(request, rule=rule)
    threshold, wanted = _threshold(matrices, request)
    dropped = [each.drop(request, threshold) for each in matrices]
    counts = rules.shared_growth(
        dropped,
        request.rule,
        [each.sources.get("momentum") for each in matrices],
    )
    grown = [
        each.grow(*of_matrix, request.rule)
        for each, *of_matrix in zip(matrices, dropped, counts, strict=True)
    ]
    if threshold and not is_full:
        threshold = rules.adapted_threshold(
            threshold,
            sum(each.connections_dropped for each in grown),
            wanted,
        )
    # Layers of the same name in nested models have weights of the same path.
    moved = collections.Counter()
    for each, *changes in zip(matrices, pruned, grown, strict=True):
        each.assign(changes, optimizer, request, step, threshold)
        moved[each.weight.path] += changes[-1].connections_moved
    return ModelRewiring(
        moved.total(),
        float(request.rewire_rate),
        dict(moved),
        sum(each.connections_dropped for each in pruned if each is not None),
    )


def prune_weights(weights, optimizer, sparsity, together=False):
    """Prunes weights that are in order, and rewires nothing.

    Args:
        weights: List of trainable `SparseWeight`s.
        optimizer: The Keras optimizer that trains them.
        sparsity: Float in `[0, 1)`, to which to prune.
        together: Boolean, whether the connections of all weights compete.
            Defaults to `False`.

    Raises:
        ValueError: If a weight is NaN; nothing is changed then.
    """
    if not weights:
        return
    # A rule that asks for nothing.
    rule = rules.RewiringRule()
    request = Request(0.0, rule, sparsity=sparsity, pruned_together=together)
    matrices = [_Matrix.of(weight, rule, None) for weight in weights]
    pruned = _prune(matrices, request)
    for each, change in zip(matrices, pruned, strict=True):
        each.take_over(change, optimizer)


class _Matrix:
    """A weight while it is decided what happens to it."""

    def __init__(self, weight, value, mask, sources):
        self.weight = weight
        self.value = value
        self.mask = mask
        self.sources = sources
        self.rng = weight.random_generator()
        self.walked = False

    @classmethod
    def of(cls, weight, rule, gradient):
        sources = {}
        if gradient is not None:
            sources["gradient"] = gradient
        if "momentum" in rule.needs:
            sources["momentum"] = momentum_of(weight).numpy()
        if "signs" in rule.needs:
            sources["signs"] = signs_of(weight)
        return cls(weight, weight.value.numpy(), weight.mask.numpy(), sources)

    @property
    def parts(self):
        """What the functions that pool several matrices take of each."""
        groups, keep_diagonal = self.weight.groups, self.weight.keep_diagonal
        return self.value, self.mask, groups, keep_diagonal

    def walk(self, walk, learning_rate, step):
        last = self.weight.last_step
        # It is ahead if another optimizer made it.
        last = last if 0 <= last <= step else 0
        at_hand = {"learning_rate": learning_rate, "steps": step - last}
        if "signs" in self.sources:
            at_hand["signs"] = self.sources["signs"][self.mask]
        self.value = self.value.copy()
        self.value[self.mask] = walk(
            self.value[self.mask],
            self.rng,
            **{name: at_hand[name] for name in asked_by(walk)},
        )
        self.walked = True

    def prune(self, counts):
        with self._named():
            pruned = rules.prune(
                self.value,
                self.mask,
                self.weight.groups,
                counts,
                self.weight.keep_diagonal,
            )
        self.value, self.mask = pruned.weight, pruned.mask
        return pruned

    def drop(self, request, threshold):
        if threshold:
            self.sources["threshold"] = threshold
        with self._named():
            return rules.drop_connections(
                self.value,
                self.mask,
                self.weight.groups,
                request.rewire_rate,
                request.rule,
                self.rng,
                self.weight.keep_diagonal,
                **self.sources,
            )

    def grow(self, dropped, counts, rule):
        with self._named():
            return rules.grow_connections(
                dropped, counts, rule, self.rng, **self.sources
            )

    def take_over(self, pruned, optimizer):
        self.weight.assign_change(pruned)
        optimizer_slots.restart(optimizer, self.weight, pruned)

    def assign(self, changes, optimizer, request, step, threshold):
        """Takes over what was pruned, if anything was, and then rewired."""
        if self.walked:
            self.weight.value.assign(changes[-1].before[0])
        *pruned, rewiring = changes
        for change in (each for each in pruned if each is not None):
            self.take_over(change, optimizer)
        self.weight.assign_rewiring(
            rewiring, request.rewire_rate, step, request.epoch, threshold
        )
        optimizer_slots.restart(
            optimizer, self.weight, rewiring, request.new_slots
        )
        if "signs" in self.sources:
            signs = self.sources["signs"]
            signs.reshape(-1)[rewiring.grown] = 0
            assign_signs(self.weight, signs, self.rng)

    @contextlib.contextmanager
    def _named(self):
        try:
            yield
        except ValueError as error:
            raise ValueError(
                f"'{self.weight.path}' was not rewired, nor any other weight. "
                f"{error}"
            ) from None


def _check_momentum(matrices, request):
    """Refuses averages of no gradient, by which any place is the best."""
    if "momentum" not in request.rule.needs or not request.rewire_rate:
        return
    if not any(each.sources["momentum"].any() for each in matrices):
        raise ValueError(
            "The rule goes by averages of dense gradients, and none was noted "
            "yet: train a step inside of `with gradients:`, where they are "
            "`keras_sparse_rnn.DenseGradients(model, optimizer, momentum=0.9)`."
            " Received: momentum=0 everywhere, of "
            f"{[each.weight.path for each in matrices]}"
        )


def _prune(matrices, request):
    """A `Rewiring` of each matrix that only loses connections, or `None`."""
    if request.sparsity is None:
        return [None] * len(matrices)
    if request.pruned_together:
        counts = rules.pooled_pruned_counts(
            [each.parts for each in matrices], request.sparsity
        )
    else:
        counts = [
            rules.pruned_counts(
                each.mask,
                each.weight.groups,
                request.sparsity,
                each.weight.keep_diagonal,
            )
            for each in matrices
        ]
    return [
        each.prune(of_matrix)
        for each, of_matrix in zip(matrices, counts, strict=True)
    ]


def _threshold(matrices, request):
    """The threshold of this rewiring, and how many it should drop.

    Both are 0 if the rule needs no threshold.
    """
    if "threshold" not in request.rule.needs:
        return 0.0, 0.0
    magnitudes = rules.connection_magnitudes([each.parts for each in matrices])
    known = max(each.weight.threshold for each in matrices)
    return (
        known or rules.first_threshold(magnitudes, request.rewire_rate),
        request.rewire_rate * len(magnitudes),
    )
