"""DeepR in `fit`: what changes its sign goes."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.rewiring_state import signs_of
from tests.callbacks import tiny

STILL = {"l1": 0, "temperature": 0}


class Signs(keras.callbacks.Callback):
    """The signs, masks and values around each batch.

    Put it behind the callback that rewires.
    """

    def __init__(self):
        super().__init__()
        self.begins, self.ends = [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.begins.append(self._now())

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(self._now())

    def _now(self):
        weights = ksr.sparse_weights(self.model)
        signs = [
            np.array(getattr(weight.layer, f"{weight.name}_signs"))
            for weight in weights
        ]
        return (
            *map(
                list, (signs, tiny.masks(self.model), tiny.values(self.model))
            ),
            [weight.groups for weight in weights],
        )

    def steps(self):
        """What was before each rewiring at a batch's beginning, and after."""
        for old, new in zip(self.ends, self.begins[1:], strict=False):
            yield from zip(
                zip(*old, strict=True), zip(*new, strict=True), strict=True
            )


def test_what_changed_its_sign_goes_and_as_many_come_elsewhere():
    model = tiny.text_model(keras.optimizers.Adam(0.1), run_eagerly=True)
    seen = Signs()
    tiny.fit(model, ksr.DeepRCallback(**STILL, frequency=1), seen, epochs=2)
    moved = 0
    for before, after in seen.steps():
        signs, mask, value, groups = before
        new_signs, new_mask, new_value, _ = after
        assert (np.abs(signs[mask]) == 1).all()
        assert not signs[~mask].any()
        gone = mask & (signs * value < 0)
        grown = new_mask & ~(mask & ~gone)
        assert not (new_mask & gone).any()
        for group in groups:
            part = group.columns
            count = np.count_nonzero(gone[part])
            # The last one of a group stays.
            if count < np.count_nonzero(mask[part]):
                assert np.count_nonzero(grown[part]) == count
            assert new_mask[part].sum() == mask[part].sum()
        stays = new_mask & ~grown
        np.testing.assert_array_equal(new_signs[stays], signs[stays])
        np.testing.assert_array_equal(new_value[stays], value[stays])
        assert not new_value[grown].any()
        assert (np.abs(new_signs[grown]) == 1).all()
        moved += np.count_nonzero(grown)
    assert moved > 20
    tiny.assert_zero_where_empty(model)


def test_signs_at_the_start_are_those_of_the_weights():
    model = tiny.dense_model("sgd", run_eagerly=True)
    seen = Signs()
    tiny.fit(model, ksr.DeepRCallback(**STILL, frequency=3), seen, epochs=1)
    [signs], [mask], [value], _ = seen.begins[0]
    np.testing.assert_array_equal(signs, np.sign(np.where(mask, value, 0)))


def test_new_signs_are_as_often_positive_as_negative():
    model = keras.Sequential(
        [keras.Input((60,)), ksr.SparseDense(60, sparsity=0.5)]
    )
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    [weight] = ksr.sparse_weights(model)
    model.layers[0].carry("signs")
    signs = model.layers[0].kernel_signs
    old = weight.mask.numpy()
    weight.value.assign(np.where(old, 1, 0))
    ksr.rewire(model, None, 1.0, "deep_r")
    weight.value.assign(np.where(old, -1, 0))
    ksr.rewire(model, None, 1.0, "deep_r")
    grown = weight.mask.numpy() & ~old
    assert grown.sum() > 1000
    assert abs(signs.numpy()[grown].mean()) < 0.1


@pytest.mark.parametrize("learning_rate", [0.1, "schedule"])
def test_the_walk_is_that_of_the_steps_since_the_last_one(learning_rate):
    walked = []

    def walk(weights, rng, *, signs, learning_rate, steps):
        walked.append((learning_rate, steps))
        return weights

    rule = ksr.rewiring.RewiringRule(drop=ksr.rewiring.changed_sign, walk=walk)
    if learning_rate == "schedule":
        learning_rate = keras.optimizers.schedules.PiecewiseConstantDecay(
            [4], [0.1, 0.01]
        )
    model = tiny.dense_model(keras.optimizers.SGD(learning_rate))
    callback = ksr.RewiringCallback(1.0, rule, frequency=3)
    tiny.fit(model, callback, epochs=2)
    lower = 0.1 if learning_rate == 0.1 else 0.01
    expected = [(0.1, 3), (lower, 3)]
    assert walked == [(pytest.approx(rate), steps) for rate, steps in expected]
    # The optimizer is at step 8, the last walk was at step 6.
    tiny.fit(model, callback, epochs=1)
    assert [steps for _, steps in walked] == [3, 3, 3]
    # Another optimizer counts anew.
    model.compile(keras.optimizers.SGD(0.1), "mse")
    tiny.fit(model, callback, epochs=1)
    assert [steps for _, steps in walked] == [3, 3, 3, 3]


@pytest.mark.parametrize("frequency", [1, "epoch"])
def test_the_walk_of_a_model_that_was_trained_before_begins_now(frequency):
    walked = []

    def walk(weights, rng, *, steps):
        walked.append(steps)
        return weights

    rule = ksr.rewiring.RewiringRule(walk=walk)
    model = tiny.dense_model()
    tiny.fit(model, epochs=10)
    callback = ksr.RewiringCallback(0.3, rule, frequency=frequency)
    tiny.fit(model, callback, epochs=2)
    assert walked == ([0] + [1] * 7 if frequency == 1 else [4])


def test_strong_decay_makes_connections_go():
    moved = {}
    for l1 in (0.0, 2.0):
        model = tiny.dense_model("sgd", run_eagerly=True)
        history = tiny.fit(
            model, ksr.DeepRCallback(l1, 0.0, frequency=1)
        ).history
        moved[l1] = sum(history["connections_moved"])
        assert history["rewire_rate"] == [1.0, 1.0, 1.0]
    assert moved[2.0] > 4 * max(moved[0.0], 1)


def test_signs_are_saved_with_the_model(tmp_path):
    model = tiny.text_model()
    tiny.fit(model, ksr.DeepRCallback(l1=0.1, frequency=2))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for one, other in zip(
        ksr.sparse_weights(model), ksr.sparse_weights(loaded), strict=True
    ):
        np.testing.assert_array_equal(signs_of(one), signs_of(other))
    for each in (model, loaded):
        tiny.fit(each, ksr.DeepRCallback(l1=0.1, frequency=2))
    assert tiny.same(*map(tiny.state_without_seeds, (model, loaded)))


@pytest.mark.parametrize("name", ["l1", "temperature"])
@pytest.mark.parametrize("value", [-1e-9, np.nan, np.inf, "1", None, True])
def test_bad_arguments_are_refused(name, value):
    match = rf"`{name}` must be a finite number .* Received: {name}="
    with pytest.raises(ValueError, match=match):
        ksr.DeepRCallback(**{name: value})
