"""A model with states and several ends on the console: the firmware's app in this process.

A step is not idempotent: on a damaged line none is taken twice, and none is left out.
"""

from __future__ import annotations

import io
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_in_process import App, Faults, SimulatedLine, change_byte, double_all, flip_bit, lose_all
from numpy.typing import NDArray
from rich.console import Console
from step_model import random_steps, step_model

from nanotool import terminal
from nanotool.backends import c
from nanotool.device import Device, DeviceGarbled, DeviceLost, DeviceRefused, frames
from nanotool.device.commands import STATE_COMMANDS
from nanotool.device.frames import COMMAND, Frame
from nanotool.errors import DeviceError
from nanotool.pipeline import prepare
from nanotool.simulate import simulate_steps

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")

GRAPH = step_model()
STEPS = random_steps(GRAPH, 60)
(LEVEL, ALARM), _ = simulate_steps(GRAPH, STEPS)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    folder = tmp_path_factory.mktemp("app")
    c.export([prepare(GRAPH)], folder / "model")
    return App(folder, folder / "model")


@pytest.fixture
def board(app: App) -> Iterator[Device]:
    with Device(SimulatedLine(app), timeout=1.0) as device:
        device.reset_states()
        yield device


def at(step: int) -> list[NDArray[Any]]:
    return [data[step] for data in STEPS]


def take(device: Device, begin: int, end: int) -> None:
    """Steps on the board, each with the simulator's bytes."""
    for step in range(begin, end):
        level, alarm = device.step(*at(step))
        np.testing.assert_array_equal(level, LEVEL[step])
        np.testing.assert_array_equal(alarm, ALARM[step])


def test_steps_reset_save_load(board: Device) -> None:
    take(board, 0, 10)
    saved = board.save_states()
    assert len(saved) == board.mem().saved_states
    take(board, 10, 20)
    board.load_states(saved)
    take(board, 10, 15)
    board.reset_states()
    np.testing.assert_array_equal(board.states()["hidden"], GRAPH.states[1].initial)
    take(board, 0, 5)
    with pytest.raises(DeviceRefused, match="damaged"):
        board.load_states(saved[:-1] + bytes([saved[-1] ^ 1]))
    with pytest.raises(DeviceRefused, match="Saved states have"):
        board.load_states(saved[:-1])
    take(board, 5, 10)


@pytest.mark.parametrize("known", [True, False], ids=["model", "board"])
def test_a_person_loads_every_input(board: Device, tmp_path: Path, known: bool) -> None:
    """Raw values and real ones, by the inputs' names; what saturates is told with the name."""
    frame = GRAPH.input_tensors[0]
    np.savez(tmp_path / "x.npz", gain=STEPS[1], frame=frame.dequantize(STEPS[0]))
    np.savez(tmp_path / "loud.npz", gain=STEPS[1], frame=frame.dequantize(STEPS[0]) + 100)
    np.savez(tmp_path / "half.npz", gain=STEPS[1])
    text = io.StringIO()
    prepare_input = terminal.prepare_from_model(GRAPH) if known else None
    user = terminal.Session(board, Console(file=text, width=160), prepare=prepare_input)
    user.execute(f":live {tmp_path / 'x.npz'}")
    assert user.failures == 0 and "60 samples" in text.getvalue()
    board.reset_states()
    for step in range(3):
        user.execute(f":load {tmp_path / 'x.npz'} {step}")
        user.execute("infer 1 0")
    level, alarm = board.outputs()
    np.testing.assert_array_equal(level, LEVEL[2])
    np.testing.assert_array_equal(alarm.view(np.uint8), ALARM[2])
    user.execute(f":load {tmp_path / 'loud.npz'}")
    assert user.failures == 0 and "warning: frame: 100.00% of the input" in text.getvalue()
    user.execute(f":load {tmp_path / 'half.npz'}")
    assert user.failures == 1
    assert "holds gain; steps takes 2 inputs: 0 frame, 1 gain." in text.getvalue()


def test_what_looks_leaves_the_states(board: Device) -> None:
    take(board, 0, 3)
    board.load(at(3))
    kept = board.saved()
    first = [layer.crc for layer in board.layers().layers]
    assert board.saved() == kept
    assert [layer.crc for layer in board.layers().layers] == first
    for op in range(len(first)):
        board.dump(op)
        assert board.saved() == kept
    with pytest.raises(DeviceRefused, match="No results yet"):
        board.outputs()  # of a step that was only tried
    board.infer(1, 7)
    assert board.outputs()[1].tobytes() == ALARM[3].tobytes()
    take(board, 4, 8)


def test_infer_takes_n_steps(board: Device) -> None:
    """With the same input; warm-ups are none."""
    board.load(at(0))
    board.infer(3, 2)
    thrice = [np.stack([data[0]] * 3) for data in STEPS]
    (level, alarm), _ = simulate_steps(GRAPH, thrice)
    assert [y.tobytes() for y in board.outputs()] == [level[2].tobytes(), alarm[2].tobytes()]


def test_inputs_and_outputs_by_number_and_name(board: Device) -> None:
    info = board.info()
    assert [x.name for x in info.inputs] == ["frame", "gain"]
    assert [y.name for y in info.outputs] == ["level", "alarm"]
    assert [s.name for s in info.states] == ["stream", "hidden"]
    board.load(at(1))
    board.load_input("gain", at(0)[1])
    board.load_input(0, at(0)[0])
    board.infer()
    assert board.outputs()[0].tobytes() == LEVEL[0].tobytes()
    one, two = board.command("results")
    assert board.command("results alarm") == board.command("results 1") == [two]
    assert board.command("results level") == [one]
    board.reset_states()
    hexed = at(0)[1].tobytes().hex()
    board.load_input(1, at(5)[1])
    assert board.command("db load 4 gain") == ["m-[Expecting 4 bytes]"]
    with pytest.raises(DeviceRefused, match="No input: 280 of 284"):
        board.infer()
    assert board.command(f"db {hexed}") == ["m-load-done"]
    assert board.command("db print")[-1] == "m-buffer-" + at(0)[1].tobytes().hex("-")
    board.infer()
    assert board.outputs()[1].tobytes() == ALARM[0].tobytes()
    usage = next(line for line in board.command("help") if line.startswith("state"))
    assert all(word in usage for name in STATE_COMMANDS for word in name.split())
    too_many = ("db load 4 gain 1", "results 0 1", "state put 1 2")
    for wrong in ("db load 4 volume", "db load 4 2", "results 2", "state what", *too_many):
        with pytest.raises(DeviceRefused, match="Usage"):
            board.command(wrong)
    with pytest.raises(DeviceRefused, match="The input has 4 bytes"):
        board.command("db load 5 gain")
    with pytest.raises(DeviceError, match="no input 'volume'"):
        board.load_input("volume", at(0)[1])
    with pytest.raises(DeviceError, match="2 outputs"):
        board.output()


def test_inputs_by_name(board: Device) -> None:
    board.load(dict(zip(GRAPH.inputs, at(0), strict=True)))
    board.infer()
    assert board.outputs()[0].tobytes() == LEVEL[0].tobytes()
    with pytest.raises(DeviceError, match="model's are frame, gain"):
        board.load({"frame": at(0)[0], "volume": at(0)[1]})


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_line_takes_no_step_twice(app: App, seed: int) -> None:
    kinds = (flip_bit, change_byte, lose_all, double_all)
    faults = [Faults(kinds, 2 * seed + way, share=0.0) for way in range(2)]

    def spoil(share: float) -> None:
        for one in faults:
            one.share = share

    with Device(SimulatedLine(app, *faults), timeout=0.5) as device:
        device.info()
        device.reset_states()
        spoil(0.2)
        chance, step = random.Random(seed), 0
        while step < len(LEVEL):
            try:
                if chance.random() < 0.1:
                    device.load_states(device.save_states())
                take(device, step, step + 1)
                step += 1
            except (DeviceGarbled, DeviceLost):  # which say that it is open whether it was done
                spoil(0.0)
                device.sync()
                device.reset_states()
                spoil(0.2)
                step = 0
        spoil(0.0)
    assert min(one.count for one in faults) > 40


def test_a_long_answer_is_no_reason_to_step_again(app: App) -> None:
    """`infer`'s results do not fit what is kept of an answer."""
    with Device(SimulatedLine(app)) as device:
        device.reset_states()
        device.load(at(0))
        ask = Frame(COMMAND, device._conversation._next or 0, b"infer 1 0")
        sent = b"\0" + frames.encode(ask) + b"\0"
        first, second = app.feed(sent), app.feed(sent)
        assert b"m-results" in first and b"e-[Done already" in second and b"m-lap" not in second
        device.sync()
        assert [y.tobytes() for y in device.outputs()] == [LEVEL[0].tobytes(), ALARM[0].tobytes()]
        take(device, 1, 3)
