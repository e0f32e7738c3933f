"""SNFS in `fit`: an average of its own of the dense gradient decides."""

import math

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.rewiring.redistribution import growth_counts
from tests import dense_twin
from tests.callbacks import by_hand
from tests.callbacks import tiny

BATCH, BATCHES = 8, 4


class ByHand(keras.callbacks.Callback):
    """The averaged gradient, and what follows from it, by hand.

    Put it behind the callback that rewires.
    """

    def __init__(self, decay, rate, per_update=1):
        super().__init__()
        self.x, self.y = tiny.tokens()
        self.decay, self.rate, self.per_update = decay, rate, per_update
        self.averages, self.batches = None, 0
        self.rewired = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        weights = ksr.sparse_weights(self.model)
        now = by_hand.states(weights)
        if self.averages is None:
            self.averages = [np.zeros(weight.shape) for weight in weights]
        elif any(
            (one.mask != other.mask).any()
            for one, other in zip(now, self.trained, strict=True)
        ):
            rate = self.rate(self.epoch, batch)
            expected = masks_by(self.averages, self.trained, rate)
            for state, mask in zip(now, expected, strict=True):
                np.testing.assert_array_equal(state.mask, mask)
            self.rewired.append((self.epoch, batch))
        part = slice(batch * BATCH, (batch + 1) * BATCH)
        gradients = dense_twin.dense_gradients(
            self.model, self.x[part], self.y[part]
        )
        begins_update = self.batches % self.per_update == 0
        self.averages = [
            (self.decay if begins_update else 1) * average
            + (1 - self.decay) * gradient
            for average, gradient in zip(self.averages, gradients, strict=True)
        ]
        self.batches += 1

    def on_train_batch_end(self, batch, logs=None):
        self.trained = by_hand.states(ksr.sparse_weights(self.model))
        for weight, average in zip(
            ksr.sparse_weights(self.model), self.averages, strict=True
        ):
            kept = getattr(weight.layer, f"{weight.name}_momentum").numpy()
            np.testing.assert_allclose(
                kept, average, rtol=1e-3, atol=1e-5 * np.abs(average).max()
            )


def masks_by(averages, states, rate):
    """Drop the smallest, share by mean |average|, grow the largest."""
    masks = [state.mask.copy() for state in states]
    groups = [
        (mask, state, average, group)
        for mask, state, average in zip(masks, states, averages, strict=True)
        for group in state.groups
    ]
    shares = np.array(
        [
            np.abs(average[group.columns][state.mask[group.columns]]).mean()
            for _, state, average, group in groups
        ]
    )
    dropped = np.array(
        [
            by_hand.drop_from(mask, state, group, rate)
            for mask, state, _, group in groups
        ]
    )
    survivors, places = (
        np.array([count(mask[group.columns]) for mask, _, _, group in groups])
        for count in (np.count_nonzero, np.size)
    )
    # Tested on its own: exact totals, and no more than there is room for.
    counts = growth_counts(
        shares, survivors, dropped, places, np.ones_like(places)
    )
    for (mask, _, average, group), count in zip(groups, counts, strict=True):
        by_hand.grow_in(mask, average, group, count)
    return masks


def by_epochs(epochs, rate=0.5):
    return lambda epoch, batch: (
        rate * (1 + math.cos(math.pi * epoch / epochs)) / 2
    )


def by_batches(epochs, rate=0.5):
    return lambda epoch, batch: by_epochs(epochs, rate)(
        epoch + batch / BATCHES, batch
    )


@pytest.mark.parametrize("run_eagerly", [True, False])
def test_the_choice_is_that_of_the_averaged_gradient(run_eagerly):
    model = tiny.text_model(
        keras.optimizers.Adam(0.02), run_eagerly=run_eagerly
    )
    reference = ByHand(0.8, by_epochs(4))
    callback = ksr.SNFSCallback(0.5, momentum=0.8)
    tiny.fit(model, callback, reference, epochs=4)
    assert reference.rewired == [(1, 0), (2, 0), (3, 0)]
    tiny.assert_zero_where_empty(model)


def test_the_choice_every_few_steps():
    model = tiny.text_model(keras.optimizers.RMSprop(0.02), run_eagerly=True)
    reference = ByHand(0.9, by_batches(3))
    tiny.fit(model, ksr.SNFSCallback(0.5, frequency=3), reference)
    # The average goes on over an epoch's boundary: it is saved with the model.
    assert reference.rewired == [(0, 3), (1, 2), (2, 1)]


def test_the_average_decays_once_an_update():
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    model = tiny.text_model(optimizer, run_eagerly=True)
    reference = ByHand(0.7, by_epochs(3), per_update=2)
    tiny.fit(model, ksr.SNFSCallback(0.5, 0.7), reference)
    assert reference.rewired == [(1, 0), (2, 0)]


def test_the_total_is_exact_and_moves_between_groups():
    model = tiny.text_model(keras.optimizers.Adam(0.02), run_eagerly=True)
    before = [weight.active for weight in ksr.sparse_weights(model)]
    tiny.fit(model, ksr.SNFSCallback(0.8))
    after = [weight.active for weight in ksr.sparse_weights(model)]
    assert sum(after) == sum(before)
    assert after != before


def test_a_rule_by_both_gradients_sees_both():
    seen = []

    def by_gradient(mask, count, rng, *, gradient, momentum):
        seen.append((gradient, momentum))
        empty = np.flatnonzero(~mask)
        return empty[np.argsort(-gradient.reshape(-1)[empty])[:count]]

    rule = ksr.rewiring.RewiringRule(
        grow=by_gradient, schedule=ksr.rewiring.constant
    )
    model = tiny.dense_model("sgd")
    x, y = tiny.tokens(16)
    expected = []

    class Tape(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            part = slice(8 * batch, 8 * batch + 8)
            expected.extend(
                dense_twin.dense_gradients(self.model, x[part], y[part])
            )

    callback = ksr.RewiringCallback(0.4, rule, frequency=2, momentum=0.6)
    tiny.fit(model, Tape(), callback, x=x, y=y, epochs=2)
    # The gradient of batch 0 of epoch 1; the average of all three till then.
    [(gradient, momentum)] = seen
    average = 0.4 * (0.36 * expected[0] + 0.6 * expected[1] + expected[2])
    np.testing.assert_allclose(gradient, np.abs(expected[2]), rtol=1e-4)
    np.testing.assert_allclose(momentum, np.abs(average), rtol=1e-3, atol=1e-6)


def test_the_average_is_saved_with_the_model(tmp_path):
    model = tiny.text_model()
    tiny.fit(model, ksr.SNFSCallback(0.5), epochs=2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        tiny.fit(each, ksr.SNFSCallback(0.5), epochs=2)
    assert tiny.same(*map(tiny.state_without_seeds, (model, loaded)))


def test_it_is_asked_for_when_the_layer_is_made_or_by_the_callback():
    states = []
    for kinds in ([], ["momentum"]):
        keras.utils.set_random_seed(1)
        layer = ksr.SparseDense(
            40, sparsity=0.5, topology_seed=3, rewiring_state=kinds
        )
        model = keras.Sequential([keras.Input((tiny.LENGTH,)), layer])
        model.compile("adam", "mse")
        names = [variable.name for variable in layer.variables]
        assert ("kernel_momentum" in names) is bool(kinds)
        tiny.fit(model, ksr.SNFSCallback(0.5))
        assert layer.rewiring_state == ("momentum",)
        states.append(tiny.state(model))
    assert tiny.same(*states)


@pytest.mark.parametrize("momentum", [0, 1, -0.5, True, "0.9", None])
def test_a_decay_out_of_range_is_refused(momentum):
    match = r"`momentum` must be a number in \(0, 1\). Received: momentum="
    with pytest.raises(ValueError, match=match):
        ksr.SNFSCallback(momentum=momentum)
