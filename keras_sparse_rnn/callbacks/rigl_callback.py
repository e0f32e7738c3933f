"""RigL: magnitude drop, growth where the dense gradient is largest."""

from keras_sparse_rnn.callbacks.options import REWIRING
from keras_sparse_rnn.callbacks.options import takes_options
from keras_sparse_rnn.callbacks.rewiring_callback import RewiringCallback


@takes_options(*REWIRING)
class RigLCallback(RewiringCallback):
    """Rewires by RigL's rule: smallest |w| go, largest gradients come at 0.

    Every `frequency` steps the fraction
    `ζ = rewire_rate * (1 + cos(π * t / T)) / 2` of each group's connections
    with the smallest |w| is dropped, and as many are grown at the empty places
    whose dense gradient, on the last training batch, is largest. Places that
    were just dropped may be picked again and then count as new.

    RigL as published applies no update on the batch whose gradient it goes by.
    A callback cannot skip it: here that batch trains the old connections, and
    the next batch the new ones. The authors end rewiring after three quarters
    of training, `end=`.

    Cost: one step of `frequency` computes the dense gradient, on the masked
    engine, also where the layers run natively otherwise; it takes as long as
    a step of the dense model. A function of its own is traced for it. Each
    sparse weight takes one more array of its size in memory during training,
    which is not saved.

    Args:
        rewire_rate: Float in `[0, 1]`, the initial rewire rate ζ₀. Defaults to
            `0.3`.
        frequency: As in `RewiringCallback`. Defaults to `100`, steps.
        **options: `start`, `end`, `layers`, `new_slots`, `log_dir`, `pruning`
            and `pruned_together`, as in `RewiringCallback`.

    Raises:
        ValueError: As `RewiringCallback`.

    Example:

    ```python
    model.fit(x, y, epochs=10, callbacks=[ksr.RigLCallback(0.3)])
    ```

    Reference:
        - Evci et al., Rigging the Lottery: Making All Tickets Winners, ICML
          2020
    """

    def __init__(self, rewire_rate=0.3, frequency=100, **options):
        super().__init__(rewire_rate, "rigl", frequency, **options)
