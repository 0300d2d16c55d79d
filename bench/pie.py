"""Instructions of the ESP32-S3's kernels: python -m bench.pie [--record] (pie.json).

Compiled with xtensa-lx106-elf-gcc -O2 and executed by the interpreter of tests/python/xtensa.py, as
no emulator here knows the S3's vectors: counts of instructions, not cycles, and of no chip. What a
kernel takes includes bringing inputs in and scaling. Outputs that are not the simulator's fail, and
so do counts that are not the record's.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.bare import ROOT, compare
from bench.suite import MODELS
from nanotool.ir import QGraph, Window
from nanotool.lower import lower
from nanotool.ops import layer_of, macs
from nanotool.passes.lossless import simplify
from nanotool.plan import plan
from nanotool.simulate import simulate

RECORD = Path(__file__).with_name("pie.json")
KERNELS = (
    *("conv2d/conv2d_pie.c", "conv2d/tile_pie.c", "conv2d/windows_scalar.c", "dense/dense_pie.c"),
    *("conv2d/tile_mac16.c", "dense/dense_mac16.c", "binary/add_scalar.c", "pool/average_pool.c"),
    *(f"depthwise_conv2d/{name}.c" for name in ("depthwise_conv2d_mac16", "lines_mac16")),
    *("depthwise_conv2d/lines_scalar.c", "softmax/softmax.c", "softmax/exponentials.c"),
    *("copy/copy.c", "pool/max_pool.c", "depthwise_conv2d/depthwise_conv2d_pie.c"),
)


def cases() -> Mapping[str, Callable[[], QGraph]]:
    """What is counted: layers, and models."""
    from handmade import GraphBuilder  # noqa: PLC0415
    from test_armv7em import convolution  # noqa: PLC0415
    from test_armv7em_depthwise import depthwise as depthwise_graph  # noqa: PLC0415

    def dense(inputs: int, outputs: int, *, relu: bool = True) -> Callable[[], QGraph]:
        def make() -> QGraph:
            b = GraphBuilder("dense", (inputs,), seed=inputs)
            b.dense("dense", outputs, relu=relu)
            return b.graph()

        return make

    def conv(
        size: int, inputs: int, outputs: int, kernel: int, *, pad: int = 0
    ) -> Callable[[], QGraph]:
        window = Window((kernel, kernel), padding=(pad,) * 4)
        return lambda: convolution((size, size, inputs), outputs, window, relu=True)

    def depthwise(size: int, channels: int, kernel: int, stride: int = 1) -> Callable[[], QGraph]:
        window = Window((kernel, kernel), (stride, stride), (kernel // 2,) * 4)
        return lambda: depthwise_graph((size, size, channels), window)

    return {
        "dense 416 -> 128": dense(416, 128),
        "dense 64 -> 64": dense(64, 64),
        "dense 64 -> 64, signed": dense(64, 64, relu=False),
        "1x1 64 -> 64, 10x10": conv(10, 64, 64, 1),
        "1x1 32 -> 64, 10x10": conv(10, 32, 64, 1),
        "1x1 16 -> 32, 10x10": conv(10, 16, 32, 1),
        "3x3 64 -> 64, 8x8, padded": conv(8, 64, 64, 3, pad=1),
        "3x3 32 -> 32, 12x12, padded": conv(12, 32, 32, 3, pad=1),
        "3x3 16 -> 16, 16x16": conv(16, 16, 16, 3),
        "3x3 16 -> 16, 16x16, padded": conv(16, 16, 16, 3, pad=1),
        "3x3 3 -> 8, 16x16": conv(16, 3, 8, 3),
        "depthwise 3x3, 64, 16x16": depthwise(16, 64, 3),
        "depthwise 3x3, 64, 16x16, stride 2": depthwise(16, 64, 3, 2),
        "depthwise 3x3, 24, 12x12": depthwise(12, 24, 3),
        "depthwise 3x3, 8, 24x24": depthwise(24, 8, 3),
        "depthwise 5x5, 32, 12x12": depthwise(12, 32, 5),
        **{name: partial(model, name) for name in ("mlp", "ad", "kws", "ic", "vww", "digits")},
    }


def model(name: str) -> QGraph:
    """A whole one; what no vector kernel takes runs as on an ESP32."""
    return simplify(MODELS[name]())


def measure() -> dict[str, Any]:
    """Of each case the MACs and the instructions of its kernels."""
    sys.path.insert(0, str(ROOT / "tests" / "python"))  # the interpreter belongs to the tests
    import pie_program  # noqa: PLC0415
    from random_graphs import random_inputs  # noqa: PLC0415

    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        objects = pie_program.library(Path(folder), *KERNELS)
        for name, make in cases().items():
            graph = make()
            lowered = lower(graph, "pie", "speed")
            core = pie_program.link(objects, Path(folder), lowered)
            x = random_inputs(graph, 1)
            if not np.array_equal(pie_program.run(core, lowered, x[0]), simulate(graph, x)[0]):
                sys.exit(f"{name} gave other bytes than the simulator")
            products = sum(macs(layer_of(graph, op)) for op in graph.ops)
            found[name] = {
                "macs": products,
                "instructions": core.counts.total(),
                "arena_bytes": plan(lowered).arena_size,
                "weight_bytes": lowered.weight_bytes,
            }
    return {"cases": found}


def show(found: dict[str, Any]) -> None:
    """A line a case."""
    for name, counts in found["cases"].items():
        each = counts["instructions"] / counts["macs"]
        print(f"{name:34} {counts['instructions']:10,} instructions {each:8.3f} a MAC")


if __name__ == "__main__":
    sys.exit(compare(__doc__.split("\n")[0], RECORD, measure, show, "xtensa-lx106-elf-gcc"))
