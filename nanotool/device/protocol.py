"""Commands and answers, bound together (docs/console.md, "Between programs").

Each command has a number and a CRC, its answer both of them and a CRC of its own. So an answer
that is taken is whole, and is the answer to this command; the same command sent again, because
its answer was damaged or lost, is not done twice.
"""

from __future__ import annotations

import itertools
import re
import secrets
import zlib
from collections.abc import Sequence
from difflib import SequenceMatcher

from nanotool.device import frames
from nanotool.device.frames import Frame, Garbled, Item, Text
from nanotool.device.line import Line
from nanotool.errors import DeviceError

VERSION = 1  # of the agreement
TRIES = 16  # of one command, before giving up
SILENT_TRIES = 2  # of them, how often nothing may come within the time-out
MAX_ANSWER = 1 << 26  # bytes
_NUMBERS = 1 << 24
_SETTLE = 0.06  # s of quiet after which no more is expected of an answer that is damaged
_SWITCH = 0.5  # s in which a command at another rate has to be answered
# Delimiters at the first rate: more bytes, at any other, than a board takes without a whole frame.
_HOME = bytes(2200)
_HOMEWARD = (2, 5)  # tries of `bind` that begin with them
_FAREWELL = 0.3  # s that a board may take to answer the last line, which nobody needs
_HEARD = 6  # last lines quoted in an error

_END = re.compile(rb"m-ready-\[(\d{1,8}) ([0-9a-f]{8})\]\r\n")
_LONGEST_END = 32  # bytes
_ANY_END = re.compile(rb"m-ready(?:-\[\d{1,8} [0-9a-f]{8}\])?\r\n")
_REFUSED = re.compile(rb"e-\[[^\r\n]*\r\nm-ready\r\n")
_OUT_OF_TURN = b"e-[Out of turn"
_STARTED = b"m-init-done\r\nm-ready\r\n"
_OTHER_FIRMWARE = f"e-[Frame of type {frames.COMMAND} is not for the board]".encode()


class DeviceRefused(DeviceError):
    """The board answered `e-[…]`: it understood the line and will not do it."""

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(f"The board refused `{command}`: {reason}.")
        self.reason = reason


class DeviceGarbled(DeviceError):
    """What came over the line makes no sense, or nothing came."""


class DeviceSilent(DeviceGarbled):
    """An answer did not end in its time."""


class DeviceLost(DeviceError):
    """The board is not in the state in which the last command left it."""

    def __init__(self, command: str) -> None:
        super().__init__(
            f"The board has started over, or another program has spoken to it, before `{command}`.",
            "What was loaded or learned since may be lost: begin it again.",
        )


class Conversation:
    """One program's talk with the board on ``line``: one command after the other."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._next: int | None = None  # the next command's number; None: to be agreed anew
        self._hurried = False  # the board may have left its first rate
        self._switching = False  # the board may be at another rate already

    def bind(self, timeout: float) -> None:
        """Begin, whatever the line was left in the middle of, within ``timeout`` seconds.

        Each try has a number of its own: once the newest one is answered, nothing is under way."""
        self._next = None
        end = self.line.now() + timeout
        patience = 0.3
        for attempt in itertools.count(1):
            if attempt in _HOMEWARD:  # a program that was killed may have left it at another rate
                patience += self._go_home()
            number = secrets.randbelow(_NUMBERS)
            command = Frame(frames.COMMAND, number, b"bind")
            try:
                self._send(command)
                body = self._hear(command, "bind", min(patience, end - self.line.now()), first=True)
                break
            except DeviceGarbled as error:
                if self.line.now() >= end:
                    raise DeviceGarbled(
                        f"No board answers on {self.line.name} within {timeout:g} s: "
                        f"{error.message}",
                        "Check the port and its rate (--baud), and that the board runs this "
                        "firmware.",
                    ) from error
            patience = min(patience * 1.5, 2.0)
        if body != f"m-bind-[{VERSION}]\r\n".encode():
            raise _other_firmware()
        self._next = (number + 1) % _NUMBERS

    def close(self) -> None:
        """Leave the board to people: behind a delimiter it would take a key that is no character
        for a damaged frame, behind a line not."""
        if self._hurried:
            self._go_home()
        if self._next is None:
            return
        self._next = None
        self.line.write(b"name%")
        heard, end = b"", self.line.now() + _FAREWELL
        while not heard.endswith(b"m-ready\r\n") and self.line.now() < end:
            heard += self.line.read()

    def exchange(self, data: bytes, what: str, timeout: float) -> tuple[list[str], list[Frame]]:
        """Send one command, ``what`` in words; its answer's lines and frames.

        `DeviceRefused` for `e-[…]`; `DeviceGarbled` if no whole answer comes, and then it is open
        whether the command was done; `DeviceLost`. A try takes at most ``timeout`` seconds."""
        if self._next is None:
            self.bind(max(2.0, timeout))
        assert self._next is not None
        command = Frame(frames.COMMAND, self._next, data)
        self._next = None  # until it is answered, whatever may happen
        body = self._insist(command, what, timeout)
        if body.startswith(_OUT_OF_TURN):
            raise DeviceLost(what)
        lines, got = sort(what, frames.split(body))
        self._next = (command.offset + 1) % _NUMBERS
        for line in lines:
            if line.startswith("e-["):
                raise DeviceRefused(what, line.removeprefix("e-[").removesuffix("]"))
        return lines, got

    def agree(self, baud: int) -> bool:
        """Go on at ``baud`` bits a second, if board and port can, and a command gets over then. If
        not, the line is at its first rate again, and nothing is lost."""
        command = f"baud {baud}"
        self._hurried = self._switching = True
        try:
            self.exchange(command.encode(), command, _SWITCH)
        except DeviceRefused:
            return False
        finally:
            self._switching = False
        try:
            self.line.set_baud(baud)
        except DeviceError:  # the port cannot
            self._go_home()
        self.exchange(b"name", "name", _SWITCH)  # where it does not get over, it goes home
        return self.line.baud == baud

    def _go_home(self) -> float:
        """To the line's first rate; the board follows, if it was at another one. The seconds that
        this takes on the line."""
        if self.line.baud != self.line.first_baud:
            self.line.set_baud(self.line.first_baud)
        self.line.write(_HOME)
        return 10 * len(_HOME) / self.line.baud

    def restart(self, timeout: float) -> list[str]:
        """`reset`: the board's first lines. Bound anew afterwards."""
        if self._hurried:
            self._go_home()
        if self._next is None:
            self.bind(timeout)
        assert self._next is not None
        command = Frame(frames.COMMAND, self._next, b"reset")
        self._next = None
        try:
            body = self._insist(command, "reset", timeout)
        except DeviceLost:  # as it should be: it has started over
            body = _OUT_OF_TURN
        if not body.startswith(_OUT_OF_TURN):
            lines, _ = sort("reset", frames.split(body))
            if lines and lines[0].startswith("e-["):
                raise DeviceRefused("reset", lines[0].removeprefix("e-[").removesuffix("]"))
            raise DeviceGarbled("The board answered `reset` and did not start over.")
        self.bind(timeout)
        return ["m-init-done"]

    def _insist(self, command: Frame, what: str, timeout: float) -> bytes:
        """Send it until it is answered, or too often."""
        silent = 0
        for attempt in range(1, TRIES + 1):
            self._send(command)
            try:
                return self._hear(command, what, timeout)
            except DeviceGarbled as error:
                silent += isinstance(error, DeviceSilent)
                if silent and (self._switching or self.line.baud != self.line.first_baud):
                    self._go_home()
                    self._switching, silent = False, 0
                if attempt == TRIES or silent == SILENT_TRIES:
                    raise
        raise AssertionError("unreachable")

    def _send(self, command: Frame) -> None:
        # Two delimiters on each side: one may be damaged.
        self.line.write(b"\0" + frames.encode(command) + b"\0")

    def _hear(self, command: Frame, what: str, timeout: float, *, first: bool = False) -> bytes:
        """The answer's bytes, proven. ``first``: nothing is known of the board yet."""
        heard = bytearray()
        begin = last = self.line.now()
        settled = True
        while True:
            data = self.line.read()
            now = self.line.now()
            if data:
                searched = max(0, len(heard) - _LONGEST_END)
                heard += data
                last, settled = now, False
                answer = _find_answer(heard, searched, command)
                if answer is not None:
                    return answer
                _check_heard(heard, what, first=first)
            elif not settled and now - last >= _SETTLE:
                settled = True
                if _REFUSED.search(heard) or _ends_alike(heard, command.offset):
                    raise _damaged(what, heard)
            if now - begin >= timeout:
                raise DeviceSilent(
                    f"The board did not finish `{what}` within {timeout:g} s: expected "
                    f"`m-ready-[{command.offset} …]`, heard {quote(frames.split(bytes(heard)))}.",
                    "Reset the board; a slow model may need a longer time-out.",
                )


def _find_answer(heard: bytearray, searched: int, command: Frame) -> bytes | None:
    """What stands in front of the command's end line, if that is right."""
    for end in _END.finditer(heard, searched):
        if int(end[1]) != command.offset:
            continue  # a late one
        # It begins behind whatever was answered before.
        begins = [0, *(other.end() for other in _ANY_END.finditer(heard, 0, end.start()))]
        for begin in reversed(begins):
            if zlib.crc32(heard[begin : end.start()], command.crc) == int(end[2], 16):
                return bytes(heard[begin : end.start()])
        raise _damaged(command.data.decode("ascii", "replace").partition("\0")[0], heard)
    return None


def _check_heard(heard: bytearray, what: str, *, first: bool) -> None:
    """Raise where what was heard so far is enough to know that no answer comes."""
    if len(heard) > MAX_ANSWER:
        raise DeviceGarbled(f"The answer to `{what}` has no end.")
    if not first and _STARTED in heard:
        raise DeviceLost(what)
    if first and _OTHER_FIRMWARE in heard:
        raise _other_firmware()


def _ends_alike(heard: bytearray, number: int) -> bool:
    """Does what was heard end as the answer would, but for a byte or two?"""
    end = f"m-ready-[{number} ".encode()
    tail = bytes(heard[-len(end) - 16 :])
    blocks = SequenceMatcher(None, end, tail, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) >= len(end) - 2


def _damaged(what: str, heard: bytearray) -> DeviceGarbled:
    return DeviceGarbled(
        f"`{what}` or its answer came damaged; heard {quote(frames.split(bytes(heard)))}.",
        "Check the cable and the rate.",
    )


def _other_firmware() -> DeviceError:
    return DeviceError(
        "The board's firmware speaks another version of the console's agreement.",
        "Build and flash it again with this nanotool.",
    )


def quote(items: Sequence[Item]) -> str:
    """The last few things heard, for an error message."""
    if not items:
        return "nothing"
    shown = []
    for item in items[-_HEARD:]:
        if isinstance(item, Text):
            shown.append(f"`{item.line[:60]}`")
        elif isinstance(item, Frame):
            shown.append(f"frame at {item.offset}")
        else:
            shown.append(item.why)
    return ", ".join(shown)


def sort(what: str, items: Sequence[Item]) -> tuple[list[str], list[Frame]]:
    """Lines and frames apart. `DeviceGarbled` for anything else: the board itself sent it."""
    for item in items:
        if isinstance(item, Garbled):
            raise DeviceGarbled(f"The board answered `{what}` with a {item.why}.")
    lines = [item.line for item in items if isinstance(item, Text)]
    return lines, [item for item in items if isinstance(item, Frame)]
