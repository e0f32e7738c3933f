import json

import pytest
from output_folder import interruptible
from output_folder import log_folder
from output_folder import paths
from output_folder import prepare_output
from output_folder import saved_model_folder

METHODS = ("st_rnn", "dense")
SETTINGS = {"units": 8, "train_csv": None, "epsilon": 2.0, "epochs": 5}


def trained(folder):
    """Prepares a folder and fills it as a training does."""
    folder = prepare_output(folder, SETTINGS, resume=False, methods=METHODS)
    for method in METHODS:
        history, weights, backup = paths(folder, method)
        history.write_text("{}\n")
        weights.write_bytes(b"")
        for written in (backup, log_folder(folder, method) / "train"):
            written.mkdir(parents=True)
            (written / "events").write_bytes(b"")
    saved_model_folder(folder).mkdir()
    return folder


def test_a_new_run_clears_what_the_last_one_wrote(tmp_path):
    folder = trained(tmp_path / "new" / "folder")
    (folder / "notes.txt").write_text("mine")
    (folder / "logs" / "mine").write_text("mine")
    assert (
        prepare_output(str(folder), SETTINGS, resume=False, methods=METHODS)
        == folder
    )
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["flags.json", "logs", "notes.txt"]
    assert [path.name for path in (folder / "logs").iterdir()] == ["mine"]


def test_what_cannot_be_cleared_is_no_run_to_resume(tmp_path, monkeypatch):
    folder = trained(tmp_path)

    def refuse(path):
        raise PermissionError(path)

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(ValueError, match=r"Received: output_dir=.*saved_model"):
        prepare_output(folder, SETTINGS, resume=False, methods=METHODS)
    with pytest.raises(ValueError, match="expects the output folder of an"):
        prepare_output(folder, SETTINGS, resume=True, methods=METHODS)


def test_resuming_with_the_same_settings_keeps_everything(tmp_path):
    folder = trained(tmp_path)
    assert (
        prepare_output(folder, SETTINGS, resume=True, methods=METHODS) == folder
    )
    for method in METHODS:
        assert all(path.exists() for path in paths(folder, method))
        assert log_folder(folder, method).exists()
    assert saved_model_folder(folder).exists()


def test_resuming_with_more_epochs_goes_on_to_the_greater_number(tmp_path):
    folder = trained(tmp_path)
    more = {**SETTINGS, "epochs": 6}
    assert prepare_output(folder, more, resume=True, methods=METHODS) == folder
    assert paths(folder, "st_rnn")[2].exists()
    assert prepare_output(folder, more, resume=True, methods=METHODS) == folder
    with pytest.raises(ValueError, match=r"{'epochs': 6}\. Received: flags="):
        prepare_output(folder, SETTINGS, resume=True, methods=METHODS)


def test_where_runs_may_not_be_longer_the_number_of_epochs_must_be_the_same(
    tmp_path,
):
    folder = trained(tmp_path)

    def resume(epochs):
        prepare_output(
            folder,
            {**SETTINGS, "epochs": epochs},
            resume=True,
            methods=METHODS,
            may_be_longer=False,
        )

    resume(SETTINGS["epochs"])
    before = (folder / "flags.json").read_text()
    for epochs in (4, 6):
        with pytest.raises(
            ValueError,
            match=rf"last quarter .*: 5}}\. .*flags={{'epochs': {epochs}}}$",
        ):
            resume(epochs)
    assert (folder / "flags.json").read_text() == before


def test_resuming_needs_the_same_data(tmp_path):
    def prepare(fingerprint, resume=True):
        prepare_output(tmp_path, SETTINGS, resume, METHODS, fingerprint)

    prepare(17, resume=False)
    prepare(17)
    before = (tmp_path / "flags.json").read_text()
    with pytest.raises(
        ValueError,
        match=r"data that the run began with.*holds: data_fingerprint=17\. "
        r"Received: data_fingerprint=18$",
    ):
        prepare(18)
    assert (tmp_path / "flags.json").read_text() == before


def test_a_run_without_a_fingerprint_gets_one_when_it_is_resumed(tmp_path):
    (tmp_path / "flags.json").write_text(json.dumps(SETTINGS))
    for _ in range(2):
        prepare_output(tmp_path, SETTINGS, True, METHODS, fingerprint=17)
    with pytest.raises(ValueError, match="Received: data_fingerprint=18"):
        prepare_output(tmp_path, SETTINGS, True, METHODS, fingerprint=18)


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_file_is_no_folder(tmp_path, name):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(
        ValueError, match=rf"must be a folder .*Received: output_dir='.*{name}'"
    ):
        prepare_output(tmp_path / name, SETTINGS, False, METHODS)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("text", [b"", b'{"epochs": ', b"[1]", b"\xff\xff"])
def test_flags_that_cannot_be_read_are_named(tmp_path, text):
    (tmp_path / "flags.json").write_bytes(text)
    with pytest.raises(ValueError, match=r"flags\.json must .*Received: b'"):
        prepare_output(tmp_path, SETTINGS, True, METHODS)
    assert (tmp_path / "flags.json").read_bytes() == text


def test_resuming_needs_an_earlier_run(tmp_path):
    folder = tmp_path / "none"
    with pytest.raises(ValueError, match=r"Received: output_dir='.*none'$"):
        prepare_output(folder, SETTINGS, resume=True, methods=METHODS)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("changed", "before", "received"),
    [
        ({"units": 9}, "{'units': 8}", "{'units': 9}"),
        ({"added": 1}, "{'added': None}", "{'added': 1}"),
        ({"epochs": 4}, "{'epochs': 5}", "{'epochs': 4}"),
        ({"units": 9, "epochs": 6}, "{'units': 8}", "{'units': 9}"),
    ],
)
def test_resuming_needs_the_same_settings(tmp_path, changed, before, received):
    folder = trained(tmp_path)
    with pytest.raises(ValueError, match=r"flags\.json holds: ") as error:
        prepare_output(
            folder, {**SETTINGS, **changed}, resume=True, methods=METHODS
        )
    assert str(error.value).endswith(f"{before}. Received: flags={received}")
    assert all(path.exists() for path in paths(folder, "st_rnn"))


def test_ctrl_c_ends_a_training_with_a_line_that_says_how_to_go_on():
    with (
        pytest.raises(SystemExit, match="command with --resume goes on"),
        interruptible(),
    ):
        raise KeyboardInterrupt
