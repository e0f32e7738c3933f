"""The one place where a weight and its mask meet."""

import zlib

import numpy as np
from keras import ops

from keras_sparse_rnn.masked_weight import masked

# Places in the vector of integers that is kept with each mask.
_KEY = slice(0, 2)
_REWIRINGS, _LAST_STEP, _LAST_EPOCH, _COUNTED_STEP = 2, 3, 4, 5
# And in the vector of floats.
_RATE, _THRESHOLD, _COST, _COUNTED = 0, 1, 2, 3


class SparseWeight:
    """A weight matrix of a layer, its mask, and what is counted in it.

    All state lives in variables of the layer, so this object is only a way to
    look at them and can be made anew at any time: `layer.sparse_weights` does.

    Args:
        layer: The built layer that owns the weight.
        name: String, the weight's name, for instance `"kernel"`.
        groups: Tuple of `keras_sparse_rnn.topology.Group`s.
        keep_diagonal: Boolean, whether rewiring leaves the diagonal alone.
            Defaults to `False`.

    Example:

    >>> for weight in layer.sparse_weights:
    ...     print(weight.path, weight.active, weight.total, weight.sparsity)
    """

    def __init__(self, layer, name, groups, keep_diagonal=False):
        self.layer = layer
        self.name = name
        self.groups = groups
        self.keep_diagonal = keep_diagonal

    @property
    def value(self):
        """`keras.Variable`, float, 0 wherever the mask is `False`."""
        return getattr(self.layer, f"_{self.name}")

    @property
    def mask(self):
        """`keras.Variable`, boolean, of the weight's shape."""
        return getattr(self.layer, f"{self.name}_mask")

    @property
    def path(self):
        """String, the path of the weight in its model."""
        return self.value.path

    @property
    def shape(self):
        """Tuple of integers, the shape of the packed matrix."""
        return tuple(self.value.shape)

    @property
    def trainable(self):
        """Boolean. A weight that is not trained is not rewired either."""
        return self.value.trainable

    @property
    def total(self):
        """Integer, the number of places."""
        return int(np.prod(self.shape))

    @property
    def active(self):
        """Integer, the number of weights that are connections."""
        return int(np.count_nonzero(self.mask.numpy()))

    @property
    def sparsity(self):
        """Float, the share of places that are empty."""
        return 1 - self.active / self.total

    @property
    def rewirings(self):
        """Integer, how often the weight was rewired."""
        return int(self._record()[_REWIRINGS])

    @property
    def last_step(self):
        """Integer, the optimizer's step at the last rewiring, or -1.

        Also at the last time when one was due and there was nothing to do.
        """
        return int(self._record()[_LAST_STEP])

    @property
    def last_epoch(self):
        """Integer, the epoch that began with the last rewiring, or -1.

        Once that epoch is over it is -1 again, see `note_epoch_over`.
        """
        return int(self._record()[_LAST_EPOCH])

    @property
    def rewire_rate(self):
        """Float, the rewire rate of the last rewiring."""
        return float(self._levels()[_RATE])

    @property
    def threshold(self):
        """Float, the magnitude below which DSR drops, or 0 before it did."""
        return float(self._levels()[_THRESHOLD])

    @property
    def ever_active(self):
        """Integer, how many places were connections at any time."""
        bits = self._variable("ever_active").numpy()
        return int(np.unpackbits(bits).sum())

    def effective_value(self):
        """The weight that the layer computes with, a tensor."""
        return masked(self.value, self.mask)

    def check_tied(self, mask):
        """Refuses a mask whose gates differ where they are to be the same.

        Args:
            mask: Array of the weight's shape.

        Raises:
            ValueError: If a connection has not the weights of all gates
                though `granularity="unit"` asks for it.
        """
        mask = np.asarray(mask, bool)
        if not all(group.is_tied_in(mask) for group in self.groups):
            raise ValueError(
                f"{type(self.layer).__name__} expects the same connections in "
                f"all gates of '{self.path}'. Received: a mask of another "
                "granularity than granularity='unit'"
            )

    def enforce_mask(self):
        """Sets the weight to 0 wherever it is not a connection.

        Weights that come from outside, as those of a dense checkpoint, are
        brought back to the package's invariant. The layer's output does not
        change: it computes with the masked weight in any case.
        """
        value = self.value.numpy()
        stray = (value != 0) & ~self.mask.numpy()
        if stray.any():
            self.value.assign(np.where(stray, 0, value))

    def start_with(self, mask):
        """Sets the topology at the start, in place of the one drawn.

        The weight becomes 0 where there is no connection, and the places that
        were ever active are those of the mask.

        Args:
            mask: Boolean array of the weight's shape.

        Raises:
            ValueError: If the mask has another shape, or gates that differ
                where they are to be the same.
        """
        mask = np.asarray(mask, bool)
        if mask.shape != self.shape:
            raise ValueError(
                f"The mask of '{self.path}' must have the shape {self.shape}. "
                f"Received: mask.shape={mask.shape}"
            )
        self.check_tied(mask)
        self.mask.assign(mask)
        self._variable("ever_active").assign(np.packbits(mask))
        self.enforce_mask()

    def random_generator(self):
        """`numpy.random.Generator` of the next rewiring.

        It depends on the weight's key and on how often the weight was rewired,
        both saved with the weight, so that it is the same in every process.
        """
        record = self._record()
        return _generator(record[_KEY], record[_REWIRINGS] + 1)

    def assign_rewiring(
        self, rewiring, rewire_rate, step=-1, epoch=None, threshold=0.0
    ):
        """Takes over what a rewiring decided.

        Args:
            rewiring: `keras_sparse_rnn.rewiring.Rewiring`.
            rewire_rate: Float, the rate it was made with.
            step: Integer, the optimizer's step, or -1. Defaults to `-1`.
            epoch: Integer, the epoch that begins, or `None` to leave the last
                one noted. Defaults to `None`.
            threshold: Float, the threshold of the next rewiring, or 0.
                Defaults to `0.0`.
        """
        self.assign_change(rewiring)
        record = self._record().copy()
        record[_REWIRINGS] += 1
        record[_LAST_STEP] = step
        if epoch is not None:
            record[_LAST_EPOCH] = epoch
        self._variable("rewiring").assign(record)
        levels = self._levels().copy()
        levels[[_RATE, _THRESHOLD]] = rewire_rate, threshold
        self._variable("rewiring_levels").assign(levels)

    def assign_change(self, rewiring):
        """Takes over places that end or begin, and notes no rewiring.

        Args:
            rewiring: `keras_sparse_rnn.rewiring.Rewiring`.
        """
        changed = rewiring.changed
        if len(changed):
            assign_at(self.value, changed, rewiring.changed_weights)
            assign_at(self.mask, changed, rewiring.changed_mask)
            self._note_active(rewiring.grown)

    def training_cost(self, step, density=None, dense_gradients=0):
        """What training the weight has cost, relative to a dense one.

        A step costs three times the forward pass, one of them for the gradient
        of the weights, which may be that of every place.

        Args:
            step: Integer, the optimizer's steps now.
            density: Float, the share of connections in the steps that are not
                noted yet. Defaults to `None`, the present one.
            dense_gradients: Number, how many of those steps, at most all,
                computed the dense gradient. Defaults to `0`.

        Returns:
            Float, the mean over all steps; the density before the first one.
        """
        if density is None:
            density = 1 - self.sparsity
        noted, spent = self._levels()[[_COUNTED, _COST]]
        steps = self._steps_since_noted(step)
        if not noted + steps:
            return density
        dense = min(dense_gradients, steps)
        new = steps * density + dense * (1 - density) / 3
        return float((noted * spent + new) / (noted + steps))

    def note_training(self, step, density, dense_gradients=0):
        """Notes what the steps since the last time have cost.

        Args:
            step, density, dense_gradients: As for `training_cost`.
        """
        cost = self.training_cost(step, density, dense_gradients)
        record, levels = self._record().copy(), self._levels().copy()
        levels[_COUNTED] += self._steps_since_noted(step)
        levels[_COST] = cost
        record[_COUNTED_STEP] = step
        self._variable("rewiring").assign(record)
        self._variable("rewiring_levels").assign(levels)

    def note_optimizer(self, step):
        """Notes from where the steps are counted, if an optimizer is new.

        Args:
            step: Integer, the optimizer's steps now.
        """
        if step < self._record()[_COUNTED_STEP]:
            self.note_training(step, 1 - self.sparsity)

    def note_step(self, step):
        """Notes the step at which it was time to rewire, and nothing was to do.

        Args:
            step: Integer, the optimizer's step.
        """
        record = self._record().copy()
        record[_LAST_STEP] = step
        self._variable("rewiring").assign(record)

    def note_epoch_over(self):
        """Notes that the epoch that began with the last rewiring is over.

        An epoch of which this is not noted was broken off, and its rewiring
        stands when it is begun again.
        """
        record = self._record().copy()
        if record[_LAST_EPOCH] >= 0:
            record[_LAST_EPOCH] = -1
            self._variable("rewiring").assign(record)

    def _variable(self, suffix):
        return getattr(self.layer, f"{self.name}_{suffix}")

    def _record(self):
        return self._variable("rewiring").numpy()

    def _levels(self):
        return self._variable("rewiring_levels").numpy()

    def _steps_since_noted(self, step):
        # Another optimizer counts anew.
        steps = step - int(self._record()[_COUNTED_STEP])
        return steps if steps >= 0 else step

    def _note_active(self, places):
        variable = self._variable("ever_active")
        bits = variable.numpy().copy()
        np.bitwise_or.at(bits, places >> 3, _bit(places))
        variable.assign(bits)

    def __repr__(self):
        return (
            f"<SparseWeight path={self.path}, shape={self.shape}, "
            f"active={self.active}, total={self.total}, "
            f"sparsity={self.sparsity:.4f}>"
        )


def assign_at(variable, places, values):
    """Assigns values at some places of a variable.

    Args:
        variable: `keras.Variable` of any shape.
        places: Integer array, distinct flat places.
        values: Array of as many values.
    """
    indices = np.stack(np.unravel_index(places, variable.shape), axis=-1)
    variable.assign(
        ops.scatter_update(
            variable,
            indices,
            ops.convert_to_tensor(values, dtype=variable.dtype),
        )
    )


def weight_key(topology_seed, place):
    """The key of a weight's random numbers.

    Args:
        topology_seed: Integer of at least 0.
        place: String, the weight's place in its layer. Names of layers are
            no part of it: they change from process to process.

    Returns:
        Array of two `int32`.
    """
    sequence = np.random.SeedSequence(
        [topology_seed, zlib.crc32(place.encode())]
    )
    return sequence.generate_state(2, np.uint32).view(np.int32)


def topology_generator(key):
    """`numpy.random.Generator` that draws the topology at the start."""
    return _generator(key, 0)


def _generator(key, rewirings):
    low, high = (int(half) for half in np.asarray(key).view(np.uint32))
    return np.random.Generator(
        np.random.Philox(key=[low | high << 32, int(rewirings)])
    )


def _bit(places):
    """The bit of each place in its byte, as `numpy.packbits` orders them."""
    return (128 >> (places & 7)).astype(np.uint8)
