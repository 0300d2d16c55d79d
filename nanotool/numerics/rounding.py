"""Rounding, and bringing an int32 accumulator to int8: the twin of nano/requant.h."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel
from nanotool.ir import INT8_MAX, INT8_MIN, FloatArray, Int8Array, Int32Array

Int64Array: TypeAlias = NDArray[np.int64]
Multiplier: TypeAlias = tuple[int, int]  # (multiplier, shift): multiplier * 2^(shift - 31)

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
SHIFT_MIN, SHIFT_MAX = -31, 30  # of a requantization, as in nano_requant


def round_half_away(value: float) -> int:
    """The nearest integer, halves away from zero (C's round())."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def wrap_int32(value: NDArray[Any]) -> Int64Array:
    """``value`` modulo 2^32 as a signed 32-bit register holds it."""
    return np.asarray(value, np.int64).astype(np.int32).astype(np.int64)


def divide_toward_zero(dividend: NDArray[Any], divisor: NDArray[Any] | int) -> Int64Array:
    """C's integer division; ``divisor`` > 0."""
    magnitude = np.abs(np.asarray(dividend, np.int64)) // divisor
    return np.asarray(np.where(np.asarray(dividend) < 0, -magnitude, magnitude), np.int64)


def rounding_divide_by_pot(value: NDArray[Any], exponent: NDArray[Any] | int) -> Int64Array:
    """``value`` / 2^exponent, halves away from zero; ``exponent`` 0..31."""
    x = np.asarray(value, np.int64)
    mask = (np.int64(1) << np.asarray(exponent, np.int64)) - 1
    threshold = (mask >> 1) + (x < 0)
    return np.asarray((x >> exponent) + ((x & mask) > threshold), np.int64)


def doubling_high_multiply(a: NDArray[Any], b: NDArray[Any] | int) -> Int64Array:
    """a · b / 2^31 of two int32, halves toward plus infinity; saturates INT32_MIN².

    gemmlowp's SaturatingRoundingDoublingHighMul. Its nudge of 1 - 2^30 for negative products,
    followed by a division that truncates, is the same as adding 2^30 and shifting right.
    """
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    return np.asarray(np.minimum((product + (1 << 30)) >> 31, INT32_MAX), np.int64)


# --- Requantization -------------------------------------------------------------------------------


def quantize_multiplier(real: float) -> tuple[int, int]:
    """``real`` as (multiplier, shift): real ≈ multiplier · 2^(shift - 31), TFLite's
    QuantizeMultiplier.

    The multiplier is in [2^30, 2^31), or 0 when ``real`` is 0 or so small (below 2^-32) that
    every int32 times it rounds to 0. The shift is in [-31, 30]. Raises InvalidModel for a
    negative or non-finite ``real`` and from 2^30 on.
    """
    if not (real >= 0 and math.isfinite(real)):
        raise InvalidModel(f"A requantization by {real} is impossible.", "Check the scales.")
    mantissa, shift = math.frexp(real)
    multiplier = round_half_away(mantissa * 2**31)
    if multiplier == 2**31:
        multiplier //= 2
        shift += 1
    if multiplier == 0 or shift < SHIFT_MIN:
        return 0, 0
    if shift > SHIFT_MAX:
        raise InvalidModel(
            f"A requantization by {real:g} does not fit the integer kernels (below 2^30).",
            "The output's scale is far too small for its input: calibrate it on real data.",
        )
    return multiplier, shift


def multiply_by_quantized_multiplier(
    value: NDArray[Any], multiplier: NDArray[Any] | int, shift: NDArray[Any] | int
) -> Int64Array:
    """``value`` · multiplier · 2^(shift - 31) in int32 with TFLite's two roundings.

    round(round(value · 2^left · multiplier / 2^31) / 2^right), where shift = left if positive,
    -right if negative. The left shift wraps at 32 bits. The arguments broadcast.
    """
    shift = np.asarray(shift, np.int64)
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    shifted = wrap_int32(np.asarray(value, np.int64) << left)
    return rounding_divide_by_pot(doubling_high_multiply(shifted, multiplier), right)


def requantize(  # noqa: PLR0917  (the order of the formula, as in C)
    acc: NDArray[Any],
    multiplier: NDArray[Any] | int,
    shift: NDArray[Any] | int,
    zero_point: int,
    lo: int = INT8_MIN,
    hi: int = INT8_MAX,
) -> Int8Array:
    """An int32 accumulator as an output: clamp(zero_point + acc · multiplier, lo, hi), int8, or
    int16 where lo..hi reaches beyond it.

    ``multiplier`` and ``shift`` are scalars, or arrays that broadcast over the last axis (the
    output channels).
    """
    scaled = multiply_by_quantized_multiplier(acc, multiplier, shift)
    dtype = np.int8 if lo >= INT8_MIN and hi <= INT8_MAX else np.int16
    clipped: Int8Array = np.clip(wrap_int32(scaled + zero_point), lo, hi).astype(dtype)
    return clipped


def _quantize_multipliers(real: list[float]) -> tuple[Int32Array, Int8Array]:
    pairs = [quantize_multiplier(value) for value in real]
    return (
        np.array([multiplier for multiplier, _ in pairs], np.int32),
        np.array([shift for _, shift in pairs], np.int8),
    )


def conv_multipliers(
    input_scale: float, weight_scale: FloatArray, output_scale: float
) -> tuple[Int32Array, Int8Array]:
    """(multiplier, shift) of a convolution: one each, or one per output channel.

    input · weight / output in double precision, from float32 scales.
    """
    scales = np.asarray(weight_scale, np.float32).astype(np.float64)
    ratio = float(np.float32(input_scale)) * scales / float(np.float32(output_scale))
    return _quantize_multipliers(ratio.tolist())


def dense_multipliers(
    input_scale: float, weight_scale: FloatArray, output_scale: float
) -> tuple[Int32Array, Int8Array]:
    """(multiplier, shift) of a dense layer: one each, or one per output feature.

    The same rule as a convolution's. It has a name of its own because it is the kernel's to
    choose: TensorFlow Lite's sources multiply the two scales in float32 where there is a single
    weight scale, but the released TFLite Micro does not (tests/python/test_numerics.py asks it).
    """
    return conv_multipliers(input_scale, weight_scale, output_scale)
