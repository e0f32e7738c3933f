"""Images of masks and histograms of weights and degrees for TensorBoard."""

import os

import numpy as np

from keras_sparse_rnn.analysis.degrees import degrees
from keras_sparse_rnn.analysis.degrees import density_image


class MaskSummaries:
    """Writes what masks look like, for TensorBoard.

    Args:
        log_dir: String, the folder; a subfolder `masks` is made in it.

    Raises:
        ImportError: If TensorBoard is not installed.
    """

    def __init__(self, log_dir):
        try:
            import tensorboard  # noqa: F401
        except ImportError as error:
            raise ImportError(
                "`log_dir` needs TensorBoard: "
                "`pip install keras_sparse_rnn[tensorboard]`."
            ) from error
        import tensorflow as tf

        self._tf = tf
        self._writer = tf.summary.create_file_writer(
            os.path.join(os.fspath(log_dir), "masks")
        )

    def write(self, weights, step):
        """Writes images and histograms of all weights.

        Histograms are over all gates: input degrees count the connections into
        all of them together, output degrees those into each by itself.

        Args:
            weights: List of `SparseWeight`s.
            step: Integer, the step or epoch that they are shown at.
        """
        summary = self._tf.summary
        with self._writer.as_default(step=step):
            for weight in weights:
                mask = weight.mask.numpy()
                value = weight.value.numpy()
                for group in weight.groups:
                    image = density_image(group.view(mask)[:, 0, :])
                    image = image / image.max()
                    summary.image(
                        f"{weight.path}/mask/{group.name}",
                        image[np.newaxis, :, :, np.newaxis],
                    )
                leaving, reaching = degrees(mask)
                summary.histogram(f"{weight.path}/weights", value[mask])
                summary.histogram(f"{weight.path}/input_degrees", leaving)
                summary.histogram(f"{weight.path}/output_degrees", reaching)
            self._writer.flush()
