"""Plain Keras twins of sparse models, whose gradients are dense."""

import keras
import tensorflow as tf

import keras_sparse_rnn as ksr


def variables_of(model, twin):
    """The twin's variables of the model's sparse weights, in their order."""
    by_path = {variable.path: variable for variable in twin.variables}
    return [by_path[weight.path] for weight in ksr.sparse_weights(model)]


def dense_gradients(model, x, y, loss="mse"):
    """The gradient of a batch at every place of each sparse weight.

    By a gradient tape around a plain copy of the model, with the weights and
    seeds of dropout as they are now.
    """
    twin = ksr.strip_sparsity(model)
    loss = keras.losses.get(loss)
    with tf.GradientTape() as tape:
        outputs = twin(x, training=True)
        mean = tf.reduce_mean(loss(y, tf.cast(outputs, tf.float32)))
    gradients = tape.gradient(
        mean, [variable.value for variable in variables_of(model, twin)]
    )
    # Of a table they are those of the rows that were looked up.
    return [tf.convert_to_tensor(each).numpy() for each in gradients]
