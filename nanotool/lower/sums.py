"""Sums of two as the fast kernels make them: two products and a constant, rounded down.

For that this computes what the reference does there is no formula: all pairs of int8 are tried.
Where halves occur the reference rounds them away from zero, so sums below zero may have another
constant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.ir import INT8_MAX, INT8_MIN, Op, Value
from nanotool.lower.layer import TargetLayer
from nanotool.lower.pack import Int64Array

INT32_LIMIT = 2**31
NO_CONSTANT = "no two factors give every sum as it is rounded"
ALL = np.arange(INT8_MIN, INT8_MAX + 1, dtype=np.int64)  # each int8
_FRACTIONS = range(24, 15, -1)  # bits of a sum behind the point
_NEAR = sorted(product((0, 1, -1, 2, -2), repeat=2), key=lambda pair: sum(map(abs, pair)))


@dataclass(frozen=True, slots=True)
class Offset:
    """What is added to a sum: ``above``, less ``below`` where it then is less than ``zero``."""

    above: int
    zero: int
    below: int  # 0: the same constant for all

    @property
    def fields(self) -> tuple[tuple[str, Value], ...]:
        """The kernels' parameters of these names."""
        return (("offset", self.above), ("zero", self.zero), ("below", self.below))


@dataclass(frozen=True, slots=True)
class Sum:
    """floor((a * scales[0] + b * scales[1] + offset) / 2^right), which is clamped then."""

    scales: tuple[int, int]
    offset: Offset
    right: int

    @property
    def fields(self) -> tuple[tuple[str, Value], ...]:
        """Those of nano_add_mve_params and nano_add_scalar_params that compute it."""
        return (
            ("a_scale", self.scales[0]),
            ("b_scale", self.scales[1]),
            *self.offset.fields,
            ("right", self.right),
        )


def every_sum(layer: TargetLayer[Op], *, subtract: bool) -> Int64Array:
    """[256, 256]: the reference's output for each a and each b."""
    a, b = layer.inputs
    factors = numerics.add_parameters(a.scale, b.scale, layer.output.scale)
    first, second = (ALL - a.zero_point)[:, None], (ALL - b.zero_point)[None, :]
    target, clamp = layer.output.zero_point, layer.clamp
    q = numerics.add(first, second, factors, target, clamp, subtract=subtract)
    return q.astype(np.int64)


def offset(
    layer: TargetLayer[Op],
    terms: Sequence[Int64Array],
    q: Int64Array,
    fraction: int,
    *,
    one_sided: bool = False,
) -> Offset | None:
    """What, added to the sum of a term for each a and one for each b, makes it ``q`` with
    ``fraction`` bits behind the point, rounded down, for every pair; None if there is none. An
    output at an end of the clamp may come from beyond it; with ``one_sided`` only below the lower
    end where the sum is below zero, and above the upper one where it is not."""
    low, high = layer.clamp
    sums = terms[0][:, None] + terms[1][None, :]
    zero = int(sums[layer.inputs[0].zero_point - INT8_MIN, layer.inputs[1].zero_point - INT8_MIN])
    negative = sums < zero
    bounded = (q > low, q < high)
    if one_sided:
        bounded = (bounded[0] | ~negative, bounded[1] | negative)
    least = np.where(bounded[0], (q << fraction) - sums, -INT32_LIMIT)
    most = np.where(bounded[1], (q + 1 << fraction) - 1 - sums, INT32_LIMIT - 1)
    room = INT32_LIMIT - sum(int(np.abs(term).max()) for term in terms)

    def middle(pairs: NDArray[np.bool_]) -> int | None:
        ends = least[pairs].max(initial=-INT32_LIMIT), most[pairs].min(initial=INT32_LIMIT - 1)
        return (int(ends[0]) + int(ends[1])) // 2 if ends[0] <= ends[1] else None

    whole = middle(np.ones_like(negative))
    above, under = (whole, whole) if whole is not None else (middle(~negative), middle(negative))
    if above is None or under is None or max(abs(above), abs(under)) >= room:
        return None
    return Offset(above, zero + above, above - under)


def linear(layer: TargetLayer[Op], *, subtract: bool, one_sided: bool = False) -> Sum | None:
    """``layer``'s sum, or its difference, with as many bits behind the point as all pairs have the
    reference's results with; None if there is no such number."""
    results = every_sum(layer, subtract=subtract)
    for scales, fraction in candidates(layer, subtract, _FRACTIONS):
        terms = [ALL * scale for scale in scales]
        found = offset(layer, terms, results, fraction, one_sided=one_sided)
        if found is not None:
            return Sum(scales, found, fraction)
    layer.declines(True, NO_CONSTANT)
    return None


def candidates(
    layer: TargetLayer[Op], subtract: bool, fractions: Sequence[int]
) -> Iterator[tuple[tuple[int, int], int]]:
    """Pairs of scales with some of ``fractions`` behind the point: the nearest ones first."""
    a, b = layer.inputs
    ratios = (
        a.scale / layer.output.scale,
        (-b.scale if subtract else b.scale) / layer.output.scale,
    )
    for near in _NEAR:
        for fraction in fractions:
            first, second = (
                round(2**fraction * ratio) + more for ratio, more in zip(ratios, near, strict=True)
            )
            yield (first, second), fraction
