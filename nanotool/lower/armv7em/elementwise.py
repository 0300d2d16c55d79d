"""Sums and products of two: lib/nano/include/nano/ops/elementwise.h."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.ir import INT8_MAX, INT8_MIN, Binary, Op, Struct
from nanotool.lower import pack
from nanotool.lower.elementwise import arithmetic, broadcast, operands
from nanotool.lower.layer import Call, TargetLayer, store, variant

TARGET = "armv7em"
_FRACTION = 20  # bits of a sum behind the point
_PRODUCT = 8  # bits of a product that are dropped
_INT32_LIMIT = 2**31
ALL = np.arange(INT8_MIN, INT8_MAX + 1, dtype=np.int64)  # each int8


@variant(TARGET, Binary)
def _binary(layer: TargetLayer[Binary]) -> Call | None:
    """add, sub and mul of rows."""
    return arithmetic(layer, _add, _mul)


def _add(layer: TargetLayer[Op], subtract: bool) -> Call | None:
    """Two products and a constant. For that it computes what the reference does there is no
    formula: all pairs of int8 are tried."""
    a, b = layer.inputs
    scales = [
        round(2 ** (_FRACTION + _PRODUCT) * tensor.scale / layer.output.scale) for tensor in (a, b)
    ]
    if subtract:
        scales[1] = -scales[1]
    if max(map(abs, scales)) >= _INT32_LIMIT:
        return None
    terms = [ALL * scale >> _PRODUCT for scale in scales]
    offset = sum_offset(layer, terms, every_sum(layer, subtract=subtract), _FRACTION)
    if offset is None:
        return None
    low, high = layer.clamp
    fields = (
        operands(layer)[0],
        ("a_scale", scales[0]),
        ("b_scale", scales[1]),
        ("offset", offset),
        ("min", low),
        ("max", high),
    )
    return broadcast("nano_add_dsp", Struct("nano_add_dsp_params", fields), layer)


def every_sum(layer: TargetLayer[Op], *, subtract: bool) -> NDArray[np.int64]:
    """[256, 256]: the reference's output for each a and each b."""
    a, b = layer.inputs
    factors = numerics.add_parameters(a.scale, b.scale, layer.output.scale)
    first, second = (ALL - a.zero_point)[:, None], (ALL - b.zero_point)[None, :]
    target, clamp = layer.output.zero_point, layer.clamp
    q = numerics.add(first, second, factors, target, clamp, subtract=subtract)
    return q.astype(np.int64)


def sum_offset(
    layer: TargetLayer[Op], terms: list[NDArray[np.int64]], q: NDArray[np.int64], fraction: int
) -> int | None:
    """The constant which, added to the sum of a term for each a and one for each b, makes it ``q``
    with ``fraction`` bits behind the point, rounded down, for every pair; None if there is none. An
    output at an end of the clamp may come from beyond it."""
    low, high = layer.clamp
    sums = terms[0][:, None] + terms[1][None, :]
    least = ((q << fraction) - sums)[q > low].max(initial=-_INT32_LIMIT)
    most = ((q + 1 << fraction) - 1 - sums)[q < high].min(initial=_INT32_LIMIT - 1)
    offset = int(least + most) // 2
    fits = np.abs(sums).max() + abs(offset) < _INT32_LIMIT
    return offset if least <= most and fits else None


def largest_product(layer: TargetLayer[Op]) -> int:
    """The largest magnitude of a product of two operands less their zero points."""
    first, second = (
        max(INT8_MAX - one.zero_point, one.zero_point - INT8_MIN) for one in layer.inputs
    )
    return first * second


def _mul(layer: TargetLayer[Op]) -> Call | None:
    a, b = layer.inputs
    ratio = numerics.mul_multiplier(a.scale, b.scale, layer.output.scale)
    scale = pack.product_scale(layer, largest_product(layer), ratio)
    if scale is None:
        return None
    fields = (*operands(layer), ("scale", scale), ("store", store(layer)))
    return broadcast("nano_mul_dsp", Struct("nano_mul_dsp_params", fields), layer)
