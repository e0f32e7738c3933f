"""The methods of the papers by name: what is sparse at first, who trains it.

A method trains a model whose sparse layers are made with the arguments that
`Method.layers` tells, with the callbacks of `Method.callbacks`. All end with
the connections of masks of one topology, except for ISS, which removes what a
penalty of fixed strength lets it, and the dense model.
All that rewire do so once an epoch, except for DeepR, which does in each step,
as published. The rewire rates are the papers' own.
"""

import dataclasses
from collections.abc import Callable

import keras_sparse_rnn as ksr

# The penalty of ISS and below what |w| is 0. The authors' are those of another
# task. On IMDB, seed 0, a strength of 0.001 removed no unit in two epochs, one
# of 0.005 100 of 256 in three at the same accuracy in validation. Where weights
# end, from 0.0005 to 0.005, the threshold changes that by 10 units.
ISS_STRENGTH = 5e-3
ISS_THRESHOLD = 1e-3
# The density at which GraNet's authors begin.
GRANET_DENSITY = 0.5


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a method is told of the training.

    Args:
        topology: Topology that counts connections, such as
            `ksr.topology.ErdosRenyi`.
        rewire_rate: Float in `[0, 1]`.
        epochs: Integer of at least 1.
        steps_per_epoch: Integer of at least 1.
        layer_arguments: Dict of further arguments of the sparse layers.
            Defaults to none.
        iss_strength: Float, of ISS's penalty. Defaults to `ISS_STRENGTH`.
        iss_threshold: Float, below which ISS makes |w| 0. Defaults to
            `ISS_THRESHOLD`.
    """

    topology: ksr.topology.ErdosRenyi | ksr.topology.Uniform
    rewire_rate: float
    epochs: int
    steps_per_epoch: int
    layer_arguments: dict = dataclasses.field(default_factory=dict)
    iss_strength: float = ISS_STRENGTH
    iss_threshold: float = ISS_THRESHOLD

    @property
    def settled_epoch(self):
        """Integer, the epoch, from 0, in which pruning reaches its target.

        It is reached after three quarters of the training.
        """
        return 3 * self.epochs // 4


@dataclasses.dataclass(frozen=True)
class Method:
    """How a method trains.

    Args:
        title: String, its name in a table.
        layers: Function of a `Plan` that returns a dict of the arguments on
            top of the plain layers', or `None` for plain Keras layers.
        callbacks: Function of the built model and a `Plan` that returns a list
            of callbacks.
        cost: Function of a `Plan` and of a run's history, a list with a dict
            from a matrix's path to its connections for each epoch, that
            returns what `ksr.training_cost` asks for. Defaults to none.
        rewire_rate: Float, the papers' ζ, or `None` where it depends on the
            data set, or there is none. Defaults to `None`.
        is_small: Boolean, whether the plain model is narrowed until it has
            about as many weights as the others have connections. Defaults to
            `False`.
        settles: Boolean, whether the model is what the method promises only
            from `Plan.settled_epoch` on. Defaults to `False`.
        finish: Function of the trained model that returns one of plain Keras
            layers. Defaults to `ksr.strip_sparsity`.
        unused: Tuple of strings, the fields of a `Plan` that make no
            difference. Defaults to `()`.
        check: Function of the density that the model is to have in the end,
            a float, that raises `ValueError` if the method cannot give it.
            Defaults to none.
    """

    title: str
    layers: Callable
    callbacks: Callable = lambda model, plan: []
    cost: Callable = lambda plan, history: {}
    rewire_rate: float | None = None
    is_small: bool = False
    settles: bool = False
    finish: Callable = ksr.strip_sparsity
    unused: tuple = ()
    check: Callable = lambda density: None

    def first_candidate(self, plan):
        """Integer, the first epoch, from 0, of which a model is chosen."""
        return plan.settled_epoch if self.settles else 0


def connections(weight, topology):
    """Connections of a sparse weight with masks of a topology.

    Args:
        weight: `ksr.SparseWeight`.
        topology: Topology that counts connections.

    Returns:
        Integer.
    """
    inputs, _ = weight.value.shape
    return sum(
        topology.connections(group.shape(inputs)) for group in weight.groups
    )


def nearest_width(count_weights, budget):
    """The width at which a dense model's weights are nearest to a number.

    Args:
        count_weights: Function of the width that returns the number of weights
            and grows.
        budget: Integer.

    Returns:
        Integer of at least 1; of two that are as near, the smaller.
    """
    width = 1
    while count_weights(width + 1) <= budget:
        width += 1
    below = budget - count_weights(width)
    return width if below <= count_weights(width + 1) - budget else width + 1


def _plain(plan):
    return None


def _sparse(plan):
    return {"topology": plan.topology, **plan.layer_arguments}


def _all_connected(plan):
    return {"sparsity": 0.0, **plan.layer_arguments}


def _half_connected(plan):
    return {"sparsity": 1 - GRANET_DENSITY, **plan.layer_arguments}


def _history(plan, history):
    return {"history": history}


def _every_epoch(plan, history):
    return {"frequency": "epoch", "steps_per_epoch": plan.steps_per_epoch}


def _sparsity_of(weights, plan):
    """The sparsity that masks of the plan's topology have together."""
    places = sum(weight.total for weight in weights)
    left = sum(connections(each, plan.topology) for each in weights)
    return 1 - left / places


def _schedule(final_sparsity, plan, initial_sparsity=0.0):
    """A cubic in epochs, or all at once where there is no time for one."""
    if not plan.settled_epoch:
        return ksr.rewiring.OneShotSparsity(final_sparsity, 0)
    return ksr.rewiring.CubicSparsity(
        final_sparsity, plan.settled_epoch, initial_sparsity
    )


def _magnitude_pruning(model, plan):
    # Each layer to what it has in the methods that are sparse from the start.
    return [
        ksr.MagnitudePruningCallback(
            _schedule(_sparsity_of(weights, plan), plan), layers=[layer]
        )
        for layer in model.layers
        if (weights := ksr.sparse_weights(layer))
    ]


def _granet(model, plan):
    target = _sparsity_of(ksr.sparse_weights(model), plan)
    return [
        ksr.RewiringCallback(
            plan.rewire_rate,
            "rigl",
            # After the first epoch, if it is not the last.
            start=min(1, plan.settled_epoch),
            pruning=_schedule(target, plan, min(target, 1 - GRANET_DENSITY)),
            pruned_together=True,
        )
    ]


def _check_granet(density):
    """Refuses what has more connections in the end than at first."""
    if density > GRANET_DENSITY:
        raise ValueError(
            f"GraNet begins with a density of {GRANET_DENSITY} and prunes: "
            "expected a lower one in the end, by sparser layers or larger "
            f"ones. Received: density={density:.3f}"
        )


NO_RATE = ("rewire_rate",)

METHODS = {
    "dense": Method("dense", _plain, unused=("topology", *NO_RATE)),
    "small_dense": Method("small dense", _plain, is_small=True, unused=NO_RATE),
    "static": Method("static masks", _sparse, unused=NO_RATE),
    "set": Method(
        "SET",
        _sparse,
        lambda model, plan: [ksr.SETCallback(plan.rewire_rate, rule="set")],
        rewire_rate=0.3,
    ),
    "st_rnn": Method(
        "ST-RNN",
        _sparse,
        lambda model, plan: [ksr.SETCallback(plan.rewire_rate)],
    ),
    "rigl": Method(
        "RigL",
        _sparse,
        lambda model, plan: [
            ksr.RigLCallback(plan.rewire_rate, frequency="epoch")
        ],
        _every_epoch,
        rewire_rate=0.3,
    ),
    "snfs": Method(
        "SNFS",
        _sparse,
        lambda model, plan: [ksr.SNFSCallback(plan.rewire_rate)],
        _history,
        rewire_rate=0.5,
    ),
    "dsr": Method(
        "DSR",
        _sparse,
        lambda model, plan: [ksr.DSRCallback(plan.rewire_rate)],
        _history,
        rewire_rate=0.2,
    ),
    "deep_r": Method(
        "DeepR",
        _sparse,
        lambda model, plan: [ksr.DeepRCallback(frequency=1)],
        unused=NO_RATE,
    ),
    "magnitude_pruning": Method(
        "gradual pruning",
        _all_connected,
        _magnitude_pruning,
        _history,
        settles=True,
        unused=NO_RATE,
    ),
    "granet": Method(
        "GraNet",
        _half_connected,
        _granet,
        lambda plan, history: {
            **_every_epoch(plan, history),
            **_history(plan, history),
        },
        rewire_rate=0.5,
        settles=True,
        check=_check_granet,
    ),
    "iss": Method(
        "ISS",
        _plain,
        lambda model, plan: [
            ksr.ISSCallback(plan.iss_strength, plan.iss_threshold)
        ],
        settles=True,
        finish=ksr.shrink,
        unused=("topology", *NO_RATE),
    ),
}
