"""`WordDropout`: words go everywhere in a batch or nowhere."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr

WORDS, FEATURES = 40, 3
TOKENS = np.random.default_rng(0).integers(0, WORDS, (8, 25)).astype("int32")
EMBEDDED = np.random.default_rng(1).normal(size=(8, 25, FEATURES))
EMBEDDED = EMBEDDED.astype("float32")


def factors(outputs, inputs=EMBEDDED, tokens=TOKENS):
    """The factor of each word, of which all its places must have one."""
    found = {}
    for word in np.unique(tokens):
        here = tokens == word
        quotients = np.array(outputs)[here] / inputs[here]
        np.testing.assert_allclose(quotients, quotients.flat[0], rtol=1e-6)
        found[int(word)] = quotients.flat[0]
    return found


@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_whole_words_are_dropped_and_the_others_scaled(jit_compile):
    layer = ksr.WordDropout(0.4, WORDS, seed=2)

    def call():
        return layer(EMBEDDED, TOKENS, training=True)

    if jit_compile is not None:
        call = tf.function(call, jit_compile=jit_compile)
    calls = [factors(call()) for _ in range(30)]
    values = np.array([[*each.values()] for each in calls])
    assert len(calls[0]) > 30
    kept = values != 0
    np.testing.assert_allclose(values[kept], 1 / 0.6, rtol=1e-6)
    assert 0.55 < kept.mean() < 0.65
    # Each call draws anew.
    assert 5 < kept.sum(axis=0).min() < kept.sum(axis=0).max() < 30


def test_it_is_dropout_of_the_rows_of_the_table():
    table = ksr.SparseEmbedding(WORDS, FEATURES, sparsity=0.2)
    layer = ksr.WordDropout(0.5, WORDS, seed=3)
    with tf.GradientTape() as tape:
        outputs = layer(table(TOKENS), TOKENS, training=True)
    [weight] = table.sparse_weights
    mask = weight.mask.numpy()
    seen = mask.any(axis=1) & np.isin(np.arange(WORDS), TOKENS)
    gradient = tf.convert_to_tensor(tape.gradient(outputs, weight.value.value))
    counts = np.bincount(TOKENS.reshape(-1), minlength=WORDS)
    dropped = ~gradient.numpy().any(axis=1)
    assert 5 < dropped[seen].sum() < seen.sum() - 5
    rows = np.where(dropped, 0, 2)[:, None]
    np.testing.assert_allclose(outputs, (rows * weight.value.numpy())[TOKENS])
    np.testing.assert_allclose(gradient, rows * counts[:, None] * mask)


@pytest.mark.parametrize(
    ("rate", "training"), [(0.5, False), (0.0, True), (0, True)]
)
def test_nothing_is_dropped_out_of_training_or_at_rate_0(rate, training):
    layer = ksr.WordDropout(rate, WORDS)
    outputs = layer(EMBEDDED, TOKENS, training=training)
    np.testing.assert_array_equal(outputs, EMBEDDED)


def test_seeds_repeat_and_differ():
    def outputs(seed):
        layer = ksr.WordDropout(0.5, WORDS, seed=seed)
        return layer(EMBEDDED, TOKENS, training=True).numpy()

    np.testing.assert_array_equal(outputs(1), outputs(1))
    assert (outputs(1) != outputs(2)).any()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    layer = ksr.WordDropout(0.5, WORDS, dtype=policy)
    outputs = layer(EMBEDDED, TOKENS, training=True)
    assert outputs.dtype == policy.removeprefix("mixed_")
    scaled = np.array(outputs, "float32") / EMBEDDED
    assert {*np.round(scaled.flat)} == {0, 2}


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_mixed_precision_tells_all_words_apart(policy, dtype):
    words = np.arange(4000, 4400, dtype=dtype)[None]
    layer = ksr.WordDropout(0.5, 5000, seed=4, dtype=policy)
    outputs = layer(np.ones((1, 400, 1), "float32"), words, training=True)
    plain = ksr.WordDropout(0.5, 5000, seed=4, dtype=policy[6:])
    expected = plain(np.ones((1, 400, 1)), words.astype("int32"), training=True)
    assert outputs.dtype == expected.dtype
    np.testing.assert_array_equal(outputs, expected)


@pytest.mark.parametrize("training", [False, True])
def test_outputs_are_of_the_layer_s_type(training):
    for rate in (0, 0.5):
        layer = ksr.WordDropout(rate, WORDS, dtype="mixed_float16")
        outputs = layer(EMBEDDED, TOKENS, training=training)
        assert outputs.dtype == "float16"
        symbolic = layer(
            keras.Input((25, 3)), keras.Input((25,)), training=training
        )
        assert symbolic.dtype == "float16"


def make_model(rate=0.5):
    tokens = keras.Input((25,), dtype="int32")
    table = ksr.SparseEmbedding(WORDS, FEATURES, sparsity=0.2, mask_zero=True)
    embedded = ksr.WordDropout(rate, WORDS, name="words")(table(tokens), tokens)
    hidden = ksr.SparseLSTM(4, sparsity=0.5)(embedded)
    model = keras.Model(tokens, keras.layers.Dense(1)(hidden))
    model.compile("adam", "mse")
    return model


def test_in_a_model_that_masks_time_steps_and_is_saved(tmp_path):
    model = make_model()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert loaded.get_layer("words").get_config() == (
        model.get_layer("words").get_config()
    )
    tokens = np.where(np.arange(25) < 9, TOKENS, 0)
    # What comes after the end of a sentence makes no difference.
    np.testing.assert_array_equal(loaded(tokens), model(tokens))
    mask = model.get_layer("words").output._keras_mask
    assert mask.shape == (None, 25)


def test_an_epoch_depends_on_seed_and_epoch_alone():
    states = []
    for epochs_before in (0, 2):
        keras.utils.set_random_seed(1)
        model = make_model()
        if epochs_before:
            # Draws from the generator, and trains nothing.
            model(TOKENS, training=True)
        model.fit(
            TOKENS,
            TOKENS[:, :1],
            batch_size=4,
            verbose=0,
            shuffle=False,
            callbacks=[ksr.EpochSeed(5)],
        )
        states.append(model.get_weights())
    for one, other in zip(*states, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("rate", [1, 1.0, -0.1, 1.5, "0.5", None, True])
def test_rates_out_of_range_are_refused(rate):
    with pytest.raises(
        ValueError, match=r"'mine': .*\[0, 1\)\. Received: rate="
    ):
        ksr.WordDropout(rate, WORDS, name="mine")


@pytest.mark.parametrize("input_dim", [0, -1, 2.0, None])
def test_vocabularies_of_no_size_are_refused(input_dim):
    with pytest.raises(ValueError, match=r"'mine': .*Received: input_dim="):
        ksr.WordDropout(0.5, input_dim, name="mine")


@pytest.mark.parametrize("tokens", [TOKENS[:, :24], EMBEDDED, TOKENS[0]])
def test_tokens_of_another_shape_are_refused(tokens):
    layer = ksr.WordDropout(0.5, WORDS, name="mine")
    with pytest.raises(
        ValueError, match=r"'mine' .*Received: inputs\.shape=\(8, 25, 3\), tok"
    ):
        layer(EMBEDDED, tokens)
