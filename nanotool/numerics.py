"""The integer arithmetic that the device does, in NumPy: the twin of lib/nano/src/requant.h.

Everything follows TensorFlow Lite's reference kernels as TFLite Micro builds them (double
rounding). Functions take and return arrays (or scalars) of any shape. Values are computed in
int64 and brought back to int32 where the device's registers are 32 bits wide, so that even
arithmetic that wraps does the same here as there; `nanotool.validate` refuses graphs in which an
accumulator could wrap.

Fixed-point notation: "Qm" is an int32 whose binary point stands behind m integer bits, that is
value = raw / 2^(31 - m). Q0 holds [-1, 1).
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel
from nanotool.ir import INT8_MAX, INT8_MIN, FloatArray, Int8Array, Int32Array

Int64Array: TypeAlias = NDArray[np.int64]

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
SHIFT_MIN, SHIFT_MAX = -31, 30  # of a requantization, as in nano_requant

SOFTMAX_SCALE, SOFTMAX_ZERO_POINT = 1 / 256, -128  # of every softmax's output
SOFTMAX_MAX_DEPTH = 8191  # the sum of exponentials, Q12, stays below 2^32
_SOFTMAX_INPUT_BITS = 5  # integer bits of a difference to the maximum: Q5
_SOFTMAX_SUM_BITS = 12  # integer bits of the sum of exponentials: Q12


# --- Rounding -------------------------------------------------------------------------------------


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
    """An int32 accumulator as an int8 output: clamp(zero_point + acc · multiplier, lo, hi).

    ``multiplier`` and ``shift`` are scalars, or arrays that broadcast over the last axis (the
    output channels).
    """
    scaled = multiply_by_quantized_multiplier(acc, multiplier, shift)
    clipped: Int8Array = np.clip(wrap_int32(scaled + zero_point), lo, hi).astype(np.int8)
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


def relu_multiplier(input_scale: float, output_scale: float) -> tuple[int, int]:
    """(multiplier, shift) of a stand-alone ReLU: input / output divided in float32."""
    return quantize_multiplier(float(np.float32(input_scale) / np.float32(output_scale)))


# --- Fixed-point functions (gemmlowp) -------------------------------------------------------------
# Each constant is the real number beside it, in the format that its name or comment states.

_EXP_MINUS_1_8 = 1895147668  # Q0 exp(-1/8)
_ONE_THIRD = 715827883  # Q0 1/3
_48_OVER_17 = 1515870810  # Q2 48/17
_MINUS_32_OVER_17 = -1010580540  # Q2 -32/17
_EXP_OF_MINUS_POT = (  # (exponent e, Q0 exp(-2^e))
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)


def _saturating_shift_left(value: Int64Array, exponent: int) -> Int64Array:
    return np.asarray(np.clip(value << exponent, INT32_MIN, INT32_MAX), np.int64)


def _exp_near_minus_1_8(a: Int64Array) -> Int64Array:
    """Q0 exp(a) for Q0 ``a`` in [-1/4, 0): a Taylor expansion of degree 4 around -1/8."""
    x = a + (1 << 28)
    x2 = doubling_high_multiply(x, x)
    x3 = doubling_high_multiply(x2, x)
    x4_over_4 = rounding_divide_by_pot(doubling_high_multiply(x2, x2), 2)
    tail = doubling_high_multiply(x4_over_4 + x3, _ONE_THIRD) + x2
    series = x + rounding_divide_by_pot(tail, 1)
    return _EXP_MINUS_1_8 + doubling_high_multiply(series, _EXP_MINUS_1_8)


def exp_on_negative_values(a: NDArray[Any], integer_bits: int) -> Int64Array:
    """Q0 exp(a) for Q``integer_bits`` ``a`` <= 0, ``integer_bits`` <= 5.

    The part below 1/4 goes through a polynomial; each further bit of -a multiplies by a constant.
    """
    a = np.asarray(a, np.int64)
    fraction_bits = 31 - integer_bits
    quarter = np.int64(1) << (fraction_bits - 2)
    low = (a & (quarter - 1)) - quarter  # in [-1/4, 0)
    result = _exp_near_minus_1_8(_saturating_shift_left(low, integer_bits))
    remainder = low - a
    for exponent, factor in _EXP_OF_MINUS_POT:
        if exponent < integer_bits:
            bit = (remainder >> (fraction_bits + exponent)) & 1
            result = np.where(bit, doubling_high_multiply(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def _reciprocal_of_half_sum(a: Int64Array) -> Int64Array:
    """Q2 2 / (1 + a) for Q0 ``a`` in [0, 1): Newton-Raphson division, three steps."""
    half_denominator = (a + INT32_MAX + 1) >> 1
    x = _48_OVER_17 + doubling_high_multiply(half_denominator, _MINUS_32_OVER_17)
    for _ in range(3):
        error = (1 << 29) - doubling_high_multiply(half_denominator, x)
        x = x + _saturating_shift_left(doubling_high_multiply(x, error), 2)
    return x


def one_over_one_plus(a: NDArray[Any]) -> Int64Array:
    """Q0 1 / (1 + a) for Q0 ``a`` in [0, 1)."""
    return _saturating_shift_left(_reciprocal_of_half_sum(np.asarray(a, np.int64)), 1)


def logistic(a: NDArray[Any], integer_bits: int) -> Int64Array:
    """Q0 1 / (1 + exp(-a)) for Q``integer_bits`` ``a``."""
    a = np.asarray(a, np.int64)
    positive = one_over_one_plus(exp_on_negative_values(-np.abs(a), integer_bits))
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, INT32_MAX - positive))


def tanh(a: NDArray[Any], integer_bits: int) -> Int64Array:
    """Q0 tanh(a) for Q``integer_bits`` ``a``: (1 - e) / (1 + e), e = exp(-2 |a|)."""
    a = np.asarray(a, np.int64)
    twice = exp_on_negative_values(-np.abs(a), integer_bits + 1)  # the same bits mean 2 a
    magnitude = _saturating_shift_left(_reciprocal_of_half_sum(twice) - (1 << 29), 2)
    return np.where(a == 0, 0, np.where(a < 0, -magnitude, magnitude))


# --- Softmax --------------------------------------------------------------------------------------


def softmax_parameters(beta: float, input_scale: float) -> tuple[int, int, int]:
    """(multiplier, left_shift, diff_min) of nano_softmax_params.

    A difference d <= 0 to the row's maximum becomes Q5 by d · 2^left_shift · multiplier / 2^31.
    Differences below diff_min (-255..0), which Q5 could not hold, count as exp = 0. Raises
    InvalidModel if beta · scale is not above 2^-26.
    """
    real = float(np.float32(beta)) * float(np.float32(input_scale)) * 2.0**26
    real = min(real, 2.0**31 - 1)
    if not real > 1:
        raise InvalidModel(
            f"A softmax with beta · scale = {beta * input_scale:g} has no integer form.",
            "Its input is constant, or its scale is far too small: calibrate it on real data.",
        )
    mantissa, left_shift = math.frexp(real)
    multiplier = round_half_away(mantissa * 2**31)
    if multiplier == 2**31:
        multiplier //= 2
        left_shift += 1
    largest = ((2**_SOFTMAX_INPUT_BITS - 1) << (31 - _SOFTMAX_INPUT_BITS)) >> left_shift
    return multiplier, left_shift, -min(largest, 255)


def softmax(x: Int8Array, multiplier: int, left_shift: int, diff_min: int) -> Int8Array:
    """Softmax over the last axis (at most SOFTMAX_MAX_DEPTH elements), output scale 1/256 and
    zero point -128; the other arguments are those of `softmax_parameters`.

    Where the sum of exponentials reaches 512 every quotient rounds to 0 (TFLite Micro aborts the
    program there).
    """
    diff = x.astype(np.int64) - x.max(axis=-1, keepdims=True).astype(np.int64)
    counts = diff >= diff_min
    scaled = doubling_high_multiply(np.where(counts, diff, 0) << left_shift, multiplier)
    exponential = exp_on_negative_values(scaled, _SOFTMAX_INPUT_BITS)
    terms = np.where(counts, rounding_divide_by_pot(exponential, _SOFTMAX_SUM_BITS), 0)
    total = terms.sum(axis=-1, keepdims=True)
    # total = (1 + fraction) · 2^bits_over_unit, the fraction in Q0.
    leading_zeros = 32 - np.frexp(total.astype(np.float64))[1].astype(np.int64)
    scale = one_over_one_plus((total << leading_zeros) - 2**31)
    bits_over_unit = _SOFTMAX_SUM_BITS - leading_zeros
    quotient = doubling_high_multiply(scale, exponential)
    q = rounding_divide_by_pot(quotient, bits_over_unit + 31 - 8) + INT8_MIN
    clipped: Int8Array = np.where(counts, np.clip(q, INT8_MIN, INT8_MAX), INT8_MIN).astype(np.int8)
    return clipped
