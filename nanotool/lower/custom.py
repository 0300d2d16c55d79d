"""Operators that packages bring: their kernels, with their own parameter structs."""

from __future__ import annotations

from nanotool.errors import InvalidModel
from nanotool.ir import Custom
from nanotool.lower.layer import Call, TargetLayer, lowers
from nanotool.ops import custom


@lowers(Custom)
def _custom(layer: TargetLayer[Custom]) -> Call:
    """Its lower(), which must answer one call."""
    call = custom.definition(layer.op.function).lower(layer)
    if not isinstance(call, Call) or len(call.overlaps) != len(call.reads):
        raise InvalidModel(
            f"{layer.name}: {layer.op.function} answers no Call with an overlap an input.",
            "Its lower() is wrong: tell those who made its package.",
        )
    return call
