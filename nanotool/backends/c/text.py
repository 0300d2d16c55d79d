"""Values as C text: arrays in fixed columns, designated initializers, numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import Array, Struct, Value

WIDTH = 100
INDENT = "    "
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")
CTYPES = {**{name: f"{name}_t" for name in INTEGERS}, "float32": "float"}

Symbol = Callable[[Array], str]  # an array's C name


def ctype(array: Array) -> str:
    """The C type of an element of ``array``."""
    return CTYPES[array.data.dtype.name]


def number_rows(data: NDArray[Any], width: int = WIDTH) -> list[str]:
    """``data`` as indented lines of numbers in columns: a power of two on a line, all lines of an
    array alike, whatever the values (so that two exports can be compared line by line)."""
    cell, write = _number(data.dtype)
    per_line = 1
    while len(INDENT) + 2 * per_line * (cell + 1) - 1 <= width:
        per_line *= 2
    texts = [write(v) + "," for v in data.reshape(-1)]
    rows = [texts[i : i + per_line] for i in range(0, len(texts), per_line)]
    return [INDENT + " ".join(text.rjust(cell) for text in row) for row in rows]


def _number(dtype: np.dtype[Any]) -> tuple[int, Callable[[Any], str]]:
    """(columns of the longest number with its comma, how one is written)."""
    if dtype == np.float32:
        return len("-1.17549435e-38f,"), lambda v: float_literal(float(v))
    if dtype == np.uint32:  # a checksum
        return len("0xFFFFFFFFu,"), lambda v: f"0x{int(v):08X}u"
    if dtype == np.int64:  # mostly far from its limits; what the type is the array says
        return len("-140737488355328,"), lambda v: str(int(v))
    info = np.iinfo(dtype)
    return max(len(str(info.min)), len(str(info.max))) + 1, lambda v: str(int(v))


def float_literal(value: float) -> str:
    """``value``, a float32, as a C float that reads back as the same bits."""
    text = f"{value:.9g}"
    return (text if any(c in text for c in ".e") else text + ".0") + "f"


def initializer(struct: Struct, symbol: Symbol, depth: int = 0) -> str:
    """``struct`` as a designated initializer in braces.

    Fields that belong together (in_h, in_w, in_c) share a line.
    """
    pad = INDENT * (depth + 1)
    lines = []
    for _, group in itertools.groupby(struct.fields, key=_family):
        parts = [f".{name} = {_value(value, symbol, depth)}," for name, value in group]
        lines.append(pad + " ".join(parts))
    return "\n".join(("{", *lines, INDENT * depth + "}"))


def _family(field: tuple[str, Value]) -> tuple[str, bool]:
    """Equal for neighbouring numbers whose names begin alike."""
    name, value = field
    head = name.split("_", 1)[0] if isinstance(value, (int, float)) else name
    return head, isinstance(value, (int, float))


def _value(value: Value, symbol: Symbol, depth: int) -> str:
    if isinstance(value, Struct):
        return initializer(value, symbol, depth + 1)
    if isinstance(value, Array):
        return symbol(value)
    if value is None:
        return "NULL"
    if isinstance(value, tuple):
        return "{" + ", ".join(str(item) for item in value) + "}"
    return float_literal(value) if isinstance(value, float) else str(value)


def comment(lines: list[str], indent: str = "") -> Iterator[str]:
    """``lines`` as one block comment."""
    for i, line in enumerate(lines):
        head = "/* " if i == 0 else " * "
        tail = " */" if i == len(lines) - 1 else ""
        yield (indent + head + line).rstrip() + tail
