"""An LSTM over a window and an SVDF net of steps, in one firmware: the simulator's bytes.

Emulated only: a real board would have to be flashed with them. Other boards by `--board`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nanotool.boards import Board
from nanotool.build import build
from nanotool.device import Device, open_board
from nanotool.ir import DTYPES
from nanotool.models import load_model
from nanotool.run import run

USUAL_BOARDS = ("stm32", "xtensa_sim")
MODELS = Path(__file__).parent.parent / "tests" / "models"
COUNTS = {"lstm_mnist_int8": 2, "keyword_svdf_int8": 20}  # inputs, or steps


def test_recurrent(board: Board, emulated: bool) -> None:
    if not emulated:
        pytest.skip("a real board would have to be flashed with these models")
    rng = np.random.default_rng(5)
    firmware = build([load_model(MODELS / f"{name}.tflite") for name in COUNTS], board)
    with open_board(board, firmware.elf) as port, Device(port, timeout=60) as device:
        for model, count in zip(firmware.models, COUNTS.values(), strict=True):
            tensor = model.graph.input_tensor
            low, high = (-128, 128) if tensor.dtype == "int8" else (-4000, 4000)
            x = rng.integers(low, high, (count, *tensor.shape)).astype(DTYPES[tensor.dtype])
            result = run(device, model.graph, model.lowered, x)
            assert result.mismatches == 0 and result.count == count
            assert len(np.unique(result.outputs)) > 1
