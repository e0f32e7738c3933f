import numpy as np
import pytest

from keras_sparse_rnn.rewiring.random_walk import RandomWalk


def walked(walk, weights, signs, learning_rate, steps, seed=0):
    return walk(
        weights,
        np.random.default_rng(seed),
        signs=signs,
        learning_rate=learning_rate,
        steps=steps,
    )


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_decay_moves_each_weight_against_its_sign(steps):
    weights = np.array([0.5, -0.5, 0.01, -0.01], np.float32)
    signs = np.array([1, -1, -1, 1], np.int8)
    after = walked(
        RandomWalk(l1=0.1, temperature=0), weights, signs, 0.2, steps
    )
    expected = weights - signs * 0.2 * 0.1 * steps
    np.testing.assert_allclose(after, expected, rtol=1e-6)
    assert after.dtype == np.float32
    np.testing.assert_array_equal(weights, np.float32([0.5, -0.5, 0.01, -0.01]))


@pytest.mark.parametrize("steps", [1, 4])
def test_noise_has_the_variance_of_all_steps(steps):
    count = 40_000
    zeros, signs = np.zeros(count), np.ones(count, np.int8)
    walk = RandomWalk(l1=0, temperature=0.5)
    noise = walked(walk, zeros, signs, 0.01, steps)
    assert noise.std() == pytest.approx(
        np.sqrt(2 * 0.01 * 0.5 * steps), rel=0.02
    )
    assert abs(noise.mean()) < 4 * noise.std() / np.sqrt(count)


def test_the_walk_is_that_of_the_generator():
    weights, signs = np.ones(5), np.ones(5, np.int8)
    walk = RandomWalk(l1=0.1, temperature=0.1)
    first, again, other = (
        walked(walk, weights, signs, 0.1, 1, seed) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


def test_the_defaults_are_small():
    walk = RandomWalk()
    assert (walk.l1, walk.temperature) == (1e-5, 1e-10)
    assert repr(walk) == "RandomWalk(l1=1e-05, temperature=1e-10)"


@pytest.mark.parametrize("name", ["l1", "temperature"])
@pytest.mark.parametrize("value", [-1e-9, np.nan, np.inf, "1", None, True])
def test_bad_arguments_are_refused(name, value):
    match = rf"`{name}` must be a finite number .* Received: {name}="
    with pytest.raises(ValueError, match=match):
        RandomWalk(**{name: value})
