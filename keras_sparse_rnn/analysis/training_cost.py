"""What a method costs: parameters, and FLOPs of inference and training.

Counted as in the appendix of RigL (Evci et al., ICML 2020, appendix H), in
multiply-adds of weight matrices, two FLOPs each. `f_D` is the forward pass of
the dense model, `f_S` that of the sparse one; a training step takes

| method | FLOPs of a step |
| --- | --- |
| dense | `3 * f_D` |
| static, SET, ST-RNN, DSR, DeepR | `3 * f_S` |
| RigL, rewiring every ΔT steps | `(3 * f_S * ΔT + 2 * f_S + f_D) / (ΔT + 1)` |
| SNFS | `2 * f_S + f_D` |
| pruning to the sparsity `s(t)` | `3 * f_D * (1 - s(t))`, over all steps `t` |
| GraNet | pruning, where one step of ΔT + 1 has a dense gradient |
| ISS | dense at first, then three times the shrunk model's forward pass |

A look-up in an embedding multiplies nothing, so embeddings count as parameters
and not in FLOPs. That is the convention of Tables 2 and 3 of Liu et al. (Neural
Computing and Applications 33:9625–9636, 2021), for with it

- the dense stacked LSTM (2 × 1500 units, 10,000 words) takes 7.1e10 FLOPs for a
  batch of 20 × 35 words, the paper's 7.2e10, and the highway network, whose
  tied embedding is multiplied in the decoder, 3.3e10 as printed;
- Erdős–Rényi masks on packed kernels give .334 and .203 at sparsities .67 and
  .80 (paper: .333 and .202), because the embedding, not counted, is sparser
  than the kernels; uniform masks give .330 and .200 as printed. RigL adds
  .0002, rewiring once an epoch.

What does not come out:

- small dense models (700 and 490 units): .291 and .171; the paper's .330 and
  .200 are their share of parameters, with the embedding;
- ISS (.280 to train, .200 to run, 21.8 M parameters): the shrunk model with
  that many (373 and 315 units) takes .134 to run. One that takes .200 has the
  dense embedding's 15 M besides, 25.2 M in all. Were it .200, a tenth of the
  training would have been dense;
- SNFS (.614 to train, .363 to run at sparsity .67; .529 and .223 at .80): its
  counts move, so the cost depends on the run. A run with the counts that it
  ended with takes .575 and .482. With 13.2 M connections none takes more than
  .506, not even with an empty embedding: the paper counts something more;
- FLOPs of the whole training: 2.8e16 for 100 epochs of the LSTM (paper:
  3.1e16), 2.6e16 for 200 epochs of the highway network (paper: 6.5e16, which is
  what 500 epochs take).
"""

import dataclasses
import inspect

import keras

from keras_sparse_rnn.analysis.cost_meter import CostMeter
from keras_sparse_rnn.analysis.training_stages import METHODS
from keras_sparse_rnn.arguments import check_above_0
from keras_sparse_rnn.weight_matrix import weight_matrices


@dataclasses.dataclass(frozen=True)
class TrainingCost:
    """Parameters and FLOPs of a method, and of the dense model.

    Printing it gives a table.

    Args:
        method: String, the method's name.
        parameters: Integer, weights of all matrices, embeddings among them, at
            the end of training. Biases are not counted.
        parameters_dense: Integer, the same of the dense model.
        inference_flops: Integer, FLOPs of a forward pass of one sample, at the
            end of training.
        inference_flops_dense: Integer, the same of the dense model.
        training_flops: Float, FLOPs of the whole training.
        training_flops_dense: Float, the same of the dense model.
    """

    method: str
    parameters: int
    parameters_dense: int
    inference_flops: int
    inference_flops_dense: int
    training_flops: float
    training_flops_dense: float

    @property
    def parameters_ratio(self):
        """Float, parameters relative to dense."""
        return _ratio(self.parameters, self.parameters_dense)

    @property
    def inference_ratio(self):
        """Float, FLOPs of inference relative to dense."""
        return _ratio(self.inference_flops, self.inference_flops_dense)

    @property
    def training_ratio(self):
        """Float, FLOPs of training relative to dense."""
        return _ratio(self.training_flops, self.training_flops_dense)

    def __str__(self):
        rows = [
            ("", "parameters", "inference FLOPs", "training FLOPs"),
            (
                self.method,
                f"{self.parameters:,}",
                f"{self.inference_flops:.3g}",
                f"{self.training_flops:.3g}",
            ),
            (
                "dense model",
                f"{self.parameters_dense:,}",
                f"{self.inference_flops_dense:.3g}",
                f"{self.training_flops_dense:.3g}",
            ),
            (
                "relative",
                f"{self.parameters_ratio:.3f}",
                f"{self.inference_ratio:.3f}",
                f"{self.training_ratio:.3f}",
            ),
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(
                [name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]
            )
            for name, *cells in rows
        )


def training_cost(model, method="st_rnn", samples=1, time_steps=1, **settings):
    """Tells what training a model by a method costs, relative to dense.

    The densities are those that the model has now, unless `schedule` or
    `history` tells others. Every layer is taken to be trained. `CostMeter`
    counts a run while it goes on.

    Args:
        model: Built Keras model. Its matrices, were they full, are the dense
            model that it is compared with.
        method: String, one of `"dense"`, `"static"`, `"set"`, `"st_rnn"`,
            `"rigl"`, `"snfs"`, `"dsr"`, `"deep_r"`, `"magnitude_pruning"`,
            `"iss"` and `"granet"`. Or a function of a list of `WeightMatrix`,
            and of settings that it names, that returns a list of
            `keras_sparse_rnn.analysis.training_stages.Stage`s. Defaults to
            `"st_rnn"`.
        samples: Number above 0, how many samples are trained on in all:
            epochs times the size of the data set. Ratios do not depend on it.
            Defaults to `1`.
        time_steps: Integer of at least 1, the length of the sequences, see
            `weight_matrices`. FLOPs are of whole sequences then, and a layer
            that is applied to the last step only counts once. Defaults to
            `1`.
        **settings: What the method asks for:

            - frequency: How often it is rewired, as in `RewiringCallback`: an
              integer, optimizer steps from one rewiring to the next, or a
              string such as `"epoch"` (`"rigl"`, `"granet"`).
            - steps_per_epoch: Integer of at least 1, optimizer steps. Needed
              where `frequency` counts epochs.
            - rewired_share: Float in `[0, 1]`, the share of training after
              which nothing is rewired any more (`"rigl"`). Defaults to `1`.
            - schedule: Object called as `schedule(step) -> (should_prune,
              sparsity)`. Every sparse matrix is taken to have the sparsity of
              the last step that pruned, and to be dense before the first
              (`"magnitude_pruning"`, `"granet"`).
            - steps: Integer of at least 1, the length of the training in the
              unit of the schedule, which is asked about 0 … `steps - 1`.
            - history: List with an entry per epoch: a dict from paths of
              matrices to their connections in it. Needed, instead of
              `schedule`, where densities depend on the run, as in pruning
              that pools all matrices; optional for `"snfs"`, `"dsr"` and
              `"deep_r"`, whose counts are otherwise taken to stay.
            - shrunk: Model that units were removed from (`"iss"`).
            - dense_share: Float in `[0, 1]`, the share of training before that
              (`"iss"`).

    Returns:
        A `TrainingCost`: an object with the counts, which prints as a table.

    Raises:
        ValueError: If the model is not built, the method is not known, or a
            setting is missing, out of range, or none of the method's.

    Example:

    >>> cost = ksr.training_cost(
    ...     model, "rigl", samples=100 * 25_000, time_steps=100, frequency=98
    ... )
    >>> cost.training_ratio
    0.0812...
    >>> print(cost)

    The history of a run, noted by a callback:

    ```python
    history = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: history.append(
            {weight.path: weight.active for weight in ksr.sparse_weights(model)}
        )
    )
    model.fit(x, y, epochs=10, callbacks=[callback, note])
    print(ksr.training_cost(model, "snfs", history=history))
    ```

    Reference:
        - Evci et al., Rigging the Lottery, ICML 2020, appendix H
        - Liu et al., Neural Computing and Applications 33:9625–9636, 2021,
          tables 2 and 3
    """
    matrices = weight_matrices(model, time_steps)
    if "shrunk" in settings:
        shrunk = weight_matrices(settings["shrunk"], time_steps)
        settings = {**settings, "shrunk": shrunk}
    return training_cost_of_matrices(matrices, method, samples, **settings)


def training_cost_of_matrices(matrices, method="st_rnn", samples=1, **settings):
    """The same from shapes and counts alone, without a model.

    Args:
        matrices: List of `WeightMatrix`.
        method: As for `training_cost`.
        samples: As for `training_cost`.
        **settings: As for `training_cost`, but for `shrunk`, which is a list of
            `WeightMatrix` too.

    Returns:
        A `TrainingCost`.

    Raises:
        ValueError: As `training_cost`.

    Example:

    >>> matrices = [
    ...     ksr.WeightMatrix("embeddings", (20_000, 256), 202_560, 0),
    ...     ksr.WeightMatrix("kernel", (256, 1024), 20_480),
    ...     ksr.WeightMatrix("recurrent_kernel", (256, 1024), 20_480),
    ... ]
    >>> ksr.training_cost_of_matrices(matrices, "snfs").training_ratio
    0.385...
    """
    check_above_0("samples", samples)
    find_stages = _method(method)
    _check_settings(method, find_stages, settings)
    meter = CostMeter(matrices)
    stages = find_stages(matrices, **settings)
    for stage in stages:
        meter.add(stage.matrices, stage.steps, stage.dense_gradients)
    if not meter.steps:
        raise ValueError(
            "A method must return at least one stage that takes steps. "
            f"Received: stages={stages} from method={method!r}"
        )
    last = stages[-1].matrices
    # A multiply-add is two operations.
    each = 2 * samples / meter.steps
    return TrainingCost(
        method=getattr(method, "__name__", str(method)),
        parameters=sum(matrix.active for matrix in last),
        parameters_dense=sum(matrix.places for matrix in matrices),
        inference_flops=2 * sum(matrix.multiply_adds for matrix in last),
        inference_flops_dense=2
        * sum(matrix.multiply_adds_dense for matrix in matrices),
        training_flops=each * meter.multiply_adds,
        training_flops_dense=each * meter.multiply_adds_dense,
    )


def _method(method):
    is_callback = isinstance(method, (type, keras.callbacks.Callback))
    if callable(method) and not is_callback:
        return method
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(
            f"`method` must be one of {[*METHODS]}, or a function that returns "
            f"stages. Received: method={method!r}"
        )
    return METHODS[method]


def _check_settings(method, find_stages, settings):
    """Refuses settings that a method does not know, or lacks."""
    _, *parameters = inspect.signature(find_stages).parameters.values()
    known = [each.name for each in parameters]
    needed = [each.name for each in parameters if each.default is each.empty]
    if not set(needed) <= set(settings) <= set(known):
        raise ValueError(
            f"method={method!r} needs {_listed(needed)}, and knows "
            f"{_listed(known)}. Received: settings={[*settings]}"
        )


def _listed(settings):
    return f"the settings {[*settings]}" if settings else "no settings"


def _ratio(number, dense):
    return number / dense if dense else 1.0
