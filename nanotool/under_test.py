"""A board under test: what `nanotool.pytest_plugin` gives to tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest

from nanotool.api import QuantizedModel
from nanotool.backends.c.emit import golden_inputs
from nanotool.boards import Board
from nanotool.build import BuildResult, flash
from nanotool.compare import check_model
from nanotool.device import Device, SerialPort, open_board
from nanotool.errors import DeviceError
from nanotool.run import RunResult, run, verdict
from nanotool.scores import Scores, scores

DEFAULT_INPUTS = 8


@dataclass
class BoardUnderTest:
    """A board that runs a model, at the end of its line."""

    board: Board
    firmware: BuildResult
    model: QuantizedModel
    port: SerialPort
    emulated: bool
    place: str = ""  # of a farm

    @cached_property
    def device(self) -> Device:
        """The client on the line: every command of the console as a call."""
        return Device(self.port)

    def run(self, x: Any = None) -> RunResult:
        """The board's answers to ``x`` (n x the model's input shape, real or quantized; None: the
        model's own samples), each compared with the simulator's."""
        graph = self.firmware.graph
        given: Any = (
            golden_inputs(graph, DEFAULT_INPUTS)[0] if x is None else self.model._inputs(x)[0]
        )
        return run(self.device, graph, self.firmware.lowered, given)

    def assert_same_bytes(self, x: Any = None) -> RunResult:
        """Fail with the first layer that differs unless every byte is the simulator's."""
        with self._told():
            result = self.run(x)
        if result.mismatches:
            pytest.fail(f"{self._name}: {verdict(result)}", pytrace=False)
        return result

    def assert_accuracy(self, x: Any, labels: Any, at_least: float) -> Scores:
        """Fail, with who is taken for whom, unless the share of right answers is ``at_least``
        (0..1). ``labels``: the true classes, whole numbers from 0."""
        result = self.assert_same_bytes(x)
        found = scores(
            self.firmware.graph.output_tensors[0].dequantize(result.ends[0]),
            labels,
            self.model.labels,
        )
        if found.accuracy < at_least:
            pytest.fail(f"{self._name}: below {at_least:.2%}. {found}", pytrace=False)
        return found

    def ticks(self) -> int:
        """Of one inference: what the board counts (`nanotool bench` names the unit)."""
        first = [data[0] for data in golden_inputs(self.firmware.graph, 1)[0]]
        if self.firmware.graph.states:
            self.device.reset_states()
        self.device.load(first)
        return self.device.layers().total

    def assert_ticks_within(self, most: int, at_least: int = 0) -> int:
        """Fail unless one inference takes ``at_least`` to ``most`` ticks. Instructions of an
        emulated board repeat exactly; cycles of a real one nearly."""
        with self._told():
            found = self.ticks()
        if not at_least <= found <= most:
            pytest.fail(
                f"{self._name}: one inference took {found:,} ticks, not {at_least:,} to {most:,}.",
                pytrace=False,
            )
        return found

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A board or a line that dies fails the test, by its name."""
        try:
            yield
        except DeviceError as error:
            pytest.fail(f"{self._name}: {error}", pytrace=False)

    @property
    def _name(self) -> str:
        name = f"{self.place} ({self.board.name})" if self.place else self.board.name
        return f"{name}, emulated" if self.emulated else name


def unemulated(board: Board) -> str:
    """Why ``board`` cannot be emulated here; "" if it can."""
    if board.emulator.program():
        return ""
    if not board.emulator.variable:
        return f"nothing emulates {board.name}"
    return f"{board.emulator.variable} names no emulator for {board.name}"


@contextmanager
def attached(firmware: BuildResult, real: str | None, *, flashed: bool = False) -> Iterator[str]:
    """The port of a board that runs ``firmware``: the one on the port ``real``, which is flashed
    now or (``flashed`` is off) was before; None: an emulated one."""
    if real is None:
        with open_board(firmware.board, firmware.elf) as port, held_open(port):
            yield port
        return
    if flashed:
        flash(firmware)
    with Device(SerialPort(real, firmware.board.baud)) as device:
        check_model(device.info(), firmware.graph, firmware.lowered)
    yield real


@contextmanager
def held_open(port: str) -> Iterator[None]:
    """Every test opens the port anew. QEMU looks only once a second whether a terminal that was
    closed is open again; so it never is closed."""
    handle = os.open(port, os.O_RDWR | os.O_NOCTTY)
    try:
        yield
    finally:
        os.close(handle)
