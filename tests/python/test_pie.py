"""The kernels for the ESP32-S3: their C forms against the simulator, and programs as Xtensa's
compiler makes them in an interpreter (xtensa.py), which also counts their instructions."""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pie_program
import pytest
from exported import library, run_exported  # noqa: F401
from handmade import GraphBuilder
from random_graphs import random_graph, random_inputs
from test_armv7em import WINDOWS as CONVOLUTIONS
from test_armv7em import convolution, differ
from test_armv7em_depthwise import OTHERS, depthwise
from test_armv7em_depthwise import WINDOWS as DEPTHWISE
from test_scalar import extreme
from xtensa import Xtensa

from nanotool.ir import Int8Array, QGraph, Window
from nanotool.lower import lower
from nanotool.lower.pie import depthwise as pie_depthwise
from nanotool.models import load_model
from nanotool.ops import layer_of, macs
from nanotool.simulate import simulate
from nanotool.sources import default_model_dir, lib_dir

TARGET = "pie"
KERNELS = (
    *("conv2d/conv2d_pie.c", "conv2d/tile_pie.c", "conv2d/windows_scalar.c", "conv2d/parts.c"),
    *("dense/dense_pie.c", "pool/max_pool.c", "depthwise_conv2d/depthwise_conv2d_pie.c"),
)
DILATED = [
    Window((3, 3), padding=(2, 2, 2, 2), dilation=(2, 2)),
    Window((2, 3), (2, 1), (0, 4, 1, 1), (1, 3)),
]
SIXTEENS = ((8, 1), (11, 1), (16, 1), (17, 2), (4, 4), (48, 1))  # channels, outputs of each


def dense(inputs: int, outputs: int, *, relu: bool, rows: int = 1) -> QGraph:
    b = GraphBuilder("dense", (rows, inputs) if rows > 1 else (inputs,), seed=inputs)
    b.dense("dense", outputs, relu=relu)
    return b.graph()


@pytest.fixture
def however_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Depthwise layers take vectors where that does not pay, too."""
    monkeypatch.setattr(pie_depthwise, "_OTHERS", 10**6)


@pytest.mark.parametrize("seed", range(12))
def test_random_models(seed: int) -> None:
    graph = random_graph(seed, kinds=("conv2d", "dense"))
    kernels = Counter(differ(graph, random_inputs(graph, 4, seed), TARGET))
    assert kernels["nano_dense_pie"] + kernels["nano_conv2d_pie"] >= 1


@pytest.mark.parametrize("number", range(len(CONVOLUTIONS)))
def test_convolutions(number: int) -> None:
    """Terms that are whole sixteens and others."""
    for channels in (1, 3, 4, 16):
        graph = convolution((5, 6, channels), 5, CONVOLUTIONS[number], relu=channels == 3)
        assert set(differ(graph, random_inputs(graph, 3), TARGET)) == {"nano_conv2d_pie"}


@pytest.mark.parametrize("window", DEPTHWISE + OTHERS + DILATED, ids=str)
@pytest.mark.usefixtures("however_slow")
def test_depthwise(window: Window) -> None:
    """Channels that are whole sixteens and others; multipliers; images smaller than the window."""
    for number, (channels, multiplier) in enumerate(SIXTEENS):
        for height, width in ((1, 1), (4, 9), (9, 5)):
            if min(window.output_size(height, width)) < 1:
                continue
            shape = (height, width, channels)
            graph = depthwise(shape, window, number % 2 == 0, number, multiplier)
            kernels = differ(graph, random_inputs(graph, 3, number), TARGET)
            assert set(kernels) == {"nano_depthwise_conv2d_pie"}, shape


def test_with_the_pool_behind_it() -> None:
    graph = load_model(default_model_dir())
    kernels = differ(graph, random_inputs(graph, 3), TARGET, "balanced")
    assert kernels["nano_conv2d_max_pool_pie"] >= 1


def test_what_the_words_of_scales_do_not_hold_takes_another_kernel() -> None:
    """Few channels; sums that QACC does not hold; sums that are made larger."""
    for channels, side in ((4, 3), (16, 6)):
        graph = depthwise((side, side, channels), Window((side, side)), relu=True)
        (op,) = graph.ops
        graph = replace(graph, ops=(replace(op, weight=np.full_like(op.weight, 127)),))
        assert not any(
            "_pie" in kernel for kernel in differ(graph, random_inputs(graph, 2), TARGET)
        )
    b = GraphBuilder("steep", (1,))
    b.dense("dense", 2, relu=False)
    graph = b.graph()
    (op,) = graph.ops
    assert op.weight_scale is not None
    steep = np.full_like(op.weight_scale, 2 * graph.output_tensor.scale / graph.input_tensor.scale)
    graph = replace(graph, ops=(replace(op, weight_scale=steep),))
    assert "nano_dense_pie" not in differ(graph, random_inputs(graph, 4), TARGET)


def test_exported_under_the_sanitizers(library: Path, tmp_path: Path) -> None:  # noqa: F811
    graph = convolution((6, 5, 5), 5, CONVOLUTIONS[1], relu=True)
    lowered = lower(graph, TARGET, "speed")
    run_exported(library, tmp_path, lowered, random_inputs(graph, 4), "-DNANO_PIE=1")


# --- The instructions -----------------------------------------------------------------------------

compiled = pytest.mark.skipif(
    not pie_program.HAVE_COMPILER, reason=f"{pie_program.COMPILER} is not installed"
)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The library, as the compiler makes it for a firmware."""
    return pie_program.library(tmp_path_factory.mktemp("pie"), *KERNELS)


def run(
    objects: list[Path], folder: Path, graph: QGraph, xs: Int8Array, optimize: str = "speed"
) -> Xtensa:
    """The core that ran ``graph`` for each of ``xs``; fails where it gave another byte than the
    simulator."""
    lowered = lower(graph, TARGET, optimize)
    core = pie_program.link(objects, folder, lowered)
    assert any("_pie" in op.kernel for op in lowered.ops)
    for x in xs:
        expected = simulate(graph, x[None])[0]
        assert np.array_equal(pie_program.run(core, lowered, x), expected), graph.name
    return core


@compiled
@pytest.mark.parametrize("inputs", [1, 15, 16, 17, 65, 80, 81, 200])
def test_dense_instructions(objects: list[Path], tmp_path: Path, inputs: int) -> None:
    """What registers hold of inputs, and more; of one output and several, in rows."""
    for relu in (True, False):
        graph = dense(inputs, 1 + inputs % 5, relu=relu, rows=1 + inputs % 2)
        run(objects, tmp_path, graph, random_inputs(graph, 3, inputs))


@compiled
@pytest.mark.parametrize("number", range(len(CONVOLUTIONS)))
def test_convolutions_instructions(objects: list[Path], tmp_path: Path, number: int) -> None:
    """Strides, paddings, dilations; odd channels and others; one output and seven."""
    for channels, outputs in ((1, 1), (3, 7), (4, 2), (17, 3)):
        graph = convolution((4, 5, channels), outputs, CONVOLUTIONS[number], relu=channels == 3)
        run(objects, tmp_path, graph, random_inputs(graph, 2, number))


@compiled
@pytest.mark.parametrize("window", (*DEPTHWISE[2:6], *OTHERS[1::2], *DILATED), ids=str)
@pytest.mark.usefixtures("however_slow")
def test_depthwise_instructions(objects: list[Path], tmp_path: Path, window: Window) -> None:
    for number, (channels, multiplier) in enumerate(SIXTEENS[1:5]):
        graph = depthwise((4, 6, channels), window, number % 2 == 0, number, multiplier)
        run(objects, tmp_path, graph, random_inputs(graph, 1, number))


@compiled
@pytest.mark.parametrize("optimize", ["speed", "balanced"])
def test_a_whole_models_instructions(objects: list[Path], tmp_path: Path, optimize: str) -> None:
    """Convolutions by themselves, and with the pools behind them; a dense layer."""
    graph = load_model(default_model_dir())
    core = run(objects, tmp_path, graph, random_inputs(graph, 1), optimize)
    assert (core.counts["nano_conv2d_max_pool_pie"] > 0) == (optimize == "balanced")


@compiled
@pytest.mark.parametrize("terms", [65, 515])
def test_instructions_at_the_ends_of_ranges(
    objects: list[Path], tmp_path: Path, terms: int
) -> None:
    """Sums of both signs, far beyond what the other kernels' two limbs take."""
    graph, x = extreme(127, terms)
    run(objects, tmp_path, graph, x)


@compiled
def test_the_chips_headers_bring_them_in(tmp_path: Path) -> None:
    """As ESP-IDF's and Arduino's do, whose compilers say nothing else; others are left alone."""
    headers = tmp_path / "xtensa" / "config"
    headers.mkdir(parents=True)
    source = lib_dir() / "src" / "ops" / "conv2d" / "tile_pie.c"
    core, tie = "#define XCHAL_HAVE_MAC16 1\n#define XCHAL_HAVE_LOOPS 1\n", headers / "tie.h"

    def has_kernels(*flags: str) -> bool:
        made = tmp_path / "tile.o"
        flags = (*pie_program.FLAGS[:-2], *flags, f"-I{tmp_path}", f"-I{lib_dir() / 'include'}")
        command = [pie_program.COMPILER, *flags, "-c", str(source), "-o", str(made)]
        subprocess.run(command, check=True)
        return b"nano_pie_few_relu" in made.read_bytes()

    (headers / "core-isa.h").write_text(core)
    tie.write_text("#define XCHAL_CP_ID_FPU 0\n")
    assert not has_kernels()  # an ESP32
    tie.write_text("#define XCHAL_CP_ID_COP_AI 3\n")
    assert has_kernels() and not has_kernels("-DNANO_PIE=0")
    (headers / "core-isa.h").write_text(core.replace("1", "0"))
    assert not has_kernels()  # an ESP32-S2


LIMITS = {  # instructions a MAC, all of a kernel
    "dense 416 -> 128": (dense(416, 128, relu=True), 0.18),
    "1x1 64 -> 64": (convolution((4, 4, 64), 64, Window((1, 1)), relu=True), 0.41),
    "3x3 16 -> 16": (convolution((6, 6, 16), 16, Window((3, 3)), relu=True), 0.45),
    "depthwise": (depthwise((8, 8, 32), Window((3, 3), padding=(1,) * 4)), 2.15),
}


@compiled
@pytest.mark.parametrize("name", LIMITS)
def test_instructions_a_mac(objects: list[Path], tmp_path: Path, name: str) -> None:
    graph, limit = LIMITS[name]
    core = run(objects, tmp_path, graph, random_inputs(graph, 1))
    assert core.counts.total() <= limit * macs(layer_of(graph, graph.ops[0]))
