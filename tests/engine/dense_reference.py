"""What must come of an example of `sequences`.

Dense NumPy in double precision, with a backward pass written by hand that
shares nothing with the kernels.
"""

import dataclasses

import numpy as np

from keras_sparse_rnn.engine import compressed
from tests.engine.sequences import named


@dataclasses.dataclass(frozen=True)
class Expected:
    """What must come out.

    Attributes:
        arrays: Dict like that of `run()`, in double precision.
        terms: Dict, for gradients the largest sum of the absolute values of
            what is added up to one of them.
    """

    arrays: dict
    terms: dict


def reference(example, go_backwards=False, seen=None):
    """What must come out, in double precision.

    Args:
        example: `Example`.
        go_backwards: Boolean. Defaults to `False`.
        seen: Dict, of `run()`. Which side of 0 a sum is on that single
            precision cannot tell from 0 is taken from it. Defaults to `None`.

    Returns:
        `Expected`.
    """
    return _Reference(example, go_backwards, seen).run()


def _sigmoid(x):
    return 0.5 * (1 + np.tanh(x / 2))


class _Reference:
    def __init__(self, example, go_backwards, seen):
        given = example.arguments
        self.example, self.kind, self.given = example, example.kind, given
        self.seen = seen
        self.batch, self.steps, self.inputs = given.sequences.shape
        self.units = len(example.recurrent_kernel)
        self.times = range(self.steps)[:: -1 if go_backwards else 1]
        shape = (-1, self.kind.gates, self.units)
        self.kernel, self.recurrent_kernel = (
            np.swapaxes(np.float64(each).reshape(shape), 0, 1)
            for each in (example.kernel, example.recurrent_kernel)
        )
        # Of inputs and state apart.
        self.bias = np.zeros((2, self.kind.gates, self.units))
        if given.bias is not None:
            parts = np.float64(given.bias).reshape(shape)
            self.bias[: len(parts)] = parts

    def run(self):
        state = [np.float64(each) for each in self.given.states]
        tape, outputs = [], []
        for step in range(self.steps):
            state, kept = self.forward(step, state)
            tape.append(kept)
            outputs.append(state[0])
        outputs = np.stack(outputs, axis=1)
        self.d_sequences = np.zeros(self.given.sequences.shape)
        self.d_kernel = np.zeros(self.kernel.shape)
        self.d_recurrent = np.zeros(self.recurrent_kernel.shape)
        self.d_bias = np.zeros(self.bias.shape)
        self.bias_terms = 0
        # Of the inputs at any time step, and of the state before the first.
        self.input_terms = self.state_terms = 0
        self.squares = {}
        d_state = [np.float64(each) for each in self.example.state_gradients]
        for step in reversed(range(self.steps)):
            if self.example.outputs_gradient is not None:
                d_state[0] = d_state[0] + self.example.outputs_gradient[:, step]
            d_state = self.backward(step, tape[step], d_state)
        masks = self.example.kernel_mask, self.example.recurrent_mask
        d_kernel, d_recurrent = (
            np.swapaxes(each, 0, 1).reshape(mask.shape) * mask
            for each, mask in zip(
                (self.d_kernel, self.d_recurrent), masks, strict=True
            )
        )
        gradients = {
            "sequences": self.d_sequences,
            "kernel": d_kernel,
            "recurrent_kernel": d_recurrent,
            "bias": None,
        }
        if self.given.bias is not None:
            parts = self.given.bias.size // self.d_bias[0].size
            gradients["bias"] = self.d_bias[:parts].reshape(
                self.given.bias.shape
            )
        return Expected(
            named(outputs, state, gradients, d_state),
            {
                "gradient of bias": self.bias_terms.max(),
                # Times the roundings that each term has behind it, of gates
                # and products, in each step on the way.
                "gradient of sequences": 4 * self.steps * self.input_terms,
                "gradient of state 0": 4 * self.steps * self.state_terms.max(),
            }
            | {
                f"gradient of {name}": max(
                    np.sqrt(a.max() * b.max()) for a, b in gates.values()
                )
                for name, gates in self.squares.items()
            },
        )

    def add_terms(self, name, gate, source, gradients):
        # Sums of products are at most the root of the product of sums of
        # squares, which takes no matrix product to know.
        gates = self.squares.setdefault(name, {})
        known = gates.get(gate, (0, 0))
        gates[gate] = tuple(
            each + np.einsum("bi,bi->i", more, more)
            for each, more in zip(known, (source, gradients[gate]), strict=True)
        )

    @staticmethod
    def dropped(mask, x):
        """What each gate sees: a list of one array, or of one a gate."""
        return [x] if mask is None else list(np.float64(mask) * x)

    def forward(self, step, state):
        time, hidden = self.times[step], state[0]
        sees_input = self.dropped(
            self.given.input_dropout, np.float64(self.given.sequences[:, time])
        )
        sees_state = self.dropped(self.given.recurrent_dropout, hidden)
        kept = {"in": sees_input, "state": sees_state, "before": state}
        from_input = [
            sees_input[gate % len(sees_input)] @ self.kernel[gate]
            + self.bias[0, gate]
            for gate in range(self.kind.gates)
        ]
        from_state = [
            sees_state[gate % len(sees_state)] @ self.recurrent_kernel[gate]
            + self.bias[1, gate]
            for gate in range(self.kind.gates)
        ]
        sums = [a + b for a, b in zip(from_input, from_state, strict=True)]
        if self.kind is compressed.LSTM:
            i, f, o = (_sigmoid(sums[gate]) for gate in (0, 1, 3))
            g = np.tanh(sums[2])
            carry = f * state[1] + i * g
            kept["gates"] = i, f, g, o, np.tanh(carry)
            after = [o * np.tanh(carry), carry]
        elif self.kind.gates == 3:
            z, r = _sigmoid(sums[0]), _sigmoid(sums[1])
            if self.kind.resets_before:
                kept["reset"] = r * sees_state[2 % len(sees_state)]
                recurrent = kept["reset"] @ self.recurrent_kernel[2]
                # This cell has no bias of the state.
                candidate = np.tanh(from_input[2] + recurrent)
            else:
                kept["recurrent"] = from_state[2]
                candidate = np.tanh(from_input[2] + r * from_state[2])
            kept["gates"] = z, r, candidate
            after = [z * hidden + (1 - z) * candidate]
        elif self.kind is compressed.SIMPLE_RNN_TANH:
            after = [np.tanh(sums[0])]
            kept["slope"] = 1 - after[0] ** 2
        else:
            after = [np.maximum(sums[0], 0)]
            kept["slope"] = np.float64(sums[0] > 0)
            if self.seen is not None:
                kept["slope"] = np.where(
                    np.abs(sums[0]) < 1e-5,
                    self.seen["outputs"][:, step] > 0,
                    kept["slope"],
                )
        if self.given.counts is not None:
            counts = kept["counts"] = self.given.counts[:, time][:, None]
            after = [
                np.where(counts, new, old)
                for new, old in zip(after, state, strict=True)
            ]
        return after, kept

    def backward(self, step, kept, d_after):
        counts = kept.get("counts", True)
        gradient = np.where(counts, d_after[0], 0)
        d_before = [np.where(counts, 0, each) for each in d_after]
        d_sums = np.zeros((self.kind.gates, self.batch, self.units))
        # Where they differ: what flows to sums of the state, and of which
        # array that sum's product is.
        d_state_sums = d_sums
        sees = [
            kept["state"][gate % len(kept["state"])]
            for gate in range(self.kind.gates)
        ]
        if self.kind is compressed.LSTM:
            i, f, g, o, squashed = kept["gates"]
            carry = np.where(counts, d_after[1], 0)
            carry = carry + gradient * o * (1 - squashed**2)
            d_before[1] = d_before[1] + carry * f
            d_sums[0] = carry * g * i * (1 - i)
            d_sums[1] = carry * kept["before"][1] * f * (1 - f)
            d_sums[2] = carry * i * (1 - g**2)
            d_sums[3] = gradient * squashed * o * (1 - o)
        elif self.kind.gates == 3:
            z, r, candidate = kept["gates"]
            hidden = kept["before"][0]
            d_before[0] = d_before[0] + gradient * z
            d_sums[0] = gradient * (hidden - candidate) * z * (1 - z)
            d_sums[2] = gradient * (1 - z) * (1 - candidate**2)
            if self.kind.resets_before:
                to_reset = d_sums[2] @ self.recurrent_kernel[2].T
                d_sums[1] = to_reset * sees[2] * r * (1 - r)
            else:
                d_sums[1] = d_sums[2] * kept["recurrent"] * r * (1 - r)
                d_state_sums = d_sums.copy()
                d_state_sums[2] *= r
        else:
            d_sums[0] = gradient * kept["slope"]

        self.d_bias[0] += d_sums.sum(axis=1)
        self.d_bias[1] += d_state_sums.sum(axis=1)
        self.bias_terms = self.bias_terms + np.abs(d_sums).sum(axis=1)
        time = self.times[step]
        input_terms = np.zeros((self.batch, self.inputs))
        self.state_terms = np.abs(d_before[0])
        for gate in range(self.kind.gates):
            copy = gate % len(kept["in"])
            input_terms += np.abs(d_sums[gate]) @ np.abs(self.kernel[gate]).T
            to_input = d_sums[gate] @ self.kernel[gate].T
            if self.given.input_dropout is not None:
                to_input = to_input * self.given.input_dropout[copy]
            self.d_sequences[:, time] += to_input
            self.d_kernel[gate] += kept["in"][copy].T @ d_sums[gate]
            self.add_terms("kernel", gate, kept["in"][copy], d_sums)

            self.state_terms = self.state_terms + np.abs(
                d_state_sums[gate]
            ) @ np.abs(self.recurrent_kernel[gate].T)
            to_state = d_state_sums[gate] @ self.recurrent_kernel[gate].T
            source = sees[gate]
            if "reset" in kept and gate == 2:
                to_state, source = to_state * kept["gates"][1], kept["reset"]
            self.d_recurrent[gate] += source.T @ d_state_sums[gate]
            self.add_terms("recurrent_kernel", gate, source, d_state_sums)
            if self.given.recurrent_dropout is not None:
                copy = gate % len(kept["state"])
                to_state = to_state * self.given.recurrent_dropout[copy]
            d_before[0] = d_before[0] + to_state
        self.input_terms = max(self.input_terms, input_terms.max())
        return d_before
