import inspect
import json
import math

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from tests.callbacks import tiny


def to_nearest(number):
    return math.floor(number + 0.5)


def cosine(epoch, epochs):
    return (1 + math.cos(math.pi * epoch / epochs)) / 2


def test_errors_on_arguments_name_the_callback():
    with pytest.raises(
        TypeError, match=r"^SETCallback expects .*drop_fraction"
    ):
        ksr.SETCallback(drop_fraction=0.4)
    taken, known = (
        [*inspect.signature(each).parameters.values()]
        for each in (ksr.SETCallback, ksr.RewiringCallback)
    )
    assert taken == known[: len(taken)]


def group_views(model, masks, values):
    """For each group: its mask and its values."""
    for weight, mask, value in zip(
        ksr.sparse_weights(model), masks, values, strict=True
    ):
        for group in weight.groups:
            yield mask[group.columns], value[group.columns]


def around_rewirings(model, recorder):
    """For each epoch after the first: groups before and after its rewiring."""
    begun = {}
    for epoch, _, _, masks, values in recorder.before:
        begun.setdefault(epoch, (masks, values))
    for epoch, old in enumerate(recorder.epoch_ends[:-1], start=1):
        new = begun[epoch]
        yield (
            epoch,
            list(
                zip(
                    group_views(model, *old),
                    group_views(model, *new),
                    strict=True,
                )
            ),
        )


@pytest.mark.parametrize(
    ("make_model", "rewire_rate", "epochs"),
    [(tiny.text_model, 0.4, 5), (tiny.dense_model, 1.0, 4)],
)
def test_smallest_weights_go_by_a_cosine_of_the_epoch(
    make_model, rewire_rate, epochs
):
    model = make_model()
    recorder = tiny.Recorder()
    history = tiny.fit(
        model, ksr.SETCallback(rewire_rate), recorder, epochs=epochs
    ).history

    rewired = 0
    for epoch, groups in around_rewirings(model, recorder):
        rate = rewire_rate * cosine(epoch, epochs)
        assert history["rewire_rate"][epoch] == pytest.approx(rate)
        moved = 0
        for (mask, value), (new_mask, new_value) in groups:
            connections = np.count_nonzero(mask)
            assert np.count_nonzero(value) == connections
            count = min(to_nearest(rate * connections), connections - 1)
            # A new connection is one that weighs nothing yet.
            survivors = new_value != 0
            assert np.count_nonzero(new_mask) == connections
            assert np.count_nonzero(new_mask & ~survivors) == count
            # The survivors are the largest, and as they were.
            order = np.sort(np.abs(value[mask]))
            assert (np.abs(value[survivors]) >= order[count]).all()
            np.testing.assert_array_equal(
                new_value[survivors], value[survivors]
            )
            moved += count
        assert history["connections_moved"][epoch] == moved > 0
        rewired += 1
    assert rewired == epochs - 1
    assert history["connections_moved"][0] == 0
    assert history["rewire_rate"][0] == 0


def test_masks_change_only_as_epochs_after_the_first_begin():
    model = tiny.text_model()
    recorder = tiny.Recorder()
    before = tiny.masks(model)
    tiny.fit(
        model,
        ksr.SETCallback(0.5),
        recorder,
        epochs=4,
        validation_data=tiny.tokens(8),
    )
    assert tiny.same(recorder.before[0][3], before)
    assert recorder.rewired_before() == [(1, 0), (2, 0), (3, 0)]
    # Nor at an epoch's end, nor after the last one: the weights that others
    # see there are those of the last batch.
    for epoch, (masks, values) in enumerate(recorder.epoch_ends):
        last_masks, last_values = recorder.after[4 * epoch + 3]
        assert tiny.same(masks, last_masks)
        assert tiny.same(values, last_values)
    assert tiny.same(tiny.masks(model), recorder.epoch_ends[-1][0])
    assert tiny.same(tiny.values(model), recorder.epoch_ends[-1][1])
    tiny.assert_zero_where_empty(model)


def test_exploration_rate_is_the_union_of_all_masks():
    model = tiny.text_model()
    recorder = tiny.Recorder()
    history = tiny.fit(model, ksr.SETCallback(0.8), recorder, epochs=5).history
    union = [np.zeros_like(mask) for mask in tiny.masks(model)]
    expected = {}
    for epoch, _, _, masks, _ in recorder.before:
        union = [a | b for a, b in zip(union, masks, strict=True)]
        places = sum(mask.size for mask in union)
        expected[epoch] = sum(mask.sum() for mask in union) / places
    np.testing.assert_allclose(
        history["exploration_rate"], [*expected.values()]
    )
    assert len(set(expected.values())) == 5
    report = ksr.sparsity_report(model)
    assert report.exploration_rate == history["exploration_rate"][-1]


def test_set_rule_drops_either_sign_at_a_constant_rate():
    model = tiny.text_model()
    recorder = tiny.Recorder()
    history = tiny.fit(
        model, ksr.SETCallback(0.3, rule="set"), recorder, epochs=4
    ).history
    assert history["rewire_rate"] == [0.0, 0.3, 0.3, 0.3]
    for epoch, groups in around_rewirings(model, recorder):
        moved = 0
        for (mask, value), (new_mask, new_value) in groups:
            kept = new_mask & (new_value == value) & mask
            for sign in (-1, 1):
                of_sign = np.sort(np.abs(value[mask & (value * sign > 0)]))
                count = to_nearest(0.3 * len(of_sign))
                survivors = np.abs(value[kept & (value * sign > 0)])
                np.testing.assert_array_equal(
                    np.sort(survivors), of_sign[count:]
                )
                moved += count
            assert np.count_nonzero(new_mask) == np.count_nonzero(mask)
            assert new_value[new_mask & ~kept].all()
        assert history["connections_moved"][epoch] == moved


@pytest.mark.parametrize(
    ("rule", "stddev"),
    [("set", 0.1), (ksr.rewiring.set_rule(stddev=2.5), 2.5)],
)
def test_new_weights_of_the_set_rule_have_the_spread_asked_for(rule, stddev):
    model = keras.Sequential(
        [
            keras.Input((60,)),
            ksr.SparseDense(60, sparsity=0.5, topology_seed=1),
        ]
    )
    model.compile("adam", "mse")
    recorder = tiny.Recorder()
    x = np.random.default_rng(1).normal(size=(8, 60)).astype("float32")
    tiny.fit(
        model, ksr.SETCallback(0.4, rule=rule), recorder, epochs=2, x=x, y=x
    )
    [(_, [((mask, value), (new_mask, new_value))])] = around_rewirings(
        model, recorder
    )
    new = new_value[new_mask & ~(mask & (value == new_value))]
    assert len(new) == 720
    assert np.std(new) == pytest.approx(stddev, rel=0.1)
    assert np.mean(new) == pytest.approx(0, abs=0.15 * stddev)


def test_own_rule_is_called_with_each_function():
    progress = []

    def drop_the_first(weights, rate):
        return np.arange(round(rate * len(weights)))

    def grow_the_last(mask, count, rng):
        return np.flatnonzero(~mask)[-count:]

    def seven(shape, rng):
        return np.full(shape, 7.0)

    def schedule(at):
        progress.append(at)
        return 0.5

    rule = ksr.rewiring.RewiringRule(
        drop_the_first, grow_the_last, seven, schedule
    )
    model = tiny.dense_model()
    recorder = tiny.Recorder()
    history = tiny.fit(
        model, ksr.SETCallback(0.4, rule=rule), recorder, epochs=4
    ).history
    assert progress == [0.25, 0.5, 0.75]
    assert history["rewire_rate"] == [0.0, 0.2, 0.2, 0.2]
    for _, groups in around_rewirings(model, recorder):
        for (mask, _), (new_mask, new_value) in groups:
            connections = np.flatnonzero(mask)
            count = round(0.2 * len(connections))
            assert count
            survivors = mask.reshape(-1).copy()
            survivors[connections[:count]] = False
            grown = np.flatnonzero(~survivors)[-count:]
            expected = survivors.copy()
            expected[grown] = True
            np.testing.assert_array_equal(new_mask.reshape(-1), expected)
            assert (new_value.reshape(-1)[grown] == 7).all()


@pytest.mark.parametrize("number", [np.float32, np.float16, np.float64])
def test_what_is_logged_can_be_written_as_json(number):
    model = tiny.dense_model()
    history = tiny.fit(model, ksr.SETCallback(number(0.5)), epochs=3).history
    assert history["rewire_rate"][1] > 0
    for name in ("connections_moved", "rewire_rate", "exploration_rate"):
        assert json.loads(json.dumps(history[name])) == history[name]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1, 2, 3, 4]),
        ({"start": 3}, [3, 4]),
        ({"end": 3}, [1, 2]),
        ({"start": 2, "end": 4}, [2, 3]),
        ({"end": 40}, [1, 2, 3, 4]),
    ],
)
def test_start_and_end_bound_the_epochs(options, expected):
    model = tiny.dense_model()
    recorder = tiny.Recorder()
    history = tiny.fit(
        model, ksr.SETCallback(0.6, **options), recorder, epochs=5
    ).history
    assert recorder.rewired_before() == [(epoch, 0) for epoch in expected]
    last = options.get("end", 5)
    rates = [
        0.6 * cosine(epoch, last) if epoch in expected else 0
        for epoch in range(5)
    ]
    np.testing.assert_allclose(history["rewire_rate"], rates)


def test_start_0_rewires_before_the_first_batch():
    model = tiny.dense_model()
    recorder = tiny.Recorder()
    before = tiny.masks(model)
    history = tiny.fit(
        model, ksr.SETCallback(0.6, start=0), recorder, epochs=2
    ).history
    assert history["rewire_rate"] == pytest.approx([0.6, 0.3])
    assert not tiny.same(recorder.before[0][3], before)
    assert recorder.rewired_before() == [(1, 0)]


@pytest.mark.parametrize("by_name", [True, False])
def test_layers_limits_rewiring_and_logs_to_what_it_names(by_name):
    model = tiny.text_model()
    lstm = model.get_layer("lstm")
    embedding = model.layers[0]
    before = np.array(embedding.embeddings_mask)
    layers = ["lstm"] if by_name else [lstm]
    history = tiny.fit(model, ksr.SETCallback(0.8, layers=layers)).history
    np.testing.assert_array_equal(embedding.embeddings_mask, before)
    assert [w.rewirings for w in embedding.sparse_weights] == [0]
    assert [w.rewirings for w in lstm.sparse_weights] == [2, 2]
    ever = sum(weight.ever_active for weight in lstm.sparse_weights)
    places = sum(weight.total for weight in lstm.sparse_weights)
    assert history["exploration_rate"][-1] == ever / places


def test_layers_take_a_wrapper_for_what_is_inside():
    model = keras.Sequential(
        [
            keras.Input((tiny.LENGTH,)),
            ksr.SparseDense(4, sparsity=0.5),
            keras.layers.Reshape((2, 2)),
            keras.layers.TimeDistributed(
                ksr.SparseDense(4, sparsity=0.5), name="wrapper"
            ),
            keras.layers.Flatten(),
            ksr.SparseDense(1, sparsity=0.5),
        ]
    )
    model.compile("adam", "mse")
    tiny.fit(model, ksr.SETCallback(0.5, layers=["wrapper"]))
    rewirings = [weight.rewirings for weight in ksr.sparse_weights(model)]
    assert rewirings == [0, 2, 0]


def test_new_slots_may_start_at_the_survivors_mean():
    slots = {}

    class Observer(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            weight = self.model.get_layer("sparse").sparse_weights[0]
            self.new = np.array(weight.mask) & (np.array(weight.value) == 0)
            for name, slot in tiny.slots(self.model.optimizer, weight):
                slots[name.rsplit("_", 1)[1]] = slot

        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = self.new.any()

    model = tiny.dense_model()
    observer = Observer()
    callback = ksr.SETCallback(0.5, new_slots="survivors_mean")
    tiny.fit(model, callback, observer)
    weight = model.get_layer("sparse").sparse_weights[0]
    assert observer.new.any()
    assert not slots["momentum"][observer.new].any()
    for group in weight.groups:
        new = observer.new[group.columns]
        survivors = np.array(weight.mask)[group.columns] & ~new
        velocity = slots["velocity"][group.columns]
        np.testing.assert_allclose(
            velocity[new], velocity[survivors].mean(), rtol=1e-5
        )
