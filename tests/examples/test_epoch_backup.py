import json
import signal
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

# Trains for four epochs, and prints the weights and what each epoch gave.
TRAINING = f"""
import json, os, pathlib, shutil, signal, sys
sys.path.insert(0, {str(EXAMPLES)!r})
import keras
import numpy as np
from epoch_backup import EpochBackup

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def killing(cls, name, before):
    method = getattr(cls, name)
    calls = []
    def broken(self, *arguments, **options):
        calls.append(self)
        if len(calls) == 2 and before:
            kill()
        result = method(self, *arguments, **options)
        if len(calls) == 2:
            if HALF:
                os.truncate(pathlib.Path(sys.argv[1], "partial",
                    "latest.weights.h5"), 4000)
            kill()
        return result
    setattr(cls, name, broken)

HALF = sys.argv[2] == "half of the weights"
if sys.argv[2] in ("half of the weights", "the weights without the epoch"):
    killing(keras.Model, "save_weights", before=False)
elif sys.argv[2] == "all but its name":
    killing(pathlib.Path, "rename", before=True)
elif sys.argv[2] == "its name":
    killing(pathlib.Path, "rename", before=False)

model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
keras.utils.set_random_seed(0)
model.layers[0].set_weights([np.full((3, 2), 0.5), np.zeros(2)])
model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
rng = np.random.default_rng(0)
history = model.fit(
    rng.normal(size=(8, 3)), rng.normal(size=(8, 2)),
    batch_size=4, epochs=4, shuffle=False, verbose=0,
    callbacks=[EpochBackup(sys.argv[1])],
)
weights = [each.numpy().tolist() for each in model.optimizer.variables]
weights += [each.tolist() for each in model.get_weights()]
print(json.dumps([history.epoch, weights]))
"""


@pytest.fixture(scope="module")
def expected():
    """Holds the weights of a training that was not killed, once it is run."""
    return {}


@pytest.mark.parametrize(
    ("written", "epochs"),
    [
        ("half of the weights", [1, 2, 3]),
        ("the weights without the epoch", [1, 2, 3]),
        ("all but its name", [1, 2, 3]),
        ("its name", [2, 3]),
    ],
)
def test_a_training_killed_while_it_saves_ends_as_one_that_was_not(
    run_python, tmp_path, expected, written, epochs
):
    if not expected:
        done = run_python("-c", TRAINING, tmp_path / "whole", "")
        expected["whole"] = json.loads(done.stdout)
        assert expected["whole"][0] == [0, 1, 2, 3]
    killed = tmp_path / "killed"
    run_python("-c", TRAINING, killed, written, status=-signal.SIGKILL)
    done = run_python("-c", TRAINING, killed, "")
    assert json.loads(done.stdout) == [epochs, expected["whole"][1]]
    assert [each.name for each in killed.iterdir()] == ["epochs-000004"]

    # Trained to its end, it is there, and not trained again.
    done = run_python("-c", TRAINING, killed, "")
    assert json.loads(done.stdout) == [[], expected["whole"][1]]
