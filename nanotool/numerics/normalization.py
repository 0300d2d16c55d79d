"""Softmax and log-softmax over the last axis, in fixed point."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel
from nanotool.ir import INT8_MAX, INT8_MIN, Int8Array
from nanotool.numerics.fixed_point import (
    exp_on_negative_values,
    leading_zeros,
    log_of_at_least_1,
    one_over_one_plus,
)
from nanotool.numerics.rounding import (
    Int64Array,
    Multiplier,
    doubling_high_multiply,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    round_half_away,
    rounding_divide_by_pot,
)

SOFTMAX_SCALE, SOFTMAX_ZERO_POINT = 1 / 256, -128  # of every softmax's output
SOFTMAX_INT16_OUTPUT = (1 / 65536, -32768)  # scale (about) and zero point of one in int16
SOFTMAX_MAX_DEPTH = 8191  # the sum of exponentials, Q12, stays below 2^32
LOG_SOFTMAX_SCALE, LOG_SOFTMAX_ZERO_POINT = 1 / 16, 127  # of every log-softmax's output
LOG_SOFTMAX_MAX_DEPTH = 4095  # the sum of exponentials, Q12, stays below 2^31
_SOFTMAX_INPUT_BITS = 5  # integer bits of a difference to the maximum: Q5
_SOFTMAX_SUM_BITS = 12  # integer bits of the sum of exponentials: Q12


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


def softmax(
    x: Int8Array, multiplier: int, left_shift: int, diff_min: int, bits: int = 8
) -> NDArray[Any]:
    """Softmax over the last axis (at most SOFTMAX_MAX_DEPTH elements), output scale 1/256 and
    zero point -128, or with ``bits`` 16 those of SOFTMAX_INT16_OUTPUT; the other arguments are
    those of `softmax_parameters`.

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
    zeros = leading_zeros(total)
    scale = one_over_one_plus((total << zeros) - 2**31)
    bits_over_unit = _SOFTMAX_SUM_BITS - zeros
    quotient = doubling_high_multiply(scale, exponential)
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    q = rounding_divide_by_pot(quotient, bits_over_unit + 31 - bits) + low
    clipped = np.where(counts, np.clip(q, low, high), low)
    return clipped.astype(np.int8 if bits == 8 else np.int16)


@dataclass(frozen=True, slots=True)
class LogSoftmaxParameters:
    """Of nano_log_softmax: `softmax_parameters` for beta = 1, and the way back from Q5 to input
    units."""

    multiplier: int
    left_shift: int
    diff_min: int
    reverse: Multiplier


def log_softmax_parameters(input_scale: float) -> LogSoftmaxParameters:
    """Raises InvalidModel if the scale is not above 2^-26."""
    multiplier, left_shift, diff_min = softmax_parameters(1.0, input_scale)
    reverse = quantize_multiplier(2.0 ** (31 - left_shift) / multiplier)
    return LogSoftmaxParameters(multiplier, left_shift, diff_min, reverse)


def log_softmax(x: Int8Array, parameters: LogSoftmaxParameters) -> Int8Array:
    """Log-softmax over the last axis (at most LOG_SOFTMAX_MAX_DEPTH elements), output scale 1/16
    and zero point 127.

    Differences so far below the maximum that input units hold no such output give -128.
    """
    diff = x.astype(np.int64) - x.max(axis=-1, keepdims=True).astype(np.int64)
    counts = diff >= parameters.diff_min
    scaled = multiply_by_quantized_multiplier(
        np.where(counts, diff, 0), parameters.multiplier, parameters.left_shift
    )
    exponential = exp_on_negative_values(scaled, _SOFTMAX_INPUT_BITS)
    terms = np.where(counts, rounding_divide_by_pot(exponential, _SOFTMAX_SUM_BITS), 0)
    log_of_sum = log_of_at_least_1(terms.sum(axis=-1, keepdims=True))
    lowest = multiply_by_quantized_multiplier(log_of_sum - 2**31, *parameters.reverse)
    visible = diff > np.maximum(parameters.diff_min - 1, lowest)
    q = rounding_divide_by_pot(scaled - log_of_sum, 31 - _SOFTMAX_INPUT_BITS - 4) + INT8_MAX
    clipped: Int8Array = np.where(visible, np.clip(q, INT8_MIN, INT8_MAX), INT8_MIN).astype(np.int8)
    return clipped


# --- Layer norm, group norm -----------------------------------------------------------------------

NORMALIZED_BITS = 12  # behind the point of a normalized element
NORMALIZED_SCALE = 2.0**-NORMALIZED_BITS
NORMALIZED_MOST = 2**16 - 1  # elements that share a mean: none is beyond 2^8 standard deviations
_EPSILON_MOST = 2**59


def normalization_epsilon(epsilon: float, scale: float, count: int) -> int:
    """What is added to n² · variance in steps of ``scale``, of n = ``count`` elements."""
    return min(round(epsilon * count**2 / scale**2), _EPSILON_MOST)


def _rounded_root(x: NDArray[np.uint64]) -> Int64Array:
    """The square root of numbers below 2^60, rounded."""
    one = np.uint64(1)
    root = np.sqrt(x.astype(np.float64)).astype(np.uint64)
    root = np.where(root * root > x, root - one, root)
    root = np.where((root + one) * (root + one) <= x, root + one, root)
    return (root + (x - root * root > root)).astype(np.int64)


def inverse_deviation(square: NDArray[Any]) -> tuple[Int64Array, Int64Array]:
    """(inverse, shift): 2^12 / sqrt(square) = inverse · 2^(shift - 31), for 0 <= square < 2^60; of
    0 as of 1. By the square root with 30 bits, and its reciprocal by Newton-Raphson."""
    x = np.maximum(np.asarray(square, np.int64), 1)
    bits = np.frexp(x.astype(np.float64))[1].astype(np.int64)
    bits = np.where(x >> np.minimum(bits - 1, 62) == 0, bits - 1, bits)  # float64 rounded up
    pairs = (60 - bits) // 2  # to the left, so that the top one or two bits are not 0
    root = np.minimum(_rounded_root((x << (2 * pairs)).astype(np.uint64)), (1 << 30) - 1)
    return one_over_one_plus((root << 2) - (1 << 31)), pairs - 17


def normalize(centered: NDArray[Any], square: NDArray[Any]) -> Int64Array:
    """centered / sqrt(square) with 12 bits behind the point: n · (x - mean) and n² · variance."""
    inverse, shift = inverse_deviation(square)
    return multiply_by_quantized_multiplier(centered, inverse, shift)
