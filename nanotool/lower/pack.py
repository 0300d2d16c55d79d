"""Weights and scales packed for kernels that are faster than the portable ones.

Every packing has a precondition. It is proved here, from the numbers of the layer at hand; a
function answers None where it does not hold. lib/nano/src/requant_dsp.h and the kernels' params
structs state the layouts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.ir import INT8_MAX, INT8_MIN, Int8Array, Op
from nanotool.lower.layer import TargetLayer

Int64Array = NDArray[np.int64]

NO_PAIRS = "a weight of -128 stands above a negative one"  # why `row_pairs` has none, nearly always
PART_TERMS = 512  # that kernels of long rows add before they part the sums of a pair
_HALF_LIMIT = 2**23  # of a sum that comes out of a pair of rows, and of a packed bias
_DOUBLE_LIMIT = 2**30  # of an accumulator that is doubled
_INT32_LIMIT = 2**31


@dataclass(frozen=True, slots=True)
class Scaled:
    """A layer's weights and how its sums become outputs, as the kernels in few instructions do it.

    ``weight`` [out, terms] differs from the layer's in channels whose output is the same for every
    input: those rows are 0 here.
    """

    weight: Int8Array
    bias: NDArray[np.int32]  # the input's zero point folded in
    multiplier: NDArray[np.int32]
    right: NDArray[np.int32]  # the right shift, at least 1

    @property
    def short(self) -> bool:
        """Whether biases fit the 24 bits that `scales` have for them."""
        return bool((np.abs(self.bias) < _HALF_LIMIT).all())

    @property
    def scales(self) -> NDArray[np.int32]:
        """int32 [out, 2], the layout of requant_dsp.h."""
        return np.stack([self.bias * 256 + self.right - 1, self.multiplier], axis=1)


def reach(rows: Int8Array) -> tuple[Int64Array, Int64Array]:
    """(least, largest) sum of int8 inputs times each of ``rows``."""
    positive = np.maximum(rows, 0).astype(np.int64).sum(axis=1)
    negative = np.minimum(rows, 0).astype(np.int64).sum(axis=1)
    return INT8_MIN * positive + INT8_MAX * negative, INT8_MAX * positive + INT8_MIN * negative


def scaled(layer: TargetLayer[Op]) -> Scaled | None:
    """``layer``'s weights and scales; None if requantization in few instructions would be wrong
    for some of its channels, or if their biases are not `Scaled.short`."""
    packed = scaled_wide(layer)
    if packed is None or layer.declines(not packed.short, f"biases reach {power(packed.bias)}"):
        return None
    return packed


def scaled_wide(layer: TargetLayer[Op]) -> Scaled | None:
    """As `scaled`, for kernels that have a word for each bias."""
    weight = layer.weight.reshape(len(layer.weight), -1)
    bias = layer.bias - layer.input.zero_point * weight.sum(axis=1, dtype=np.int64)
    multiplier, shift = layer.multipliers()
    low, high = reach(weight)
    channels = _Channels(
        low=low + bias,
        high=high + bias,
        multiplier=np.broadcast_to(multiplier, bias.shape).astype(np.int64),
        shift=np.broadcast_to(shift, bias.shape).astype(np.int64),
    )
    answer = _constants(layer, channels)
    fixed = answer >= INT8_MIN
    exact = _exact(layer.output.zero_point, channels)
    if layer.declines(not (fixed | exact).all(), _too_far(channels, fixed | exact)):
        return None
    # A constant q: 4 (q - zero_point) times 1/2, then shifted right by 1.
    bias = np.where(fixed, 4 * (answer - layer.output.zero_point), bias)
    factor = np.where(fixed, 2**30, channels.multiplier)
    right = np.where(fixed, 1, -channels.shift)
    rows = np.where(fixed[:, None], np.int8(0), weight)
    return Scaled(rows, *(one.astype(np.int32) for one in (bias, factor, right)))


def product_scale(
    layer: TargetLayer[Op], largest: int, ratio: numerics.Multiplier
) -> tuple[int, int] | None:
    """The scale in requant_dsp.h's layout, without a bias, of products of magnitude ``largest`` at
    most that ``ratio`` makes outputs of; None if that would be wrong for some."""
    multiplier, shift = ratio
    numbers = (np.array([number], np.int64) for number in (-largest, largest, multiplier, shift))
    channels = _Channels(*numbers)
    exact = _exact(layer.output.zero_point, channels)
    if layer.declines(not exact.all(), _too_far(channels, exact)):
        return None
    return -shift - 1, multiplier


@dataclass(frozen=True, slots=True)
class _Channels:
    """What requantization sees, a number an output channel."""

    low: Int64Array  # accumulators are within low..high
    high: Int64Array
    multiplier: Int64Array
    shift: Int64Array  # positive: left

    @property
    def largest(self) -> Int64Array:
        """The largest magnitude of an accumulator."""
        return np.maximum(np.abs(self.low), np.abs(self.high))


def _constants(layer: TargetLayer[Op], channels: _Channels) -> Int64Array:
    """The output of each channel that has only one; below int8 where there are several. (It never
    falls as the sum rises, unless something leaves int32: the sum when it is shifted left, or what
    becomes of it when the zero point is added.)"""
    plain = channels.largest < (_INT32_LIMIT - 256) >> np.maximum(channels.shift, 0)
    low, high = (
        numerics.requantize(
            np.where(plain, end, 0).astype(np.int32),
            channels.multiplier.astype(np.int32),
            channels.shift.astype(np.int8),
            layer.output.zero_point,
            *layer.clamp,
        ).astype(np.int64)
        for end in (channels.low, channels.high)
    )
    return np.where(plain & (low == high), low, INT8_MIN - 1)


def _exact(zero_point: int, channels: _Channels) -> NDArray[np.bool_]:
    """For each channel: whether nano_requantize_dsp() gives the reference's bytes."""
    right = np.clip(-channels.shift, 1, 31)
    product = (channels.largest * channels.multiplier >> 31) + 1
    offset = abs(2 * zero_point + 1) << (right - 1)
    fits = (channels.largest < _DOUBLE_LIMIT) & (product + offset + 1 < _INT32_LIMIT)
    return np.asarray(fits & (channels.shift <= -1))


def power(numbers: NDArray[np.integer[Any]]) -> str:
    """The largest magnitude of ``numbers`` as a power of two, for people."""
    return f"2^{np.log2(max(float(np.abs(numbers.astype(np.float64)).max()), 1)):.1f}"


def _too_far(channels: _Channels, exact: NDArray[np.bool_]) -> str:
    """Why some channels are not ``exact``, for people."""
    if (channels.shift[~exact] > -1).any():
        return "an output rises by half a unit or more as its sum rises by one"
    return f"sums reach {power(channels.largest[~exact])}" if not exact.all() else ""


def ready_scales(packed: Scaled, zero_point: int) -> NDArray[np.int32]:
    """int32 [out, 4]: ``packed.scales`` in the form of four words (requant_dsp.h), given the
    output's zero point."""
    shift = packed.right.astype(np.int64) - 1
    bias = 2 * packed.bias.astype(np.int64)
    multiplier = packed.multiplier.astype(np.int64)
    words = (shift, multiplier, bias, (2 * zero_point + 1) << shift)
    return np.stack(words, axis=1).astype(np.int32)


def with_scales(rows: NDArray[np.int16], scales: NDArray[np.int32]) -> NDArray[np.int16]:
    """`quads` of pairs of rows, each with the scales [2, words] of both behind it, flat. The scales
    of an odd row that is missing are 0."""
    both = np.zeros((2 * len(rows), scales.shape[1]), np.int32)
    both[: len(scales)] = scales
    halves = both.astype("<i4").reshape(len(rows), -1).view("<i2")
    return np.concatenate([rows.reshape(len(rows), -1), halves], axis=1).astype(np.int16)


def part_ends(terms: int, block: int) -> list[int]:
    """Where the kernels of long rows end each part of ``terms`` but the last one: all have
    `PART_TERMS`, but the first one lacks what fills the last one's eight blocks of ``block``."""
    blocks = -(-terms // block)
    return list(range(PART_TERMS - block * (-blocks % 8), terms, PART_TERMS))


def row_pairs(rows: Int8Array, ends: Sequence[int] = ()) -> NDArray[np.int16] | None:
    """int16 [ceil(out / 2), terms]: 256 * odd row + even row; the last odd row may be missing (0).

    The kernel gets both sums from the products with the whole half and with its low byte: odd =
    (whole - low) / 256. That is exact where the odd sum is within 24 bits; in each part, where the
    kernel parts the terms at ``ends``. None where it may not be, or where a half does not fit 16
    bits (-128 above a negative number).
    """
    if len(rows) % 2:
        rows = np.concatenate([rows, np.zeros_like(rows[:1])])
    even, odd = rows[0::2], rows[1::2]
    halves = 256 * odd.astype(np.int64) + even
    if (halves < -(2**15)).any():
        return None
    for part in np.split(odd, ends, axis=1):
        low, high = reach(part)
        if (low < -_HALF_LIMIT).any() or (high >= _HALF_LIMIT).any():
            return None
    return halves.astype(np.int16)


def quads(halves: NDArray[np.int16], multiple: int = 1) -> NDArray[np.int16]:
    """int16 [pairs, quads, 4]: the terms of each row in quads, in the order 0, 2, 1, 3 in which
    SXTB16 widens four bytes; zeros fill the last ``multiple`` of quads."""
    fill = -halves.shape[1] % (4 * multiple)
    padded = np.pad(halves, ((0, 0), (0, fill)))
    return padded.reshape(len(halves), -1, 4)[:, :, [0, 2, 1, 3]]


def blocks(rows: NDArray[np.int16], count: int) -> NDArray[np.int16]:
    """`quads` with the first ``count`` pairs of pairs side by side, flat: [count][quads][2][4],
    then the other pairs [quads][4]."""
    together = rows[: 2 * count].reshape(count, 2, *rows.shape[1:]).transpose(0, 2, 1, 3)
    return np.concatenate([together.reshape(-1), rows[2 * count :].reshape(-1)])
