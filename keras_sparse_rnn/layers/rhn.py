"""Recurrent highway network (RHN): dense layer."""

import keras

from keras_sparse_rnn.arguments import named
from keras_sparse_rnn.layers.rhn_cell import RHNCell
from keras_sparse_rnn.layers.rhn_cell import check_rhn_arguments


def _of_cell(name):
    return property(lambda layer: getattr(layer.cell, name))


@keras.saving.register_keras_serializable("keras_sparse_rnn")
class RHN(keras.layers.RNN):
    """Recurrent highway network layer.

    In each time step the state goes through `depth` micro-layers with weights
    of their own, see `RHNCell` for what they compute. The time a step takes
    grows with the depth.

    Args:
        units: Integer of at least 1, dimensionality of the output space.
        depth: Integer of at least 1, the number of micro-layers. Defaults to
            `1`.
        activation, recurrent_activation, use_bias: See `RHNCell`.
        coupled: Boolean, whether the carry gate is 1 - t, with t the transform
            gate. Defaults to `True`.
        transform_bias: Float or `None`, at which the biases of the transform
            gate start, see `RHNCell`. Defaults to `-2.0`.
        kernel_initializer, recurrent_initializer, bias_initializer: See
            `RHNCell`.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: See
            `RHNCell`.
        activity_regularizer: Regularizer of the outputs. Defaults to `None`.
        kernel_constraint, recurrent_constraint, bias_constraint: See
            `RHNCell`.
        dropout, recurrent_dropout, seed: See `RHNCell`.
        return_sequences: Boolean, whether to return the outputs of all time
            steps instead of the last one. Defaults to `False`.
        return_state: Boolean, whether to return the last state as well.
            Defaults to `False`.
        go_backwards: Boolean, whether to process the sequences backwards.
            Defaults to `False`.
        stateful: Boolean, whether each batch starts at the last states of the
            one before. Defaults to `False`.
        unroll: Boolean, whether the loop over time is unrolled. Defaults to
            `False`.

    Call arguments:
        sequences: Float tensor of shape `(batch, timesteps, features)`.
        initial_state: State tensor of shape `(batch, units)`, or a list of it.
        mask: Boolean tensor of shape `(batch, timesteps)`: which time steps
            count.
        training: Boolean, whether to apply dropout.

    Returns:
        As `keras.layers.GRU`.

    Raises:
        ValueError: If an argument is out of range, naming the layer.

    Example:

    >>> layer = ksr.RHN(256, depth=5, recurrent_dropout=0.25)
    >>> layer(keras.random.normal((32, 100, 64))).shape
    (32, 256)

    Reference:
        - Zilly et al., Recurrent Highway Networks, ICML 2017
    """

    def __init__(
        self,
        units,
        depth=1,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        coupled=True,
        transform_bias=-2.0,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        **kwargs,
    ):
        checked = {
            "units": units,
            "depth": depth,
            "use_bias": use_bias,
            "coupled": coupled,
            "transform_bias": transform_bias,
            "dropout": dropout,
            "recurrent_dropout": recurrent_dropout,
        }
        # Here as well, where errors can name the layer.
        check_rhn_arguments(named(type(self), kwargs.get("name")), **checked)
        cell = RHNCell(
            **checked,
            activation=activation,
            recurrent_activation=recurrent_activation,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            seed=seed,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="rhn_cell",
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.input_spec = keras.layers.InputSpec(ndim=3)

    units = _of_cell("units")
    depth = _of_cell("depth")
    activation = _of_cell("activation")
    recurrent_activation = _of_cell("recurrent_activation")
    use_bias = _of_cell("use_bias")
    coupled = _of_cell("coupled")
    transform_bias = _of_cell("transform_bias")
    kernel_initializer = _of_cell("kernel_initializer")
    recurrent_initializer = _of_cell("recurrent_initializer")
    bias_initializer = _of_cell("bias_initializer")
    kernel_regularizer = _of_cell("kernel_regularizer")
    recurrent_regularizer = _of_cell("recurrent_regularizer")
    bias_regularizer = _of_cell("bias_regularizer")
    kernel_constraint = _of_cell("kernel_constraint")
    recurrent_constraint = _of_cell("recurrent_constraint")
    bias_constraint = _of_cell("bias_constraint")
    dropout = _of_cell("dropout")
    recurrent_dropout = _of_cell("recurrent_dropout")

    def get_config(self):
        config = super().get_config()
        del config["cell"]
        # Of this class: a cell that extends it may add settings of its own.
        of_cell = RHNCell.get_config(self.cell)
        for name in ("name", "trainable", "dtype"):
            del of_cell[name]
        activity_regularizer = keras.regularizers.serialize(
            self.activity_regularizer
        )
        return {
            **config,
            **of_cell,
            "activity_regularizer": activity_regularizer,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)
