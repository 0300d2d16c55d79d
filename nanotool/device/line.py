"""The serial port itself: bytes out, bytes in, and the time that goes by.

A port is opened for one program: two that share one would each take half of the other's answers.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import serial

from nanotool.errors import DeviceError

POLL = 0.02  # s that one read waits
_PTY = "/dev/pts/"


@dataclass(frozen=True, slots=True)
class SerialPort:
    """A port, and how it is opened.

    DTR and RTS are left as the system has them unless they are asked for: on many boards (ESP32,
    Arduino) one of them resets the chip, and the other holds it in its loader."""

    name: str  # a device path or a pyserial URL
    baud: int | None = None  # None: as the board has it
    dtr: bool | None = None
    rts: bool | None = None
    title: str = ""  # what errors call it, if not by its name


BAUD = 115200  # of a board of which nothing else is known


class Stream(Protocol):
    """The part of `serial.Serial` that is used here."""

    timeout: float | None

    def read(self, size: int = 1, /) -> bytes: ...  # noqa: D102
    def write(self, data: bytes, /) -> int | None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Line:
    """An open port. `DeviceError` if it cannot be opened, is in use, or breaks."""

    first_baud: int = BAUD  # bits a second, as it was opened
    baud: int = BAUD  # now

    def __init__(self, port: str | SerialPort | Stream) -> None:
        named = SerialPort(port) if isinstance(port, str) else port
        if isinstance(named, SerialPort):
            self.name = named.title or named.name
            self._stream = _open(named)
            self._marked = _mark_exclusive(self._stream, named.name)
        else:
            self.name, self._stream, self._marked = "the line", named, False
        self._stream.timeout = POLL
        self.first_baud = self.baud = getattr(self._stream, "baudrate", BAUD)

    def set_baud(self, baud: int) -> None:
        """Send and hear at another rate from here on. `DeviceError` if the port cannot."""
        try:
            setattr(self._stream, "baudrate", baud)  # noqa: B010  # not every stream has one
        except (serial.SerialException, OSError, ValueError) as error:
            raise self._broke(error) from error
        self.baud = baud

    def close(self) -> None:
        """Let go of the port."""
        if self._marked:
            _unmark_exclusive(self._stream)
        self._stream.close()

    def now(self) -> float:
        """Seconds of a clock that never goes back."""
        return time.monotonic()

    def read(self) -> bytes:
        """What has come; waits a moment for the first byte."""
        try:
            data = self._stream.read(1)
            waiting = getattr(self._stream, "in_waiting", 0) if data else 0
            return data + (self._stream.read(min(waiting, 65536)) if waiting else b"")
        except (serial.SerialException, OSError) as error:
            raise self._broke(error) from error

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        try:
            self._stream.write(data)
        except (serial.SerialException, OSError) as error:
            raise self._broke(error) from error

    def _broke(self, error: Exception) -> DeviceError:
        return DeviceError(f"The line {self.name} broke: {error}.", "Plug the board in again.")


class _Port(serial.Serial):
    """A port whose control lines stay as they are, unless they are asked for."""

    def __init__(self, settings: SerialPort) -> None:
        self._settings = settings
        super().__init__()
        self.port = settings.name
        self.baudrate = settings.baud or BAUD
        self.timeout, self.write_timeout = POLL, 10
        self.exclusive = True  # flock()
        if settings.dtr is not None:
            self.dtr = settings.dtr
        if settings.rts is not None:
            self.rts = settings.rts
        self.open()

    def _update_dtr_state(self) -> None:
        if self._settings.dtr is not None:
            super()._update_dtr_state()  # type: ignore[misc]

    def _update_rts_state(self) -> None:
        if self._settings.rts is not None:
            super()._update_rts_state()  # type: ignore[misc]


def _open(settings: SerialPort) -> Stream:
    port = settings.name
    _refuse_if_held(port)
    try:
        if "://" in port:
            patience = None if port.startswith("rfc2217:") else 10  # which refuses any
            # Typed as the part of it that is used.
            return serial.serial_for_url(
                port, baudrate=settings.baud or BAUD, timeout=POLL, write_timeout=patience
            )
        return _Port(settings)
    except (serial.SerialException, OSError, ValueError) as error:
        if "lock" in str(error) or getattr(error, "errno", 0) == 16:  # EBUSY
            raise _in_use(port, holders(port)) from error
        raise DeviceError(
            f"Cannot open {settings.title or port}: {error}.",
            "`nanotool boards` lists the ports there are.",
        ) from error


def _refuse_if_held(port: str) -> None:
    """A program that took no lock (a terminal, say) is found by its open files. A pseudo-terminal
    is also held by the board that it belongs to: there the lock alone tells."""
    if port.startswith("/dev/") and not os.path.realpath(port).startswith(_PTY):
        others = [holder for holder in holders(port) if holder.pid != os.getpid()]
        if others:
            raise _in_use(port, others)


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a file open."""

    pid: int
    name: str


def holders(path: str) -> list[Holder]:
    """The processes that have ``path`` open, as far as the system lets one see."""
    target = os.path.realpath(path)
    return [Holder(pid, _process_name(pid)) for pid in _processes() if _has_open(pid, target)]


def _processes() -> Iterator[int]:
    with contextlib.suppress(OSError):
        yield from (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _has_open(pid: int, target: str) -> bool:
    with contextlib.suppress(OSError):  # it ended, or is another user's
        for entry in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208  # names, of which some vanish
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{entry}") == target:  # noqa: PTH115
                    return True
    return False


def _process_name(pid: int) -> str:
    """The program's name; of Python the script's or module's, too."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "a program"
    shown = [Path(word).name if "/" in word else word for word in words if word]
    return " ".join(shown)[:60] or "a program"


def _in_use(port: str, found: list[Holder]) -> DeviceError:
    mine = [holder for holder in found if holder.pid == os.getpid()]
    others = [f"`{holder.name}` (pid {holder.pid})" for holder in found if holder not in mine]
    if os.path.realpath(port).startswith(_PTY) and mine:
        others = []  # those are the board itself
    if len(others) > 3:
        others[2:] = [f"{len(others) - 2} more"]
    who = " and ".join(others) or ("this program itself" if mine else "another program")
    return DeviceError(
        f"{port} is in use by {who}.", "End it, or close the port there: one program at a time."
    )


def _mark_exclusive(stream: Stream, name: str) -> bool:
    """Keep out programs that take no lock. Not on a pseudo-terminal, which the mark would outlive
    if this program were killed: the board at its other end keeps it open."""
    if sys.platform == "win32" or os.path.realpath(name).startswith(_PTY):
        return False
    import fcntl  # noqa: PLC0415
    import termios  # noqa: PLC0415

    with contextlib.suppress(OSError, AttributeError, ValueError, serial.SerialException):
        fcntl.ioctl(stream.fileno(), termios.TIOCEXCL)  # type: ignore[attr-defined]
        return True
    return False


def _unmark_exclusive(stream: Stream) -> None:
    import fcntl  # noqa: PLC0415
    import termios  # noqa: PLC0415

    with contextlib.suppress(OSError, AttributeError, ValueError, serial.SerialException):
        fcntl.ioctl(stream.fileno(), termios.TIOCNXCL)  # type: ignore[attr-defined]
