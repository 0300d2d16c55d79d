"""Sums and products of two: lib/nano/include/nano/ops/elementwise.h."""

from __future__ import annotations

from nanotool import numerics
from nanotool.ir import Binary, Op, Struct
from nanotool.lower import pack, sums
from nanotool.lower.elementwise import arithmetic, broadcast, largest_product, operands
from nanotool.lower.layer import Call, TargetLayer, store, variant

TARGET = "armv7em"
_FRACTION = 20  # bits of a sum behind the point
_PRODUCT = 8  # bits of a product that are dropped


@variant(TARGET, Binary)
def _binary(layer: TargetLayer[Binary]) -> Call | None:
    """add, sub and mul of rows."""
    return arithmetic(layer, _add, _mul)


def _add(layer: TargetLayer[Op], subtract: bool) -> Call | None:
    """Two products and a constant."""
    results = sums.every_sum(layer, subtract=subtract)
    for (first, second), _ in sums.candidates(layer, subtract, (_FRACTION + _PRODUCT,)):
        largest = max(abs(first), abs(second))
        if layer.declines(largest >= sums.INT32_LIMIT, "an input counts far more than the output"):
            return None
        terms = [sums.ALL * scale >> _PRODUCT for scale in (first, second)]
        offset = sums.offset(layer, terms, results, _FRACTION)
        if offset is not None:
            break
    else:
        layer.declines(True, sums.NO_CONSTANT)
        return None
    low, high = layer.clamp
    fields = (
        operands(layer)[0],
        ("a_scale", first),
        ("b_scale", second),
        *offset.fields,
        ("min", low),
        ("max", high),
    )
    return broadcast("nano_add_dsp", Struct("nano_add_dsp_params", fields), layer)


def _mul(layer: TargetLayer[Op]) -> Call | None:
    a, b = layer.inputs
    ratio = numerics.mul_multiplier(a.scale, b.scale, layer.output.scale)
    scale = pack.product_scale(layer, largest_product(layer), ratio)
    if scale is None:
        return None
    fields = (*operands(layer), ("scale", scale), ("store", store(layer)))
    return broadcast("nano_mul_dsp", Struct("nano_mul_dsp_params", fields), layer)
