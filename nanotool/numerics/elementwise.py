"""Element-wise arithmetic on int8: sums, products, PReLU; and the mean, which shares their form.

The C kernels do the same with the multipliers that the ``..._parameters`` functions compute.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel
from nanotool.ir import INT8_MAX, INT8_MIN, Int8Array
from nanotool.numerics.fixed_point import leading_zeros, one_over_one_plus
from nanotool.numerics.rounding import (
    Multiplier,
    doubling_high_multiply,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    requantize,
    rounding_divide_by_pot,
    wrap_int32,
)

ADD_LEFT_SHIFT = 20  # the inputs of a sum get this many bits behind the point
MEAN_MAX_COUNT = 2**23  # elements; their sum stays within int32
Clamp = tuple[int, int]


def _float32(*scales: float) -> list[float]:
    """The scales as the float32 numbers that a model file holds, in double precision."""
    return [float(np.float32(scale)) for scale in scales]


# --- Add, subtract --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddParameters:
    """Of nano_add: both inputs go to a common scale, twice the larger one, then to the output's."""

    input1: Multiplier  # shift <= 0, as all three
    input2: Multiplier
    output: Multiplier
    bits: int = field(default=ADD_LEFT_SHIFT, kw_only=True)  # that the inputs get behind the point


def _shrinking(real: float) -> Multiplier:
    """`quantize_multiplier` of a factor below 1; InvalidModel for others."""
    multiplier, shift = quantize_multiplier(real)
    if shift > 0:
        raise InvalidModel(
            f"A sum cannot be scaled up by {real:g}: its output's scale is too fine.",
            "Calibrate it on real data.",
        )
    return multiplier, shift


def add_parameters(
    scale1: float, scale2: float, output_scale: float, *, bits: int = ADD_LEFT_SHIFT
) -> AddParameters:
    """Multipliers of an addition or subtraction, from float32 scales in double precision."""
    first, second, output = _float32(scale1, scale2, output_scale)
    twice = 2 * max(first, second)
    return AddParameters(
        _shrinking(first / twice),
        _shrinking(second / twice),
        _shrinking(twice / (2**bits * output)),
        bits=bits,
    )


def add(
    difference1: NDArray[Any],
    difference2: NDArray[Any],
    parameters: AddParameters,
    zero_point: int,
    clamp: Clamp = (INT8_MIN, INT8_MAX),
    *,
    subtract: bool = False,
) -> Int8Array:
    """Sum, or difference, of two inputs less their zero points, as the output's integers."""
    first, second = (
        multiply_by_quantized_multiplier(np.asarray(q, np.int64) << parameters.bits, *multiplier)
        for q, multiplier in (
            (difference1, parameters.input1),
            (difference2, parameters.input2),
        )
    )
    total = first - second if subtract else first + second
    return requantize(total, *parameters.output, zero_point, *clamp)


# --- Squared difference ---------------------------------------------------------------------------

SQUARED_DIFFERENCE_LEFT_SHIFT = 7


def squared_difference_parameters(
    scale1: float, scale2: float, output_scale: float
) -> AddParameters:
    """Of a squared difference: both inputs go to twice the larger scale, the square of their
    difference to the output's."""
    first, second, output = _float32(scale1, scale2, output_scale)
    twice = 2 * max(first, second)
    return AddParameters(
        _shrinking(first / twice),
        _shrinking(second / twice),
        _shrinking(twice * twice / (2 ** (2 * SQUARED_DIFFERENCE_LEFT_SHIFT) * output)),
    )


def squared_difference(
    difference1: NDArray[Any],
    difference2: NDArray[Any],
    parameters: AddParameters,
    zero_point: int,
    clamp: Clamp = (INT8_MIN, INT8_MAX),
) -> Int8Array:
    """(a - b)² of two inputs less their zero points, as the output's int8."""
    first, second = (
        multiply_by_quantized_multiplier(
            np.asarray(q, np.int64) << SQUARED_DIFFERENCE_LEFT_SHIFT, *multiplier
        )
        for q, multiplier in (
            (difference1, parameters.input1),
            (difference2, parameters.input2),
        )
    )
    return requantize((first - second) ** 2, *parameters.output, zero_point, *clamp)


# --- Comparisons ----------------------------------------------------------------------------------

COMPARE_LEFT_SHIFT = 8
# What a comparison answers where its first operand is less, equal, greater.
COMPARISONS: dict[str, tuple[int, int, int]] = {
    "equal": (0, 1, 0),
    "not_equal": (1, 0, 1),
    "greater": (0, 0, 1),
    "greater_equal": (0, 1, 1),
}


def compare_multipliers(scale1: float, scale2: float) -> tuple[Multiplier, Multiplier]:
    """Of both operands, their scales as they are; a power of two less where one is 1 or more, which
    TensorFlow Lite does not take."""
    scales = _float32(scale1, scale2)
    larger = max(0, math.frexp(max(scales))[1])
    first, second = (quantize_multiplier(scale / 2.0**larger) for scale in scales)
    return first, second


def compare(
    difference1: NDArray[Any],
    difference2: NDArray[Any],
    multipliers: tuple[Multiplier, Multiplier],
) -> NDArray[np.int64]:
    """The sign of a - b for two inputs less their zero points: -1, 0 or 1."""
    first, second = (
        multiply_by_quantized_multiplier(np.asarray(q, np.int64) << COMPARE_LEFT_SHIFT, *multiplier)
        for q, multiplier in zip((difference1, difference2), multipliers, strict=True)
    )
    return np.asarray(np.sign(first - second), np.int64)


# --- Multiply -------------------------------------------------------------------------------------


def mul_multiplier(scale1: float, scale2: float, output_scale: float) -> Multiplier:
    """(multiplier, shift) of a product: scale1 · scale2 / output in double precision."""
    first, second, output = _float32(scale1, scale2, output_scale)
    return quantize_multiplier(first * second / output)


# --- PReLU ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PReluParameters:
    """Of nano_prelu."""

    positive: Multiplier  # where input >= zero point
    negative: Multiplier  # of the product with alpha, elsewhere


def prelu_parameters(
    input_scale: float, alpha_scale: float, output_scale: float
) -> PReluParameters:
    """Multipliers of a PReLU: input / output and input · alpha / output in double precision."""
    source, alpha, output = _float32(input_scale, alpha_scale, output_scale)
    return PReluParameters(
        quantize_multiplier(source / output), quantize_multiplier(source * alpha / output)
    )


def prelu(
    difference: NDArray[Any],
    alpha_difference: NDArray[Any],
    parameters: PReluParameters,
    zero_point: int,
    clamp: Clamp = (INT8_MIN, INT8_MAX),
) -> Int8Array:
    """PReLU of an input and its slopes, both less their zero points."""
    x = np.asarray(difference, np.int64)
    positive = requantize(x, *parameters.positive, zero_point, *clamp)
    negative = requantize(x * alpha_difference, *parameters.negative, zero_point, *clamp)
    result: Int8Array = np.where(x >= 0, positive, negative)
    return result


# --- Division -------------------------------------------------------------------------------------

DIV_SHIFT_MAX = 23  # beyond it TensorFlow Lite would shift to the wrong side


def div_multiplier(input1_scale: float, input2_scale: float, output_scale: float) -> Multiplier:
    """Of a quotient: input1 / (input2 · output) in double precision. InvalidModel where the
    quotient of two steps would be 2^23 steps of the output and more."""
    scale1, scale2, output = _float32(input1_scale, input2_scale, output_scale)
    multiplier, shift = quantize_multiplier(scale1 / (scale2 * output))
    if shift > DIV_SHIFT_MAX:
        raise InvalidModel(
            f"An output scale of {output_scale:g} is too fine for a quotient of scales "
            f"{input1_scale:g} and {input2_scale:g}.",
            "Calibrate it on real data.",
        )
    return multiplier, shift


def div(
    difference1: NDArray[Any],
    difference2: NDArray[Any],
    multiplier: Multiplier,
    zero_point: int,
    clamp: Clamp = (INT8_MIN, INT8_MAX),
) -> Int8Array:
    """The quotient of two inputs, both less their zero points; a divisor of 0 counts as 1.

    The divisor's reciprocal as a fraction of 31 bits times the dividend, shifted to the left as far
    as it goes; then the multiplier. TensorFlow Lite's DivElementwise.
    """
    a, b = np.broadcast_arrays(np.asarray(difference1, np.int64), np.asarray(difference2, np.int64))
    b = np.where(b == 0, 1, b)
    a, b = np.where(b < 0, -a, a), np.abs(b)
    zeros = leading_zeros(b)
    reciprocal = one_over_one_plus((b << zeros) - (1 << 31))
    # Leading bits like the sign's, less one.
    room = leading_zeros(np.maximum(np.where(a < 0, 2 * -a - 1, a), 1)) - np.where(a < 0, 0, 1)
    quotient = doubling_high_multiply(a << room, reciprocal)
    right = (31 - zeros) + room - multiplier[1]
    scaled = doubling_high_multiply(quotient, multiplier[0])
    shifted = np.where(right > 31, 0, rounding_divide_by_pot(scaled, np.minimum(right, 31)))
    shifted = np.where(a == 0, 0, shifted)
    clipped: Int8Array = np.clip(shifted + zero_point, *clamp).astype(np.int8)
    return clipped


# --- Mean -----------------------------------------------------------------------------------------


def mean_multiplier(input_scale: float, output_scale: float, count: int) -> Multiplier:
    """(multiplier, shift) that turn a sum of ``count`` differences into a mean in output units.

    The division by ``count`` goes into the multiplier, which may then be less than 2^30: it is
    multiplier · 2^k / count, cut off, for the largest k with 2^k <= count (and no shift < -31).
    """
    source, output = _float32(input_scale, output_scale)
    multiplier, shift = quantize_multiplier(source / output)
    bits = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << bits) // count, shift - bits


def mean(
    total: NDArray[Any],
    count: int,
    multiplier: Multiplier,
    zero_points: tuple[int, int],
    clamp: Clamp = (INT8_MIN, INT8_MAX),
) -> Int8Array:
    """The mean of ``count`` inputs that add up to ``total``; (input's, output's) zero points."""
    acc = wrap_int32(np.asarray(total, np.int64) - count * zero_points[0])
    return requantize(acc, *multiplier, zero_points[1], *clamp)
