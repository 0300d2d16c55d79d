"""Start a board's firmware on this computer and find its serial line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from nanotool.boards import Board
from nanotool.errors import DeviceError, MissingTool

STARTUP_TIMEOUT = 15.0  # s until the pseudo-terminal must be named
_OUTPUT_TAIL = 600  # characters of the program's output quoted in an error


@contextmanager
def open_board(
    board: Board,
    elf: Path,
    *,
    more: Sequence[str] = (),
    sensor: Path | None = None,
    timeout: float = STARTUP_TIMEOUT,
) -> Iterator[str]:
    """Run `elf` on the emulated `board`; the path of its serial port. The program is ended on
    the way out, whatever happened. `more`: arguments for the emulator, behind the board's.
    `sensor`: a file of int16 that it plays as the board's sensor (firmware built with one).

    `MissingTool` if the emulator is not installed, `DeviceError` if it does not start.
    """
    if not elf.is_file():
        raise DeviceError(f"There is no firmware at {elf}.", "Build it: `nanotool build`.")
    with _flash_file(board, elf) as flash:
        named = {"{elf}": str(elf), "{flash}": flash, "{emulator}": board.emulator.program()}
        command = [_fill(part, named) for part in board.emulator.command]
        command += _sensor(board, sensor)
        if not command[0] or shutil.which(command[0]) is None:
            raise _missing(board, command[0])
        with _running(board, [*_dies_with_us(), *command, *more], timeout) as port:
            yield port


def _sensor(board: Board, sensor: Path | None) -> list[str]:
    """What has the emulator play ``sensor``."""
    if sensor is None:
        return []
    if not board.emulator.sensor:
        raise DeviceError(
            f"Nothing plays a file as the sensor of {board.name}.",
            "Use native or stm32, or a real board with a sensor: --port.",
        )
    if "," in str(sensor):  # QEMU's options are parted by it
        raise DeviceError(f"{sensor} has a comma in its path.", "Rename it.")
    return [_fill(part, {"{sensor}": str(sensor)}) for part in board.emulator.sensor]


def _fill(part: str, named: Mapping[str, str]) -> str:
    for name, value in named.items():
        part = part.replace(name, value)
    return part


def _missing(board: Board, program: str) -> MissingTool:
    emulator = board.emulator
    if not emulator.variable and not program:
        return MissingTool(f"Nothing emulates {board.name}.", "Use a real board: --port.")
    if emulator.variable and not program:
        return MissingTool(
            f"{emulator.variable} names no emulator for {board.name}, and no package has one.",
            f"Set {emulator.variable} to the qemu-system-xtensa of Espressif's QEMU "
            "(docs/esp32.md), or use a real board: --port.",
        )
    if emulator.variable:
        hint = f"Correct {emulator.variable}."
    elif emulator.package:
        hint = f"Install it: apt install {emulator.package}."
    else:
        hint = "Build the firmware again."
    return MissingTool(f"{program} is not installed or may not be run.", hint)


@contextmanager
def _flash_file(board: Board, elf: Path) -> Iterator[str]:
    """The path of the emulated board's flash, erased but for the image beside `elf`; "" if it
    boots without. The emulator may write to it."""
    emulator = board.emulator
    if not emulator.flash_size:
        yield ""
        return
    image = elf.with_suffix(".bin")
    if not image.is_file():
        raise DeviceError(f"There is no image at {image}.", "Build it: `nanotool build`.")
    content = image.read_bytes()
    before = b"\xff" * emulator.image_offset
    if len(before) + len(content) > emulator.flash_size:
        raise DeviceError(f"{image} does not fit into {board.name}'s flash.")
    with tempfile.NamedTemporaryFile(prefix="nanotool-flash-") as file:
        file.write((before + content).ljust(emulator.flash_size, b"\xff"))
        file.flush()
        yield file.name


@contextmanager
def _running(board: Board, command: Sequence[str], timeout: float) -> Iterator[str]:
    """Run `command`, and end it on the way out; the path of its serial port."""
    # A file, not a pipe: nobody reads on after start-up, and a full pipe would stop the program.
    with tempfile.TemporaryFile() as log:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C at the console ends a wait, not the board
            )
        except OSError as error:
            raise DeviceError(f"{command[0]} does not start: {error}.") from error
        try:
            yield _find_port(board, process, log.fileno(), timeout)
        finally:
            _end(process)


def _dies_with_us() -> list[str]:
    """A prefix that ends the program even if this one is killed: an emulator that polls its
    UART would otherwise keep a core busy for ever. The kernel ties it to the calling thread."""
    setpriv = shutil.which("setpriv")
    if setpriv is None or threading.current_thread() is not threading.main_thread():
        return []
    return [setpriv, "--pdeathsig", "TERM"]


def _find_port(board: Board, process: subprocess.Popen[bytes], log: int, timeout: float) -> str:
    """Wait until the program names its port."""
    end = time.monotonic() + timeout
    while True:
        output = _read_log(log)
        if match := re.search(board.emulator.pty_pattern, output):
            return match.group(1)
        if (code := process.poll()) is not None:
            raise DeviceError(
                f"The emulated {board.name} ended with {code} at start-up: "
                f"{_read_log(log)[-_OUTPUT_TAIL:].strip() or 'no output'}."
            )
        if time.monotonic() > end:
            raise DeviceError(
                f"The emulated {board.name} named no serial port within {timeout:g} s: "
                f"{output[-_OUTPUT_TAIL:].strip() or 'no output'}."
            )
        time.sleep(0.01)


def _read_log(log: int) -> str:
    # pread leaves the offset alone that the program shares and writes at.
    return os.pread(log, 1 << 16, 0).decode(errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(2.0)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
