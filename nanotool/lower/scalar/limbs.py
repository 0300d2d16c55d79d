"""Weights and scales for kernels without SIMD: lib/nano/src/requant_scalar.h states the layouts.

As in `nanotool.lower.pack` each precondition is proved here, from the numbers of the layer at hand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import INT8_MIN, Array, Int8Array, Op, Value
from nanotool.lower.layer import TargetLayer
from nanotool.lower.pack import Int64Array, Scaled, power, reach, scaled
from nanotool.numerics import Multiplier

WIDE = "sums need four limbs"
OFFSET = 128  # most kernels see inputs that are so much larger
_HALF_LIMIT = 2**23  # of a packed bias
_INT32_LIMIT = 2**31
_WIDE_LIMIT, _WIDE_UNIT = 2**23, 2**7  # of an accumulator with four limbs; one, in what is summed
_LIMIT, _LIMB = 2**20, 12  # of an accumulator with two limbs; bits of the lower one, a signed one
_MOST_SHIFT = 24  # the clamp of a sum, so much to the left, is within int32
_MOST_UNIT = 15  # bits behind the point with two limbs, so that the higher limb fits 16 bits
_PRODUCT_UNIT, _PRODUCT_FACTOR = 14, 2**26  # the most of a product
_NEAR = (0, 1, -1, 2, -2, 3, -3, 4, -4)  # factors beside the nearest one that are tried


@dataclass(frozen=True, slots=True)
class Packed:
    """A layer's weights, rows of which may be 0 (see `nanotool.lower.pack.Scaled`), and scales."""

    weight: Int8Array  # [out, terms]
    scales: NDArray[np.int32]  # [out, 3], or [out, 2] if wide
    wide: bool  # four limbs
    unit: int  # 2^unit is taken from what becomes of negative sums; 0: nothing is
    long: bool = False  # scales are [out, 3: bias, multiplier, shift]: for any sums
    form: str = ""  # what the words of other scales are

    def split(self, count: int) -> list[Packed]:
        """``count`` parts of as many outputs each, scaled alike."""
        rows = np.split(self.weight, count), np.split(self.scales, count)
        return [replace(self, weight=w, scales=s) for w, s in zip(*rows, strict=True)]

    def scales_array(self, layer: TargetLayer[Op]) -> Array:
        """The scales as an array in flash."""
        form = self.form or (
            "bias, multiplier, shift"
            if self.long
            else "256 bias + e - 1, multiplier"
            if self.wide
            else "256 bias + shift, factor, rounding"
        )
        return layer.array("scales", self.scales, f"scales [out][{form}]")


def packed(layer: TargetLayer[Op], offset: int = OFFSET) -> Packed | None:
    """``layer``'s weights and scales, for a kernel that sees inputs ``offset`` larger; None if the
    scaling would be wrong for some channel."""
    common = scaled(layer)
    if common is None:
        return None
    bias = common.bias - offset * common.weight.sum(axis=1, dtype=np.int64)
    if layer.declines(np.abs(bias).max() >= _HALF_LIMIT, f"biases reach {power(bias)}"):
        return None
    channels = _Channels.of(common, layer)
    if (words := channels.words(_MOST_UNIT)) is not None:
        unit, factor, rounding = words
        low = (factor + 2 ** (_LIMB - 1)) % 2**_LIMB - 2 ** (_LIMB - 1)
        limbs = ((factor - low) >> _LIMB) * 2**16 + low % 2**16
        scales = np.stack([bias * 256 + common.right + unit, limbs, rounding], axis=1)
        below = 0 if channels.relu else int(unit[0])
        return Packed(common.weight, scales.astype(np.int32), False, below)
    if layer.declines(not channels.fit_wide(), f"sums reach {power(channels.largest())}"):
        return None
    scales = np.stack([bias * 256 + common.right - 1, common.multiplier], axis=1)
    return Packed(common.weight, scales.astype(np.int32), True, 0)


def long(layer: TargetLayer[Op], offset: int = OFFSET) -> Packed | None:
    """The same for the kernels of any sums; None if a bias leaves int32."""
    weight = layer.weight.reshape(len(layer.weight), -1)
    bias = layer.bias - (layer.input.zero_point + offset) * weight.sum(axis=1, dtype=np.int64)
    if layer.declines(np.abs(bias).max() >= _INT32_LIMIT, f"biases reach {power(bias)}"):
        return None
    words = [np.broadcast_to(one, bias.shape) for one in (bias, *layer.multipliers())]
    return Packed(weight, np.stack(words, axis=1).astype(np.int32), False, 0, True)


def product(
    layer: TargetLayer[Op], largest: int, ratio: Multiplier
) -> tuple[tuple[str, Value], ...] | None:
    """Fields of nano_mul_scalar_params that scale products of magnitude ``largest`` at most; None
    if that would be wrong for some."""
    multiplier, shift = ratio
    if layer.declines(shift > -1, "products are made larger"):
        return None
    numbers = (np.array([[number]], np.int64) for number in (-largest, largest, multiplier, -shift))
    channels = _Channels.between(layer, *numbers)
    if (words := channels.words(_PRODUCT_UNIT)) is None:
        layer.declines(True, "no factor of two limbs gives every product")
        return None
    unit, factor, rounding = (int(one[0]) for one in words)
    low, high = layer.clamp  # a product of 0 is within it, so one comparison does for the others
    inside = low <= rounding >> (unit - shift) <= high
    if layer.declines(not inside or factor >= _PRODUCT_FACTOR, "0 is outside what it is cut to"):
        return None
    below = 0 if channels.relu else 1 << unit
    return (
        ("factor", factor),
        ("round", rounding),
        ("below", below),
        ("shift", unit - shift),
    )


@dataclass(frozen=True, slots=True)
class _Channels:
    """What requantization sees, a number an output channel, [out, 1]; and the sums at which the
    output rises."""

    low: Int64Array  # accumulators are within low..high
    high: Int64Array
    multiplier: Int64Array
    right: Int64Array  # the right shift e
    zero_point: int
    answers: Int64Array  # [1, answers]: the outputs above the least
    rises: Int64Array  # [out, answers]: the least accumulators whose output is so much

    @classmethod
    def of(cls, common: Scaled, layer: TargetLayer[Op]) -> _Channels:
        """The channels of ``layer``, packed as ``common``."""
        low, high = (end + common.bias for end in reach(common.weight))
        multiplier, right = common.multiplier.astype(np.int64), common.right.astype(np.int64)
        return cls.between(layer, *(one[:, None] for one in (low, high, multiplier, right)))

    @classmethod
    def between(
        cls,
        layer: TargetLayer[Op],
        low: Int64Array,
        high: Int64Array,
        multiplier: Int64Array,
        right: Int64Array,
    ) -> _Channels:
        """Channels [out, 1] of sums within ``low``..``high`` that become outputs of ``layer``."""
        zero_point, (least, most) = layer.output.zero_point, layer.clamp
        answers = np.arange(least + 1, most + 1)[None]
        # acc * M + 2^30 - (acc < 0) * 2^31 >= 2^31 * 2^(e-1) * (2 (q - zero_point) - 1)
        halves = (2 * (answers - zero_point) - 1) << (right - 1)
        above, below = (_ceil((halves << 31) - more, multiplier) for more in (2**30, -(2**30)))
        rises = np.where(below < 0, below, np.maximum(above, 0))
        return cls(low, high, multiplier, right, zero_point, answers, rises)

    def largest(self) -> Int64Array:
        """The largest magnitude of an accumulator."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    @property
    def relu(self) -> bool:
        """Whether all negative sums give the least output."""
        return self.zero_point == INT8_MIN

    def units(self, largest: int) -> Int64Array:
        """[out, 1]: the most bits behind the point, ``largest`` or fewer, with which nothing leaves
        int32 in two limbs; the same in all channels, unless negative sums are all the same."""
        answer = (self.largest() * self.multiplier >> (31 + self.right)) + abs(self.zero_point) + 3
        bits = np.frexp(answer.astype(np.float64))[1]
        units = np.minimum(np.minimum(_MOST_SHIFT, 31 - bits) - self.right, largest)
        return np.asarray(units if self.relu else np.full_like(units, units.min()), np.int64)

    def fit_wide(self) -> bool:
        """Whether nothing leaves int32 with four limbs, which so are exact."""
        largest = self.largest()
        rounding = (abs(2 * self.zero_point + 1) << (self.right - 1)) + 2
        fits = (largest + rounding) * _WIDE_UNIT < _INT32_LIMIT
        return bool((fits & (largest < _WIDE_LIMIT)).all())

    def words(self, most_unit: int) -> tuple[Int64Array, Int64Array, Int64Array] | None:
        """(unit, factor, rounding) [out] with which two limbs give every output; None if some
        channel has none."""
        units = self.units(most_unit)
        if int(self.largest().max()) >= _LIMIT or int(units.min()) < 1:
            return None
        drop = 31 - _LIMB - units
        nearest = (self.multiplier + (1 << drop >> 1)) >> drop
        factor, rounding = np.zeros_like(nearest), np.zeros_like(nearest)
        left = np.ones(len(nearest), np.bool_)
        for near in _NEAR:
            least, most = self._roundings(nearest + near, units)
            found = left & (least <= most)[:, 0]
            factor[found] = (nearest + near)[found]
            rounding[found] = ((least + most) >> 1)[found]
            left &= ~found
            if not left.any():
                return units[:, 0], factor[:, 0], rounding[:, 0]
        return None

    def _roundings(self, factor: Int64Array, units: Int64Array) -> tuple[Int64Array, Int64Array]:
        """(least, most) rounding [out, 1] with which ``factor`` gives the output of every sum. What
        is scaled never falls as the sum rises, so the sums where the output rises, those before
        them and the ends of the range stand for all."""
        below = 0 if self.relu else 1 << units

        def scaled_of(acc: Int64Array) -> Int64Array:
            return (acc * factor >> _LIMB) - np.where(acc < 0, below, 0)

        wanted = self.answers << (self.right + units)
        at = np.clip(self.rises, self.low, self.high + 1)
        reached = np.where(at <= self.high, wanted - scaled_of(at), -_INT32_LIMIT)
        missed = np.where(at > self.low, wanted - scaled_of(at - 1) - 1, _INT32_LIMIT - 1)
        ends = scaled_of(self.low), scaled_of(self.high)
        reached = reached.max(axis=1, keepdims=True, initial=-_INT32_LIMIT)
        missed = missed.min(axis=1, keepdims=True, initial=_INT32_LIMIT - 1)
        least = np.maximum(reached, -_INT32_LIMIT - ends[0])
        most = np.minimum(missed, _INT32_LIMIT - 1 - ends[1])
        return least, most


def _ceil(numerator: Int64Array, denominator: Int64Array) -> Int64Array:
    return np.asarray(-(-numerator // denominator))


def fours(rows: Int8Array) -> NDArray[np.uint8]:
    """uint8: four ``rows`` [out, terms] side by side, term by term, each weight 128 larger; of the
    last ones, one or two as they are, three with one more, of 0."""
    filled = np.pad(rows.astype(np.int16), ((0, int(len(rows) % 4 == 3)), (0, 0))) + 128
    whole = len(filled) // 4 * 4
    blocks = filled[:whole].reshape(-1, 4, rows.shape[1]).transpose(0, 2, 1)
    return np.concatenate([blocks.ravel(), filled[whole:].ravel()]).astype(np.uint8)
