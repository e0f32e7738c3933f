"""Which engine runs a recurrent layer, or a dense one."""

import warnings

import keras

from keras_sparse_rnn.dense_gradient import clips_dense
from keras_sparse_rnn.engine import compressed
from keras_sparse_rnn.engine import library

ENGINES = ("auto", "masked", "native")

# Up to where the native engine trains faster on a CPU than Keras's layer and
# the masked engine, with XLA or without, at batch 64: by `benchmarks/engine.py`
# they meet a little below 50 % at 1024 units, and above that at fewer units.
HIGHEST_DENSITY = 0.4
# It is faster with fewer units too, down to 32 at least, but there a step takes
# a few milliseconds either way, and models keep XLA and can be exported.
FEWEST_UNITS = 64
# From how many columns of its packed kernel on, gates times units, a masked
# layer trains faster on a CPU with one product of all its inputs: measured by
# `benchmarks/input_product.py`.
FEWEST_COLUMNS_OF_ONE_PRODUCT = 2048
# And than a dense layer, for batches of any size, since that is not known when
# a layer is built: measured by `benchmarks/dense_layer.py`.
HIGHEST_PRODUCT_DENSITY = 1 / 32
FEWEST_PRODUCT_PLACES = 2**20
# Connections are whole numbers: a layer large enough for the native engine may
# be drawn this much below the density that was asked for, at most.
_ROUNDING = 1 / FEWEST_UNITS**2

# Why layers are masked, as far as there was a warning.
_told = set()


def kernel_kind(layer):
    """The kernels' kind of a sparse layer.

    Args:
        layer: Recurrent layer with a sparse cell, or dense layer.

    Returns:
        `compressed.CellKind`, or `None` if its activations have no kernel.
    """
    if isinstance(layer, keras.layers.Dense):
        return compressed.PRODUCT
    return cell_kind(layer.cell)


def cell_kind(cell):
    """The kernels' kind of a Keras cell.

    Args:
        cell: `LSTMCell`, `GRUCell` or `SimpleRNNCell`.

    Returns:
        `compressed.CellKind`, or `None` if its activations have no kernel.
    """
    tanh = cell.activation is keras.activations.tanh
    if isinstance(cell, keras.layers.SimpleRNNCell):
        if cell.activation is keras.activations.relu:
            return compressed.SIMPLE_RNN_RELU
        return compressed.SIMPLE_RNN_TANH if tanh else None
    if not tanh or cell.recurrent_activation is not keras.activations.sigmoid:
        return None
    if isinstance(cell, keras.layers.LSTMCell):
        return compressed.LSTM
    if cell.reset_after:
        return compressed.GRU_RESET_AFTER
    return compressed.GRU_RESET_BEFORE


def settings_against_native(layer):
    """Why a layer as it was made cannot run natively.

    Args:
        layer: Recurrent layer with a sparse cell, or dense layer.

    Returns:
        String, or `None` if it can.
    """
    cell = holder(layer)
    if cell is not layer and not _has_kernels_itself(cell):
        return f"there are no kernels for {type(cell).__name__}"
    if kernel_kind(layer) is None:
        return _activations_without_kernels(cell)
    dtypes = {cell.compute_dtype, cell.variable_dtype, layer.compute_dtype}
    if dtypes != {"float32"}:
        return f"its kernels are of float32, not {layer.dtype_policy.name}"
    if clips_dense(cell):
        return "clipping='dense' needs gradients that it does not compute"
    if getattr(layer, "use_cudnn", "auto") is True:
        return "`use_cudnn=True` asks for cuDNN"
    return None


def _has_kernels_itself(cell):
    """Of the class itself: what extends it may compute something else."""
    return bool(vars(type(cell)).get("has_kernels"))


def _is_of_masked_kind(layer):
    """Whether there are no kernels for any cell of the kind of a layer's."""
    cell = holder(layer)
    return cell is not layer and not cell.has_kernels


def _activations_without_kernels(cell):
    supported = {
        "activation": (keras.activations.tanh,),
        "recurrent_activation": (keras.activations.sigmoid,),
    }
    which = "activation='tanh' with recurrent_activation='sigmoid'"
    if isinstance(cell, keras.layers.SimpleRNNCell):
        supported = {
            "activation": (keras.activations.tanh, keras.activations.relu)
        }
        which = "activation='tanh' or 'relu'"
    others = [
        f"{name}={getattr(each, '__name__', type(each).__name__)!r}"
        for name, functions in supported.items()
        if (each := getattr(cell, name)) not in functions
    ]
    return f"there are kernels for {which}, but not for {' and '.join(others)}"


def _size_against_native(layer):
    """Why a layer that has been built cannot run natively, or `None`."""
    places = sum(weight.total for weight in holder(layer).sparse_weights)
    if places <= compressed.MOST_PLACES:
        return None
    return (
        f"its matrices have {places:,} places, but the kernels number "
        f"{compressed.MOST_PLACES:,} at most"
    )


def machine_against_native():
    """Why nothing runs natively here, a string, or `None`."""
    if keras.backend.backend() != "tensorflow":
        return f"it needs the TensorFlow backend, not {keras.backend.backend()}"
    return library.missing_reason()


def drawn_density(cell):
    """Share of connections among all places, as they were drawn.

    Unlike the masks, which have no values yet where a layer is built while a
    model is traced, it is known as soon as the cell is built.

    Args:
        cell: Built sparse cell, or dense layer.

    Returns:
        Float.
    """
    weights = cell.sparse_weights
    return sum(
        getattr(cell, f"{each.name}_drawn_connections") for each in weights
    ) / sum(each.total for each in weights)


def multiplies_inputs_first(layer, training):
    """Whether a masked layer multiplies all its inputs before its loop.

    Not where Keras's own loop does something else with them in a time step,
    and not at density 1, where every bit is to be as in Keras's layer.

    Args:
        layer: Built recurrent layer with a sparse cell.
        training: Boolean or `None`. A forward pass alone gains too little.

    Returns:
        Boolean.
    """
    cell = layer.cell
    return bool(
        training
        and cell._kernel.shape[1] >= FEWEST_COLUMNS_OF_ONE_PRODUCT
        and keras.backend.backend() == "tensorflow"
        and not _has_gpu()
        and not layer.unroll
        and not cell.recurrent_dropout
        and cell.dropout < 1
        and getattr(cell, "implementation", 2) == 2
        and _has_kernels_itself(cell)
        and not all(
            getattr(cell, f"{name}_was_drawn_full")
            for name in cell.sparse_names
        )
    )


def may_be_native(layer):
    """Whether a layer that is not built may come to run natively."""
    if layer.engine == "masked" or machine_against_native():
        return False
    if settings_against_native(layer):
        return False
    if layer.engine == "native":
        return True
    # Other topologies tell their density when the layer is built.
    sparsity = layer.get_config().get("sparsity")
    is_too_dense = (
        sparsity is not None and 1 - sparsity > _highest(layer) + _ROUNDING
    )
    return not (layer.units < FEWEST_UNITS or is_too_dense or _has_gpu())


def _pays(layer):
    """Whether a layer that has been built is faster natively."""
    if layer.units < FEWEST_UNITS:
        return False
    if kernel_kind(layer) is compressed.PRODUCT:
        places = sum(weight.total for weight in layer.sparse_weights)
        if places < FEWEST_PRODUCT_PLACES:
            return False
    return drawn_density(holder(layer)) <= _highest(layer)


def _highest(layer):
    """The density up to which a layer is faster natively."""
    if holder(layer) is layer:
        return HIGHEST_PRODUCT_DENSITY
    return HIGHEST_DENSITY


def holder(layer):
    """What holds the weights: the cell of a recurrent layer."""
    return getattr(layer, "cell", layer)


def choose(layer, owner):
    """The engine of a layer that has just been built.

    Args:
        layer: Recurrent layer with a sparse cell, or dense layer, with
            `engine`, `units` and `may_be_masked`, whether `engine="native"`
            is a wish that another machine may not fulfil.
        owner: String that names it.

    Returns:
        `"masked"` or `"native"`.

    Raises:
        ValueError: If `engine="native"` cannot be had, with the reason.
    """
    if layer.engine == "masked":
        return "masked"
    if layer.engine == "native":
        reason = settings_against_native(layer) or _size_against_native(layer)
        machine_reason = machine_against_native()
        if machine_reason and layer.may_be_masked and not reason:
            _warn_of_machine(owner, machine_reason)
            return "masked"
        reason = reason or machine_reason
        if reason:
            raise ValueError(
                f"{owner} cannot run on the native engine: {reason}. Use "
                "engine='auto' or 'masked'. Received: engine='native'"
            )
        return "native"
    if (
        keras.backend.backend() != "tensorflow"
        or _has_gpu()
        or _is_of_masked_kind(layer)
        or not _pays(layer)
    ):
        return "masked"
    if not library.is_available():
        _warn_of_machine(owner, library.missing_reason())
        return "masked"
    reason = settings_against_native(layer) or _size_against_native(layer)
    if reason:
        warn_once(
            reason,
            f"{owner} runs on the masked engine, at the speed of a dense "
            f"layer, as do others that are made so: {reason}. "
            "engine='masked' says so without a warning.",
        )
        return "masked"
    return "native"


def warn_once(reason, message):
    """Warns, but of each reason once in a process.

    Args:
        reason: String, what layers may have in common.
        message: String, which may name the first of them.
    """
    if reason not in _told:
        warnings.warn(message, stacklevel=3)
        _told.add(reason)


def _warn_of_machine(owner, reason):
    warn_once(
        reason,
        f"{owner} runs on the masked engine, at the speed of a dense layer, "
        f"as do others that could run on the native one: {reason}",
    )


def _has_gpu():
    """Whether TensorFlow may use one: which ones it may, a program chooses."""
    import tensorflow as tf

    return bool(tf.config.get_visible_devices("GPU"))
