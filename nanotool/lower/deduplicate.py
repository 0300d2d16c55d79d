"""Arrays in flash that are the same become one: shared modules, equal scales, equal tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeAlias

from nanotool.ir import Array, LoweredOp, Struct, Value

Known: TypeAlias = dict[tuple[str, bytes], Array]  # by type and content: the first


def deduplicated(ops: Iterable[LoweredOp]) -> tuple[LoweredOp, ...]:
    """``ops``, each array replaced by the first one of the same type and content."""
    known: Known = {}
    return tuple(replace(op, params=_shared(op.params, known)) for op in ops)


def _shared(struct: Struct, known: Known) -> Struct:
    return Struct(
        struct.ctype, tuple((name, _value(value, known)) for name, value in struct.fields)
    )


def _value(value: Value, known: Known) -> Value:
    if isinstance(value, Struct):
        return _shared(value, known)
    if isinstance(value, Array):
        return known.setdefault((value.data.dtype.str, value.data.tobytes()), value)
    return value
