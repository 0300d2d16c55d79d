"""A board at the end of a serial line, as Python calls (docs/console.md is the agreement).

`protocol` sees to it that an answer is whole and is the answer to what was asked, `answers` to
what it says. What arrives damaged is asked for again a few times; then there is a `DeviceError`
that says what was expected and what was heard.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nanotool.device import answers, frames
from nanotool.device.answers import Crcs, Info, Layers, Memory
from nanotool.device.frames import Frame
from nanotool.device.line import Line, SerialPort, Stream
from nanotool.device.protocol import (
    Conversation,
    DeviceGarbled,
    DeviceLost,
    DeviceRefused,
    DeviceSilent,
)
from nanotool.device.tensors import db_bytes
from nanotool.errors import DeviceError, NanoWarning
from nanotool.inputs import check_finite, clipped
from nanotool.ir import Int8Array

__all__ = ["Device", "DeviceGarbled", "DeviceLost", "DeviceRefused", "DeviceSilent"]

T = TypeVar("T")

MAX_COMMAND = 95  # bytes of a command line


class Device:
    """A board on a port, in step after construction.

    `port` is a device path or pyserial URL, a `SerialPort`, an open `serial.Serial`, or a `Line`;
    what is opened here is opened for this program alone. `timeout` (seconds) bounds every answer
    unless a call says otherwise, `sync_timeout` how long the board may take to start. A command
    whose answer came damaged is sent again, up to sixteen times; one that is not answered in its
    time, once. Nothing is done twice by that.
    """

    def __init__(
        self,
        port: str | SerialPort | Stream | Line,
        *,
        timeout: float = 10.0,
        sync_timeout: float = 10.0,
    ) -> None:
        self.timeout = timeout
        self.line = port if isinstance(port, Line) else Line(port)
        self._conversation = Conversation(self.line)
        self._info: Info | None = None
        try:
            self.sync(sync_timeout)
        except BaseException:
            self.line.close()
            raise

    def close(self) -> None:
        """Let go of the port."""
        with contextlib.suppress(DeviceError):
            self._conversation.close()
        self.line.close()

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- the line ---------------------------------------------------------------------------------

    def sync(self, timeout: float = 10.0) -> None:
        """Get in step, whatever the line was left in the middle of."""
        self._conversation.bind(timeout)

    def exchange(self, command: str, timeout: float | None = None) -> tuple[list[str], list[Frame]]:
        """Send one command; its answer's lines (without the last one) and frames.

        `DeviceRefused` for `e-[…]`. `DeviceGarbled`: no whole answer came, and it is open whether
        the command was done. `DeviceLost`: the board started over, or obeyed another program.
        """
        printable = command.isascii() and command.isprintable()
        if not 0 < len(command) <= MAX_COMMAND or not printable or "%" in command:
            raise DeviceError(
                f"{command[:MAX_COMMAND]!r} is no command line.",
                f"Send 1 to {MAX_COMMAND} printable ASCII characters without %.",
            )
        timeout = self.timeout if timeout is None else timeout
        if command.split() == ["reset"]:
            return self._conversation.restart(timeout), []
        return self._conversation.exchange(command.encode("ascii"), command, timeout)

    def command(self, command: str, timeout: float | None = None) -> list[str]:
        """Send one command; the lines of its answer without the last one. See `exchange`."""
        return self.exchange(command, timeout)[0]

    def ask(
        self,
        command: str,
        parse: Callable[[list[str], list[Frame]], T],
        timeout: float | None = None,
    ) -> T:
        """Send one command; what `parse` makes of its answer's lines and frames."""
        return parse(*self.exchange(command, timeout))

    def reset(self) -> None:
        """Have the board start over, as after power-on."""
        self.command("reset")

    def send(self, piece: Frame) -> list[str]:
        """Send a piece of data; the lines of its answer. See `exchange` for the errors."""
        title = f"{chr(piece.type)} {piece.offset}"
        data = title.encode("ascii") + b"\0" + piece.data
        return self._conversation.exchange(data, title, self.timeout)[0]

    # --- questions --------------------------------------------------------------------------------

    def info(self) -> Info:
        """What runs there: board, clock, model, shapes."""
        self._info = self.ask("info", lambda lines, _: answers.parse_info(lines))
        return self._info

    def mem(self) -> Memory:
        """What memory it takes."""
        return self.ask("mem", lambda lines, _: answers.parse_memory(lines))

    def layers(self) -> Layers:
        """Run one inference on the loaded input; each op's ticks and its output's CRC."""
        return self.ask("layers", lambda lines, _: answers.parse_layers(lines))

    def crc(self) -> Crcs:
        """CRCs of the image, the loaded input and the newest output."""
        return self.ask("crc", lambda lines, _: answers.parse_crcs(lines))

    def results(self) -> tuple[float, ...]:
        """What the board makes of the newest output, three decimals: its elements de-quantized, or
        the one number that a benchmark wants."""
        return self.ask("results", lambda lines, _: answers.parse_results(lines))

    def timestamp(self) -> int:
        """Microseconds since start-up, modulo 2^32."""
        return self.ask(
            "timestamp",
            lambda lines, _: answers.integer(answers.one_line(lines, r"m-lap-us-(\d{1,10})")[0]),
        )

    def output(self) -> Int8Array:
        """The newest output, flat: its bytes, whatever type it has."""
        return self.ask("dump", lambda lines, got: answers.parse_dump("-", lines, got))

    def dump(self, index: int) -> Int8Array:
        """Run up to op `index` on the loaded input; that op's output, flat: its bytes."""
        return self.ask(
            f"dump {index}", lambda lines, got: answers.parse_dump(str(index), lines, got)
        )

    # --- actions ----------------------------------------------------------------------------------

    def encode(self, x: NDArray[Any]) -> bytes:
        """What the board's `db` must hold so that `x` is the input: see `tensors.db_bytes`."""
        info = self._info or self.info()
        check_finite(x[None])
        tensor = info.input
        beyond = clipped(tensor.dtype, tensor.scale, tensor.zero_point, x[None])
        if beyond is not None:
            warnings.warn(str(beyond), NanoWarning, stacklevel=3)
        return db_bytes(x, info.input, info.db)

    def load(self, data: bytes | NDArray[Any], *, frame_bytes: int = frames.MAX_DATA) -> None:
        """Make `data` the input: an array of the model's or of the `db`'s type, or the bytes that
        `db` shall hold."""
        raw = self.encode(data) if isinstance(data, np.ndarray) else bytes(data)
        if not raw:
            raise DeviceError("There is no input to load.", "Give an array or bytes.")
        if "m-load-done" not in self.send_all(frames.INPUT, raw, frame_bytes):
            raise DeviceError(
                f"The board did not take {len(raw)} bytes for a whole input: no `m-load-done`.",
                "Compare with `info`: is this the model's input size?",
            )

    def send_all(self, kind: int, data: bytes, frame_bytes: int = frames.MAX_DATA) -> list[str]:
        """Send `data` in pieces of this type; the answer to the last one."""
        step = max(1, min(frame_bytes, frames.MAX_DATA))
        lines: list[str] = []
        for offset in range(0, len(data), step):
            chunk = data[offset : offset + step]
            lines = self.send(Frame(kind, offset, chunk))
            if f"m-frame-[{offset} {len(chunk)}]" not in lines:
                raise DeviceGarbled(f"The board took another piece than that at {offset}: {lines}.")
        return lines

    def infer(self, n: int = 1, warmup: int = 0, *, timeout: float | None = None) -> int:
        """Run `warmup` inferences, then `n` timed ones; microseconds that the `n` took."""
        lap = self.ask(f"time {n} {warmup}", lambda lines, _: answers.parse_lap(lines), timeout)
        return lap.micros

    def run(self, data: bytes | NDArray[Any], *, timeout: float | None = None) -> Int8Array:
        """Load `data`, infer once, and fetch the output: see `load` and `output`."""
        self.load(data)
        self.infer(1, 0, timeout=timeout)
        return self.output()
