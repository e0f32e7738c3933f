"""Dense gradients of all sparse weights of a model, for one's own loop."""

import keras
from keras import ops

from keras_sparse_rnn import optimizer_slots
from keras_sparse_rnn.arguments import is_number
from keras_sparse_rnn.dense_gradient import DenseGradient
from keras_sparse_rnn.rewiring_state import momentum_of
from keras_sparse_rnn.sparse_layers import check_built
from keras_sparse_rnn.sparse_layers import check_has_sparse_layers
from keras_sparse_rnn.sparse_layers import chosen_sparse_layers
from keras_sparse_rnn.sparse_layers import sparse_weights


class DenseGradients:
    """Notes the gradient of a training step at every place of each weight.

    The layers yield it in training functions that run, and are traced, while
    this context is open, and compute nothing of the kind outside of it. While
    it is open they run on the masked engine, since the native one computes the
    gradients of connections alone. Each noted step costs the dense gradient's
    computation, which a masked engine does anyway, and a pass over the
    matrices; each weight takes a further array of its size in memory.

    What is noted is the sum over all replicas, and over all micro-batches
    between two updates of an optimizer that accumulates, without loss scaling.
    In `fit`, `RigLCallback` and `SNFSCallback` see to it.

    Args:
        model: Built Keras model, or layer.
        optimizer: The Keras optimizer that trains it. `None` means the one that
            the model is compiled with. Defaults to `None`.
        layers: List of layers or of their names, to which to keep. Defaults to
            `None`, all.
        momentum: Float in `[0, 1)`. With a number above 0 a running average of
            the gradient is kept, as part of the layers and saved with them,
            `momentum * average + (1 - momentum) * gradient`. Defaults to `0`,
            the gradient of the last step.

    Raises:
        ValueError: If the model is not built or has no sparse layer,
            `momentum` is out of range, there is no optimizer or one that is
            not supported, or the backend is not TensorFlow.

    Example:

    ```python
    gradients = ksr.DenseGradients(model, optimizer)
    for step, (x, y) in enumerate(batches, start=1):
        if step % 100:
            train_step(x, y)
            continue
        with gradients:
            noting_train_step(x, y)  # another `tf.function` of the same
        ksr.rewire(model, optimizer, 0.3, "rigl", gradients=gradients)
    ```
    """

    def __init__(self, model, optimizer=None, layers=None, momentum=0):
        check_built(model)
        check_has_sparse_layers(model)
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "Dense gradients need Keras's TensorFlow backend. "
                f"Received: KERAS_BACKEND={keras.backend.backend()}"
            )
        if not (is_number(momentum) and 0 <= momentum < 1):
            raise ValueError(
                "`momentum` must be a number in [0, 1). "
                f"Received: momentum={momentum!r}"
            )
        if optimizer is None:
            optimizer = getattr(model, "optimizer", None)
        optimizer_slots.check_supported(optimizer)
        if momentum:
            for layer in chosen_sparse_layers(model, layers):
                layer.carry("momentum")
        self._of = {
            id(weight.value): DenseGradient(
                weight,
                optimizer,
                momentum,
                momentum_of(weight) if momentum else None,
            )
            for weight in sparse_weights(model, layers)
        }
        self._optimizer = optimizer
        self._open = 0
        self._scale = None

    def __enter__(self):
        self._open += 1
        self._scale = self._loss_scale()
        for each in self._of.values():
            each.attach()
            each.is_active = True
            each.begin_step()
        return self

    def __exit__(self, *exception):
        self._open -= 1
        if not self._open:
            for each in self._of.values():
                each.is_active = False
                each.detach()

    def are_noted(self):
        """Whether every trained weight has a gradient of the last steps.

        It has none of a step that loss scaling skipped, nor one that is not
        finite.
        """
        return self._all_were_made() and all(
            each.is_noted() for each in self._of.values() if each.is_trained
        )

    def are_not_all_0(self):
        """Whether what is held of any weight differs from 0 anywhere."""
        return any(each.numpy().any() for each in self._of.values())

    def of(self, weights):
        """The gradients of weights.

        Args:
            weights: List of `SparseWeight`s of the model.

        Returns:
            List of float arrays of the weights' shapes.

        Raises:
            ValueError: If a weight has none, or nothing was noted.
        """
        all_were_made = self._all_were_made()
        for weight in weights:
            each = self._of.get(id(weight.value))
            if each is None or not each.is_noted() or not all_were_made:
                raise ValueError(
                    f"No dense gradient of '{weight.path}' was noted: train a "
                    "step inside of `with gradients:`, in a function that was "
                    "not traced outside of it, and which loss scaling does "
                    f"not skip. Received: gradients={self}"
                )
        return [self._of[id(weight.value)].numpy() for weight in weights]

    def _all_were_made(self):
        """Whether loss scaling has skipped none of the last steps.

        It is lowered then. The gradients of some weights may be finite in such
        a step, or those of some calls of a layer.
        """
        return self._scale is not None and self._loss_scale() >= self._scale

    def _loss_scale(self):
        return float(ops.convert_to_tensor(self._optimizer.scale_loss(1.0)))
