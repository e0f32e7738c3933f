"""DeepR: connections go when their weight changes its sign."""

from keras_sparse_rnn.callbacks.options import REWIRING
from keras_sparse_rnn.callbacks.options import takes_options
from keras_sparse_rnn.callbacks.rewiring_callback import RewiringCallback
from keras_sparse_rnn.rewiring import deep_r_rule


@takes_options(*REWIRING)
class DeepRCallback(RewiringCallback):
    """Rewires by DeepR's rule: weights that changed their sign go.

    Each connection has a sign: that of its first weight, or a random one where
    it was grown at 0. At each rewiring the weights take the part of DeepR's
    random walk that is not the optimizer's: decay and noise. Those whose weight
    has another sign than the connection's are dropped, and as many are grown in
    the same group at random places that were not just dropped.

    As published that happens in every step, `frequency=1`, which costs a pass
    over all weights on the host each time. Less often, the walk of all steps
    since the last time is made at once.

    The signs take a byte for each place, which is saved with the layer: the
    callback adds them when training begins, unless
    `rewiring_state=["signs"]` did when the layer was made.

    Args:
        l1: Float of at least 0, the strength of the decay. Defaults to `1e-5`.
        temperature: Float of at least 0: in each step the noise has the
            variance `2 * learning_rate * temperature`. Defaults to `1e-10`.
        frequency: As in `RewiringCallback`. Defaults to `100`, steps.
        **options: `start`, `end`, `layers`, `new_slots`, `log_dir`, `pruning`
            and `pruned_together`, as in `RewiringCallback`.

    Raises:
        ValueError: If `l1` or `temperature` is out of range, and as
            `RewiringCallback`.

    Example:

    ```python
    model.fit(x, y, epochs=10, callbacks=[ksr.DeepRCallback(l1=1e-4)])
    ```

    Reference:
        - Bellec et al., Deep Rewiring: Training very sparse deep networks,
          ICLR 2018
    """

    def __init__(self, l1=1e-5, temperature=1e-10, frequency=100, **options):
        # No rate: how many go is what the signs say.
        super().__init__(
            1.0, deep_r_rule(l1, temperature), frequency, **options
        )
