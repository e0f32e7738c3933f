"""The folder that a training writes to, and can be resumed in."""

import json
import shutil
from pathlib import Path


def prepare_output(folder, settings, resume):
    """Clears the output folder, or checks that a run can be resumed in it.

    Args:
        folder: String or path. It is made where it does not exist.
        settings: Dictionary of what decides the training, as JSON holds it.
        resume: Boolean, whether to go on with what the folder holds.

    Returns:
        `pathlib.Path` of the folder.

    Raises:
        ValueError: If there is nothing to resume, or it had other settings.
    """
    folder = Path(folder)
    settings_file = folder / "flags.json"
    if resume:
        _check_same(settings, settings_file)
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("sparse", "dense"):
        history, weights, backup = paths(folder, kind)
        history.unlink(missing_ok=True)
        weights.unlink(missing_ok=True)
        shutil.rmtree(backup, ignore_errors=True)
    settings_file.write_text(json.dumps(settings, indent=2), encoding="utf-8")
    return folder


def paths(folder, kind):
    """Names the files that training a model writes.

    Args:
        folder: `pathlib.Path` of the output folder.
        kind: String, `"sparse"` or `"dense"`.

    Returns:
        Tuple of `pathlib.Path`: history, best weights, backup folder.
    """
    return (
        folder / f"history-{kind}.jsonl",
        folder / f"best-{kind}.weights.h5",
        folder / f"backup-{kind}",
    )


def _check_same(settings, settings_file):
    if not settings_file.exists():
        raise ValueError(
            "`--resume` expects the output folder of an earlier run, with "
            "its flags.json. "
            f"Received: output_dir={str(settings_file.parent)!r}"
        )
    earlier = json.loads(settings_file.read_text(encoding="utf-8"))
    different = {
        name: value
        for name, value in settings.items()
        if earlier.get(name) != value
    }
    if different:
        before = {name: earlier.get(name) for name in different}
        raise ValueError(
            f"`--resume` expects the flags that {settings_file} holds: "
            f"{before}. Received: flags={different}"
        )
