"""Pictures of masks."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_sparse_rnn as ksr


def built(layer, features=5):
    layer.build((None, None, features))
    return layer


def labels(figure, columns):
    return [
        "/".join(axis.get_ylabel().splitlines()[:-1])
        for axis in figure.axes[::columns]
    ]


@pytest.mark.parametrize(
    ("kind", "gates"),
    [
        (ksr.SparseLSTM, "ifco"),
        (ksr.SparseGRU, "zrh"),
        (ksr.SparseSimpleRNN, None),
        (ksr.SparseRHN, "ht"),
    ],
)
def test_a_row_per_matrix_and_an_image_per_gate(kind, gates):
    layer = built(kind(4, sparsity=0.5, name="mine"))
    figure = ksr.plot_masks(layer)
    columns = len(gates or "1") + 2
    assert len(figure.axes) == 2 * columns
    for weight, row in zip(
        layer.sparse_weights,
        np.reshape(figure.axes, (2, columns)),
        strict=True,
    ):
        for axis, group in zip(row[:-2], weight.groups, strict=True):
            (image,) = axis.get_images()
            mask = group.view(weight.mask.numpy())[:, 0]
            np.testing.assert_array_equal(image.get_array(), mask)
            expected = f"gate {group.name}, 50.00%" if gates else "50.00%"
            assert axis.get_title() == expected
        for axis, counts in zip(row[-2:], (weight.shape), strict=True):
            bars = sum(patch.get_height() for patch in axis.patches)
            assert bars == counts
            assert axis.get_title().startswith("mean ")
        for axis, side, suffix in zip(
            row[-2:],
            ("input", "output"),
            ("all gates", "each gate"),
            strict=True,
        ):
            label = f"connections per {side}" + (
                f",\n{suffix}" if gates else ""
            )
            assert axis.get_xlabel() == label
        assert row[-2].get_ylabel() == "number of inputs"
    cell = layer.cell.name
    assert labels(figure, columns) == [
        f"mine/{cell}/{weight.name}" for weight in layer.sparse_weights
    ]


def test_the_directions_of_bidirectional_can_be_told_apart():
    layer = keras.layers.Bidirectional(
        ksr.SparseGRU(3, sparsity=0.5, name="mine")
    )
    figure = ksr.plot_masks(built(layer))
    assert labels(figure, 5) == [
        "forward_mine/gru_cell/kernel",
        "forward_mine/gru_cell/recurrent_kernel",
        "backward_mine/gru_cell/kernel",
        "backward_mine/gru_cell/recurrent_kernel",
    ]


def test_cells_of_a_stack_can_be_told_apart():
    cells = [ksr.SparseGRUCell(3, sparsity=0.5, name=n) for n in ("a", "b")]
    figure = ksr.plot_masks(built(keras.layers.RNN(cells)))
    rows = labels(figure, 5)
    assert len(set(rows)) == 4
    assert rows[0].endswith("a/kernel")
    assert rows[2].endswith("b/kernel")


def test_gates_of_other_layers_leave_places_empty():
    model = keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            ksr.SparseEmbedding(300, 4, epsilon=1, name="table"),
            ksr.SparseLSTM(3, sparsity=0.5, granularity="unit"),
            ksr.SparseDense(2, sparsity=0.5),
        ]
    )
    figure = ksr.plot_masks(model)
    assert len(figure.axes) == 4 * 3
    assert labels(figure, 3)[0] == "table/embeddings"
    image = figure.axes[0].get_images()[0].get_array()
    assert image.shape == (256, 4)


def test_the_figure_is_saved(tmp_path):
    figure = ksr.plot_masks(built(ksr.SparseLSTM(4, sparsity=0.5)))
    figure.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "layer",
    [
        lambda: ksr.SparseLSTM(3, epsilon=1, name="mine"),
        lambda: keras.layers.Dense(3, name="mine"),
    ],
    ids=["unbuilt", "dense"],
)
@pytest.mark.parametrize("plot", [ksr.plot_masks, ksr.analysis.plot_degrees])
def test_a_layer_with_nothing_to_draw_is_refused(plot, layer):
    with pytest.raises(ValueError, match="Received: layer='mine'"):
        plot(layer())


def test_what_is_no_layer_is_refused():
    with pytest.raises(ValueError, match=r"layer\. Received: model=3$"):
        ksr.plot_masks(3)


def test_without_matplotlib_everything_else_runs():
    program = (
        "import sys\n"
        "sys.modules['matplotlib'] = None\n"
        "sys.modules['tensorboard'] = None\n"
        "import keras_sparse_rnn as ksr\n"
        "layer = ksr.SparseDense(4, sparsity=0.5)\n"
        "layer.build((None, 4))\n"
        "print(ksr.sparsity_report(layer).active)\n"
        "from keras_sparse_rnn.analysis.tensorboard import MaskSummaries\n"
        "for call in (lambda: ksr.plot_masks(layer),\n"
        "             lambda: MaskSummaries('nowhere')):\n"
        "    try:\n"
        "        call()\n"
        "    except ImportError as error:\n"
        "        print(error)\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert printed == [
        "8",
        "`plot_masks` needs matplotlib: `pip install keras_sparse_rnn[plots]`.",
        "`log_dir` needs TensorBoard: "
        "`pip install keras_sparse_rnn[tensorboard]`.",
    ]


def test_axes_count_in_whole_numbers_from_0_on():
    figure = ksr.plot_masks(built(ksr.SparseDense(2, sparsity=0.5), 3))
    figure.canvas.draw()
    for axis in figure.axes:
        for ticks in (axis.get_xticks(), axis.get_yticks()):
            assert np.array_equal(ticks, np.round(ticks))
    assert all(axis.get_xlim()[0] >= -0.5 for axis in figure.axes)


def test_a_long_name_is_shortened_in_the_middle():
    layer = built(ksr.SparseDense(3, sparsity=0.5, name="a" * 30 + "b" * 30))
    [label] = labels(ksr.plot_masks(layer), 3)
    assert label == "a" * 13 + "…" + "b" * 13 + "/kernel"


def test_degree_distributions_of_each_gate():
    layer = built(ksr.SparseGRU(4, sparsity=0.5, name="mine"))
    figure = ksr.analysis.plot_degrees(layer)
    assert len(figure.axes) == 2 * 2
    for weight, row in zip(
        layer.sparse_weights, np.reshape(figure.axes, (2, 2)), strict=True
    ):
        for axis, side in zip(row, (1, 0), strict=True):
            *gates, random = axis.get_lines()
            names = [line.get_label() for line in gates]
            assert names == ["gate z", "gate r", "gate h"]
            for line, group in zip(gates, weight.groups, strict=True):
                counts = group.view(weight.mask.numpy())[:, 0].sum(axis=side)
                for degree, share in enumerate(line.get_ydata()):
                    assert share == pytest.approx(np.mean(counts >= degree))
            places = weight.shape[0] if side == 0 else 4
            assert random.get_label() == "random"
            # Half of the places, each with even odds.
            np.testing.assert_allclose(
                random.get_ydata()[[0, places, places + 1]],
                [1, 0.5**places, 0],
            )
    assert labels(figure, 2)[0] == f"mine/{layer.cell.name}/kernel"


def test_degrees_are_drawn_where_units_have_them():
    layer = built(ksr.SparseDense(400, sparsity=0.5, name="mine"), 500)
    for axis, counts in zip(
        ksr.analysis.plot_degrees(layer).axes,
        ksr.analysis.degrees(layer.sparse_weights[0].mask.numpy()),
        strict=True,
    ):
        low, high = axis.get_xlim()
        assert 100 < low < counts.min()
        assert counts.max() < high < 400
        assert [line.get_label() for line in axis.get_lines()] == [
            "as it is",
            "random",
        ]


@pytest.mark.parametrize("connected", [True, False])
def test_degrees_of_a_mask_that_is_full_or_empty(connected):
    layer = built(ksr.SparseDense(4, sparsity=0.5))
    [weight] = layer.sparse_weights
    weight.start_with(np.full(weight.shape, connected))
    for axis, degree in zip(
        ksr.analysis.plot_degrees(layer).axes,
        (4, 5) if connected else (0, 0),
        strict=True,
    ):
        for line in axis.get_lines():
            shares = line.get_ydata()
            assert (shares[: degree + 1] == 1).all()
            assert not shares[degree + 1 :].any()
