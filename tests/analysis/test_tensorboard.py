"""Event files, read back with TensorBoard."""

import numpy as np
import pytest
import tensorflow as tf

import keras_sparse_rnn as ksr
from keras_sparse_rnn.analysis.tensorboard import MaskSummaries


def events(folder):
    """Kind and decoded value of each summary, by tag and step."""
    pytest.importorskip("tensorboard")
    found = {}
    for path in sorted(folder.glob("masks/events*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                plugin = value.metadata.plugin_data.plugin_name
                found[value.tag, event.step] = (
                    plugin,
                    tf.make_ndarray(value.tensor),
                )
    return found


def test_images_and_histograms_are_written(tmp_path):
    pytest.importorskip("tensorboard")
    layer = ksr.SparseGRU(4, sparsity=0.5, name="mine")
    layer.build((None, None, 5))
    summaries = MaskSummaries(tmp_path)
    summaries.write(layer.sparse_weights, 3)
    summaries.write(layer.sparse_weights, 4)
    found = events(tmp_path)
    for weight in layer.sparse_weights:
        for step in (3, 4):
            for group in weight.groups:
                plugin, value = found[f"{weight.path}/mask/{group.name}", step]
                assert plugin == "images"
                image = tf.io.decode_png(value[2]).numpy()[:, :, 0]
                mask = group.view(weight.mask.numpy())[:, 0]
                np.testing.assert_array_equal(image == 255, mask)
            for name, count in (
                ("weights", weight.active),
                ("input_degrees", weight.shape[0]),
                ("output_degrees", weight.shape[1]),
            ):
                plugin, value = found[f"{weight.path}/{name}", step]
                assert plugin == "histograms"
                assert value[:, 2].sum() == count
    assert len(found) == 2 * 2 * (3 + 3)
