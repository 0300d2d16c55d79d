"""The kernels of Armv8.1-M (MVE), by the C forms of their instructions: every byte the simulator's.

What runs them in the same way as those of Armv7E-M is in test_armv7em.py.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exported import library, run_exported  # noqa: F401
from handmade import GraphBuilder
from kernel_checks import lies_anywhere_below, reference_model
from operators import OPERATORS, inputs_of, operator_graph
from random_graphs import KINDS, random_graph, random_inputs
from test_armv7em import WINDOWS as CONVOLUTIONS
from test_armv7em import convolution, differ, pool
from test_armv7em_depthwise import depthwise
from test_overlap import check

from nanotool.backends import c
from nanotool.ir import AveragePool2D, MaxPool2D, Window
from nanotool.lower import lower
from nanotool.plan import plan
from nanotool.targets import TARGETS

TARGET = "armv81m"


@pytest.mark.parametrize("block", range(4))
def test_random_models(block: int) -> None:
    kernels: Counter[str] = Counter()
    for seed in range(50 * block, 50 * block + 50):
        graph = random_graph(seed, kinds=("conv2d", "dense") if seed % 2 else KINDS)
        kernels += differ(graph, random_inputs(graph, 6, seed), TARGET)
    for name in ("dense_mve", "dense_relu_mve", "conv2d_mve", "conv2d_relu_mve"):
        assert kernels[f"nano_{name}"] >= 2, kernels


@pytest.mark.parametrize("kind", OPERATORS)
def test_every_operator(kind: str) -> None:
    for seed in range(8):
        graph = operator_graph(kind, seed)
        differ(graph, inputs_of(graph, 5, seed), TARGET)


@pytest.mark.parametrize("window", CONVOLUTIONS, ids=str)
def test_convolutions_of_every_remainder(window: Window) -> None:
    """Terms that are whole steps and others; blocks that are full and others; pairs of pixels and
    one that is left."""
    seen = 0
    for channels in (1, 3, 5, 8, 16, 17):
        for outputs in (1, 3, 4, 9):
            for width in (7, 8):
                graph = convolution((5, width, channels), outputs, window, relu=width == 8)
                kernel = "nano_conv2d_relu_mve" if width == 8 else "nano_conv2d_mve"
                (ran,) = differ(graph, random_inputs(graph, 4), TARGET)
                few = outputs < 4 and ran == "nano_conv2d_few_mve"
                assert ran == kernel or few
                seen += few
    assert seen or window.kernel[0] > 1 or any(window.padding) or window.dilation[1] > 1


def test_dense_layers_of_every_remainder() -> None:
    for inputs in (1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 200):
        for outputs in range(1, 10):
            b = GraphBuilder("dense", (3, inputs) if outputs % 3 else (inputs,), seed=inputs)
            b.dense("dense", outputs, relu=bool(outputs % 2))
            graph = b.graph()
            kernel = "nano_dense_relu_mve" if outputs % 2 else "nano_dense_mve"
            assert differ(graph, random_inputs(graph, 4), TARGET) == {kernel: 1}


OTHERS = [
    Window((1, 1)),
    Window((3, 3), (2, 1)),
    Window((3, 3), (3, 3), (1, 1, 1, 1)),
    Window((5, 5), padding=(2, 2, 2, 2)),
    Window((3, 1), padding=(1, 0, 1, 0)),
    Window((1, 7), (1, 3), (0, 6, 0, 3)),
    Window((2, 3), padding=(3, 4, 3, 4), dilation=(2, 2)),
]
DEPTHWISE = [
    Window((3, 3)),
    Window((3, 3), padding=(1, 1, 1, 1)),
    Window((3, 3), padding=(2, 0, 0, 2)),
    Window((3, 3), padding=(0, 1, 0, 0)),
    Window((3, 3), (2, 2), (0, 0, 1, 1)),
    Window((3, 3), (2, 2), (1, 1, 0, 0)),
    Window((3, 3), (2, 2), (2, 1, 2, 2)),
]


@pytest.mark.parametrize("window", DEPTHWISE, ids=str)
def test_depthwise_convolutions_of_every_size(window: Window) -> None:
    """Lines of one output and more; one line and more; channels that are whole vectors and others;
    rows and columns as lines; in one band and in several; of a wide range."""
    seen: Counter[str] = Counter()
    sizes = [(1, 1), (2, 3), (3, 3), (4, 9), (9, 4), (25, 5), (8, 13), (40, 33)]
    for height, width in sizes:
        if min(window.output_size(height, width)) < 1:
            continue
        for channels in (8, 11):
            graph = depthwise((height, width, channels), window, channels % 2 == 0, channels)
            x = random_inputs(graph, 4)
            x[0], x[1] = -128, 127
            for optimize in ("speed", "size"):
                seen += differ(graph, x, TARGET, optimize)
    name = "nano_depthwise_conv2d"
    planes, pixels = f"{name}_3x3", f"{name}_pixel"
    assert {f"{planes}_mve", f"{planes}_relu_mve"} <= set(seen)
    assert set(seen) <= {f"{one}{relu}_mve" for one in (planes, pixels) for relu in ("", "_relu")}


@pytest.mark.parametrize("window", [*DEPTHWISE, *OTHERS], ids=str)
def test_depthwise_convolutions_of_every_window(window: Window) -> None:
    """Outputs that are whole vectors and others, one a channel and several; gaps; windows of which
    nothing is inside the image."""
    for channels, multiplier in (
        (1, 1),
        (3, 1),
        (16, 1),
        (21, 1),
        (2, 4),
        (5, 3),
        (1, 16),
        (1, 33),
    ):
        graph = depthwise((9, 7, channels), window, channels % 2 == 0, 1, multiplier)
        x = random_inputs(graph, 4)
        x[0], x[1] = -128, 127
        (kernel,) = differ(graph, x, TARGET)
        few = 1 < channels < 4  # no vector to fill
        lines = "depthwise" in kernel and "pixel" not in kernel
        shared = lines and (few or (multiplier > 1 and channels > 3))
        assert kernel.endswith("_dsp" if shared else "_mve"), kernel
        if "pixel" in kernel:
            check(graph, x, TARGET)


@pytest.mark.parametrize("optimize", ["speed", "size"])
def test_a_depthwise_output_may_lie_anywhere_below_its_input(optimize: str) -> None:
    for number, window in enumerate(DEPTHWISE):
        for shape in ((5, 6, 8), (14, 5, 11), (9, 16, 9)):
            graph = depthwise(shape, window, seed=number)
            if "3x3" not in lower(graph, TARGET, optimize).ops[0].kernel:
                continue
            lies_anywhere_below(graph, TARGET, (1, 2, 5, 16), number, optimize)


def test_depthwise_convolutions_with_large_biases() -> None:
    """Other kernels have 24 bits for them."""
    graph = depthwise((5, 6, 8), DEPTHWISE[1])
    bias = np.linspace(-(2**27), 2**27, 8).astype(np.int32)
    scale = np.full(8, 2.0**-27, np.float32)
    graph = replace(graph, ops=(replace(graph.ops[0], bias=bias, weight_scale=scale),))
    assert differ(graph, random_inputs(graph, 4), TARGET) == {
        "nano_depthwise_conv2d_3x3_relu_mve": 1
    }


def test_other_layers_take_the_kernels_of_armv7em() -> None:
    """A weight of -128 next to another, whose products' sum 16 bits cannot hold."""
    graph = depthwise((9, 9, 8), Window((5, 5)))
    weight = np.full_like(graph.ops[0].weight, -128)
    weight[:, 3:] = 127
    scale = np.full(8, 1e-4, np.float32)
    graph = replace(graph, ops=(replace(graph.ops[0], weight=weight, weight_scale=scale),))
    x = random_inputs(graph, 4)
    x[0] = -128
    (kernel,) = differ(graph, x, TARGET)
    assert kernel.endswith("_dsp")
    assert TARGETS[TARGET].lineage == (TARGET, "armv7em")


@pytest.mark.parametrize("operator", [MaxPool2D, AveragePool2D])
@pytest.mark.parametrize("channels", [1, 3, 4, 6, 8, 13, 16, 17, 37])
def test_pools_of_every_remainder(operator: type[MaxPool2D | AveragePool2D], channels: int) -> None:
    name = "max_pool" if operator is MaxPool2D else "average_pool"
    for window in (Window((2, 2), (2, 2)), Window((3, 2), (1, 2), (1, 0, 1, 1)), Window((7, 8))):
        for clamp in ((-128, 127), (-20, 50)):
            graph = pool(operator(window), (7, 8, channels), clamp)
            x = random_inputs(graph, 4)
            x[0], x[1] = -128, 127
            assert differ(graph, x, TARGET) == {f"nano_{name}_mve": 1}
            check(graph, x, TARGET)


@pytest.mark.parametrize("weight", [127, -127])
def test_sums_at_the_ends_of_their_ranges(weight: int) -> None:
    b = GraphBuilder("extreme", (512,))
    b.dense("dense", 4)
    graph = b.graph()
    rows = np.tile(np.array([-weight, weight], np.int8), (4, 256))
    graph = replace(graph, ops=(replace(graph.ops[0], weight=rows),))
    signs = np.tile([-1, 1], 256)
    x = np.clip(np.stack([-128 * signs, 128 * signs]), -128, 127).astype(np.int8)
    assert differ(graph, x, TARGET) == {"nano_dense_mve": 1}


@pytest.mark.parametrize("name", ["ad", "kws", "ic", "vww"])
def test_the_reference_models(name: str) -> None:
    """TFLite Micro's answers, within the memory that each is promised."""
    lowered, *_ = reference_model(name, TARGET)
    families = ("dense", "conv2d", "depthwise", "add")
    assert all("_mve" in op.kernel for op in lowered.ops if any(f in op.kernel for f in families))


def test_overlaps_are_what_the_kernels_bear() -> None:
    """One byte closer than stated something is overwritten too early, in most nets."""
    tight = wrong = 0
    for seed in range(30):
        graph = random_graph(seed, kinds=("conv2d", "dense"), layers=2)
        counts = check(graph, random_inputs(graph, 6, seed), TARGET)
        tight, wrong = tight + counts[0], wrong + counts[1]
    assert tight >= 10
    assert wrong >= 0.5 * tight, f"{wrong} of {tight}"


def test_the_target_that_knows_more_is_asked_first(tmp_path: Path) -> None:
    """A Cortex-M55 fits the guard of armv7em, too."""
    graph = random_graph(1, kinds=("dense",))
    pairs = [
        (lowered, plan(lowered)) for lowered in (lower(graph, name, "speed") for name in TARGETS)
    ]
    c.export(pairs, tmp_path / "model")
    header = (tmp_path / "model" / f"{graph.name}.h").read_text()
    places = [header.index(f"/* target {name} */") for name in (TARGET, "armv7em", "portable")]
    assert places == sorted(places)


@pytest.mark.parametrize("seed", range(10))
def test_exported_models_under_the_sanitizers(
    library: Path,  # noqa: F811
    tmp_path: Path,
    seed: int,
) -> None:
    if seed < 4:
        graph = random_graph(seed, kinds=("conv2d", "dense") if seed % 2 else KINDS)
    else:
        window = DEPTHWISE[seed - 4]
        graph = depthwise((13, 10 - seed % 4, 8 + seed % 3), window, seed % 2 == 0, seed)
    x = random_inputs(graph, 8, seed)
    run_exported(library, tmp_path, lower(graph, TARGET, "speed"), x)


@pytest.mark.parametrize("target", ["portable", "armv7em", TARGET])
@pytest.mark.parametrize("taps", [1, 2, 3, 7, 45, 63, 64, 90, 91, 256, 999, 1024, 1500])
def test_means_of_every_sum(target: str, taps: int) -> None:
    """Halves on both sides of zero; ways of dividing that few taps have, and many."""
    sums = np.unique(np.linspace(-128 * taps, 127 * taps, 4001).astype(np.int64))
    sums = np.concatenate([sums, np.arange(-300, 300) * taps // 2])
    sums = sums[np.abs(2 * sums + taps) <= 255 * taps]
    whole, rest = np.divmod(sums[:, None], taps)
    x = (whole + (np.arange(taps) < rest)).astype(np.int8)[:, None, :, None]
    graph = pool(AveragePool2D(Window((1, taps))), (1, taps, 1), (-128, 127))
    differ(graph, x, target)
