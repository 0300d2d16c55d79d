"""The bytes on the line: frames in, frames and text out (docs/console.md, "Frames").

    0x00  COBS( type  offset  data…  crc )  0x00

Everything here is pure: bytes in, values out. `Splitter` parts a stream of bytes into lines of
text and frames, in whatever pieces it arrives, and finds its place again after lost bytes.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TypeAlias

from cobs import cobs

DELIMITER = 0x00
INPUT, TENSOR, HEAD = ord("I"), ord("T"), ord("W")
MAX_DATA = 256  # bytes of data in one frame
_HEADER, _CRC = 1 + 4, 4
MAX_ENCODED = cobs.max_encoded_length(_HEADER + MAX_DATA + _CRC)

# Longest line believed: `results` prints one number an output element.
MAX_LINE = 1 << 20
_READY = b"m-ready\r\n"


@dataclass(frozen=True, slots=True)
class Frame:
    """A piece of a tensor: `data` belongs at `offset`."""

    type: int  # INPUT, TENSOR or HEAD
    offset: int  # bytes, 0..2^32-1
    data: bytes  # 1..MAX_DATA bytes


@dataclass(frozen=True, slots=True)
class Text:
    """One line, without its line end."""

    line: str


@dataclass(frozen=True, slots=True)
class Garbled:
    """Bytes that are neither a line nor a frame, and why."""

    why: str


Item: TypeAlias = Text | Frame | Garbled


def encode(frame: Frame) -> bytes:
    """The bytes of `frame` on the line, with both delimiters. `ValueError` if it is no frame."""
    if not 1 <= len(frame.data) <= MAX_DATA:
        raise ValueError(f"a frame carries 1 to {MAX_DATA} bytes, not {len(frame.data)}")
    body = bytes([frame.type]) + frame.offset.to_bytes(4, "little") + frame.data
    body += zlib.crc32(body).to_bytes(4, "little")
    return bytes([DELIMITER]) + bytes(cobs.encode(body)) + bytes([DELIMITER])


def decode(encoded: bytes) -> Frame | Garbled:
    """The frame in what stood between two delimiters, if it is whole."""
    if len(encoded) > MAX_ENCODED:
        return Garbled(f"frame of {len(encoded)} bytes")
    try:
        body = bytes(cobs.decode(encoded))
    except cobs.DecodeError:
        return Garbled("frame that is not COBS")
    if not _HEADER + 1 + _CRC <= len(body) <= _HEADER + MAX_DATA + _CRC:
        return Garbled(f"frame body of {len(body)} bytes")
    content, crc = body[:-_CRC], int.from_bytes(body[-_CRC:], "little")
    if zlib.crc32(content) != crc:
        return Garbled("frame with a wrong CRC")
    return Frame(content[0], int.from_bytes(content[1:_HEADER], "little"), content[_HEADER:])


class Splitter:
    """Parts a byte stream into lines and frames.

    A delimiter opens a frame and the next one closes it; where two stand in a row the second one
    opens as well. So a lost delimiter spoils the frames beside it and no others. If the last one
    of an answer was lost, the answer's text is taken for a frame; `pause` finds it again.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._in_frame = False

    def feed(self, data: bytes) -> list[Item]:
        """The items that `data` completes."""
        items: list[Item] = []
        for byte in data:
            if self._in_frame:
                self._frame_byte(byte, items)
            else:
                self._text_byte(byte, items)
        return items

    def pause(self) -> list[Item]:
        """Nothing has come for a while: if an open frame ends as every answer does, it is text."""
        if not (self._in_frame and self._buffer.endswith(_READY)):
            return []
        lines = bytes(self._buffer).split(b"\n")[:-1]
        self._buffer.clear()
        self._in_frame = False
        return [Garbled("frame without an end"), *(_text(line) for line in lines)]

    def _text_byte(self, byte: int, items: list[Item]) -> None:
        if byte == DELIMITER:
            if self._buffer:
                items.append(Garbled(f"{len(self._buffer)} bytes in front of a frame"))
            self._buffer.clear()
            self._in_frame = True
        elif byte == ord("\n"):
            items.append(_text(bytes(self._buffer)))
            self._buffer.clear()
        elif len(self._buffer) >= MAX_LINE:
            items.append(Garbled(f"line longer than {MAX_LINE} bytes"))
            self._buffer.clear()
        else:
            self._buffer.append(byte)

    def _frame_byte(self, byte: int, items: list[Item]) -> None:
        if byte == DELIMITER:
            if self._buffer:
                items.append(decode(bytes(self._buffer)))
                self._buffer.clear()
                self._in_frame = False
            return
        self._buffer.append(byte)
        if len(self._buffer) > 2 * MAX_ENCODED:
            items.append(Garbled("frame without an end"))
            self._buffer.clear()
            self._in_frame = False


def _text(line: bytes) -> Text | Garbled:
    line = line.removesuffix(b"\r")
    if all(0x20 <= byte < 0x7F or byte == 0x09 for byte in line):
        return Text(line.decode("ascii"))
    return Garbled("line with unprintable bytes")
