"""microWakeWord's models in firmware: TensorFlow Lite Micro's bytes, and after a reset again.

Emulated only: a real board would have to be flashed with them. Other boards by `--board`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from nanotool.boards import Board
from nanotool.build import build
from nanotool.device import Device, open_board
from nanotool.frontends.tflite import load
from nanotool.run import run
from nanotool.tflm import Interpreter

USUAL_BOARDS = ("stm32",)
STEPS, AGAIN = 100, 10


@pytest.mark.parametrize(
    "name",
    [
        "alexa",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("hey_jarvis", "hey_mycroft", "okay_nabu")
        ),
    ],
)
def test_wake_word(board: Board, emulated: bool, name: str) -> None:
    if not emulated:
        pytest.skip("a real board would have to be flashed with this model")
    spec = importlib.util.find_spec("pymicro_wakeword")
    assert spec is not None and spec.origin is not None
    path = Path(spec.origin).parent / "models" / f"{name}.tflite"
    graph = load(path)
    shape = (STEPS, *graph.input_tensor.shape)
    x = np.random.default_rng(3).integers(-128, 128, shape).astype(np.int8)
    with Interpreter() as interpreter:
        (wanted,) = interpreter.run_ends(path.read_bytes(), (x,), 1)
    firmware = build(graph, board)
    with open_board(board, firmware.elf) as port, Device(port, timeout=60) as device:
        result = run(device, firmware.graph, firmware.lowered, x)
        assert result.mismatches == 0
        np.testing.assert_array_equal(result.outputs.ravel(), wanted.ravel())
        device.reset_states()
        for step in range(AGAIN):
            device.step(x[step])
            assert device.outputs()[0].tobytes() == wanted[step].tobytes()
