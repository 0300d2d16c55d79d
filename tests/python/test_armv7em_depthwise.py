"""Depthwise convolutions for Armv7E-M, by the C forms of its instructions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exported import library, run_exported  # noqa: F401
from handmade import GraphBuilder
from kernel_checks import lies_anywhere_below
from operators import inputs_of, operator_graph
from random_graphs import random_inputs
from test_overlap import check

from nanotool import simulate
from nanotool.ir import Conv2D, Int8Array, QGraph, Shape, Window
from nanotool.lower import lower
from nanotool.plan import plan
from nanotool.runtime import Runtime

TARGET = "armv7em"
PORTABLE = "nano_depthwise_conv2d"


def depthwise(
    shape: Shape, window: Window, relu: bool = True, seed: int = 0, multiplier: int = 1
) -> QGraph:
    """A graph of one depthwise convolution."""
    b = GraphBuilder("depthwise", shape, seed=seed)
    rows, columns = window.output_size(*shape[:2])
    outputs = shape[2] * multiplier
    weights = (outputs, *window.kernel, 1)
    b.weighted("conv", Conv2D(window, shape[2]), (rows, columns, outputs), weights, relu)
    return b.graph()


def kernel(graph: QGraph, x: Int8Array, optimize: str = "speed") -> str:
    """The kernel of ``graph``'s only op; fails where it wrote another byte than the simulator."""
    lowered = lower(graph, TARGET, optimize)
    y = Runtime(lowered, plan(lowered)).run(x)
    expected = simulate.simulate(graph, x)
    assert np.array_equal(y, expected), (graph.input_tensor.shape, graph.ops[0].op, optimize)
    (op,) = lowered.ops
    return op.kernel


WINDOWS = [
    Window((3, 3)),
    Window((3, 3), padding=(1, 1, 1, 1)),
    Window((3, 3), padding=(2, 0, 0, 2)),
    Window((3, 3), (2, 2), (0, 0, 1, 1)),
    Window((3, 3), (2, 2), (1, 1, 0, 0)),
    Window((3, 3), (2, 1), (1, 1, 1, 1)),
    Window((3, 3), (1, 2), (2, 1, 1, 2)),
    Window((3, 3), (3, 2), (1, 1, 1, 1)),
    Window((3, 3), (2, 5), (1, 1, 1, 1)),
]
OTHERS = [
    Window((1, 1)),
    Window((2, 2), (2, 2)),
    Window((3, 3), (3, 3)),
    Window((5, 5), padding=(2, 2, 2, 2)),
    Window((5, 4), (2, 1), (2, 1, 2, 2)),
    Window((1, 7), (1, 3), (0, 6, 0, 3)),
    Window((10, 4), padding=(4, 1, 5, 2)),
]


def is_3x3(window: Window) -> bool:
    return window.kernel == (3, 3) and min(window.stride) <= 2


@pytest.mark.parametrize("window", WINDOWS + OTHERS, ids=str)
def test_every_size(window: Window) -> None:
    """Lines of one output and more, odd and even; channels that are whole words and others; rows
    and columns as lines; in one band and in several."""
    seen = set()
    for height, width in [(1, 1), (2, 3), (3, 3), (4, 9), (9, 4), (25, 5), (8, 13), (12, 12)]:
        if min(window.output_size(height, width)) < 1:
            continue
        for channels in (2, 3, 4, 5, 6, 7, 8, 11):
            relu = channels % 2 == 0
            graph = depthwise((height, width, channels), window, relu, channels)
            for optimize in ("speed", "size"):
                seen.add(kernel(graph, random_inputs(graph, 5), optimize))
    name = f"{PORTABLE}_3x3" if is_3x3(window) else PORTABLE
    assert seen - {f"{PORTABLE}_pixel_dsp"} == {f"{name}_dsp", f"{name}_relu_dsp"}


GAPS = [
    Window((3, 3), padding=(2, 2, 2, 2), dilation=(2, 2)),
    Window((3, 2), (1, 2), (3, 0, 3, 0), (3, 1)),
    Window((1, 3), (1, 1), (0, 2, 0, 1), (1, 2)),
    Window((3, 3), (2, 1), (2, 1, 2, 1), (2, 1)),
]


@pytest.mark.parametrize("target", ["armv7em", "scalar"])
def test_gaps_and_several_outputs_a_channel(target: str) -> None:
    """On rows and columns as lines, in one band and several."""
    for number, window in enumerate([*GAPS, WINDOWS[1], WINDOWS[3], OTHERS[4]]):
        for multiplier in (1, 2, 3):
            for shape in ((7, 9, 4), (16, 5, 7), (30, 21, 5)):
                graph = depthwise(shape, window, number % 2 == 0, number, multiplier)
                x = random_inputs(graph, 2, number)
                lowered = lower(graph, target, "speed")
                y = Runtime(lowered, plan(lowered)).run(x)
                assert np.array_equal(y, simulate.simulate(graph, x)), (window, shape)
                assert lowered.ops[0].kernel != PORTABLE


def test_large_images_are_computed_in_bands() -> None:
    for window in [*WINDOWS[:5], OTHERS[3], OTHERS[4]]:
        graph = depthwise((40, 33, 5), window)
        sizes = {}
        for optimize in ("speed", "balanced", "size"):
            assert kernel(graph, random_inputs(graph, 3), optimize) != PORTABLE
            (op,) = lower(graph, TARGET, optimize).ops
            sizes[optimize] = op.scratch
        assert sizes["size"] <= sizes["balanced"] <= sizes["speed"] <= 4096
        assert sizes["size"] < sizes["speed"]


def test_pixels_behind_the_last_window_stay_out_of_the_planes() -> None:
    """There is no room for them: they would go over the next channel's first line."""
    graph = depthwise((5, 30, 4), Window((3, 3), (1, 7)))
    assert kernel(graph, random_inputs(graph, 3)) != PORTABLE


@pytest.mark.parametrize("fill", [-128, 127])
def test_the_ends_of_all_ranges(fill: int) -> None:
    graph = depthwise((6, 7, 6), Window((3, 3), padding=(1, 1, 1, 1)), relu=fill > 0)
    weight = graph.ops[0].weight
    assert weight is not None
    weight.setflags(write=True)
    for value in (-128, 127):
        weight[:] = value
        x = np.full((2, *graph.input_tensor.shape), fill, np.int8)
        x[1, ::2, ::2] = -1 - fill
        assert kernel(graph, x) != PORTABLE


def test_others_take_the_portable_kernel() -> None:
    """Padding as wide as the kernel, and a scale that shifts left."""
    same = Window((3, 3), padding=(1, 1, 1, 1))
    graphs = [
        depthwise((5, 6, 4), Window((3, 3), padding=(3, 0, 0, 0))),
    ]
    b = GraphBuilder("left", (5, 6, 4))
    b.weighted("conv", Conv2D(same, 4), (5, 6, 4), (4, 3, 3, 1), relu=False)
    scale = b.graph().ops[0].weight_scale
    assert scale is not None
    scale *= 1000
    graphs.append(b.graph())
    for graph in graphs:
        assert kernel(graph, random_inputs(graph, 5)) == PORTABLE


def test_random_layers() -> None:
    for seed in range(60):
        graph = operator_graph("depthwise_conv2d", seed)
        x = inputs_of(graph, 5, seed)
        kernel(graph, x)
        check(graph, x, TARGET)


@pytest.mark.parametrize("optimize", ["speed", "size"])
def test_the_output_may_lie_anywhere_below_the_input(optimize: str) -> None:
    """At every distance: results go over the input first where the two overlap."""
    for number, window in enumerate(WINDOWS + OTHERS[2:]):
        for shape in ((5, 6, 5), (14, 5, 4), (9, 16, 7)):
            if min(window.output_size(*shape[:2])) < 1:
                continue
            graph = depthwise(shape, window, seed=number)
            lies_anywhere_below(graph, TARGET, (1, 2, 4, 5, 16), number, optimize)


@pytest.mark.parametrize("number", range(10))
def test_exported_under_the_sanitizers(
    library: Path,  # noqa: F811
    tmp_path: Path,
    number: int,
) -> None:
    window = [*WINDOWS[:6], *OTHERS[3:]][number]
    graph = depthwise((13, 12 - number, 4 + number), window, number % 2 == 0, number)
    x = random_inputs(graph, 6, number)
    lowered = lower(graph, TARGET, ("speed", "size")[number // 2 % 2])
    run_exported(library, tmp_path, lowered, x)
