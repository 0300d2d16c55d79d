"""The kernels of Armv7E-M for activations in int16: every byte the simulator's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import library, run_exported  # noqa: F401
from numpy.typing import NDArray
from random_graphs import random_graph, random_inputs
from test_armv7em import TARGET, WINDOWS, differ
from test_overlap import check

from nanotool.ir import Conv2D, Dense, QGraph, QOp, QTensor, Window, unclamped
from nanotool.lower import lower

KINDS = ("dense", "conv2d", "depthwise_conv2d")
FULL = unclamped("int16")


def layer(
    op: Conv2D | Dense,
    shape: tuple[int, ...],
    weight: np.ndarray,
    *,
    clamp: tuple[int, int] = FULL,
    fit: bool = True,
) -> QGraph:
    """``op`` alone, with biases beyond 32 bits; its outputs ``fit`` int16, or saturate."""
    outputs = len(weight)
    if isinstance(op, Conv2D):
        out_shape: tuple[int, ...] = (*op.window.output_size(*shape[:2]), outputs)
    else:
        out_shape = (*shape[:-1], outputs)
    largest = float(np.abs(weight.reshape(outputs, -1).astype(np.int64)).sum(axis=1).max())
    tensors = {
        "x": QTensor("x", shape, 1.0, 0, "int16"),
        "y": QTensor("y", out_shape, largest if fit else largest / 8, 0, "int16"),
    }
    bias = np.arange(outputs, dtype=np.int64) * 2**33 - 2**35
    scale = np.ones(1, np.float32)
    made = QOp("y", op, ("x",), weight, scale, bias, clamp)
    return QGraph("one", tensors, (made,), ("x",), ("y",))


def test_random_models() -> None:
    kernels: Counter[str] = Counter()
    for seed in range(30):
        graph = random_graph(seed, kinds=KINDS, int16=True)
        kernels += differ(graph, random_inputs(graph, 4, seed))
    for name in ("dense_int16", "conv2d_int16", "conv2d_int16_relu", "depthwise_conv2d_int16"):
        assert kernels[f"nano_{name}_dsp"] >= 2, kernels


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_convolutions_of_every_remainder(window: Window) -> None:
    """Runs of even and of odd length, one output and several, rows of one pixel to eleven."""
    rng = np.random.default_rng(0)
    for channels, groups in ((1, 1), (2, 1), (3, 1), (8, 1), (6, 2), (9, 3)):
        for outputs in (1 * groups, 2 * groups, 3 * groups):
            weight = rng.integers(-127, 128, (outputs, *window.kernel, channels // groups))
            for width in (7, 8):
                graph = layer(
                    Conv2D(window, groups),
                    (5, width, channels),
                    weight.astype(np.int8),
                    clamp=FULL if width == 8 else (0, 32767),
                )
                kernels = differ(graph, random_inputs(graph, 3, width))
                assert "_dsp" in "".join(kernels), kernels


@pytest.mark.parametrize("terms", [515, 516, 517, 1031, 1550, 4000])
def test_sums_beyond_32_bits(terms: int) -> None:
    """Products of one sign, the largest there are; from 517 terms of 127 on in several parts."""
    for outputs in (1, 2, 5):
        weight = np.tile(np.where(np.arange(terms) % 2, 127, -127), (outputs, 1)).astype(np.int8)
        x = np.where(np.arange(terms) % 2, -32768, 32767)
        rows: NDArray[Any] = np.stack([x, -(x + 1), x // 3]).astype(np.int16)
        dense = layer(Dense(), (terms,), weight, fit=False)
        assert differ(dense, rows) == {"nano_dense_int16_dsp": 1}
        image = layer(Conv2D(Window((1, 1))), (1, 4, terms), weight[:, None, None, :], fit=False)
        kernel = "nano_conv2d_int16_long_dsp" if terms > 516 else "nano_conv2d_int16_dsp"
        assert differ(image, np.repeat(rows[:, None, None, :], 4, axis=2)) == {kernel: 1}


def test_overlaps_are_what_the_kernels_bear() -> None:
    tight = wrong = 0
    for seed in range(60):
        graph = random_graph(seed, kinds=KINDS, layers=2, int16=True)
        counts = check(graph, random_inputs(graph, 4, seed), TARGET)
        tight, wrong = tight + counts[0], wrong + counts[1]
    assert tight >= 10
    assert wrong >= 0.4 * tight, f"{wrong} of {tight}"


@pytest.mark.parametrize("seed", range(3))
def test_exported_models_under_the_sanitizers(
    library: Path,  # noqa: F811
    tmp_path: Path,
    seed: int,
) -> None:
    graph = random_graph(seed, kinds=KINDS, layers=8, int16=True)
    run_exported(library, tmp_path, lower(graph, TARGET, "speed"), random_inputs(graph, 8, seed))
