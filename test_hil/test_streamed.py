"""Streamed models in firmware: from the first full window on, the window model's bytes.

Emulated only: a real board would have to be flashed with them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nanotool.boards import Board
from nanotool.build import build
from nanotool.device import Device, open_board
from nanotool.ir import QGraph
from nanotool.run import run
from nanotool.simulate import simulate
from nanotool.streaming import stream_graph

sys.path.append(str(Path(__file__).parent.parent / "tests" / "python"))
from streamable import random_window_model, recurrent_window_model

USUAL_BOARDS = ("stm32",)
MORE = 6  # steps behind the first full window


@pytest.mark.parametrize(
    ("drawn", "seed"),
    [*((random_window_model, seed) for seed in (4, 7, 21)), (recurrent_window_model, 0)],
)
def test_streamed(
    board: Board, emulated: bool, drawn: Callable[[int], tuple[QGraph, int]], seed: int
) -> None:
    if not emulated:
        pytest.skip("a real board would have to be flashed with this model")
    graph, axis = drawn(seed)
    made = stream_graph(graph, axis)
    frames, count = graph.input_tensor.shape[axis], made.filled + MORE
    shape = list(graph.input_tensor.shape)
    shape[axis] = count * made.step
    x = np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)
    windows = [
        np.take(x, range((i + 1) * made.step - frames, (i + 1) * made.step), axis=axis)
        for i in range(made.filled - 1, count)
    ]
    wanted = simulate(graph, np.stack(windows))
    firmware = build(made.graph, board)
    with open_board(board, firmware.elf) as port, Device(port, timeout=60) as device:
        result = run(device, made.graph, firmware.lowered, np.stack(np.split(x, count, axis=axis)))
    assert result.mismatches == 0
    got, (end,) = result.outputs[made.filled - 1 :], made.ends
    if end is not None:
        got = np.take(got, range(end.begin - end.end, 0), axis=1 + end.axis)
        wanted = np.take(wanted, range(end.begin, end.end), axis=1 + end.axis)
    np.testing.assert_array_equal(got, wanted)
