"""Start a board's firmware on this computer and find its serial line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nanotool.boards import Board
from nanotool.errors import DeviceError, MissingTool

STARTUP_TIMEOUT = 15.0  # s until the pseudo-terminal must be named
_OUTPUT_TAIL = 600  # characters of the program's output quoted in an error


@contextmanager
def open_board(board: Board, elf: Path, *, timeout: float = STARTUP_TIMEOUT) -> Iterator[str]:
    """Run `elf` on the emulated `board`; the path of its serial port. The program is ended on
    the way out, whatever happened.

    `MissingTool` if the emulator is not installed, `DeviceError` if it does not start.
    """
    if not elf.is_file():
        raise DeviceError(f"There is no firmware at {elf}.", "Build it: `nanotool build`.")
    command = [part.replace("{elf}", str(elf)) for part in board.emulator.command]
    if shutil.which(command[0]) is None:
        raise MissingTool(
            f"{command[0]} is not installed or may not be run.",
            f"Install it: apt install {board.emulator.package}."
            if board.emulator.package
            else "Build the firmware again.",
        )
    command = [*_dies_with_us(), *command]
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
