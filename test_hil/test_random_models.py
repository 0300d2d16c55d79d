"""Random models with every operator, built into firmware: every byte is the simulator's.

Emulated only: a real board would have to be flashed six times.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nanotool import compare, simulate
from nanotool.boards import BOARDS, STM32, Board
from nanotool.build import build
from nanotool.device import Device, open_board
from nanotool.elf import heap_symbols
from nanotool.ir import QGraph

sys.path.append(str(Path(__file__).parent.parent / "tests" / "python"))
import random_graphs

DRAWN = 20
MODELS = 6  # of them, each a build: few, with many operators
INPUTS = 34  # for each: 204 in all
LARGEST_SHOWN = 4294967295.999  # docs/console.md, `results`


OPERATORS = {
    *("Conv2D", "Dense", "ConvTranspose2D", "MaxPool2D", "AveragePool2D", "Mean"),
    *("Unary", "PRelu", "Binary", "Softmax", "LogSoftmax", "ArgMax", "Quantize"),
    *("Concat", "Slice", "Pad", "Resize", "Reshape", "Transpose", "CumSum"),
    *("Gather", "GroupNorm", "LayerNorm", "MatMul", "Reduce", "Table"),
}
BORDERS = {
    *("from int8", "from uint8", "from float32"),
    *("to int8", "to uint8", "to float32", "to int32"),
}


def parts(graph: QGraph) -> set[str]:
    """Its operators, and the types at its borders."""
    ends = {f"from {graph.input_tensor.dtype}", f"to {graph.output_tensor.dtype}"}
    return {type(op.op).__name__ for op in graph.ops} | ends


@cache
def models() -> tuple[QGraph, ...]:
    """Of `DRAWN` random models those with every operator and type: each time the one with most of
    what those before have not."""
    drawn = [
        random_graphs.random_graph(n, 24, random_graphs.ALL, borders=True) for n in range(DRAWN)
    ]
    chosen: list[QGraph] = []
    missing = OPERATORS | BORDERS
    while any(missing & parts(graph) for graph in drawn):
        chosen.append(max(drawn, key=lambda graph: len(missing & parts(graph))))
        missing -= parts(chosen[-1])
    return tuple(chosen)


@pytest.mark.parametrize("number", range(MODELS))
def test_random_model_in_firmware(number: int, pytestconfig: pytest.Config) -> None:
    names = pytestconfig.getoption("--board") or sorted(BOARDS)
    board: Board = STM32 if STM32.name in names else BOARDS[names[0]]
    if pytestconfig.getoption("--port"):
        pytest.skip("a real board would have to be flashed for every model")
    graph = models()[number]
    inputs = random_graphs.random_inputs(graph, INPUTS, number)
    firmware = build(graph, board)
    assert heap_symbols(firmware.elf) == ()
    expected = simulate.simulate(graph, inputs).reshape(len(inputs), -1)
    # The console shows no magnitude beyond this one.
    real = graph.output_tensor.dequantize(expected).clip(-LARGEST_SHOWN, LARGEST_SHOWN)
    with open_board(board, firmware.elf) as port, Device(port) as device:
        compare.check_model(device.info(), firmware.graph, firmware.lowered)
        for x, wanted, numbers in zip(inputs, expected, real, strict=True):
            if device.run(x).tobytes() != wanted.tobytes():
                pytest.fail(
                    str(compare.first_difference(device, firmware.graph, firmware.lowered, x))
                )
            np.testing.assert_allclose(device.results(), numbers, atol=0.00051)
        assert compare.first_difference(device, firmware.graph, firmware.lowered, inputs[0]) is None


def test_every_operator_and_type_takes_part() -> None:
    graphs = models()
    assert len(graphs) == MODELS
    assert set().union(*map(parts, graphs)) == OPERATORS | BORDERS
