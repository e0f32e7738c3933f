"""What is decided for all weights of a model before any is changed."""

import dataclasses

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.joint_rewiring import ModelRewiring
from keras_sparse_rnn.joint_rewiring import Request
from keras_sparse_rnn.joint_rewiring import prune_weights
from keras_sparse_rnn.joint_rewiring import rewire_weights

ALL_KINDS = ["momentum", "signs"]
RULES = ("st_rnn", "set", "rigl", "snfs", "dsr", "deep_r")


def make_model(granularity="gate", **arguments):
    model = keras.Sequential(
        [
            keras.Input((5, 3)),
            ksr.SparseGRU(
                8,
                sparsity=0.6,
                granularity=granularity,
                engine="masked",
                rewiring_state=ALL_KINDS,
                **arguments,
            ),
            ksr.SparseDense(4, sparsity=0.5, rewiring_state=ALL_KINDS),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)
    rng = np.random.default_rng(0)
    model.train_on_batch(rng.normal(size=(6, 5, 3)), rng.normal(size=(6, 4)))
    for weight in ksr.sparse_weights(model):
        momentum = getattr(weight.layer, f"{weight.name}_momentum")
        momentum.assign(rng.normal(size=weight.shape))
    return model


def gradients_of(weights, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=weight.shape) for weight in weights]


def rewire(model, rule, rate=0.5, **options):
    weights = ksr.sparse_weights(model)
    request = Request(rate, ksr.rewiring.get(rule), **options)
    return rewire_weights(
        weights, model.optimizer, request, gradients_of(weights)
    )


def state(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [np.array(variable) for variable in variables]


def same(first, second):
    return all(
        np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
        for one, other in zip(first, second, strict=True)
    )


def counts(weights):
    return [
        np.count_nonzero(weight.mask.numpy()[group.columns])
        for weight in weights
        for group in weight.groups
    ]


@pytest.mark.parametrize("granularity", ["gate", "kernel", "unit"])
@pytest.mark.parametrize("rule", RULES)
def test_counts_stay_by_group_or_in_total(rule, granularity):
    model = make_model(granularity)
    weights = ksr.sparse_weights(model)
    if rule == "deep_r":
        for weight in weights:
            getattr(weight.layer, f"{weight.name}_signs").assign(
                -np.sign(weight.value).astype("int8")
            )
    before = counts(weights)
    masks = [weight.mask.numpy() for weight in weights]
    report = rewire(model, rule)
    after = counts(weights)
    assert sum(after) == sum(before)
    redistributes = ksr.rewiring.get(rule).redistribute is not None
    assert redistributes or before == after
    assert report.connections_moved > 0
    assert report.connections_pruned == 0
    assert report.rewire_rate == 0.5
    assert report.connections_moved == sum(report.by_weight.values())
    assert [*report.by_weight] == [weight.path for weight in weights]
    for weight, mask in zip(weights, masks, strict=True):
        weight.check_tied(weight.mask.numpy())
        assert not weight.value.numpy()[~weight.mask.numpy()].any()
        assert weight.rewirings == 1
        assert (weight.mask.numpy() != mask).any()


@pytest.mark.parametrize("rule", RULES)
def test_the_same_state_gives_the_same_bits(rule):
    states = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        model = make_model()
        rewire(model, rule)
        states.append(state(model))
    assert same(*states)


def test_signs_of_new_connections_are_drawn_and_others_stay():
    model = make_model()
    weights = ksr.sparse_weights(model)
    old = [(w.mask.numpy(), np.sign(w.value.numpy())) for w in weights]
    for weight, (mask, signs) in zip(weights, old, strict=True):
        variable = getattr(weight.layer, f"{weight.name}_signs")
        variable.assign(np.where(mask, signs, 0).astype("int8"))
    rewire(model, dataclasses.replace(ksr.rewiring.get("deep_r"), walk=None))
    for weight, (mask, signs) in zip(weights, old, strict=True):
        now = getattr(weight.layer, f"{weight.name}_signs").numpy()
        mask_now = weight.mask.numpy()
        np.testing.assert_array_equal(
            now[mask_now & mask], signs[mask_now & mask]
        )
        assert (np.abs(now[mask_now]) == 1).all()
        assert not now[~mask_now].any()


def test_pruning_comes_before_rewiring_and_is_not_made_up_for():
    model = make_model()
    weights = ksr.sparse_weights(model)
    before = sum(weight.active for weight in weights)
    report = rewire(model, "rigl", sparsity=0.8)
    after = sum(weight.active for weight in weights)
    assert report.connections_pruned == before - after
    expected = [
        int(0.2 * weight.mask.numpy()[group.columns].size + 0.5)
        for weight in weights
        for group in weight.groups
    ]
    assert counts(weights) == expected
    assert report.connections_moved == sum(int(n / 2 + 0.5) for n in expected)


def test_pruned_together_the_total_is_exact():
    model = make_model()
    weights = ksr.sparse_weights(model)
    places = sum(weight.total for weight in weights)
    rewire(model, "st_rnn", 0.0, sparsity=0.8, pruned_together=True)
    total = sum(weight.active for weight in weights)
    assert total == int(0.2 * places + 0.5)
    shares = {round(weight.sparsity, 2) for weight in weights}
    assert len(shares) > 1


@pytest.mark.parametrize("together", [False, True])
def test_pruning_alone_does_what_it_does_before_a_rewiring_of_rate_0(together):
    states = []
    for alone in (True, False):
        keras.utils.set_random_seed(5)
        model = make_model()
        weights = ksr.sparse_weights(model)
        if alone:
            prune_weights(weights, model.optimizer, 0.8, together)
            assert [weight.rewirings for weight in weights] == [0] * 3
        else:
            rewire(model, "st_rnn", 0.0, sparsity=0.8, pruned_together=together)
        optimizer = [slot.numpy() for slot in model.optimizer.variables]
        values = [np.array(weight.value) for weight in weights]
        masks = [np.array(weight.mask) for weight in weights]
        states.append(optimizer + values + masks)
    assert same(*states)


def test_slots_of_pruned_places_are_cleared():
    model = make_model()
    weights = ksr.sparse_weights(model)
    rewire(model, "st_rnn", 0.0, sparsity=0.9)
    for weight in weights:
        prefix = weight.path.replace("/", "_") + "_"
        slots = [
            variable.numpy()
            for variable in model.optimizer.variables
            if variable.name.startswith(prefix)
        ]
        assert len(slots) == 2
        for slot in slots:
            assert not slot[~weight.mask.numpy()].any()
            assert slot[weight.mask.numpy()].any()


@pytest.mark.parametrize("granularity", ["gate", "unit"])
def test_the_threshold_is_one_for_all_and_adapts_by_connections(granularity):
    model = make_model(granularity)
    weights = ksr.sparse_weights(model)
    sizes = np.sort(
        np.concatenate(
            [
                np.abs(group.view(weight.value.numpy()))
                .sum(axis=1)[group.view(weight.mask.numpy())[:, 0]]
                .reshape(-1)
                for weight in weights
                for group in weight.groups
            ]
        )
    )
    first = sizes[int(0.3 * len(sizes) + 0.5)]
    rewire(model, "dsr", 0.3)
    # As many as wanted went, to the nearest integer.
    assert [w.threshold for w in weights] == [pytest.approx(first)] * 3
    for weight in weights:
        # None is below.
        weight.value.assign(np.where(weight.mask, 1.0, 0))
    rewire(model, "dsr", 0.3)
    assert [w.threshold for w in weights] == [pytest.approx(2 * first)] * 3
    for weight in weights:
        weight.value.assign(np.where(weight.mask, first / 10, 0))
    rewire(model, "dsr", 0.3)
    assert [w.threshold for w in weights] == [pytest.approx(first)] * 3


@pytest.mark.parametrize("spoilt", ["weight", "gradient", "rule"])
def test_what_is_refused_changes_nothing(spoilt):
    model = make_model()
    weights = ksr.sparse_weights(model)
    gradients = gradients_of(weights)
    rule = ksr.rewiring.get("rigl")
    if spoilt == "weight":
        value = weights[-1].value
        value.assign(np.where(weights[-1].mask, np.nan, 0))
    elif spoilt == "gradient":
        gradients[-1][0, 0] = np.nan
    else:
        called = []

        def wrong(weights, rate):
            called.append(1)
            return np.arange(99 if len(called) > 6 else 0)

        rule = dataclasses.replace(rule, drop=wrong)
    before = state(model)
    request = Request(0.5, rule, sparsity=0.7)
    match = rf"'{weights[-1].path}' was not rewired, nor any other weight. "
    with pytest.raises(ValueError, match=match):
        rewire_weights(weights, model.optimizer, request, gradients)
    assert same(state(model), before)


def test_a_rule_without_its_gradient_is_refused():
    model = make_model()
    before = state(model)
    request = Request(0.5, ksr.rewiring.get("rigl"))
    with pytest.raises(ValueError, match=r"looks at \['gradient'\]"):
        rewire_weights(ksr.sparse_weights(model), model.optimizer, request)
    assert same(state(model), before)


@pytest.mark.parametrize("rule", RULES)
def test_no_weights_are_no_reason_to_fail(rule):
    request = Request(0.3, ksr.rewiring.get(rule), sparsity=0.5)
    for together in (False, True):
        request = dataclasses.replace(request, pruned_together=together)
        rewired = rewire_weights([], keras.optimizers.SGD(), request)
        assert rewired == ModelRewiring(0, 0.3, {})
