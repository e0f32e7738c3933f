"""How much faster is a sparse recurrent layer on the native engine?

Against the masked engine, Keras's dense layer with and without XLA, and
PyTorch's dense layer in a process of its own: a recurrent layer alone, forward
and backward with the gradients of inputs and weights; a whole training step of
the paper's text model with Adam; and prediction. All contestants of a case take
turns, round by round; what is printed are medians.

    python benchmarks/engine.py --torch_python=PYTHON_WITH_TORCH
"""

import contextlib
import itertools
import pathlib
import sys

import numpy as np
import tensorflow as tf
from absl import app
from absl import flags
from contestants import layer_step
from contestants import model_step
from contestants import torch_step
from measuring import in_turns
from measuring import print_table
from measuring import seconds
from measuring import write_json

FLAGS = flags.FLAGS
flags.DEFINE_integer("rounds", 15, "Rounds of a case.", lower_bound=1)
flags.DEFINE_float("case_seconds", 40, "Rounds end early after this time.")
flags.DEFINE_integer("threads", 2, "Threads of every contestant.")
flags.DEFINE_list(
    "parts",
    ["layer", "batch", "size", "model", "predict"],
    "layer: a layer at batch 64; batch: at other batch sizes; size: with fewer "
    "units; model: the whole text model; predict: forward alone, batch 1.",
)
flags.DEFINE_string(
    "torch_python", None, "Interpreter with PyTorch; without, it is left out."
)
flags.DEFINE_string("json", "engine.json", "File to write, case by case.")

DENSITIES = (0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
SIZES = (256, 1024)
# From where on a layer is large enough, by the way.
SMALL_SIZES = (32, 64, 128)
PEERS = (
    ("Keras", "keras", False),
    ("Keras, XLA", "keras", True),
)
OURS = (
    ("masked", "masked", False),
    ("masked, XLA", "masked", True),
    ("native", "native", False),
)


def density_of(epsilon, units):
    """Share of connections in a gate that has as many inputs as units."""
    return epsilon * 2 / units


def both_epsilons(units):
    """The densities of the papers' two levels."""
    return [density_of(2, units), density_of(10, units)]


def case(layer="LSTM", units=256, batch=64, **others):
    """A case: what is computed, as all contestants are told it."""
    return {
        "layer": layer,
        "units": units,
        "batch": batch,
        "density": 1.0,
        "steps": 100,
        "granularity": "gate",
        "trains": True,
        "what": "layer",
        "vocabulary": 20_000,
        "threads": FLAGS.threads,
        **others,
    }


def cases():
    """Pairs of a case and the densities that share its dense contestants."""
    parts = {
        "layer": layer_cases,
        "batch": batch_cases,
        "size": size_cases,
        "model": model_cases,
        "predict": predict_cases,
    }
    for part in FLAGS.parts:
        yield from parts[part]()


def all_densities(units):
    return sorted({*DENSITIES, *both_epsilons(units)})


def layer_cases():
    for units in SIZES:
        yield case(units=units), all_densities(units)
        yield case("GRU", units), [*both_epsilons(units), 0.2, 0.5]
        for layer in ("LSTM", "GRU"):
            yield (
                case(layer, units, granularity="unit"),
                both_epsilons(units),
            )


def batch_cases():
    for units, batch in itertools.product(SIZES, (1, 16)):
        yield case(units=units, batch=batch), all_densities(units)
        yield case("GRU", units, batch), [*both_epsilons(units), 0.2]


def size_cases():
    for layer, units in itertools.product(("LSTM", "GRU"), SMALL_SIZES):
        yield case(layer, units), [0.05, 0.1, 0.3, 0.5]


def model_cases():
    for layer in ("LSTM", "GRU"):
        yield case(layer, what="model"), all_densities(256)


def predict_cases():
    for units, granularity in itertools.product(SIZES, ("gate", "unit")):
        shared = case(units=units, batch=1, granularity=granularity)
        yield {**shared, "trains": False}, both_epsilons(units)


def measure(shared, densities):
    """Seconds of each contestant, in rounds in which they take turns.

    Returns:
        Tuple of a dict of lists, and PyTorch's version or `None`.
    """
    make = model_step if shared["what"] == "model" else layer_step
    with contextlib.ExitStack() as stack:
        timed = {}

        def enter(name, step):
            step()  # traces and compiles
            step()
            timed[name] = lambda: seconds(step)

        for name, kind, xla in PEERS:
            enter(name, make(shared, kind, xla))
        for name, kind, xla in OURS:
            # What is masked takes as long at any density.
            for density in densities if kind == "native" else densities[-1:]:
                enter(
                    (name, density) if kind == "native" else name,
                    make({**shared, "density": density}, kind, xla),
                )
        torch_version = None
        if FLAGS.torch_python:
            timed["PyTorch"], torch_version = stack.enter_context(
                torch_step(shared, FLAGS.torch_python)
            )
        times = in_turns(timed, FLAGS.rounds, FLAGS.case_seconds)
    return times, torch_version


def rows_of(shared, densities, times, torch_version):
    """One result a density: medians, and how many times as fast as peers."""
    median = {name: float(np.median(each)) for name, each in times.items()}
    peers = [name for name in median if isinstance(name, str)]
    keras_best = min(median[name] for name, _, _ in PEERS)
    for density in densities:
        native = median["native", density]
        yield {
            **shared,
            "density": density,
            "rounds": len(times["Keras"]),
            "torch": torch_version,
            "native_ms": 1000 * native,
            **{f"{name}_ms": 1000 * median[name] for name in peers},
            "times_as_fast_as_keras": keras_best / native,
            "times_as_fast_as_pytorch": (
                median["PyTorch"] / native if "PyTorch" in median else None
            ),
            "native_seconds": times["native", density],
        }


def table(results):
    """The results as rows of strings."""
    for each in results:
        torch = each["times_as_fast_as_pytorch"]
        yield [
            f"{each['layer']} {each['what']}"
            + ("" if each["trains"] else ", forward"),
            str(each["units"]),
            str(each["batch"]),
            f"{each['density']:.2%}",
            each["granularity"],
            f"{each['native_ms']:.2f}",
            f"{each['masked_ms']:.1f}",
            f"{each['masked, XLA_ms']:.1f}",
            f"{each['Keras_ms']:.1f}",
            f"{each['Keras, XLA_ms']:.1f}",
            "" if torch is None else f"{each['PyTorch_ms']:.1f}",
            f"{each['times_as_fast_as_keras']:.1f}",
            "" if torch is None else f"{torch:.1f}",
        ]


def crossover(results, peer_ms):
    """The density at which a dense peer becomes as fast, or `None`.

    Between the two densities around it, linear in the logarithms.
    """
    ordered = sorted(results, key=lambda each: each["density"])
    for below, above in itertools.pairwise(ordered):
        low, high = (
            np.log(each["native_ms"] / each[peer_ms]) for each in (below, above)
        )
        if low < 0 <= high:
            logs = np.log([below["density"], above["density"]])
            return float(np.exp(np.interp(0, [low, high], logs)))
    return None


def draw(results, path):
    """Time against density, with the crossovers marked."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    peers = ("PyTorch_ms", "Keras_ms", "Keras, XLA_ms")
    peers += ("masked_ms", "masked, XLA_ms")
    sizes = sorted({each["units"] for each in results})
    figure, axes = plt.subplots(
        1, len(sizes), figsize=(6 * len(sizes), 4.5), squeeze=False
    )
    for axis, units in zip(axes[0], sizes, strict=True):
        chosen = sorted(
            (each for each in results if each["units"] == units),
            key=lambda each: each["density"],
        )
        densities = [100 * each["density"] for each in chosen]
        native = [each["native_ms"] for each in chosen]
        axis.plot(densities, native, "o-", color="black", label="native")
        for color, peer in enumerate(p for p in peers if p in chosen[0]):
            name = peer.removesuffix("_ms")
            axis.axhline(
                chosen[0][peer], color=f"C{color}", label=name, linewidth=1
            )
            crossing = crossover(chosen, peer)
            if crossing:
                axis.plot(100 * crossing, chosen[0][peer], "x", color="black")
                # On either side in turn: peers may be level with each other.
                left = color % 2 == 0
                axis.annotate(
                    f"{crossing:.0%}",
                    (100 * crossing, chosen[0][peer]),
                    textcoords="offset points",
                    xytext=(-6, 4) if left else (6, -10),
                    horizontalalignment="right" if left else "left",
                )
        axis.set(
            xscale="log",
            yscale="log",
            xlabel="density, % of each gate",
            ylabel="ms, forward and backward",
            title=f"LSTM, {units} units and inputs, batch 64, 100 steps",
        )
        axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    print(f"Written to {path}")


def main(_):
    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    results = []
    for shared, densities in cases():
        results += rows_of(shared, densities, *measure(shared, densities))
        for row in table(results[-len(densities) :]):
            print(*row, sep="  ", file=sys.stderr, flush=True)
        write_json(FLAGS.json, results)
    headings = ["training step of", "units", "batch", "density", "granularity"]
    headings += ["native ms", "masked ms", "masked XLA ms"]
    headings += ["Keras ms", "Keras XLA ms"]
    headings += ["PyTorch ms", "× Keras", "× PyTorch"]
    print_table(headings, [*table(results)])
    drawn = [
        each
        for each in results
        if each["layer"] == "LSTM"
        and each["units"] in SIZES
        and each["batch"] == 64
        and each["granularity"] == "gate"
        and each["trains"]
        and each["what"] == "layer"
    ]
    if drawn:
        draw(drawn, pathlib.Path(FLAGS.json).with_suffix(".png"))


if __name__ == "__main__":
    app.run(main)
