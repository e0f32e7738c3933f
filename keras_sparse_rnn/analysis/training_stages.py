"""What each method trains, stage by stage.

A method, as far as its cost goes, is a function of a model's matrices, and of
settings by keyword, that returns a list of `Stage`s. `METHODS` has those of the
papers by name.
"""

import collections.abc
import dataclasses
import itertools

from keras_sparse_rnn.arguments import check_integer
from keras_sparse_rnn.arguments import is_number
from keras_sparse_rnn.frequency import parse_frequency
from keras_sparse_rnn.rewiring import ask
from keras_sparse_rnn.topology.counted_topology import nearest_integer


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stretch of training in which no count of a matrix changes.

    Args:
        matrices: List of `WeightMatrix` as they are trained.
        steps: Number of at least 0, how long the stage is. Only the proportion
            between stages matters. Defaults to `1`.
        dense_gradients: Number between 0 and `steps`: on how many of them the
            gradient of every place is taken. Defaults to `0`.
    """

    matrices: list
    steps: float = 1
    dense_gradients: float = 0


def dense(matrices):
    """The dense model of the same shapes."""
    return [Stage(_all_active(matrices))]


def constant(matrices):
    """Counts stay as they are: static masks, SET and ST-RNN."""
    return [Stage(matrices)]


def rigl(matrices, frequency, steps_per_epoch=None, rewired_share=1):
    """RigL: a step with a dense gradient after every so many others.

    As its authors count: the step that rewires comes on top of the others.
    After a share of the training there is no more of it.
    """
    steps = _steps_between(frequency, steps_per_epoch)
    _check_share("rewired_share", rewired_share)
    return [
        Stage(matrices, rewired_share * (steps + 1), rewired_share),
        Stage(matrices, (1 - rewired_share) * steps),
    ]


def snfs(matrices, history=None):
    """SNFS: every step takes a dense gradient, and counts move."""
    return [
        dataclasses.replace(stage, dense_gradients=stage.steps)
        for stage in redistributed(matrices, history)
    ]


def redistributed(matrices, history=None):
    """Counts that move between matrices as a run had it: DSR and DeepR.

    Without a history they are taken to be what they are now.
    """
    if history is None:
        return constant(matrices)
    return [Stage(counted) for counted in _recorded(matrices, history)]


def pruned(matrices, schedule=None, steps=None, history=None):
    """From dense to sparse, along a schedule or as a run had it."""
    if (schedule is None) == (history is None):
        raise ValueError(
            "Pruning needs either `schedule` and `steps`, or `history`. "
            f"Received: schedule={schedule!r}, history={history!r}"
        )
    if not any(matrix.sparse for matrix in matrices):
        raise ValueError(
            "Pruning needs at least one matrix with a mask. "
            f"Received: matrices={[matrix.path for matrix in matrices]}, none "
            "sparse"
        )
    if schedule is None:
        return redistributed(matrices, history)
    if steps is None:
        raise ValueError(
            "`schedule` needs `steps`, the length of the training. "
            "Received: steps=None"
        )
    check_integer("steps", steps, 1)
    return [
        Stage(_pruned_to(matrices, sparsity), len(list(same)))
        for sparsity, same in itertools.groupby(_sparsities(schedule, steps))
    ]


def granet(
    matrices,
    frequency,
    steps_per_epoch=None,
    schedule=None,
    steps=None,
    history=None,
):
    """GraNet: pruning along a schedule, and RigL's rewiring."""
    between = _steps_between(frequency, steps_per_epoch)
    return [
        dataclasses.replace(stage, dense_gradients=stage.steps / (between + 1))
        for stage in pruned(matrices, schedule, steps, history)
    ]


def iss(matrices, shrunk, dense_share):
    """ISS: dense at first, then the model that units were removed from."""
    _check_share("dense_share", dense_share)
    return [
        Stage(_all_active(matrices), dense_share),
        Stage(shrunk, 1 - dense_share),
    ]


METHODS = {
    "dense": dense,
    "static": constant,
    "set": constant,
    "st_rnn": constant,
    "rigl": rigl,
    "snfs": snfs,
    "dsr": redistributed,
    "deep_r": redistributed,
    "magnitude_pruning": pruned,
    "iss": iss,
    "granet": granet,
}


def _steps_between(frequency, steps_per_epoch):
    """The optimizer's steps from one rewiring to the next."""
    parsed = parse_frequency(frequency)
    if parsed.is_by_steps:
        return parsed.count
    if steps_per_epoch is None:
        raise ValueError(
            "A `frequency` in epochs needs `steps_per_epoch`. Received: "
            f"frequency={frequency!r}, steps_per_epoch=None"
        )
    check_integer("steps_per_epoch", steps_per_epoch, 1)
    return parsed.count * steps_per_epoch


def _check_share(name, share):
    if not (is_number(share) and 0 <= share <= 1):
        raise ValueError(
            f"`{name}` must be in [0, 1]. Received: {name}={share!r}"
        )


def _all_active(matrices):
    return [matrix.with_active(matrix.places) for matrix in matrices]


def _pruned_to(matrices, sparsity):
    return [
        matrix.with_active(
            max(1, nearest_integer((1 - sparsity) * matrix.places))
        )
        if matrix.sparse
        else matrix
        for matrix in matrices
    ]


def _sparsities(schedule, steps):
    """The sparsity that each step is trained at: that of the last pruning."""
    sparsity = 0.0
    for step in range(steps):
        target = ask(schedule, step, step)
        sparsity = sparsity if target is None else target
        yield sparsity


def _recorded(matrices, history):
    """The matrices with the counts of each entry of a history."""
    entries = list(history)
    if not entries:
        raise ValueError(
            "`history` must have an entry for each epoch. "
            f"Received: history={history!r}"
        )
    paths = [matrix.path for matrix in matrices if matrix.sparse]
    for entry in entries:
        if not isinstance(entry, collections.abc.Mapping):
            raise ValueError(
                "An entry of `history` must be a dict from paths of matrices "
                f"to numbers of connections. Received: entry={entry!r}"
            )
        unknown = [path for path in entry if path not in paths]
        if unknown:
            raise ValueError(
                f"`history` must name sparse matrices of the model: {paths}. "
                f"Received: paths={unknown}"
            )
        yield [
            matrix.with_active(entry.get(matrix.path, matrix.active))
            for matrix in matrices
        ]
