"""SNFS: magnitude drop, growth and shares by the averaged gradient."""

from keras_sparse_rnn.callbacks.options import REWIRING
from keras_sparse_rnn.callbacks.options import takes_options
from keras_sparse_rnn.callbacks.rewiring_callback import RewiringCallback


@takes_options(*REWIRING)
class SNFSCallback(RewiringCallback):
    """Rewires by SNFS's rule: smallest |w| go, largest momenta come at 0.

    The momentum is a running average of the dense gradient that each layer
    keeps for itself: the optimizer's own is 0 where there is no connection.
    So it works with every optimizer. What all groups dropped is shared out in
    proportion to the mean magnitude of the momentum over a group's
    connections, and grows where the momentum is largest.

    Cost: every step computes the dense gradient, on the masked engine, also
    where the layers run natively otherwise, so that training takes as long as
    that of the dense model. Each sparse weight takes one more array of its
    size, which is saved with its layer: the callback adds it when training
    begins, unless `rewiring_state=["momentum"]` did when the layer was made.

    Args:
        rewire_rate: Float in `[0, 1]`, the initial rewire rate ζ₀. Defaults to
            `0.5`.
        momentum: Float in `(0, 1)`, the decay of the average. Defaults to
            `0.9`.
        frequency: As in `RewiringCallback`. Defaults to `"epoch"`.
        **options: `start`, `end`, `layers`, `new_slots`, `log_dir`, `pruning`
            and `pruned_together`, as in `RewiringCallback`.

    Raises:
        ValueError: As `RewiringCallback`.

    Example:

    ```python
    model.fit(x, y, epochs=10, callbacks=[ksr.SNFSCallback(0.5)])
    ```

    Reference:
        - Dettmers and Zettlemoyer, Sparse Networks from Scratch,
          arXiv:1907.04840
    """

    def __init__(
        self, rewire_rate=0.5, momentum=0.9, frequency="epoch", **options
    ):
        super().__init__(
            rewire_rate, "snfs", frequency, momentum=momentum, **options
        )
