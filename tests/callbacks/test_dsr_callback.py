"""DSR in `fit`: one threshold for all weights, which adapts itself."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests.callbacks import tiny


def magnitudes(model, masks, values):
    """The sum of |w| of each connection, of all groups together."""
    found = []
    for weight, mask, value in zip(
        ksr.sparse_weights(model), masks, values, strict=True
    ):
        for group in weight.groups:
            sums = np.abs(group.view(value)).sum(axis=1)
            found.append(sums[group.view(mask)[:, 0]])
    return found


class Thresholds(tiny.Recorder):
    """The threshold of the next rewiring at each epoch's end."""

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.thresholds = []

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        known = {weight.threshold for weight in ksr.sparse_weights(self.model)}
        assert len(known) == 1
        self.thresholds.append(known.pop())


@pytest.mark.parametrize("granularity", ["gate", "unit"])
def test_what_is_below_the_threshold_goes_and_the_threshold_adapts(
    granularity,
):
    model = keras.Sequential(
        [
            keras.Input((tiny.LENGTH,), dtype="int32"),
            ksr.SparseEmbedding(tiny.VOCABULARY, 8, sparsity=0.5),
            ksr.SparseGRU(
                6, sparsity=0.6, granularity=granularity, engine="masked"
            ),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)
    recorder = Thresholds()
    total = sum(weight.active for weight in ksr.sparse_weights(model))
    history = tiny.fit(model, ksr.DSRCallback(0.3), recorder, epochs=6).history
    assert recorder.thresholds[0] == 0
    threshold, factors = None, []
    for epoch in range(1, 6):
        groups = magnitudes(model, *recorder.epoch_ends[epoch - 1])
        everything = np.sort(np.concatenate(groups))
        if threshold is None:
            threshold = everything[round(0.3 * len(everything))]
        # The strongest of a group stays in any case.
        gone = sum(min((g < threshold).sum(), len(g) - 1) for g in groups)
        wanted = 0.3 * len(everything)
        factor = 0.5 if gone > 1.1 * wanted else 2 if gone < 0.9 * wanted else 1
        threshold *= factor
        factors.append(factor)
        assert recorder.thresholds[epoch] == pytest.approx(threshold)
        assert history["connections_moved"][epoch] >= gone / 2 > 0
    assert len({*factors}) > 1
    assert sum(w.active for w in ksr.sparse_weights(model)) == total
    tiny.assert_zero_where_empty(model)


def test_connections_move_between_weights_and_the_total_stays():
    model = tiny.text_model(keras.optimizers.Adam(0.02), run_eagerly=True)
    before = [weight.active for weight in ksr.sparse_weights(model)]
    tiny.fit(model, ksr.DSRCallback(0.4), epochs=4)
    after = [weight.active for weight in ksr.sparse_weights(model)]
    assert sum(before) == sum(after)
    assert before != after


def test_the_threshold_is_saved_with_the_model(tmp_path):
    model = tiny.dense_model()
    tiny.fit(model, ksr.DSRCallback(0.3))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    [weight] = ksr.sparse_weights(loaded)
    assert weight.threshold > 0
    for each in (model, loaded):
        tiny.fit(each, ksr.DSRCallback(0.3))
    assert tiny.same(tiny.state(model), tiny.state(loaded))


def test_at_a_rate_of_0_nothing_goes():
    model = tiny.dense_model()
    before = tiny.masks(model)
    history = tiny.fit(model, ksr.DSRCallback(0.0)).history
    assert history["connections_moved"] == [0, 0, 0]
    assert tiny.same(tiny.masks(model), before)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ksr.DSRCallback(0.3),
        lambda: ksr.RewiringCallback(
            0.3,
            pruning=ksr.rewiring.ConstantSparsity(0.9),
            pruned_together=True,
        ),
        lambda: ksr.DeepRCallback(frequency=2),
        lambda: ksr.RigLCallback(0.3, 2),
        lambda: ksr.SNFSCallback(0.3),
    ],
    ids=["DSR", "pruned together", "DeepR", "RigL", "SNFS"],
)
def test_frozen_models_are_left_alone(make):
    sparse = ksr.SparseDense(40, sparsity=0.5, trainable=False)
    model = keras.Sequential(
        [keras.Input((tiny.LENGTH,)), sparse, keras.layers.Dense(1)]
    )
    model.compile("adam", "mse", run_eagerly=True)
    callback = make()
    with pytest.warns(UserWarning, match="rewires nothing: no layer"):
        tiny.fit(model, callback)
    assert [weight.rewirings for weight in sparse.sparse_weights] == [0]
