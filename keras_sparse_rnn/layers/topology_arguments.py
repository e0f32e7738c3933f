"""The arguments that a sparse layer takes on top of its namesake's."""

import contextlib
import dataclasses
import inspect
import random
import warnings
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_sparse_rnn import topology as topologies
from keras_sparse_rnn.arguments import check_boolean
from keras_sparse_rnn.arguments import check_integer
from keras_sparse_rnn.arguments import check_one_of
from keras_sparse_rnn.arguments import plain_number
from keras_sparse_rnn.rewiring_state import check_rewiring_state

# What optimizers that clip by norm see: `layer.clipping`.
CLIPPING = ("sparse", "dense")

for _topology in (
    topologies.ErdosRenyi,
    topologies.FixedCount,
    topologies.Uniform,
):
    keras.saving.register_keras_serializable("keras_sparse_rnn")(_topology)


@dataclasses.dataclass(frozen=True)
class TopologyArguments:
    """How many connections a layer has, and where they are at the start.

    The fields are the layers' arguments, documented there.
    """

    epsilon: float | None = None
    sparsity: float | None = None
    topology: Any = None
    topology_seed: int | None = None
    granularity: str = "gate"
    keep_diagonal: bool = False
    rescale: bool = False
    clipping: str = "sparse"
    rewiring_state: tuple = ()

    def validated(self, owner):
        """The same arguments, checked, the topology as an object.

        Args:
            owner: String that names the layer in errors.

        Returns:
            `TopologyArguments`.

        Raises:
            ValueError: If an argument is out of range or they contradict.
        """
        given = [
            name
            for name in ("epsilon", "sparsity", "topology")
            if getattr(self, name) is not None
        ]
        if len(given) != 1:
            raise ValueError(
                f"{owner} expects exactly one of `epsilon` (Erdős–Rényi), "
                "`sparsity` (uniform) and `topology`. Received: "
                f"epsilon={self.epsilon}, sparsity={self.sparsity}, "
                f"topology={self.topology}"
            )
        seed = self.topology_seed
        try:
            check_one_of(
                "granularity", self.granularity, topologies.GRANULARITIES
            )
            check_boolean("keep_diagonal", self.keep_diagonal)
            check_boolean("rescale", self.rescale)
            check_one_of("clipping", self.clipping, CLIPPING)
            check_rewiring_state(self.rewiring_state)
            if seed is not None:
                check_integer("topology_seed", seed, 0)
            self._chosen_topology()
        except ValueError as error:
            raise ValueError(f"{owner}: {error}") from None
        return dataclasses.replace(
            self,
            epsilon=_plain_or_none(self.epsilon),
            sparsity=_plain_or_none(self.sparsity),
            topology=_resolved(self.topology, owner),
            topology_seed=None if seed is None else int(seed),
            keep_diagonal=bool(self.keep_diagonal),
            rescale=bool(self.rescale),
            rewiring_state=tuple(self.rewiring_state),
        )

    def check_fits(self, owner, names, gates):
        """Checks the topologies against weights.

        Args:
            owner: String that names the layer in errors.
            names: Tuple of strings, the names of the sparse weights.
            gates: Tuple of strings, the gates of each.

        Raises:
            ValueError: If `topology` is a dict of other weights, or a list of
                another length than there are groups.
        """
        topology = self.topology
        if isinstance(topology, Mapping) and set(topology) != set(names):
            raise ValueError(
                f"{owner} expects `topology` to be given for "
                f"{' and '.join(repr(name) for name in names)}, and for "
                f"nothing else. Received: topology={topology}"
            )
        count = len(
            topologies.matrix_groups(len(gates), gates, self.granularity)
        )
        given = (
            topology.values() if isinstance(topology, Mapping) else [topology]
        )
        for each in given:
            if isinstance(each, Sequence) and len(each) != count:
                groups = f"{count} groups" if count > 1 else "one group"
                raise ValueError(
                    f"{owner} has {groups} in a weight, and expects a list to "
                    f"hold as many topologies. Received: topology={topology}"
                )

    @contextlib.contextmanager
    def seeded(self):
        """The same arguments with a seed, while Keras's constructor runs.

        A seed that is not given is the one that Keras draws next for itself,
        from Python's `random`. It is only looked at, so that a sparse layer's
        initial weights, and those of the layers after it, are the plain ones'
        under one `keras.utils.set_random_seed()`. What the constructor draws
        tells this layer from the next; if it draws nothing, one draw does.
        """
        if self.topology_seed is not None:
            yield self
            return
        before = random.getstate()
        with random_state_kept():
            seed = _drawn_seed()
        yield dataclasses.replace(self, topology_seed=seed)
        if random.getstate() == before:
            _drawn_seed()

    def get_config(self):
        config = dataclasses.asdict(dataclasses.replace(self, topology=None))
        config["topology"] = keras.saving.serialize_keras_object(self.topology)
        config["rewiring_state"] = list(self.rewiring_state)
        return config

    def draw_mask(self, owner, name, shape, groups, rng, recurrent):
        """Draws the mask of a weight, group by group.

        Args:
            owner: String that names the layer in errors.
            name: String, the weight's name.
            shape: Tuple of two integers, of the packed matrix.
            groups: Tuple of `Group`s.
            rng: `numpy.random.Generator`.
            recurrent: Boolean, whether `keep_diagonal` concerns the weight.

        Returns:
            Boolean array of shape `shape`.

        Raises:
            ValueError: If a topology returns anything but a boolean mask of
                the right shape with at least one connection.
        """
        mask = np.zeros(shape, bool)
        for index, group in enumerate(groups):
            topology = self._topology_of(name, index)
            drawn = _checked(
                topology(group.shape(shape[0]), rng),
                group.shape(shape[0]),
                f"{owner}, weight '{name}'",
                topology,
            )
            if recurrent and self.keep_diagonal:
                try:
                    drawn = topologies.with_diagonal(drawn, rng)
                except ValueError as error:
                    place = ", in each gate" * (len(groups) > 1)
                    raise ValueError(
                        f"{owner}, weight '{name}'{place}: {error}"
                    ) from None
            group.view(mask)[:] = drawn[:, None, :]
        return mask

    def saturated(self, name, shape, groups):
        """Whether a topology asks for more connections than a group holds."""
        for index, group in enumerate(groups):
            topology = self._topology_of(name, index)
            requested = getattr(topology, "requested", None)
            inputs, outputs = group.shape(shape[0])
            if requested and requested((inputs, outputs)) > inputs * outputs:
                return True
        return False

    def _chosen_topology(self):
        if self.epsilon is not None:
            return topologies.ErdosRenyi(self.epsilon)
        if self.sparsity is not None:
            return topologies.Uniform(self.sparsity)
        return self.topology

    def _topology_of(self, name, index):
        """The topology of one group: given for all, by weight, or by group."""
        chosen = self._chosen_topology()
        if isinstance(chosen, Mapping):
            chosen = chosen[name]
        if isinstance(chosen, Sequence):
            chosen = chosen[index]
        return chosen


@contextlib.contextmanager
def random_state_kept():
    """Leaves the generator of Keras's default seeds as it was."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def _drawn_seed():
    return random.randint(1, int(1e9))


ARGUMENT_NAMES = tuple(
    field.name for field in dataclasses.fields(TopologyArguments)
)


def pop_arguments(kwargs):
    """Takes the topology's arguments out of a constructor's keywords.

    Args:
        kwargs: Dict, from which they are removed.

    Returns:
        Dict of those that were given.
    """
    return {name: kwargs.pop(name) for name in ARGUMENT_NAMES if name in kwargs}


def warn_of_saturation(owner, arguments, names):
    """Warns once for a layer whose topology asks for more than there is."""
    wanted = (
        f"epsilon={arguments.epsilon}"
        if arguments.epsilon is not None
        else f"topology={arguments.topology}"
    )
    warnings.warn(
        f"{owner}: the topology asks for more connections than "
        f"{' and '.join(names)} can hold, so they start dense. "
        f"Received: {wanted}",
        stacklevel=2,
    )


def _plain_or_none(number):
    return None if number is None else plain_number(number)


def _resolved(topology, owner):
    """A topology from itself or from its configuration."""
    if topology is None:
        return None
    if isinstance(topology, Mapping):
        if "class_name" in topology:
            return _resolved(
                keras.saving.deserialize_keras_object(topology), owner
            )
        return {name: _resolved(each, owner) for name, each in topology.items()}
    if isinstance(topology, Sequence) and not isinstance(topology, str):
        return [_resolved(each, owner) for each in topology]
    if not callable(topology):
        raise ValueError(
            f"{owner} expects `topology` to be a topology object or a "
            "function of shape and rng that returns a mask. "
            f"Received: topology={topology!r}"
        )
    registered = topology
    if not inspect.isfunction(topology):
        registered = type(topology)
    found = keras.saving.get_registered_object(
        keras.saving.get_registered_name(registered)
    )
    if found is not registered:
        raise ValueError(
            f"{owner} expects `topology` to be registered, so that the layer "
            "can be saved: decorate it with "
            "`@keras.saving.register_keras_serializable(package=...)`. "
            f"Received: topology={topology!r}"
        )
    return topology


def _checked(mask, shape, owner, topology):
    mask = np.asarray(mask)
    if mask.shape != shape:
        raise ValueError(
            f"{owner}: `topology` must return a mask of shape {shape}. "
            f"Received: shape={mask.shape} from topology={topology}"
        )
    if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
        raise ValueError(
            f"{owner}: `topology` must return a mask of booleans. "
            f"Received: dtype={mask.dtype} from topology={topology}"
        )
    if not mask.any():
        raise ValueError(
            f"{owner}: `topology` must return a mask with at least one "
            f"connection. Received: none from topology={topology}"
        )
    return mask.astype(bool)
