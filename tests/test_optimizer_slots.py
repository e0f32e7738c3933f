"""Finding, refusing and starting slots; see also …_in_training."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_sparse_rnn as ksr
from keras_sparse_rnn import optimizer_slots

INPUTS = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")
OPTIMIZERS = keras.optimizers

needs_multi_optimizer = pytest.mark.skipif(
    not hasattr(OPTIMIZERS, "MultiOptimizer"),
    reason="this Keras has no MultiOptimizer",
)


def make_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            ksr.SparseDense(5, sparsity=0.5, topology_seed=1, name="first"),
            ksr.SparseDense(4, sparsity=0.5, topology_seed=2, name="second"),
        ]
    )


def train(model, optimizer, steps=3):
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = ops.mean(ops.square(model(INPUTS)))
            loss = optimizer.scale_loss(loss)
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)


def everything(model, optimizer):
    """All that a rewiring could change, as bytes."""
    variables = [*model.variables, *optimizer.variables]
    return [variable.numpy().tobytes() for variable in variables]


def scaled(optimizer):
    return OPTIMIZERS.LossScaleOptimizer(optimizer, initial_scale=8.0)


def multi(optimizer):
    return OPTIMIZERS.MultiOptimizer(
        OPTIMIZERS.OptimizerMap(optimizer, {".*first/.*": OPTIMIZERS.Adam()})
    )


REFUSED = {
    "Adafactor": "factored over rows and columns",
    "Muon": "orthogonalises its update over the whole matrix",
    "ScheduleFreeAdamW": "slots hold weights and not gradients",
}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda optimizer: optimizer,
        scaled,
        pytest.param(multi, marks=needs_multi_optimizer),
    ],
    ids=["bare", "scaled", "multi"],
)
@pytest.mark.parametrize("name", REFUSED)
def test_refused_optimizers_say_why_and_nothing_is_changed(name, wrap):
    if not hasattr(OPTIMIZERS, name):
        pytest.skip(f"this Keras has no {name}")
    model, inner = make_model(), getattr(OPTIMIZERS, name)(0.01)
    optimizer = wrap(inner)
    optimizer.build(model.trainable_variables)
    for variable in optimizer.variables:
        variable.assign(variable + 1)
    before = everything(model, optimizer)
    with pytest.raises(ValueError, match=REFUSED[name]) as error:
        ksr.rewire(model, optimizer, 0.3)
    assert str(error.value).startswith(f"{name} is not supported")
    assert str(error.value).endswith(f"Received: optimizer={inner.name}")
    assert everything(model, optimizer) == before


def test_a_subclass_of_a_refused_optimizer_is_refused():
    class Mine(OPTIMIZERS.Adafactor):
        pass

    with pytest.raises(ValueError, match="Received: optimizer=mine"):
        optimizer_slots.check_supported(Mine(name="mine"))


@pytest.mark.parametrize("optimizer", ["adam", 3, OPTIMIZERS.Adam])
def test_what_is_no_keras_optimizer(optimizer):
    with pytest.raises(ValueError, match="needs a Keras optimizer") as error:
        ksr.rewire(make_model(), optimizer, 0.3)
    assert str(error.value).endswith(f"Received: optimizer={optimizer}")


class HomeMade(OPTIMIZERS.Optimizer):
    """An optimizer that the package has never heard of."""

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.sums = self.add_optimizer_variables(variables, "sum")

    def update_step(self, gradient, variable, learning_rate):
        total = self.sums[self._get_variable_index(variable)]
        self.assign_add(total, gradient)
        self.assign_sub(variable, learning_rate * total)


def test_an_unknown_optimizer_is_noted_once_and_its_slots_are_cleared(caplog):
    model, optimizer = make_model(), HomeMade(0.05)
    with caplog.at_level(logging.WARNING, "keras_sparse_rnn"):
        for _ in range(3):
            train(model, optimizer)
            ksr.rewire(model, optimizer, 0.4)
    notes = [r for r in caplog.records if "HomeMade" in r.getMessage()]
    assert len(notes) == 1
    for weight in ksr.sparse_weights(model):
        ((_, _, slot),) = optimizer_slots.slots_of(optimizer, weight.value)
        mask, slot = weight.mask.numpy(), slot.numpy()
        assert not slot[~mask].any()
        grown = mask & (weight.value.numpy() == 0)
        assert grown.any()
        assert not slot[grown].any()
    train(model, optimizer)
    for weight in ksr.sparse_weights(model):
        assert not weight.value.numpy()[~weight.mask.numpy()].any()


def test_a_subclass_of_a_known_optimizer_is_not_noted(caplog):
    class Patched(OPTIMIZERS.Adagrad):
        pass

    model = make_model()
    optimizer = Patched(0.1, initial_accumulator_value=0.7)
    train(model, optimizer)
    with caplog.at_level(logging.WARNING, "keras_sparse_rnn"):
        ksr.rewire(model, optimizer, 0.4)
    assert not caplog.records
    for weight in ksr.sparse_weights(model):
        ((_, _, slot),) = optimizer_slots.slots_of(optimizer, weight.value)
        mask = weight.mask.numpy()
        assert (slot.numpy()[~mask] == np.float32(0.7)).all()


@needs_multi_optimizer
def test_several_optimizers_in_one():
    model = make_model()
    first = OPTIMIZERS.SGD(0.1, momentum=0.9)
    optimizer = OPTIMIZERS.MultiOptimizer(
        OPTIMIZERS.OptimizerMap(
            OPTIMIZERS.Adam(0.02),
            {".*first/kernel": first, "unused/.*": OPTIMIZERS.RMSprop()},
        )
    )
    train(model, optimizer)
    one, other = ksr.sparse_weights(model)
    names = [
        {name for _, name, _ in optimizer_slots.slots_of(optimizer, w.value)}
        for w in (one, other)
    ]
    assert names == [{"momentums"}, {"_momentums", "_velocities"}]
    for _ in range(2):
        ksr.rewire(model, optimizer, 0.4)
        train(model, optimizer)
        for weight in (one, other):
            empty = ~weight.mask.numpy()
            assert not weight.value.numpy()[empty].any()


@pytest.mark.parametrize(
    "make",
    [
        lambda: OPTIMIZERS.Adam(),
        lambda: scaled(OPTIMIZERS.SGD(0.1)),
        pytest.param(
            lambda: multi(OPTIMIZERS.RMSprop()), marks=needs_multi_optimizer
        ),
    ],
)
def test_an_optimizer_built_for_other_variables(make):
    other, model, optimizer = make_model(), make_model(), make()
    train(other, optimizer)
    before = everything(model, optimizer)
    with pytest.raises(ValueError, match="first/kernel'") as error:
        ksr.rewire(model, optimizer, 0.3)
    assert str(error.value).endswith(f"Received: optimizer={optimizer.name}")
    assert everything(model, optimizer) == before


def test_an_optimizer_that_is_not_built_has_no_slots_yet():
    model, optimizer = make_model(), OPTIMIZERS.Adam(0.02)
    weight = ksr.sparse_weights(model)[0]
    assert optimizer_slots.slots_of(optimizer, weight.value) == []
    ksr.rewire(model, optimizer, 0.4)
    train(model, optimizer)
    assert not weight.value.numpy()[~weight.mask.numpy()].any()


def test_a_new_wrapper_around_an_optimizer_in_use():
    model, inner = make_model(), OPTIMIZERS.Adam(0.02)
    train(model, inner)
    optimizer = scaled(inner)
    ksr.rewire(model, optimizer, 0.4)
    train(model, optimizer)
    for weight in ksr.sparse_weights(model):
        assert not weight.value.numpy()[~weight.mask.numpy()].any()


SECOND_MOMENTS = [
    (OPTIMIZERS.Adam(0.02, amsgrad=True), {"_velocities", "_velocity_hats"}),
    (OPTIMIZERS.Adamax(0.02), {"_u"}),
    (OPTIMIZERS.RMSprop(0.02, momentum=0.9), {"_velocities"}),
    (OPTIMIZERS.Adagrad(0.1), {"_accumulators"}),
    (
        OPTIMIZERS.Adadelta(1.0),
        {"_accumulated_grads", "_accumulated_delta_vars"},
    ),
    (OPTIMIZERS.Ftrl(0.1), {"_accumulators"}),
    (OPTIMIZERS.SGD(0.1, momentum=0.9), set()),
    (OPTIMIZERS.Lion(0.02), set()),
]


@pytest.mark.parametrize("granularity", ["gate", "unit"])
@pytest.mark.parametrize(
    ("template", "at_mean"),
    SECOND_MOMENTS,
    ids=lambda each: type(each).__name__,
)
def test_second_moments_can_start_at_the_survivors_mean(
    template, at_mean, granularity
):
    optimizer = type(template).from_config(template.get_config())
    cell = ksr.SparseGRUCell(
        4, sparsity=0.5, topology_seed=1, granularity=granularity
    )
    cell.build((None, 5))
    optimizer.build(cell.trainable_variables)
    rng = np.random.default_rng(0)
    weights = cell.sparse_weights
    for weight in weights:
        for _, _, slot in optimizer_slots.slots_of(optimizer, weight.value):
            values = rng.random(slot.shape) + 1
            slot.assign(np.where(weight.mask.numpy(), values, slot.numpy()))
    before = [slots_of(optimizer, weight) for weight in weights]
    masks = [weight.mask.numpy() for weight in weights]
    values = [weight.value.numpy() for weight in weights]

    ksr.rewire(cell, optimizer, 0.4, new_slots="survivors_mean")

    seen = set()
    for weight, slots, mask, value in zip(
        weights, before, masks, values, strict=True
    ):
        new_mask = weight.mask.numpy()
        # New weights are 0 and old ones are not.
        survivors = mask & new_mask & (weight.value.numpy() == value)
        grown = new_mask & ~survivors
        for name, slot in slots_of(optimizer, weight).items():
            np.testing.assert_array_equal(
                slot[survivors], slots[name][survivors]
            )
            fresh = 0.1 if name == "_accumulators" else 0.0
            np.testing.assert_array_equal(slot[~new_mask], np.float32(fresh))
            for group in weight.groups:
                part = slot[group.columns]
                expected = fresh
                if name in at_mean:
                    seen.add(name)
                    expected = part[survivors[group.columns]].mean()
                np.testing.assert_allclose(
                    part[grown[group.columns]], expected, rtol=1e-6
                )
    assert seen == at_mean


def slots_of(optimizer, weight):
    return {
        name: slot.numpy()
        for _, name, slot in optimizer_slots.slots_of(optimizer, weight.value)
    }


@pytest.mark.parametrize(
    ("new_slots", "first", "largest"),
    [("fresh", 3.162, 6.57), ("survivors_mean", 0.1, 1.0)],
)
def test_first_steps_of_a_new_weight_under_adam(new_slots, first, largest):
    """Late in training, under a constant gradient, in learning rates."""
    layer = ksr.SparseDense(8, sparsity=0.5, use_bias=False)
    layer.build((None, 8))
    (weight,) = layer.sparse_weights
    optimizer = OPTIMIZERS.Adam(0.01)
    optimizer.build([weight.value])
    optimizer.iterations.assign(1_000_000)
    for _, _, slot in optimizer_slots.slots_of(optimizer, weight.value):
        slot.assign(weight.mask.numpy().astype("float32"))
    ksr.rewire(layer, optimizer, 0.3, new_slots=new_slots)
    new = weight.mask.numpy() & (weight.value.numpy() == 0)
    gradient = weight.mask.numpy().astype("float32")
    steps = []
    for _ in range(60):
        before = weight.value.numpy()[new]
        optimizer.apply([ops.convert_to_tensor(gradient)], [weight.value])
        steps.append(np.mean(before - weight.value.numpy()[new]) / 0.01)
    assert steps[0] == pytest.approx(first, rel=1e-3)
    assert max(steps) == pytest.approx(largest, rel=3e-2)


def test_stray_slots_are_cleared_where_there_is_no_connection():
    model = make_model()
    optimizer = OPTIMIZERS.Ftrl(0.1, use_ema=True)
    train(model, optimizer)
    weight = ksr.sparse_weights(model)[0]
    mask = weight.mask.numpy()
    trained = slots_of(optimizer, weight)
    for _, _, slot in optimizer_slots.slots_of(optimizer, weight.value):
        slot.assign(np.where(mask, slot.numpy(), 5.0))
    optimizer_slots.clear_empty_places(optimizer, weight)
    for name, slot in slots_of(optimizer, weight).items():
        np.testing.assert_array_equal(slot, trained[name])
