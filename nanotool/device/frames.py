"""The bytes on the line: frames in, frames and text out (docs/console.md, "Frames").

    0x00  COBS( type  offset  data…  crc )  0x00

Everything here is pure: bytes in, values out. `split` parts an answer into lines of text and
frames.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TypeAlias

from cobs import cobs

DELIMITER = 0x00
INPUT, TENSOR, HEAD, STATES, SAMPLES, COMMAND = map(ord, "ITWSPC")
MAX_DATA = 256  # bytes of data in one frame
MAX_TITLE = 32  # more of them in a command: a line and its zero in front of a piece of data
_HEADER, _CRC = 1 + 4, 4
MAX_ENCODED = cobs.max_encoded_length(_HEADER + MAX_TITLE + MAX_DATA + _CRC)


@dataclass(frozen=True, slots=True)
class Frame:
    """A piece of a tensor: `data` belongs at `offset`. Or a command, whose number it is."""

    type: int  # one of those above
    offset: int  # bytes, 0..2^32-1
    data: bytes  # 1..MAX_DATA bytes; of a command MAX_TITLE more

    @property
    def body(self) -> bytes:
        """What the CRC is taken of."""
        return bytes([self.type]) + self.offset.to_bytes(4, "little") + self.data

    @property
    def crc(self) -> int:
        """CRC-32."""
        return zlib.crc32(self.body)


@dataclass(frozen=True, slots=True)
class Text:
    """One line, without its line end."""

    line: str


@dataclass(frozen=True, slots=True)
class Garbled:
    """Bytes that are neither a line nor a frame, and why."""

    why: str


Item: TypeAlias = Text | Frame | Garbled


def most_data(kind: int) -> int:
    """Bytes of data that a frame of this type may carry."""
    return MAX_DATA + MAX_TITLE if kind == COMMAND else MAX_DATA


def encode(frame: Frame) -> bytes:
    """The bytes of `frame` on the line, with both delimiters. `ValueError` if it is no frame."""
    most = most_data(frame.type)
    if not 1 <= len(frame.data) <= most:
        raise ValueError(f"a frame carries 1 to {most} bytes, not {len(frame.data)}")
    body = frame.body + frame.crc.to_bytes(4, "little")
    return bytes([DELIMITER]) + bytes(cobs.encode(body)) + bytes([DELIMITER])


def decode(encoded: bytes) -> Frame | Garbled:
    """The frame in what stood between two delimiters, if it is whole."""
    if len(encoded) > MAX_ENCODED:
        return Garbled(f"frame of {len(encoded)} bytes")
    try:
        body = bytes(cobs.decode(encoded))
    except cobs.DecodeError:
        return Garbled("frame that is not COBS")
    if not 1 <= len(body) - _HEADER - _CRC <= most_data(body[0] if body else 0):
        return Garbled(f"frame body of {len(body)} bytes")
    content, crc = body[:-_CRC], int.from_bytes(body[-_CRC:], "little")
    if zlib.crc32(content) != crc:
        return Garbled("frame with a wrong CRC")
    return Frame(content[0], int.from_bytes(content[1:_HEADER], "little"), content[_HEADER:])


def split(answer: bytes) -> list[Item]:
    """Lines and frames of an answer, in order. Text has no delimiter in it, so every second piece
    between delimiters is a frame; an unfinished line or frame at the end is garbled."""
    items: list[Item] = []
    for index, piece in enumerate(answer.split(bytes([DELIMITER]))):
        if index % 2:
            items.append(decode(piece))
            continue
        *lines, rest = piece.split(b"\n")
        items.extend(_text(line) for line in lines)
        if rest:
            items.append(Garbled(f"{len(rest)} bytes without a line's end"))
    if answer.count(DELIMITER) % 2:
        items.append(Garbled("frame without an end"))
    return items


def _text(line: bytes) -> Text | Garbled:
    line = line.removesuffix(b"\r")
    if all(0x20 <= byte < 0x7F or byte == 0x09 for byte in line):
        return Text(line.decode("ascii"))
    return Garbled("line with unprintable bytes")
