"""Sums and products of two: lib/nano/include/nano/ops/elementwise.h."""

from __future__ import annotations

from nanotool import numerics
from nanotool.ir import Binary, Op, Struct
from nanotool.lower import sums
from nanotool.lower.elementwise import arithmetic, broadcast, largest_product, operands
from nanotool.lower.layer import Call, TargetLayer, variant
from nanotool.lower.scalar import limbs

TARGET = "scalar"


@variant(TARGET, Binary)
def _binary(layer: TargetLayer[Binary]) -> Call | None:
    """add, sub and mul."""
    low, high = layer.clamp
    outside = not low <= layer.output.zero_point <= high
    if layer.refuses_memory or layer.declines(outside, "0 is outside what it is cut to"):
        return None
    return arithmetic(layer, _add, _mul, rows=False)


def _add(layer: TargetLayer[Op], subtract: bool) -> Call | None:
    """Two products and a constant."""
    found = sums.linear(layer, subtract=subtract, one_sided=True)
    if found is None:
        return None
    low, high = layer.clamp
    fields = (operands(layer)[0], *found.fields, ("min", low), ("max", high))
    return broadcast("nano_add_scalar", Struct("nano_add_scalar_params", fields), layer)


def _mul(layer: TargetLayer[Op]) -> Call | None:
    a, b = layer.inputs
    ratio = numerics.mul_multiplier(a.scale, b.scale, layer.output.scale)
    scaling = limbs.product(layer, largest_product(layer), ratio)
    if scaling is None:
        return None
    low, high = layer.clamp
    fields = (*operands(layer), *scaling, ("min", low), ("max", high))
    return broadcast("nano_mul_scalar", Struct("nano_mul_scalar_params", fields), layer)
