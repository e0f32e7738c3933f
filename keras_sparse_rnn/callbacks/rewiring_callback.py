"""The callback that every rewiring method is a preset of."""

import keras

from keras_sparse_rnn import model_rewiring
from keras_sparse_rnn import optimizer_slots
from keras_sparse_rnn import rewiring as rules
from keras_sparse_rnn.arguments import check_between_0_and_1
from keras_sparse_rnn.arguments import check_boolean
from keras_sparse_rnn.arguments import check_integer
from keras_sparse_rnn.arguments import plain_number
from keras_sparse_rnn.callbacks.acting_together import note_in_use
from keras_sparse_rnn.callbacks.epoch_run import EpochRun
from keras_sparse_rnn.callbacks.step_run import StepRun
from keras_sparse_rnn.frequency import parse_frequency
from keras_sparse_rnn.sparse_layers import sparse_layers


class RewiringCallback(keras.callbacks.Callback):
    """Rewires the sparse weights of a model while it is trained.

    What a rewiring does is the rule's matter; this callback decides when. All
    that must survive a restart is saved with the weights: it keeps no state.

    By default it rewires at the *beginning* of epochs 1, 2, …, E − 1: what
    other callbacks save or restore at an epoch's end is the trained network,
    whatever their order, and the last epoch is not followed by a rewiring. A
    rule that goes by dense gradients takes those of a batch and rewires before
    the next batch of the same epoch, so in an epoch before its second one. The
    batch's own update of the weights comes in between. A rule that goes by
    their average waits for the first one, where nothing was averaged before.

    At the end of each epoch it adds to `logs`, and so to `History`, and to
    TensorBoard if that callback comes later in the list:
    `connections_moved`, in this epoch; `rewire_rate`, the last one used in it
    or 0; `exploration_rate`, the share of places that were connections at any
    time; `training_flops`, the running total of the model's training, also over
    a resumed run, relative to as many steps of the dense model, where inputs
    that fix no length are taken to have one time step, so that dense layers
    weigh too much; where there is a `pruning`, `sparsity`, the share of places
    that are empty.

    Several of these callbacks in one `fit` must act on different layers. In
    the logs `rewire_rate` is then that of the last one in the list; the others
    are of all of them together.

    Weights that are not trained are not rewired. If no other is left, a warning
    says so when training begins. `layer.trainable = False` goes for all inside
    of a wrapper such as `Bidirectional`; its constructor's `trainable=False`
    does not, for Keras goes on training what is inside.

    Args:
        rewire_rate: Float in `[0, 1]`, the initial rewire rate ζ₀.
        rule: `"st_rnn"`, `"set"`, `"rigl"`, `"snfs"`, `"dsr"`, `"deep_r"`, or
            a `keras_sparse_rnn.rewiring.RewiringRule`. Defaults to
            `"st_rnn"`.
        frequency: `"epoch"`; an integer, to rewire at the beginning of a batch
            when at least so many steps of the optimizer were made since the
            last time; or a string such as `"2 epochs"`. Defaults to `"epoch"`.
        start: Integer, the first epoch at whose beginning to rewire, or the
            first step, as the optimizer counts them, where `frequency` counts
            steps. Defaults to `None`: after the first epoch, or as many
            epochs or steps as `frequency` says.
        end: Integer above `start`, the first epoch, or step, at which no more
            rewiring is done and the schedule reaches its end. Defaults to
            `None`: the end of training.
        layers: List of layers or of their names, to which to keep; wrappers
            stand for what is inside. Defaults to `None`: all sparse layers.
        new_slots: String, how optimizer slots of new connections start:
            `"fresh"` or `"survivors_mean"`, see `keras_sparse_rnn.rewire`.
            Defaults to `"fresh"`.
        log_dir: String, a folder into which images of the masks and
            histograms of weights and degrees are written at each epoch's end,
            for TensorBoard, which must be installed. Defaults to `None`.
        momentum: Float in `(0, 1)`, the decay of the averaged gradient, for
            rules that look at it. Defaults to `0.9`.
        pruning: An object called as `schedule(step)` that returns whether to
            prune and to which sparsity, such as
            `keras_sparse_rnn.rewiring.CubicSparsity` or a schedule of
            tensorflow-model-optimization; a step is one of the optimizer, or
            an epoch, whichever `frequency` counts. Before it rewires, the
            callback asks it about every step since the last time, and prunes
            if it says so. If a final sparsity comes after the last time, it
            prunes to that, without rewiring, at the beginning of the last
            epoch or batch, if it is known which one that is. Defaults to
            `None`.
        pruned_together: Boolean, whether the connections of all weights
            compete in pruning, and not those of each group by itself. Defaults
            to `False`.

    Raises:
        ValueError: If an argument is out of range; when training begins, if
            the model has no sparse layer, its optimizer is not supported,
            another of these callbacks acts on the same layers, the target of
            pruning is below the present sparsity, or the rule goes by dense
            gradients and the backend is not TensorFlow; at a rewiring, if the
            rule's schedule does not give a rate in `[0, 1]`.
        ImportError: If `log_dir` is given and TensorBoard is not installed.

    Example:

    ```python
    rule = ksr.rewiring.RewiringRule(
        drop=ksr.rewiring.smallest_magnitude_per_sign
    )
    callback = ksr.RewiringCallback(0.3, rule, frequency=100, end=5_000)
    model.fit(x, y, epochs=10, callbacks=[callback])

    # GraNet: prune to a cubic schedule, then rewire by gradients.
    cubic = ksr.rewiring.CubicSparsity(0.9, end=4_000, initial_sparsity=0.5)
    granet = ksr.RewiringCallback(
        0.5,
        "rigl",
        frequency=100,
        pruning=cubic,
        pruned_together=True,
    )
    ```

    Reference:
        - Liu et al., Neural Computing and Applications 33:9625–9636, 2021
        - Mocanu et al., Nature Communications 9:2383, 2018
        - Liu et al., Sparse Training via Boosting Pruning Plasticity with
          Neuroregeneration, NeurIPS 2021: GraNet
    """

    def __init__(
        self,
        rewire_rate,
        rule="st_rnn",
        frequency="epoch",
        start=None,
        end=None,
        layers=None,
        new_slots="fresh",
        log_dir=None,
        momentum=0.9,
        pruning=None,
        pruned_together=False,
    ):
        super().__init__()
        model_rewiring.check_rewire_rate(rewire_rate)
        model_rewiring.check_new_slots(new_slots)
        for name, value, least in (("start", start, 0), ("end", end, 1)):
            if value is not None:
                check_integer(name, value, least)
        if start is not None and end is not None and end <= start:
            raise ValueError(
                "`end` must be above `start`. "
                f"Received: start={start}, end={end}"
            )
        check_between_0_and_1("momentum", momentum)
        check_boolean("pruned_together", pruned_together)
        if pruning is not None and not callable(pruning):
            raise ValueError(
                "`pruning` must be a schedule, called with a step. "
                f"Received: pruning={pruning!r}"
            )
        # A plain number, which logs can be written with.
        self.rewire_rate = plain_number(rewire_rate)
        self.rule = rules.get(rule)
        self.frequency = parse_frequency(frequency)
        self.start = start
        self.end = end
        self.layers = layers
        self.new_slots = new_slots
        self.momentum = momentum
        self.pruning = pruning
        self.pruned_together = pruned_together
        self._summaries = None
        if log_dir is not None:
            from keras_sparse_rnn.analysis.tensorboard import MaskSummaries

            self._summaries = MaskSummaries(log_dir)
        self.run = None

    def set_params(self, params):
        super().set_params(params)
        note_in_use(self)

    def set_model(self, model):
        super().set_model(model)
        # Before any callback restores a backup, which holds it.
        if model.optimizer is not None and sparse_layers(model):
            optimizer_slots.check_supported(model.optimizer)
            model_rewiring.carry_along(self.rule, model, self.layers)

    def on_train_begin(self, logs=None):
        run = StepRun if self.frequency.is_by_steps else EpochRun
        self.run = run(self)

    def on_epoch_begin(self, epoch, logs=None):
        self.run.begin_epoch(epoch)

    def on_train_batch_begin(self, batch, logs=None):
        self.run.begin_batch(batch)

    def on_train_batch_end(self, batch, logs=None):
        self.run.end_batch()

    def on_epoch_end(self, epoch, logs=None):
        weights = self.run.end_epoch(logs)
        if self._summaries is not None:
            self._summaries.write(weights, epoch)

    def on_train_end(self, logs=None):
        self.run.end()
