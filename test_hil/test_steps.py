"""A model with states, two inputs and two outputs in firmware: step by step the simulator's bytes.

Emulated only: a real board would have to be flashed with it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from nanotool import compare, simulate
from nanotool.boards import Board
from nanotool.build import build
from nanotool.device import Device, DeviceRefused, open_board
from nanotool.run import run

sys.path.append(str(Path(__file__).parent.parent / "tests" / "python"))
from step_model import random_steps, step_model

USUAL_BOARDS = ("native", "stm32")
STEPS = 100


def test_steps(board: Board, emulated: bool) -> None:
    if not emulated:
        pytest.skip("a real board would have to be flashed with this model")
    graph = step_model()
    x = random_steps(graph, STEPS)
    (level, alarm), _ = simulate.simulate_steps(graph, x)
    firmware = build(graph, board)
    with open_board(board, firmware.elf) as port, Device(port, timeout=60) as device:
        for reset_every in (0, 30):  # each from a reset on
            result = run(device, graph, firmware.lowered, x, reset_every=reset_every)
            assert result.mismatches == 0 and result.count == STEPS
            if not reset_every:
                np.testing.assert_array_equal(result.ends[0], level)
                np.testing.assert_array_equal(result.ends[1], alarm)
        device.reset_states()
        for step in range(5):
            device.step(*(data[step] for data in x))
        saved, kept = device.save_states(), device.saved()
        device.load([data[5] for data in x])
        expected = compare.expected_outputs(
            graph, firmware.lowered, [data[5] for data in x], [data[:5] for data in x]
        )
        layers = device.layers().layers
        for layer, wanted in zip(layers, expected, strict=True):
            assert device.dump(layer.index).tobytes() == wanted.tobytes() or not wanted.size
        assert device.saved() == kept  # layers and dump have tried the step, and taken it back
        device.infer(1, 3)
        assert device.outputs()[0].tobytes() == level[5].tobytes()
        device.load_states(saved)
        for step in range(5, 8):
            got = device.step(*(data[step] for data in x))
            assert got[1].tobytes() == alarm[step].tobytes()
        with pytest.raises(DeviceRefused):
            device.load_states(saved[::-1])
        memory = device.mem()
        assert (memory.states, memory.saved_states) == (firmware.plan.state_size, len(saved))
        assert memory.arena == firmware.plan.arena_size
        one = [data[50] for data in x]
        before = [data[:50] for data in x]
        assert compare.first_difference(device, graph, firmware.lowered, one, before) is None
