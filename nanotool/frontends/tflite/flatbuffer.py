"""Checked reading of flatbuffers: nothing in the bytes is believed before it is used.

A table of a schema is declared as a frozen dataclass, one `slot` a field that is wanted; fields
that are not declared are never looked at. `Reader.table` makes the dataclass of the bytes.

    root      u32: where the root table begins, counted from here (as every offset to come)
    table     i32: back to its vtable; then its fields, in whatever order the vtable says
    vtable    u16 its own bytes, u16 the table's bytes, then a u16 for each slot: where in the
              table the field lies; 0 or beyond the end of the vtable: the field has its default
    vector    u32 number of items, then the items; a string is a vector of bytes and a zero

Every offset, size, number of items and alignment is compared with the file before it is followed,
each enumerator with its list, a field that is a float has to be finite. Offsets may lead to the
same place again, so the bytes read in all are counted: a small file cannot describe a large model.
Anything wrong is an `InvalidModel` that says which field, where, and what is wrong with it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from functools import cache
from typing import Any, NoReturn, Protocol, TypeVar

from nanotool.errors import InvalidModel

HINT = "The file is damaged or was never whole: copy it or convert the model again."
MAX_READ = 4 * 2**20  # bytes of tables, strings and vectors in all; bulk data are not counted
MAX_ITEMS = 16_384  # of one vector, bulk data apart

T = TypeVar("T")  # the frozen dataclass of a table


def damaged(where: str, what: str) -> NoReturn:
    """Raise InvalidModel for the field ``where``."""
    raise InvalidModel(f"{where}: {what}.", HINT)


class Kind(Protocol):
    """How a field is stored."""

    @property
    def size(self) -> int:
        """Bytes that it takes in its table: a power of two, and its alignment."""

    def read(self, reader: Reader, at: int, where: str) -> Any:
        """Its value. [at, at + size) is known to be in the file, and aligned."""


def slot(index: int, kind: Kind, default: Any = None) -> Any:
    """A dataclass field that lies in slot ``index`` of its table's vtable."""
    return field(default=default, metadata={"slot": index, "kind": kind})


def _declared(table: type) -> tuple[tuple[str, int, Kind], ...]:
    declared: tuple[Field[Any], ...] = fields(table)
    return tuple((f.name, f.metadata["slot"], f.metadata["kind"]) for f in declared)


# (name, slot, kind) of each field of a table's dataclass.
slots: Callable[[type], tuple[tuple[str, int, Kind], ...]] = cache(_declared)


class Reader:
    """The bytes of one flatbuffer, and how many of them may still be read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.left = MAX_READ

    def root(self, table: type[T], identifier: bytes, where: str) -> T:
        """The root table; the four bytes behind its offset have to be ``identifier``."""
        if len(self.data) < 8:
            damaged(where, f"{len(self.data)} bytes are too few")
        if self.data[4:8] != identifier:
            damaged(where, f"it is no {identifier.decode()} file")
        return self.table(table, self.follow(0, where), where)

    def table(self, table: type[T], at: int, where: str) -> T:
        """The table that begins at ``at``, a place that `follow` gave."""
        declared = slots(table)
        most = max((index + 1 for _, index, _ in declared), default=0)
        offsets, size = self._vtable(at, most, where)
        self.spend(size, where)
        values: dict[str, Any] = {}
        for name, index, kind in declared:
            offset = offsets[index] if index < len(offsets) else 0
            if offset == 0:
                continue
            path = f"{where}.{name}"
            if offset < 4 or offset + kind.size > size:
                damaged(path, f"it lies outside its table of {size} bytes at {at}")
            if (at + offset) % kind.size:
                damaged(path, f"it lies at byte {at + offset}, not a multiple of {kind.size}")
            values[name] = kind.read(self, at + offset, path)
        return table(**values)

    def _vtable(self, at: int, most: int, where: str) -> tuple[tuple[int, ...], int]:
        """The offsets of the first ``most`` slots, or fewer, of the table at ``at``, and the
        table's bytes. A vtable may have 65,534 bytes, and serve any number of tables."""
        (back,) = self.unpack("i", 1, at, where)
        start = at - back
        if start < 0 or start % 2:
            damaged(where, f"the vtable of the table at {at} would lie at byte {start}")
        length, size = self.unpack("H", 2, start, where)
        if length < 4 or length % 2 or size < 4 or at + size > len(self.data):
            damaged(where, f"the table at {at} would have {size} bytes, its vtable {length}")
        if start + length > len(self.data):
            damaged(where, f"the vtable of {length} bytes at {start} is beyond the file's end")
        return self.unpack("H", min(length // 2 - 2, most), start + 4, where), size

    def follow(self, at: int, where: str) -> int:
        """Where the offset at ``at`` leads: a multiple of 4, with 4 bytes behind it."""
        (offset,) = self.unpack("I", 1, at, where)
        target = int(at + offset)
        if offset == 0 or target % 4 or target + 4 > len(self.data):
            damaged(where, f"it would lie at byte {target} of {len(self.data)}")
        return target

    def vector(self, at: int, item: int, where: str) -> tuple[int, int]:
        """(first byte, number of items) of the vector that the offset at ``at`` leads to."""
        start = self.follow(at, where)
        (count,) = self.unpack("I", 1, start, where)
        if count * item > len(self.data) - start - 4:
            damaged(where, f"{count} items of {item} bytes do not fit behind byte {start}")
        return start + 4, count

    def short_vector(self, at: int, item: int, where: str) -> tuple[int, int]:
        """The same for a vector whose items become Python objects."""
        start, count = self.vector(at, item, where)
        if count > MAX_ITEMS:
            damaged(where, f"{count} items are more than {MAX_ITEMS}")
        self.spend(count * item, where)
        return start, count

    def unpack(self, code: str, count: int, at: int, where: str) -> tuple[Any, ...]:
        """``count`` little-endian values of the struct module's type ``code``."""
        if not 0 <= at <= len(self.data) - count * struct.calcsize(f"<{code}"):
            damaged(where, f"byte {at} is beyond the file's {len(self.data)}")
        return struct.unpack_from(f"<{count}{code}", self.data, at)

    def spend(self, count: int, where: str) -> None:
        """Count bytes as read."""
        self.left -= count
        if self.left < 0:
            damaged(
                where,
                f"up to here the file describes more than {MAX_READ >> 20} MB beside its data, "
                "the same bytes perhaps again and again",
            )


# --- Kinds of fields ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number:
    """A number in the table itself."""

    code: str  # of the struct module: "i", "I", "Q", "f"

    @property
    def size(self) -> int:
        """See `Kind`."""
        return struct.calcsize(f"<{self.code}")

    def read(self, reader: Reader, at: int, where: str) -> Any:
        """See `Kind`."""
        value = reader.unpack(self.code, 1, at, where)[0]
        if self.code == "f" and not math.isfinite(value):
            damaged(where, "the value is not finite")
        return value


@dataclass(frozen=True)
class Boolean:
    """A byte: 0 or 1."""

    size: int = 1

    def read(self, reader: Reader, at: int, where: str) -> bool:
        """See `Kind`."""
        (value,) = reader.unpack("B", 1, at, where)
        if value > 1:
            damaged(where, f"{value} is neither 0 nor 1")
        return bool(value)


@dataclass(frozen=True)
class Enum:
    """A byte that stands for one of several names."""

    names: Mapping[int, str]
    size: int = 1

    def read(self, reader: Reader, at: int, where: str) -> str:
        """See `Kind`."""
        (value,) = reader.unpack("B", 1, at, where)
        name = self.names.get(value)
        if name is None:
            damaged(where, f"{value} is none of {len(self.names)} known values")
        return name


@dataclass(frozen=True)
class Text:
    """A string. What is not printable, or not UTF-8, becomes "?"."""

    size: int = 4

    def read(self, reader: Reader, at: int, where: str) -> str:
        """See `Kind`."""
        start, count = reader.vector(at, 1, where)
        reader.spend(count, where)
        end = start + count
        if reader.data[end : end + 1] != b"\0":
            damaged(where, f"the string at byte {start} does not end in 0")
        text = reader.data[start:end].decode(errors="replace")
        return "".join(c if c.isprintable() and c != "\ufffd" else "?" for c in text)


@dataclass(frozen=True)
class Bulk:
    """A vector of bytes: a view into the file, never a copy."""

    size: int = 4

    def read(self, reader: Reader, at: int, where: str) -> memoryview:
        """See `Kind`."""
        start, count = reader.vector(at, 1, where)
        return memoryview(reader.data)[start : start + count]


@dataclass(frozen=True)
class Numbers:
    """A vector of numbers, as a tuple; floats may be infinite or no numbers."""

    code: str  # of the struct module: "i", "q", "f"
    size: int = 4

    def read(self, reader: Reader, at: int, where: str) -> tuple[Any, ...]:
        """See `Kind`."""
        start, count = reader.short_vector(at, struct.calcsize(f"<{self.code}"), where)
        return reader.unpack(self.code, count, start, where)


@dataclass(frozen=True)
class Table:
    """Another table."""

    type: type
    size: int = 4

    def read(self, reader: Reader, at: int, where: str) -> Any:
        """See `Kind`."""
        return reader.table(self.type, reader.follow(at, where), where)


@dataclass(frozen=True)
class Tables:
    """A vector of tables, as a tuple."""

    type: type
    size: int = 4

    def read(self, reader: Reader, at: int, where: str) -> tuple[Any, ...]:
        """See `Kind`."""
        start, count = reader.short_vector(at, 4, where)
        paths = (f"{where}[{i}]" for i in range(count))
        return tuple(
            reader.table(self.type, reader.follow(start + 4 * i, path), path)
            for i, path in enumerate(paths)
        )


@dataclass(frozen=True)
class Place:
    """A table whose type another field tells: where it begins, for `Reader.table`."""

    size: int = 4

    def read(self, reader: Reader, at: int, where: str) -> int:
        """See `Kind`."""
        return reader.follow(at, where)
