"""Activations in 16 bits beside weights in 8: TensorFlow Lite's 16x8 scheme.

Zero points are 0, sums have 64 bits, and a multiplier is reduced to 15 bits, so that its product
with a sum of 47 bits fits 64. What adds or multiplies activations keeps its 31 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel
from nanotool.numerics.recurrent import INT16_MAX, INT16_MIN
from nanotool.numerics.rounding import (
    Int64Array,
    Multiplier,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    wrap_int32,
)

Int16Array: TypeAlias = NDArray[np.int16]

UNIT_OUTPUT = (1 / 32768, 0)  # scale and zero point of a sigmoid, tanh or softmax of int16
WIDE_LIMIT = 2**47  # that no sum reaches
WIDE_SHIFT_MAX = 7
WIDE_ADD_BITS = 15  # behind the point of a sum's inputs: 20 in int8
WIDE_MEAN_MAX_COUNT = 2**16 - 1  # elements of int16, whose sum stays within int32


def reduced_multipliers(
    multipliers: tuple[NDArray[np.int32], NDArray[np.int8]],
) -> tuple[Int16Array, NDArray[np.int8]]:
    """(multiplier, shift) with 15 bits instead of 31. InvalidModel for a factor of 2^7 and more."""
    multiplier, shift = multipliers
    if shift.size and int(shift.max()) > WIDE_SHIFT_MAX:
        raise InvalidModel(
            f"A factor of 2^{int(shift.max()) - 1} or more has no form for sums of int16.",
            "The output's scale is far too small for its input: calibrate it on real data.",
        )
    wide = multiplier.astype(np.int64)
    reduced = np.where(wide < 0x7FFF0000, (wide + (1 << 15)) >> 16, 0x7FFF)
    return reduced.astype(np.int16), shift


def requantize_wide(
    acc: NDArray[Any], multiplier: NDArray[Any], shift: NDArray[Any], clamp: tuple[int, int]
) -> Int16Array:
    """A sum below 2^47 as an int16 output: clamp(acc · multiplier · 2^(shift - 15)), halves up, the
    quotient modulo 2^32."""
    right = 15 - np.asarray(shift, np.int64)
    product = np.asarray(acc, np.int64) * np.asarray(multiplier, np.int64)
    scaled = wrap_int32((product + (np.int64(1) << (right - 1))) >> right)
    return np.clip(scaled, *clamp).astype(np.int16)


# --- Functions of one element ---------------------------------------------------------------------


# Powers of two for which TensorFlow Lite takes an input's scale, and how near: to 0.07 % of it.
POWERS = {"sigmoid": (-12,), "tanh": (-12, -11)}
NEAR_A_POWER = np.float32(1e-3)  # of the logarithm


def thirds_multiplier(scale: float, function: str) -> Multiplier:
    """(multiplier, right shift): q · multiplier, shifted right and rounded, is an argument of
    `sigmoid_of_thirds` or `tanh_of_thirds`, by the ``function``, for q of ``scale``. The multiplier
    has 15 bits, and is cut off; InvalidModel for a scale of 8/3 and more."""
    power = np.log(np.float32(scale)) * np.float32(1 / np.log(2))
    nearest = np.round(power)
    if nearest in POWERS[function] and abs(power - nearest) < NEAR_A_POWER:
        return 3 << (int(nearest) + 12), 0
    factor = float(np.float32(scale)) * 4096 * 3
    shift = 0
    while factor <= INT16_MAX / 2 and shift <= 30:
        shift += 1
        factor *= 2
    if factor >= INT16_MAX + 1:
        raise InvalidModel(
            f"A sigmoid or tanh of int16 in steps of {scale:g} has no integer form.",
            "Steps are below 8/3: calibrate it on real data.",
        )
    return int(factor), shift


def arguments(q: NDArray[Any], multiplier: Multiplier) -> Int64Array:
    """``q`` as thirds: see `thirds_multiplier`."""
    factor, shift = multiplier
    half = (1 << shift) >> 1
    return np.asarray((np.asarray(q, np.int64) * factor + half) >> shift, np.int64)


def rectified(
    q: NDArray[Any],
    positive: Multiplier,
    negative: Multiplier,
    sign: int,
    clamp: tuple[int, int],
) -> Int16Array:
    """clamp(q · positive) for q >= 0, clamp(sign · (q · negative)) below: ReLU, leaky ReLU or q in
    other steps. A ``sign`` of 0 is the magnitude, clamp(-q · negative), which rounds halves as
    above."""
    above = multiply_by_quantized_multiplier(q, *positive)
    if sign == 0:
        below = multiply_by_quantized_multiplier(-np.asarray(q, np.int64), *negative)
    else:
        below = multiply_by_quantized_multiplier(q, *negative) * sign
    result = np.where(np.asarray(q) >= 0, above, below)
    return np.clip(wrap_int32(result), *clamp).astype(np.int16)


# --- Softmax --------------------------------------------------------------------------------------

_STEPS = 512  # of a table over all int16


def _table(
    function: Callable[[NDArray[np.float32]], NDArray[np.float32]], low: float, step: float
) -> Int64Array:
    """513 values of ``function``, 15 bits behind the point, from ``low`` on, 128 steps of an int16
    input apart; moved by half of what a straight line between them is off in the middle. All in
    float32, as TensorFlow Lite makes it."""
    f32 = np.float32
    first = f32(step) * f32(low)
    last = f32(step) * f32(low + 65535)
    width = f32((last - first) / f32(_STEPS))
    per_one = f32(65536) / f32(f32(2 / 65535) * f32(32767) - f32(2 / 65535) * f32(-32768))
    at = first + np.arange(_STEPS + 1, dtype=f32) * width
    here = function(at[:-1])
    middle = function(at[:-1] + width / f32(2))
    behind = function(first + np.arange(1, _STEPS + 1, dtype=f32) * width)
    value = _nearest(here * per_one)
    line = _nearest((behind * per_one + value) / f32(2))
    off = _nearest((line - _nearest(middle * per_one)) / f32(2))
    entries = np.append(value - off, _nearest(function(np.array([last], f32)) * per_one))
    return np.clip(entries, INT16_MIN, INT16_MAX).astype(np.int64)


def _nearest(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Halves away from zero."""
    return np.asarray(np.trunc(x + np.copysign(np.float32(0.5), x)), np.float32)


# exp(x) from -10 to 0, and 1 / (1 + x) from 0 to 1, of -32768..32767.
EXPONENTIALS = _table(np.exp, -65535, 10 / 65535)
RECIPROCALS = _table(lambda x: np.float32(1) / (np.float32(1) + x), 0, 1 / 65535)


def looked_up(q: NDArray[Any], table: Int64Array) -> Int64Array:
    """The value of ``table`` at each int16 of ``q``, linear between its entries."""
    place = (np.asarray(q, np.int64) >> 7) + 256
    below, above = table[place], table[place + 1]
    return np.asarray(below + (((above - below) * (q & 127) + 64) >> 7), np.int64)


def wide_softmax_multiplier(beta: float, scale: float) -> Multiplier:
    """What makes steps of 10/65535 of a difference of two inputs."""
    return quantize_multiplier(float(np.float32(scale)) * beta / (10 / 65535))


def wide_softmax(x: NDArray[Any], multiplier: Multiplier) -> Int16Array:
    """exp(beta x) / Σ exp(beta x) over the last axis, 15 bits behind the point."""
    q = np.asarray(x, np.int64)
    difference = q - q.max(axis=-1, keepdims=True)
    scaled = multiply_by_quantized_multiplier(difference, *multiplier)
    powers = looked_up(np.clip(scaled + INT16_MAX, INT16_MIN, INT16_MAX), EXPONENTIALS)
    total = powers.sum(axis=-1, keepdims=True)
    bits = np.frexp(total.astype(np.float64))[1].astype(np.int64)  # 2^(bits - 1) <= total < 2^bits
    fraction = ((total << (31 - bits)) + (1 << 13)) >> 14  # 1.0 is 2^16
    place = np.clip(fraction - (1 << 15) - (1 << 16), INT16_MIN, INT16_MAX)
    inverse = looked_up(place, RECIPROCALS)
    right = bits - 1
    result = np.clip((powers * inverse + (np.int64(1) << (right - 1))) >> right, 0, INT16_MAX)
    return np.asarray(result, np.int16)
