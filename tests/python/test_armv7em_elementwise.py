"""Sums and products of two for Armv7E-M, by the C forms of its instructions."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from operators import inputs_of, operator_graph
from test_armv7em import differ
from test_overlap import check

from nanotool.ir import INT8_MAX, INT8_MIN, Binary, QGraph, QOp, QTensor

ALL = np.arange(INT8_MIN, INT8_MAX + 1).astype(np.int8)
TARGET = "armv7em"
ENDINGS = {TARGET: "dsp", "armv81m": "mve", "scalar": "scalar"}  # of the targets' own kernels

Three = tuple[int, int, int]


def every_pair(
    function: str,
    scales: tuple[float, float, float],
    zero_points: Three,
    clamp: tuple[int, int] = (INT8_MIN, INT8_MAX),
    target: str = TARGET,
) -> Counter[str]:
    """The kernels that ran ``function`` of each int8 and each int8 as the simulator does it; scales
    and zero points are those of both operands and of the result."""
    a, b = (one[None] for one in np.meshgrid(ALL, ALL, indexing="ij"))
    tensors = {
        name: QTensor(name, a.shape[1:], np.float32(scale).item(), zero_point)
        for name, scale, zero_point in zip(("a", "b", "y"), scales, zero_points, strict=True)
    }
    op = QOp("y", Binary(function), ("a", "b"), clamp=clamp)
    return differ(QGraph("pairs", tensors, (op,), ("a",), ("y",), constants={"b": b[0]}), a, target)


@pytest.mark.parametrize("target", [*ENDINGS])
@pytest.mark.parametrize("function", ["add", "sub", "mul"])
def test_every_pair_of_bytes(function: str, target: str) -> None:
    """Zero points anywhere; scales alike and not; with and without a ReLU."""
    rng = np.random.default_rng(len(function))
    ran: Counter[str] = Counter()
    for case in range(24):
        a, b = (float(x) for x in rng.uniform(0.01, 0.1, 2))
        b = a if case % 4 == 0 else b
        scale = a * b * rng.uniform(2, 100) if function == "mul" else a + b * rng.uniform(0.1, 2)
        za, zb, zero_point = (int(z) for z in rng.integers(-128, 128, 3))
        zero_point = -128 if case % 2 else zero_point
        clamp = (-128, 127) if case % 3 else (zero_point, 127)
        ran += every_pair(function, (a, b, scale), (za, zb, zero_point), clamp, target)
    kernel = f"nano_{'add' if function == 'sub' else function}"
    assert ran[f"{kernel}_{ENDINGS[target]}"] >= 23, ran


@pytest.mark.parametrize("target", [*ENDINGS])
def test_halves_on_both_sides_of_zero(target: str) -> None:
    """They are rounded away from it, whatever the clamp."""
    kernel = f"nano_add_{ENDINGS[target]}"
    for scales in ((0.5, 0.5, 1.0), (0.05, 0.05, 0.08), (0.5, 0.25, 1.0)):
        for zero_points in ((0, 0, 0), (-5, 7, 3), (-128, -128, -128), (127, -128, 127)):
            low = zero_points[2]
            for clamp in ((-128, 127), (low, min(low + 90, 127))):
                ran = every_pair("add", scales, zero_points, clamp, target)
                assert ran == {kernel: 1}, (scales, zero_points)


@pytest.mark.parametrize("target", [*ENDINGS])
@pytest.mark.parametrize("function", ["add", "sub", "mul"])
def test_random_operands(function: str, target: str) -> None:
    """Operands that stretch, constants, rows of every length."""
    fast = 0
    for seed in range(40):
        graph = operator_graph(function, seed)
        x = inputs_of(graph, 5, seed)
        kernels = differ(graph, x, target)
        fast += any(kernel.endswith(tuple(ENDINGS.values())) for kernel in kernels)
        check(graph, x, target)
    assert fast >= 7
