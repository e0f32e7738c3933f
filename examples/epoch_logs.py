"""What is written for TensorBoard."""

import importlib.util
from pathlib import Path

import keras
from output_folder import log_folder


def tensorboard_callbacks(output, name, log_dir=None):
    """The callback that writes logs for TensorBoard, if it is installed.

    Args:
        output: `pathlib.Path` of the output folder.
        name: String, the model's.
        log_dir: String, a folder to write to in place of one in the output
            folder. Defaults to `None`.

    Returns:
        List of one Keras callback, or of none, which is said.
    """
    if not importlib.util.find_spec("tensorboard"):
        print("tensorboard is not installed: no logs for it are written.")
        return []
    folder = Path(log_dir, name) if log_dir else log_folder(output, name)
    return [keras.callbacks.TensorBoard(folder)]
