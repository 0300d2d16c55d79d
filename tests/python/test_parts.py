"""Convolutions in groups and transposed ones, part by part with each target's plain kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import library, run_exported  # noqa: F401
from handmade import GraphBuilder
from operators import inputs_of, operator_graph
from random_graphs import random_inputs
from test_overlap import check

from nanotool import simulate
from nanotool.ir import Conv2D, ConvTranspose2D, QGraph, Shape, Window
from nanotool.lower import lower, pack
from nanotool.ops import Layer
from nanotool.plan import plan
from nanotool.runtime import Runtime

TARGETS = ("armv7em", "armv81m", "scalar")
ENDING = {"armv7em": "dsp", "armv81m": "mve", "scalar": "scalar"}

CORE = {"scalar": ("-D__riscv=1",)}  # what tells a compiler's core where the target asks


def answers(graph: QGraph, target: str, seed: int = 0) -> str:
    """The kernel of ``graph``'s only op; fails where it wrote another byte than the simulator."""
    x = random_inputs(graph, 3, seed)
    x[0], x[1] = -128, 127
    lowered = lower(graph, target, "speed")
    y = Runtime(lowered, plan(lowered)).run(x)
    assert np.array_equal(y, simulate.simulate(graph, x)), (graph.ops[0].op, target)
    return lowered.ops[0].kernel


def grouped(shape: Shape, groups: int, outputs: int, window: Window) -> QGraph:
    b = GraphBuilder("grouped", shape, seed=outputs)
    rows, columns = window.output_size(*shape[:2])
    weights = (outputs, *window.kernel, shape[2] // groups)
    b.weighted("conv", Conv2D(window, groups), (rows, columns, outputs), weights, outputs % 2 == 0)
    return b.graph()


def transposed(shape: Shape, outputs: int, window: Window) -> QGraph:
    b = GraphBuilder("transposed", shape, seed=outputs)
    size = [
        (shape[axis] - 1) * window.stride[axis]
        + window.kernel[axis]
        - window.padding[axis]
        - window.padding[axis + 2]
        for axis in range(2)
    ]
    weights = (outputs, *window.kernel, shape[2])
    b.weighted("conv", ConvTranspose2D(window), (size[0], size[1], outputs), weights, False)
    return b.graph()


@pytest.mark.parametrize("target", TARGETS)
def test_groups(target: str) -> None:
    """Channels that are whole words and others, padding of every side, one pixel and many."""
    windows = [
        Window((1, 1)),
        Window((3, 3), padding=(1, 1, 1, 1)),
        Window((2, 3), (2, 1), (1, 0, 0, 2)),
        Window((3, 2), (1, 2), (2, 2, 0, 1), (2, 2)),
    ]
    for window in windows:
        for groups, n, m in ((2, 4, 4), (3, 5, 1), (4, 3, 7), (2, 17, 2), (3, 1, 4)):
            graph = grouped((5, 6, groups * n), groups, groups * m, window)
            kernel = answers(graph, target, m)
            assert n == 1 or kernel == f"nano_conv2d_grouped_{ENDING[target]}"


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_not_taken_is_not_packed(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel for all groups does not take a channel each: none of them is packed to find out."""
    packed: list[Layer[Any]] = []

    def counted(pack_one: Callable[[Layer[Any]], Any]) -> Callable[[Layer[Any]], Any]:
        def one(layer: Layer[Any]) -> Any:
            packed.append(layer)
            return pack_one(layer)

        return one

    for name in ("scaled", "scaled_wide"):
        monkeypatch.setattr(pack, name, counted(getattr(pack, name)))
    lower(grouped((5, 6, 12), 12, 24, Window((3, 3))), target, "speed")
    assert len(packed) <= 3  # the whole layer, by each kernel that asks; 12 if a channel each


@pytest.mark.parametrize("target", TARGETS)
def test_transposed(target: str) -> None:
    """Kernels larger and smaller than strides; all that can be cut off or left behind."""
    windows = [
        Window((2, 2), (2, 2)),
        Window((4, 4), (2, 2), (1, 1, 1, 1)),
        Window((3, 3), (2, 2), (1, 1, 0, 0)),
        Window((3, 3), (1, 1), (1, 2, 1, 0)),
        Window((2, 2), (2, 3), (0, 0, -1, -1)),
        Window((1, 2), (3, 1), (0, 1, -2, 0)),
        Window((5, 7), (3, 2), (2, 3, 1, 4)),
    ]
    for window in windows:
        for channels, outputs in ((4, 8), (3, 1), (5, 3), (16, 2)):
            kernel = answers(transposed((4, 5, channels), outputs, window), target, channels)
            assert kernel == f"nano_conv_transpose2d_{ENDING[target]}"


@pytest.mark.parametrize("kind", ["grouped_conv2d", "conv_transpose2d", "depthwise_conv2d"])
@pytest.mark.parametrize("target", TARGETS)
def test_random_layers(target: str, kind: str) -> None:
    """Within the overlaps that are stated, too."""
    for seed in range(30):
        graph = operator_graph(kind, seed)
        x = inputs_of(graph, 5, seed)
        lowered = lower(graph, target, "speed")
        y = Runtime(lowered, plan(lowered)).run(x)
        assert np.array_equal(y, simulate.simulate(graph, x)), seed
        check(graph, x, target)


@pytest.mark.parametrize("target", TARGETS)
def test_exported_under_the_sanitizers(
    library: Path,  # noqa: F811
    tmp_path: Path,
    target: str,
) -> None:
    graphs = [
        grouped((5, 7, 9), 3, 6, Window((3, 2), (1, 2), (1, 1, 1, 0))),
        transposed((4, 5, 7), 3, Window((5, 3), (2, 2), (1, 0, 0, 1))),
    ]
    for number, graph in enumerate(graphs):
        folder = tmp_path / str(number)
        folder.mkdir()
        lowered, x = lower(graph, target, "speed"), random_inputs(graph, 4)
        run_exported(library, folder, lowered, x, *CORE.get(target, ()))
