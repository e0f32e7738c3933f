"""Sparse evolutionary training: magnitude drop, random growth."""

from keras_sparse_rnn.callbacks.options import takes_options
from keras_sparse_rnn.callbacks.rewiring_callback import RewiringCallback


@takes_options(by_place=("start", "end", "layers", "new_slots", "log_dir"))
class SETCallback(RewiringCallback):
    """Rewires by ST-RNN's rule: smallest |w| go, random ones come at 0.

    At the beginning of each epoch e = 1 … E − 1 the fraction
    `ζ_e = rewire_rate * (1 + cos(π * e / E)) / 2` of each group's connections
    with the smallest |w| is dropped, and as many are grown at uniformly random
    empty places. Places that were just dropped may be picked again and then
    count as new. New weights, and their optimizer slots, start at 0. Layers
    that are not trainable are left alone.

    `SETCallback(0.3, rule="set")` is the original SET: per-sign rule, constant
    ζ, new weights from a normal distribution. Its spread is chosen by
    `rule=ksr.rewiring.set_rule(stddev=0.1)`.

    Args:
        rewire_rate: Float in `[0, 1]`, the initial rewire rate ζ₀.
        rule, frequency: As in `RewiringCallback`.
        **options: `start`, `end`, `layers`, `new_slots` and `log_dir`, as in
            `RewiringCallback`. They may be passed by place, in this order.

    Raises:
        ValueError: As `RewiringCallback`.

    Example:

    ```python
    model.fit(x, y, epochs=10, callbacks=[ksr.SETCallback(0.4)])
    ```

    Reference:
        - Liu et al., Neural Computing and Applications 33:9625–9636, 2021
        - Mocanu et al., Nature Communications 9:2383, 2018
    """

    def __init__(
        self, rewire_rate, rule="st_rnn", frequency="epoch", **options
    ):
        super().__init__(rewire_rate, rule, frequency, **options)
