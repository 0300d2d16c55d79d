"""Random models with every operator, built into firmware: every byte is the simulator's.

Emulated only: a real board would have to be flashed twenty times.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from nanotool import compare, simulate
from nanotool.boards import BOARDS, STM32, Board
from nanotool.build import build
from nanotool.device import Device, open_board
from nanotool.elf import heap_symbols

MODELS = 20
INPUTS = 10  # for each: 200 in all


def _random_graphs() -> ModuleType:
    """tests/python/random_graphs.py, which is no package."""
    path = Path(__file__).parent.parent / "tests" / "python" / "random_graphs.py"
    spec = importlib.util.spec_from_file_location("random_graphs", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules.setdefault("random_graphs", importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module


random_graphs = _random_graphs()


@pytest.mark.parametrize("seed", range(MODELS))
def test_random_model_in_firmware(seed: int, pytestconfig: pytest.Config) -> None:
    names = pytestconfig.getoption("--board") or sorted(BOARDS)
    board: Board = STM32 if STM32.name in names else BOARDS[names[0]]
    if pytestconfig.getoption("--port"):
        pytest.skip("a real board would have to be flashed for every model")
    graph = random_graphs.random_graph(1000 + seed)
    inputs = random_graphs.random_inputs(graph, INPUTS, seed)
    firmware = build(graph, board)
    assert heap_symbols(firmware.elf) == ()
    expected = simulate.simulate(graph, inputs).reshape(len(inputs), -1)
    with open_board(board, firmware.elf) as port, Device(port) as device:
        compare.check_model(device.info(), graph, firmware.lowered)
        for x, wanted in zip(inputs, expected, strict=True):
            if device.run(x).tobytes() != wanted.tobytes():
                pytest.fail(str(compare.first_difference(device, graph, firmware.lowered, x)))
        assert compare.first_difference(device, graph, firmware.lowered, inputs[0]) is None


def test_every_operator_takes_part() -> None:
    kinds = {
        type(op.op).__name__
        for seed in range(MODELS)
        for op in random_graphs.random_graph(1000 + seed).ops
    }
    assert {"Conv2D", "Dense", "MaxPool2D", "AveragePool2D", "Unary", "Softmax"} <= kinds
    assert {"Reshape", "Transpose"} <= kinds
