"""What is used of Keras's parts that are not public.

Read against Keras 3.12 to 3.15. What each function needs is stated with it, so
that a new Keras release is checked here. What is used elsewhere are the names
of two attributes, `Dense._kernel` and `Embedding._embeddings`: there these
layers keep their variable, and `engine.MaskedWeight`, `SparseWeight` and
`SparseEmbedding` find it.
"""

import contextlib
import dataclasses
import inspect

import keras
from keras.src.backend.common import global_state
from keras.src.layers.rnn import dropout_rnn_cell
from keras.src.models.functional import Functional

# The base of cells that an `RNN` layer asks for dropout masks before its loop,
# and has forget them after it. It needs `dropout`, `recurrent_dropout` and
# `seed_generator`.
DropoutRNNCell = dropout_rnn_cell.DropoutRNNCell


def current_call():
    """What stands for the outermost call of a layer that is in progress.

    The same object during that call, another one during the next, and `None`
    outside of any.
    """
    return global_state.get_global_attribute("current_call_ctx")


def is_compiled_by_xla():
    """Whether TensorFlow traces a function that XLA is to compile.

    What `tf.function(jit_compile=True)` enters while it traces.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf
    from tensorflow.python.ops import control_flow_util

    graph = tf.compat.v1.get_default_graph()
    return bool(control_flow_util.GraphOrParentsInXlaContext(graph))


def refuse_in_saved_models(variable, refuse):
    """Calls a function when a SavedModel is about to hold a variable.

    Not when a checkpoint is. A SavedModel holds the variables that its
    functions read, and asks each to add itself: Keras's `ExportArchive` does
    not ask the layers themselves.

    Args:
        variable: `keras.Variable` with a TensorFlow variable in it. Without
            one, as where a model is only given shapes, nothing is done.
        refuse: Function without arguments that raises.
    """
    if hasattr(variable.value, "_export_to_saved_model_graph"):
        variable.value._export_to_saved_model_graph = lambda *_, **__: refuse()


def flatten_layers(layer):
    """The layer and everything inside it, cells too, each once.

    Public `model.layers` stops at a model's direct layers and does not show
    the cell inside an `RNN`. The order is that of reading: outer before inner,
    first before last.
    """
    found = {}

    def visit(each):
        if id(each) not in found:
            found[id(each)] = each
            for inner in each._layers:
                visit(inner)

    visit(layer)
    return list(found.values())


@dataclasses.dataclass(frozen=True)
class Call:
    """A call of an operation in the graph of a Functional model.

    Args:
        operation: Layer, or Keras operation that is no layer.
        inputs: List of the symbolic tensors in its first argument, also where
            that was given by its name.
        others: List of the symbolic tensors in its other arguments.
        outputs: List of the symbolic tensors that it returns.
        further: Dict from their names to the arguments that are not `None`,
            but the first one, a mask of time steps and `training`.
    """

    operation: keras.Operation
    inputs: list
    others: list
    outputs: list
    further: dict


def calls(model):
    """The calls a Functional model is made of, in an order to compute them.

    Args:
        model: Model for which `is_functional` holds.

    Returns:
        List of `Call`s.
    """
    nodes = model._nodes_by_depth
    return [
        _call(node)
        for depth in sorted(nodes, reverse=True)
        for node in nodes[depth]
        if not node.is_input
    ]


def symbolic_calls(layer):
    """The arguments of a layer's calls in graphs, of whichever model.

    Args:
        layer: Keras layer.

    Returns:
        List of a dict for each call, from the names of the arguments that it
        was given to their values. Empty if only code calls the layer, as in a
        subclassed model.
    """
    return [_arguments(node) for node in layer._inbound_nodes]


def is_functional(model):
    """Whether a model computes what its graph of calls says, and no more."""
    return isinstance(model, Functional) and type(model).call is Functional.call


def _call(node):
    arguments = _arguments(node)
    first = next(iter(inspect.signature(node.operation.call).parameters), None)
    inputs = _symbolic(arguments.pop(first, ()))
    known = {id(each) for each in inputs}
    return Call(
        node.operation,
        inputs,
        [each for each in node.input_tensors if id(each) not in known],
        node.outputs,
        {
            name: value
            for name, value in arguments.items()
            if name not in ("mask", "training") and value is not None
        },
    )


def _arguments(node):
    """The arguments of a call by their names, in their order."""
    signature = inspect.signature(node.operation.call)
    given = node.arguments
    return dict(signature.bind(*given.args, **given.kwargs).arguments)


def _symbolic(values):
    return [
        each
        for each in keras.tree.flatten(values)
        if isinstance(each, keras.KerasTensor)
    ]


def weight_variable(layer, name):
    """The variable behind a weight, before masks and quantization."""
    return vars(layer).get(f"_{name}", vars(layer).get(name))


def own_variables(layer):
    """The layer's own variables, without its sublayers', in saving order."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def seed_generators(layer):
    """The layer's own `SeedGenerator`s, without its sublayers'."""
    return list(layer._seed_generators)


def replace_tracked(layer, name, value):
    """Replaces a sublayer or seed generator of a layer that is not built yet.

    Setting the attribute alone would leave the first one in the layer's lists:
    `LSTM.__init__` and its likes make their cell themselves.
    """
    layer._tracker.untrack(getattr(layer, name))
    setattr(layer, name, value)


@contextlib.contextmanager
def open_to_variables(layer):
    """Lets a layer that has been built take further variables.

    Building locks what Keras tracks; `Dense.enable_lora` unlocks it likewise.
    """
    locked = layer._tracker.locked
    layer._tracker.unlock()
    try:
        yield
    finally:
        if locked:
            layer._lock_state()


def copy_unserialised(source, target):
    """Copies what recurrent layers and cells are given and do not serialise.

    The constructors of cells take `implementation` and set from it
    `dropout_mask_count`, those of layers `use_cudnn` and from it
    `supports_jit`; `get_config()` has none of them.
    """
    for name in (
        "implementation",
        "dropout_mask_count",
        "use_cudnn",
        "supports_jit",
    ):
        # What a property of a sparse layer adds to it stays there.
        value = vars(source).get(name)
        if name in vars(source) and vars(target).get(name) != value:
            setattr(target, name, value)


def rnn_states(layer):
    """State variables of a stateful `RNN` layer: Keras does not track them."""
    states = getattr(layer, "states", None)
    return [
        each
        for each in keras.tree.flatten([] if states is None else states)
        # Layers of other kinds may mean something else by the name.
        if isinstance(each, keras.Variable)
    ]


def inner_optimizers(optimizer):
    """The optimizers that hold slots: what wrappers wrap, or the optimizer."""
    wrapped = getattr(optimizer, "inner_optimizer", None)
    if wrapped is not None:
        return inner_optimizers(wrapped)
    several = getattr(optimizer, "optimizers", None)
    if several is not None:
        return [inner for each in several for inner in inner_optimizers(each)]
    return [optimizer]


def micro_step(optimizer):
    """The variable that counts the batches of an optimizer.

    Public `optimizer.iterations` counts its updates, which are fewer where
    gradients are accumulated.
    """
    return inner_optimizers(optimizer)[0]._iterations


def micro_steps_per_update(optimizer):
    """How many batches an optimizer accumulates for an update, an integer."""
    return inner_optimizers(optimizer)[0].gradient_accumulation_steps or 1


def has_just_updated(optimizer):
    """Whether no gradients are accumulated, but not applied, at present."""
    step = int(micro_step(optimizer).numpy())
    return step % micro_steps_per_update(optimizer) == 0


def trained_variables(optimizer):
    """The variables that an optimizer was built with, in order, a list.

    What `add_optimizer_variables()` returns is aligned with them. Empty before
    the optimizer is built.

    Args:
        optimizer: A Keras optimizer that wraps no other.
    """
    return optimizer._trainable_variables


def slot_variables(optimizer, variable):
    """The optimizer's slots of a variable, by attribute name.

    Every list attribute that is aligned with the optimizer's trainable
    variables and holds a variable of the same shape is a slot: the attributes'
    names differ from optimizer to optimizer.

    Args:
        optimizer: A Keras optimizer that wraps no other.
        variable: Trainable `keras.Variable`.

    Returns:
        Dict from attribute name to `keras.Variable`. `None` if the optimizer
        does not know the variable, as before it is built.
    """
    key = optimizer._var_key(variable)
    if key not in optimizer._trainable_variables_indices:
        return None
    index = optimizer._trainable_variables_indices[key]
    aligned = len(trained_variables(optimizer))
    slots = {}
    for name, slot_list in vars(optimizer).items():
        if name == "_trainable_variables" or not isinstance(slot_list, list):
            continue
        if len(slot_list) != aligned:
            continue
        slot = slot_list[index]
        if (
            isinstance(slot, keras.Variable)
            and slot is not variable
            and tuple(slot.shape) == tuple(variable.shape)
        ):
            slots[name] = slot
    return slots
