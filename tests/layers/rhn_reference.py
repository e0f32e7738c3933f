"""A recurrent highway network in NumPy, step by step."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def weights_of(cell):
    """The weights that an `RHNCell` computes with, by name."""
    names = ("kernel", *cell.recurrent_kernel_names, *cell.bias_names)
    return {name: np.array(getattr(cell, name), "float64") for name in names}


def step(weights, inputs, state, depth, coupled=True, dropped=(1, 1)):
    """One time step of one batch.

    Args:
        weights: Dict of arrays, as of `weights_of()`.
        inputs: Array of shape `(batch, features)`.
        state: Array of shape `(batch, units)`.
        depth: Integer.
        coupled: Boolean. Defaults to `True`.
        dropped: Pair of what inputs and states are multiplied by.

    Returns:
        The new state.
    """
    of_inputs, of_states = dropped
    units = state.shape[1]
    for index in range(depth):
        recurrent = weights[f"recurrent_kernel_{index}"]
        sums = []
        for gate in range(2 if coupled else 3):
            columns = slice(gate * units, (gate + 1) * units)
            total = (state * of_states) @ recurrent[:, columns]
            if index == 0:
                total += (inputs * of_inputs) @ weights["kernel"][:, columns]
            if f"bias_{index}" in weights:
                total += weights[f"bias_{index}"][columns]
            sums.append(total)
        candidate, transform = np.tanh(sums[0]), sigmoid(sums[1])
        carry = 1 - transform if coupled else sigmoid(sums[2])
        state = candidate * transform + state * carry
    return state


def run(weights, sequences, state, depth, step_mask=None, **options):
    """A whole sequence.

    Args:
        weights: Dict of arrays, as of `weights_of()`.
        sequences: Array of shape `(batch, steps, features)`.
        state: Array of shape `(batch, units)`.
        depth: Integer.
        step_mask: Boolean array of shape `(batch, steps)`. Where it is `False`
            the state stays and the output is the last one. Defaults to `None`.
        **options: Of `step()`.

    Returns:
        Outputs of shape `(batch, steps, units)`, and the last state.
    """
    outputs, output = [], np.zeros_like(state)
    for index in range(sequences.shape[1]):
        new = step(weights, sequences[:, index], state, depth, **options)
        counts = True
        if step_mask is not None:
            counts = step_mask[:, index, None]
        state = np.where(counts, new, state)
        output = np.where(counts, new, output)
        outputs.append(output)
    return np.stack(outputs, axis=1), state
