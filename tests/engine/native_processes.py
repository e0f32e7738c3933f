"""What a process of its own does with native calls, for the tests.

Called with the name of one of the functions here. Lines on standard output tell
how far it is.
"""

import os
import signal
import sys
import threading
import time

import keras
import numpy as np

import keras_sparse_rnn as ksr
from keras_sparse_rnn.engine import recurrence
from tests.engine import sequences

# Longer than any machine takes for what is to be interrupted.
PATIENCE = 120


def say(text):
    print(text, flush=True)


def until_interrupted(work):
    """Works again and again until Ctrl-C."""
    end = time.monotonic() + PATIENCE
    say("works")
    try:
        while time.monotonic() < end:
            work()
    except KeyboardInterrupt:
        say("interrupted")


def long_call():
    drawn = sequences.example(
        sequences.KINDS["lstm"], batch=64, steps=2000, inputs=60, units=100
    )
    settings = recurrence.Settings("a layer", threads=2)

    def call():
        return recurrence.forward(
            settings, drawn.connections, drawn.arguments, False, False
        )

    return call


def interrupt_a_call():
    call = long_call()
    expected = call().states[0]
    until_interrupted(call)
    np.testing.assert_array_equal(call().states[0], expected)
    say("works again")


def interrupt_training():
    model = keras.Sequential(
        [
            keras.Input((300, 8)),
            ksr.SparseLSTM(100, sparsity=0.8, engine="native"),
        ]
    )
    model.compile("sgd", "mse")
    x, y = np.ones((64, 300, 8), "float32"), np.ones((64, 100), "float32")

    def train(epochs):
        return model.fit(x, y, epochs=epochs, verbose=0).history["loss"]

    train(1)
    until_interrupted(lambda: train(1000))
    assert np.isfinite(train(1)).all()
    say("works again")


def fork():
    """Nothing of a call is left that a child could wait for."""
    call = long_call()
    expected = call().states[0]
    child = os.fork()
    if not child:
        same = (call().states[0] == expected).all()
        say("works in the child" if same else "differs in the child")
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    np.testing.assert_array_equal(call().states[0], expected)
    say(f"works in the parent, {code} from the child")


def threads_of(call):
    """Yields how many threads there are for a call, while it runs in one."""

    def count():
        return len(os.listdir("/proc/self/task"))

    before = count()
    thread = threading.Thread(target=call)
    thread.start()
    while thread.is_alive():
        yield count() - before


def fork_during_a_call():
    """The threads of the parent's call are none of the child's."""
    call = long_call()
    call()
    assert any(count == 2 for count in threads_of(call))
    child = os.fork()
    if not child:
        say(f"{max(threads_of(call))} threads in the child")
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    say(f"{code} from the child")


FUNCTIONS = (interrupt_a_call, interrupt_training, fork, fork_during_a_call)

if __name__ == "__main__":
    # A shell that starts tests in the background has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    {each.__name__: each for each in FUNCTIONS}[sys.argv[1]]()
