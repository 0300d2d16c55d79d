"""Sums, products and pools: lib/nano/include/nano/ops/elementwise_mve.h."""

from __future__ import annotations

import math
from dataclasses import replace

from nanotool import numerics
from nanotool.ir import AveragePool2D, Binary, MaxPool2D, Op, Struct
from nanotool.lower import pack, sums
from nanotool.lower.elementwise import arithmetic, broadcast, largest_product, operands
from nanotool.lower.layer import Call, TargetLayer, factor, portable_calls, store, variant

TARGET = "armv81m"
_MOST_TAPS = 1023  # of an average, which a factor divides


@variant(TARGET, Binary)
def _binary(layer: TargetLayer[Binary]) -> Call | None:
    """add, sub and mul of rows."""
    return arithmetic(layer, _add, _mul)


def _add(layer: TargetLayer[Op], subtract: bool) -> Call | None:
    """Two products and a constant."""
    found = sums.linear(layer, subtract=subtract)
    if found is None:
        return None
    low, high = layer.clamp
    fields = (operands(layer)[0], *found.fields, ("min", low), ("max", high))
    return broadcast("nano_add_mve", Struct("nano_add_mve_params", fields), layer)


def _mul(layer: TargetLayer[Op]) -> Call | None:
    a, b = layer.inputs
    ratio = numerics.mul_multiplier(a.scale, b.scale, layer.output.scale)
    if pack.product_scale(layer, largest_product(layer), ratio) is None:
        return None
    fields = (*operands(layer), ("factor", factor(ratio)), ("store", store(layer)))
    return broadcast("nano_mul_mve", Struct("nano_mul_mve_params", fields), layer)


@variant(TARGET, MaxPool2D)
@variant(TARGET, AveragePool2D)
def _pool(layer: TargetLayer[MaxPool2D | AveragePool2D]) -> Call | None:
    """With the portable kernel's parameters, as those of armv7em."""
    op = layer.op
    many = isinstance(op, AveragePool2D) and math.prod(op.window.kernel) > _MOST_TAPS
    if layer.declines(many, f"more than {_MOST_TAPS:,} elements in a window"):
        return None
    (call,) = portable_calls(layer)
    return replace(call, kernel=f"{call.kernel}_mve")
