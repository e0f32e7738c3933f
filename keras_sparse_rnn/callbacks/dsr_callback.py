"""DSR: one adaptive threshold for all weights, random growth."""

from keras_sparse_rnn.callbacks.options import REWIRING
from keras_sparse_rnn.callbacks.options import takes_options
from keras_sparse_rnn.callbacks.rewiring_callback import RewiringCallback


@takes_options(*REWIRING)
class DSRCallback(RewiringCallback):
    """Rewires by DSR's rule: what is below one threshold goes.

    The threshold is the same for all weights. It starts at the
    `rewire_rate`-quantile of |w|, and is halved after a rewiring that dropped
    more than 1.1 times that fraction, doubled after one that dropped less than
    0.9 times. What went is shared out over all groups in proportion to the
    connections that each has left, and grows at random places that were not
    just dropped, at 0. The threshold is saved with the layers.

    Args:
        rewire_rate: Float in `[0, 1]`, the fraction that is to go, the same
            throughout training. Defaults to `0.2`.
        frequency: As in `RewiringCallback`. Defaults to `"epoch"`.
        **options: `start`, `end`, `layers`, `new_slots`, `log_dir`, `pruning`
            and `pruned_together`, as in `RewiringCallback`.

    Raises:
        ValueError: As `RewiringCallback`.

    Example:

    ```python
    model.fit(x, y, epochs=10, callbacks=[ksr.DSRCallback(0.2)])
    ```

    Reference:
        - Mostafa and Wang, Parameter Efficient Training of Deep Convolutional
          Neural Networks by Dynamic Sparse Reparameterization, ICML 2019
    """

    def __init__(self, rewire_rate=0.2, frequency="epoch", **options):
        super().__init__(rewire_rate, "dsr", frequency, **options)
