"""A params struct with its tables as C: the arrays before it, and itself."""

from __future__ import annotations

from nanotool.backends.c import text
from nanotool.backends.c.describe import arrays_of
from nanotool.identifiers import c_comment
from nanotool.ir import Array, Struct


def static_arrays(struct: Struct, prefix: str) -> list[str]:
    """Every array of ``struct``, called PREFIX_NAME, with what it is above it."""
    lines: list[str] = []
    for array in arrays_of(struct):
        lines += [
            *text.comment([c_comment(array.note)]),
            f"static const {text.ctype(array)} {_symbol(array, prefix)}[{array.data.size}] = {{",
            *text.number_rows(array.data),
            "};",
            "",
        ]
    return lines


def initializer(struct: Struct, prefix: str) -> str:
    """``struct`` in braces, with the names of `static_arrays`."""
    return text.initializer(struct, lambda array: _symbol(array, prefix))


def _symbol(array: Array, prefix: str) -> str:
    return f"{prefix}_{array.name}"
