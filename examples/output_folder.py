"""The folder that a training writes to, and can be resumed in."""

import contextlib
import json
import shutil
import sys
from pathlib import Path

# Among the flags, what tells the data apart.
FINGERPRINT = "data_fingerprint"


def prepare_output(
    folder, settings, resume, methods, fingerprint=None, may_be_longer=True
):
    """Clears the output folder, or checks that a run can be resumed in it.

    Args:
        folder: String or path. It is made where it does not exist.
        settings: Dictionary of what decides the training, as JSON holds it.
        resume: Boolean, whether to go on with what the folder holds.
        methods: Iterable of strings, all methods that may have been trained in
            the folder.
        fingerprint: Integer that tells the data apart, of
            `data_fingerprint.fingerprint`. Defaults to `None`.
        may_be_longer: Boolean, whether a run can be resumed with a greater
            number of `epochs`. Defaults to `True`.

    Returns:
        `pathlib.Path` of the folder.

    Raises:
        ValueError: If there is nothing to resume, or it had other settings or
            data. Of a run that has no fingerprint of its data, as those of
            earlier versions of the examples, the settings alone are compared.
            Or if the folder cannot be made, cleared or written to.
    """
    folder = Path(folder)
    settings_file = folder / "flags.json"
    if resume:
        _check_resumable(settings, settings_file, fingerprint, may_be_longer)
    held = {**settings, FINGERPRINT: fingerprint}
    try:
        if not resume:
            folder.mkdir(parents=True, exist_ok=True)
            # First: what a kill leaves half cleared is no run to resume.
            settings_file.unlink(missing_ok=True)
            _clear(folder, methods)
        # At once, so that a kill leaves no half of it.
        partial = settings_file.with_suffix(".partial")
        partial.write_text(json.dumps(held, indent=2), encoding="utf-8")
        partial.replace(settings_file)
    except OSError as error:
        raise ValueError(
            "`output_dir` must be a folder that can be cleared and written "
            f"to. Received: output_dir={str(folder)!r} ({error})"
        ) from error
    return folder


@contextlib.contextmanager
def interruptible():
    """Lets Ctrl-C end the process with a line that says how to go on.

    Raises:
        SystemExit: In the place of `KeyboardInterrupt`.
    """
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(
            "\nInterrupted: the same command with --resume goes on after the "
            "last epoch that ended."
        )


def paths(folder, method):
    """Names the files that training a model writes.

    Args:
        folder: `pathlib.Path` of the output folder.
        method: String, the name of the method.

    Returns:
        Tuple of `pathlib.Path`: history, best weights, backup folder.
    """
    return (
        folder / f"history-{method}.jsonl",
        folder / f"best-{method}.weights.h5",
        folder / f"backup-{method}",
    )


def log_folder(folder, method):
    """Names the folder of a model's logs for TensorBoard.

    Args:
        folder: `pathlib.Path` of the output folder.
        method: String, the name of the method.

    Returns:
        `pathlib.Path`.
    """
    return folder / "logs" / method


def saved_model_folder(folder):
    """Names the folder of the SavedModel in an output folder."""
    return folder / "saved_model"


def results_file(folder):
    """Names the file of what a finished run gave."""
    return folder / "results.json"


def _clear(folder, methods):
    """Removes what a run wrote, and nothing else."""
    results_file(folder).unlink(missing_ok=True)
    folders = [saved_model_folder(folder)]
    for method in methods:
        history, weights, backup = paths(folder, method)
        history.unlink(missing_ok=True)
        weights.unlink(missing_ok=True)
        folders += [backup, log_folder(folder, method)]
    for path in folders:
        if path.exists():
            shutil.rmtree(path)


def _check_resumable(settings, settings_file, fingerprint, may_be_longer):
    if not settings_file.exists():
        raise ValueError(
            "`--resume` expects the output folder of an earlier run, with "
            "its flags.json. "
            f"Received: output_dir={str(settings_file.parent)!r}"
        )
    earlier = _read_settings(settings_file)
    different = {
        name: value
        for name, value in settings.items()
        if not _may_follow(name, value, earlier.get(name), may_be_longer)
    }
    if different:
        before = {name: earlier.get(name) for name in different}
        epochs = (
            "but for a greater number of epochs"
            if may_be_longer
            else "with the number of epochs, as the method chooses one of the "
            "last quarter of them"
        )
        raise ValueError(
            f"`--resume` expects, {epochs}, the flags that {settings_file} "
            f"holds: {before}. Received: flags={different}"
        )
    before = earlier.get(FINGERPRINT)
    if before not in (None, fingerprint):
        raise ValueError(
            "`--resume` expects the data that the run began with, but the "
            "texts are others, or are split into other words. "
            f"{settings_file} holds: {FINGERPRINT}={before}. "
            f"Received: {FINGERPRINT}={fingerprint}"
        )


def _read_settings(settings_file):
    text = settings_file.read_bytes()
    try:
        held = json.loads(text)
    except ValueError:
        held = None
    if not isinstance(held, dict):
        raise ValueError(
            f"{settings_file} must hold a run's flags as a JSON object. "
            f"Received: {text[:60]!r}"
        )
    return held


def _may_follow(name, value, earlier, may_be_longer):
    """Whether a run can go on with a setting that was another one earlier."""
    if name == "epochs" and earlier is not None and may_be_longer:
        return value >= earlier
    return value == earlier
