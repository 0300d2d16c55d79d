"""The kernels of Armv7E-M, by the C forms of their instructions: every byte the simulator's."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import library, run_exported  # noqa: F401
from handmade import GraphBuilder
from kernel_checks import reference_model
from numpy.typing import NDArray
from operators import OPERATORS, inputs_of, operator_graph
from random_graphs import KINDS, random_graph, random_inputs, random_sequence, random_steps
from test_overlap import check

from nanotool import simulate
from nanotool.ir import AveragePool2D, Conv2D, Int8Array, MaxPool2D, QGraph, Window
from nanotool.lower import lower
from nanotool.models import load_model
from nanotool.plan import plan
from nanotool.runtime import Runtime

TARGET = "armv7em"
MODELS = Path(__file__).parent.parent / "models"


def differ(
    graph: QGraph, x: Int8Array, target: str = TARGET, optimize: str = "speed"
) -> Counter[str]:
    """The kernels that ran; fails where one wrote another byte than the simulator."""
    lowered = lower(graph, target, optimize)
    expected = simulate.simulate_all(graph, x)
    outputs = Runtime(lowered, plan(lowered)).run_all(x)
    for op, values in zip(lowered.ops, outputs, strict=True):
        if op.source:
            assert np.array_equal(values, expected[op.output]), (graph.name, op.name, op.kernel)
    return Counter(op.kernel for op in lowered.ops)


@pytest.mark.parametrize("block", range(4))
def test_random_models(block: int) -> None:
    kernels: Counter[str] = Counter()
    for seed in range(50 * block, 50 * block + 50):
        graph = random_graph(seed, kinds=("conv2d", "dense") if seed % 2 else KINDS)
        kernels += differ(graph, random_inputs(graph, 6, seed))
    for name in ("dense_dsp", "dense_relu_dsp", "conv2d_dsp", "conv2d_relu_dsp"):
        assert kernels[f"nano_{name}"] >= 2, kernels


@pytest.mark.parametrize("kind", OPERATORS)
def test_every_operator(kind: str) -> None:
    for seed in range(12):
        graph = operator_graph(kind, seed)
        differ(graph, inputs_of(graph, 5, seed))


def steps_differ(graph: QGraph, x: tuple[NDArray[Any], ...]) -> Counter[str]:
    """`differ` of a model with states, over steps."""
    lowered = lower(graph, TARGET, "speed")
    expected, _ = simulate.simulate_steps(graph, x)
    for got, wanted in zip(Runtime(lowered, plan(lowered)).run_steps(x), expected, strict=True):
        np.testing.assert_array_equal(got, wanted, graph.name)
    return Counter(op.kernel for op in lowered.ops)


def test_layers_that_remember() -> None:
    """LSTM and SVDF with rows, filters and memories of every length, of int8 and int16."""
    kernels: Counter[str] = Counter()
    for seed in range(80):
        graph = random_steps(seed)
        kernels += steps_differ(graph, random_sequence(graph, 5, seed))
    assert min(kernels["nano_lstm_dsp"], kernels["nano_svdf_dsp"]) > 5, kernels
    wide = load_model(MODELS / "keyword_svdf_int8.tflite")
    x = np.random.default_rng(0).integers(-4000, 4000, (20, *wide.input_tensor.shape))
    assert steps_differ(wide, (x.astype(np.int16),))["nano_svdf_dsp"] == 7
    assert "nano_svdf" in {op.kernel for op in lower(wide, TARGET, "size").ops}


def convolution(shape: tuple[int, int, int], outputs: int, window: Window, relu: bool) -> QGraph:
    b = GraphBuilder("conv", shape, seed=outputs)
    rows, columns = window.output_size(*shape[:2])
    weights = (outputs, *window.kernel, shape[2])
    b.weighted("conv", Conv2D(window), (rows, columns, outputs), weights, relu)
    return b.graph()


WINDOWS = [
    Window((1, 1)),
    Window((1, 1), (2, 2)),
    Window((3, 3), padding=(1, 1, 1, 1)),
    Window((3, 3), (2, 2), (0, 0, 1, 1)),
    Window((2, 5), (1, 2), (1, 4, 0, 3)),
    Window((3, 3), padding=(2, 2, 2, 2), dilation=(2, 2)),
    Window((3, 2), padding=(1, 0, 1, 0), dilation=(2, 1)),
    Window((10, 4), (2, 2), (4, 1, 5, 1)),
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_convolutions_of_every_remainder(window: Window) -> None:
    """Channels that are whole words and others, tiles that are full and others, one output."""
    for channels in (1, 2, 3, 4, 5, 8, 16, 17):
        for outputs in (1, 2, 3, 8):
            for width in (7, 8, 9):
                graph = convolution((5, width, channels), outputs, window, relu=width == 8)
                kernels = differ(graph, random_inputs(graph, 4))
                assert (
                    sum(kernels.values())
                    == kernels["nano_conv2d_dsp"] + (kernels["nano_conv2d_relu_dsp"])
                )


def test_dense_layers_of_every_remainder() -> None:
    for inputs in [*range(1, 26), 63, 64, 65, 127, 128, 129, 200]:
        for outputs in range(1, 10):
            b = GraphBuilder("dense", (inputs,), seed=inputs)
            b.dense("dense", outputs, relu=bool(outputs % 2))
            differ(b.graph(), random_inputs(b.graph(), 4))


@pytest.mark.parametrize("weight", [127, -127])
def test_sums_at_the_ends_of_their_ranges(weight: int) -> None:
    """516 products of extremes: the most that a pair of rows always holds."""
    for terms in (512, 516):
        b = GraphBuilder("extreme", (terms,))
        b.dense("dense", 4)
        graph = b.graph()
        rows = np.tile(np.array([-weight, weight], np.int8), (4, terms // 2))
        graph = replace(graph, ops=(replace(graph.ops[0], weight=rows),))
        signs = np.tile([-1, 1], terms // 2)
        x = np.clip(np.stack([-128 * signs, 128 * signs]), -128, 127).astype(np.int8)
        assert differ(graph, x) == {"nano_dense_dsp": 1}


@pytest.mark.parametrize("weight", [127, -127])
def test_rows_whose_sums_pass_24_bits(weight: int) -> None:
    """Parts of 512 terms, a first one of any size; products of one sign, sums up to 2^25."""
    for terms in (529, 545, 1023, 1024, 1025, 1500, 2049):
        for outputs in (2, 3, 7, 8):
            b = GraphBuilder("long", (terms,), seed=terms)
            b.dense("dense", outputs)
            for made in (b.graph(), convolution((1, 4, terms), outputs, Window((1, 1)), False)):
                signs = np.where(np.arange(terms) % 2, 1, -1)
                (op,) = made.ops
                assert op.weight is not None
                rows = np.broadcast_to(weight * signs, op.weight.shape).astype(np.int8)
                graph = replace(made, ops=(replace(op, weight=rows),))
                x = np.clip([128 * signs, -128 * signs, 40 * signs], -128, 127).astype(np.int8)
                if len(graph.input_tensor.shape) == 3:
                    x = np.repeat(x[:, None, None], 4, axis=2)
                (kernel,) = differ(graph, x)
                assert kernel in ("nano_dense_long_dsp", "nano_conv2d_long_dsp")


def test_one_pixel_of_all_of_the_input_is_a_dense_layer() -> None:
    """Where memory is to be small it takes no room for widened inputs, as a dense layer does."""
    graph = convolution((12, 1, 24), 8, Window((12, 1)), False)
    fast, small = (lower(graph, TARGET, goal).ops[0] for goal in ("speed", "size"))
    assert fast.kernel == "nano_dense_dsp" and fast.scratch > 0
    assert small.kernel == "nano_conv2d" and small.scratch == 0


@pytest.mark.parametrize("name", ["ad", "kws", "ic", "vww"])
def test_the_reference_models(name: str) -> None:
    """TFLite Micro's answers, within the memory that each is promised."""
    lowered, x, y = reference_model(name, TARGET)
    small = lower(lowered.graph, TARGET, "size")
    planned = plan(small)
    assert planned.arena_size <= {"ad": 1400, "kws": 10500, "ic": 35000, "vww": 40000}[name]
    assert np.array_equal(Runtime(small, planned).run(x[:2]), y[:2])
    portable = {"nano_dense", "nano_conv2d", "nano_conv2d_add"}
    assert portable.isdisjoint(op.kernel for op in lowered.ops)


@pytest.mark.parametrize("operator", [MaxPool2D, AveragePool2D])
def test_pools_of_every_remainder(operator: type[MaxPool2D | AveragePool2D]) -> None:
    """Windows inside the image and beyond it; channels that are whole words and others."""
    name = "max_pool" if operator is MaxPool2D else "average_pool"
    windows = [w for w in WINDOWS if w.dilation == (1, 1)]
    windows += [
        Window((2, 2), (2, 2)),
        Window((2, 2), (1, 3), (1, 0, 0, 1)),
        Window((5, 9), (1, 2)),
    ]
    for window in windows:
        for channels in (3, 4, 5, 6, 7, 8, 17):
            for clamp in ((-128, 127), (-20, 50)):
                graph = pool(operator(window), (10, 9, channels), clamp)
                x = random_inputs(graph, 4)
                for value in (-128, 127):
                    x[0] = value
                    kernel = f"nano_{name}_dsp" if channels > 3 else f"nano_{name}"
                    assert differ(graph, x) == {kernel: 1}
                check(graph, x, TARGET)
    many = pool(operator(Window((17, 16))), (17, 16, 4), (-128, 127))  # 272 taps
    assert differ(many, random_inputs(many, 2)) == {
        "nano_max_pool_dsp" if operator is MaxPool2D else "nano_average_pool": 1
    }


def pool(
    op: MaxPool2D | AveragePool2D, shape: tuple[int, int, int], clamp: tuple[int, int]
) -> QGraph:
    b = GraphBuilder("pool", shape)
    b.plain("pool", op, (*op.window.output_size(*shape[:2]), shape[2]))
    graph = b.graph()
    return replace(graph, ops=(replace(graph.ops[0], clamp=clamp),))


def test_overlaps_are_what_the_kernels_bear() -> None:
    """One byte closer than stated something is overwritten too early, in most nets."""
    tight = wrong = 0
    for seed in range(60):
        graph = random_graph(seed, kinds=("conv2d", "dense"), layers=2)
        counts = check(graph, random_inputs(graph, 6, seed), TARGET)
        tight, wrong = tight + counts[0], wrong + counts[1]
    assert tight >= 20
    assert wrong >= 0.5 * tight, f"{wrong} of {tight}"


# --- Exported, under the sanitizers ---------------------------------------------------------------

SHAPED = ("conv2d", "depthwise_conv2d", "max_pool", "average_pool", "binary")


@pytest.mark.parametrize("seed", range(10))
def test_exported_models_under_the_sanitizers(
    library: Path,  # noqa: F811
    tmp_path: Path,
    seed: int,
) -> None:
    graph = random_graph(seed, kinds=("conv2d", "dense") if seed % 2 else SHAPED)
    x = random_inputs(graph, 8, seed)
    run_exported(library, tmp_path, lower(graph, TARGET, "speed"), x)
