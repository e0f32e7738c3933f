"""Rewired models on the native engine make lists of connections anew."""

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr
from keras_sparse_rnn.engine import native
from tests.layers import engines
from tests.layers.native_models import assert_close
from tests.layers.native_models import compiled
from tests.layers.native_models import data
from tests.layers.native_models import fit
from tests.layers.native_models import recurrent_layers

pytestmark = engines.needs_kernels


class Masks(keras.callbacks.Callback):
    """The loss and the masks of each epoch."""

    def on_train_begin(self, logs=None):
        self.masks, self.losses = [], []

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(logs["loss"])
        self.masks.append(
            [each.mask.numpy() for each in ksr.sparse_weights(self.model)]
        )


@pytest.fixture
def lists_made(monkeypatch):
    """The masks that lists of connections are made of, in pairs."""
    compress, made = native.compress, []

    def counted(kind, *arguments):
        made.append(arguments[:2])
        return compress(kind, *arguments)

    monkeypatch.setattr(native, "compress", counted)
    return made


def as_bytes(masks):
    return sorted(mask.tobytes() for mask in masks)


@pytest.mark.parametrize("name", ["one layer", "bidirectional"])
def test_rewiring_from_epoch_to_epoch(name, lists_made):
    recorded = []
    for engine in engines.ENGINES:
        model = compiled(name, engine, run_eagerly=engine == "masked")
        counts = [weight.active for weight in ksr.sparse_weights(model)]
        recorded.append(Masks())
        fit(model, epochs=3, callbacks=[ksr.SETCallback(0.4), recorded[-1]])
        engines.assert_zero_outside(model)
        assert counts == [weight.active for weight in ksr.sparse_weights(model)]
    ours, theirs = recorded
    # After a rewiring they may differ: which weight is the smallest may hang
    # on the last bit.
    assert_close(ours.losses[:1], theirs.losses[:1])
    for a, b in zip(ours.masks[0], theirs.masks[0], strict=True):
        np.testing.assert_array_equal(a, b)
    for first, second in zip(ours.masks, ours.masks[1:], strict=False):
        for a, b in zip(first, second, strict=True):
            assert (a != b).any()
    # One list of each layer in each epoch, of that epoch's masks.
    assert as_bytes(mask for pair in lists_made for mask in pair) == as_bytes(
        mask for epoch in ours.masks for mask in epoch
    )


def test_lists_stay_as_long_as_the_masks_do(lists_made):
    model = compiled("stacked", "native")
    x, y = data()
    for _ in range(2):
        fit(model)
        model.evaluate(x, y, verbose=0)
        model.predict(x[:3], verbose=0)
        model(x)
    assert len(lists_made) == len(recurrent_layers(model)) == 3
    layer = model.layers[1]
    layer.set_weights(layer.get_weights())
    fit(model)
    assert len(lists_made) == 3
    mask = layer.sparse_weights[0].mask
    mask.assign(np.roll(mask.numpy(), 1, axis=0))
    fit(model)
    assert len(lists_made) == 4


def test_lists_with_and_without_dropout_of_each_gate_are_both_kept(lists_made):
    model = compiled("dropout", "native")
    x, _ = data()
    for _ in range(3):
        fit(model)
        model.predict(x, verbose=0)
    # Recurrent dropout, which the first layer has, draws one for each gate.
    assert len(lists_made) == len(recurrent_layers(model)) + 1


def test_rewiring_within_an_epoch_and_by_hand():
    model = compiled("stacked", "native")
    fit(model, callbacks=[ksr.SETCallback(0.4, frequency=2)])
    engines.assert_zero_outside(model)
    before = [weight.mask.numpy() for weight in ksr.sparse_weights(model)]
    ksr.rewire(model, model.optimizer, 0.5)
    after = [weight.mask.numpy() for weight in ksr.sparse_weights(model)]
    assert all((a != b).any() for a, b in zip(before, after, strict=True))
    x, _ = data()
    expected = ksr.strip_sparsity(model).predict(x, verbose=0)
    np.testing.assert_allclose(
        model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6
    )
