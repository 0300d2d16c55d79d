"""Transcendental functions in fixed point, as gemmlowp and TensorFlow Lite compute them.

"Qm" is an int32 whose binary point stands behind m integer bits: value = raw / 2^(31 - m). Q0
holds [-1, 1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.numerics.rounding import (
    INT32_MAX,
    INT32_MIN,
    Int64Array,
    Multiplier,
    divide_toward_zero,
    doubling_high_multiply,
    rounding_divide_by_pot,
    wrap_int32,
)

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
_LOG_2 = 1488522236  # Q0 log(2)
_SQRT_HALF = 1518500250  # Q0 2^(-1/2)
_ROOT4_HALF = 1805811301  # Q0 2^(-1/4)
_LOG_CENTER_D = 1057819769  # Q0 2 · 2^(-1/4) - 2^(1/4)
_LOG_D = 127690142  # Q0 2^(1/4) / 20
_LOG_F = 638450708  # Q0 2^(1/4) / 4
_LOG_N = 117049297  # Q0 11/240 · 2^(1/4)


def _saturating_shift_left(value: Int64Array, exponent: NDArray[Any] | int) -> Int64Array:
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


def leading_zeros(value: NDArray[Any]) -> Int64Array:
    """Leading zero bits of positive 32-bit integers."""
    return 32 - np.frexp(np.asarray(value, np.float64))[1].astype(np.int64)


def _saturate(value: Int64Array) -> Int64Array:
    return np.asarray(np.clip(value, INT32_MIN, INT32_MAX), np.int64)


def log_of_at_least_1(a: NDArray[Any]) -> Int64Array:
    """Q5 log(a) for Q12 ``a`` >= 1.

    a = 2^k · r with r about 2^(-1/4), k a multiple of 1/2; log(a) = k log 2 + a rational function
    of r's distance to 2^(-1/4). Of the two ways to split (as it is, or times 2^(-1/2) first) the
    one with the smaller r counts. TensorFlow Lite's log_x_for_x_greater_than_or_equal_to_1.
    """
    a = np.asarray(a, np.int64)
    quarter = 1 << 23  # 1/4 in Q6, in which k is kept
    zeros = leading_zeros(a)
    shifted = doubling_high_multiply(_saturating_shift_left(a, zeros - 1), _SQRT_HALF)
    r_a = _saturating_shift_left(shifted, 1)
    k_a = _saturate(_saturating_shift_left(12 - zeros, 25) + quarter)
    room = leading_zeros(doubling_high_multiply(a, _SQRT_HALF)) - 1
    r_b = _saturating_shift_left(a, room)
    k_b = _saturate(_saturating_shift_left(12 - room, 25) - quarter)
    k = doubling_high_multiply(np.maximum(k_a, k_b), _LOG_2)
    fraction = _log_fraction(np.minimum(r_a, r_b))
    return _saturating_shift_left(wrap_int32(k + fraction), 1)


def _log_fraction(r: Int64Array) -> Int64Array:
    """Q6 log(r · 2^(1/4)) for Q0 ``r`` about 2^(-1/4)."""
    total = r + _ROOT4_HALF
    half_sum = divide_toward_zero(total + np.where(total >= 0, 1, -1), 2)
    q = wrap_int32(2 * (r - _ROOT4_HALF))
    square = doubling_high_multiply(q, q)
    cubic = doubling_high_multiply(doubling_high_multiply(q, square), _LOG_N)
    numerator = wrap_int32(doubling_high_multiply(q, r) + cubic)
    inner = wrap_int32(_LOG_CENTER_D + q + doubling_high_multiply(square, _LOG_D))
    denominator = wrap_int32(
        doubling_high_multiply(half_sum, inner) + doubling_high_multiply(q, _LOG_F)
    )
    reciprocal = one_over_one_plus(denominator)
    return doubling_high_multiply(rounding_divide_by_pot(numerator, 6), reciprocal)


def inverse_square_root(value: int) -> Multiplier:
    """(multiplier, shift) of 1 / sqrt(value), 1 <= ``value`` < 2^27: five Newton-Raphson steps from
    1, in Q3; 1 itself gives the number below 1. TensorFlow Lite's GetInvSqrtQuantizedMultiplierExp.
    """
    if value <= 1:
        return INT32_MAX, 0
    pairs = (int(leading_zeros(np.array(value))) - 1) // 2 - 1  # bits to shift left, in pairs
    half = rounding_divide_by_pot(np.array((value << 2 * pairs) >> 1), 1)
    x = np.array(1 << 28, np.int64)
    for _ in range(5):
        cube = doubling_high_multiply(doubling_high_multiply(x, x), x)
        cube = _saturating_shift_left(cube, 6)
        step = doubling_high_multiply(x, 3 << 27) - doubling_high_multiply(cube, half)
        x = _saturating_shift_left(wrap_int32(step), 3)
    multiplier, right = int(doubling_high_multiply(x, _SQRT_HALF)), 11 - pairs
    return (multiplier, -right) if right >= 0 else (multiplier << -right, 0)
