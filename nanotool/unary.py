"""Element-wise functions of one int8 input, as tables of 256 bytes.

A function is known by its name, in `FUNCTIONS`, and by what it does to real numbers. Its table
follows the integer kernel that TFLite Micro has for it, so that the bytes are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.errors import InvalidModel
from nanotool.ir import INT8_MAX, INT8_MIN, Int8Array, QTensor

RealFunction: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]
TableMaker: TypeAlias = Callable[[QTensor, QTensor], "NDArray[np.int64]"]

INPUTS = np.arange(INT8_MIN, INT8_MAX + 1, dtype=np.int64)
_INPUT_BITS = 4  # sigmoid and tanh see their input as Q4: [-16, 16)


@dataclass(frozen=True, slots=True)
class UnaryFunction:
    """One entry of `FUNCTIONS`."""

    name: str
    real: RealFunction  # the function itself, on float64 arrays
    values: TableMaker  # (input, output) -> the 256 outputs, not yet clamped to int8
    fixed_output: tuple[float, int] | None = None  # (scale, zero point) if they are prescribed


def quantized_bound(bound: float, tensor: QTensor) -> int:
    """A clamp's ``bound`` in units of ``tensor``, within int8; ±inf is the end of the range.

    zero point + round(bound / scale), the quotient in float32 as TFLite has it.
    """
    if math.isinf(bound):
        return INT8_MIN if bound < 0 else INT8_MAX
    quotient = float(np.float32(bound) / np.float32(tensor.scale))
    limited = max(-1024.0, min(1024.0, quotient))
    return max(INT8_MIN, min(INT8_MAX, tensor.zero_point + numerics.round_half_away(limited)))


def _clamp(low: float, high: float) -> TableMaker:
    """Requantize, then clamp to [low, high] in output units: TFLite's stand-alone ReLU family."""

    def values(source: QTensor, target: QTensor) -> NDArray[np.int64]:
        multiplier, shift = numerics.relu_multiplier(source.scale, target.scale)
        return numerics.requantize(
            INPUTS - source.zero_point,
            multiplier,
            shift,
            target.zero_point,
            quantized_bound(low, target),
            quantized_bound(high, target),
        ).astype(np.int64)

    return values


def _identity(source: QTensor, target: QTensor) -> NDArray[np.int64]:
    """The same real number under another scale and zero point: TFLite's QUANTIZE on int8."""
    multiplier, shift = numerics.quantize_multiplier(source.scale / target.scale)
    return numerics.requantize(
        INPUTS - source.zero_point, multiplier, shift, target.zero_point
    ).astype(np.int64)


def _saturating_q4(
    function: Callable[[NDArray[np.int64], int], NDArray[np.int64]], output_bits: int, offset: int
) -> TableMaker:
    """Sigmoid and tanh: the input as Q4, the Q0 result rounded to ``output_bits`` bits.

    Inputs at or beyond the radius, where Q4 ends, saturate. With scales from 8 on the radius
    is 0, so that the real 0 saturates too, to -128: TFLite Micro does it, and so do we.
    """

    def values(source: QTensor, _target: QTensor) -> NDArray[np.int64]:
        q = INPUTS - source.zero_point
        real = source.scale * 2.0 ** (31 - _INPUT_BITS)
        _, exponent = math.frexp(real)
        radius = math.floor(min(15 * 2.0 ** (31 - _INPUT_BITS - exponent), 256))
        # From 2^29 on the radius is at most 1: no input but 0 is multiplied.
        multiplier, shift = numerics.quantize_multiplier(min(real, 2.0**29))
        inside = np.abs(q) < radius
        x = numerics.multiply_by_quantized_multiplier(np.where(inside, q, 0), multiplier, shift)
        y = numerics.rounding_divide_by_pot(function(x, _INPUT_BITS), 31 - output_bits) + offset
        saturated = np.where(q <= -radius, INT8_MIN, INT8_MAX)
        return np.where(inside, y, saturated)

    return values


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


FUNCTIONS: dict[str, UnaryFunction] = {
    function.name: function
    for function in (
        UnaryFunction(
            "sigmoid", _sigmoid, _saturating_q4(numerics.logistic, 8, -128), (1 / 256, -128)
        ),
        UnaryFunction("tanh", np.tanh, _saturating_q4(numerics.tanh, 7, 0), (1 / 128, 0)),
        UnaryFunction("relu", lambda x: np.maximum(x, 0), _clamp(0, math.inf)),
        UnaryFunction("relu6", lambda x: np.clip(x, 0, 6), _clamp(0, 6)),
        UnaryFunction("identity", lambda x: x, _identity),
    )
}


def definition(function: str) -> UnaryFunction:
    """The entry of `FUNCTIONS`; InvalidModel if there is none."""
    try:
        return FUNCTIONS[function]
    except KeyError:
        raise InvalidModel(
            f"There is no unary function named {function!r}.",
            f"Known are: {', '.join(sorted(FUNCTIONS))}.",
        ) from None


def fixed_output(function: str) -> tuple[float, int] | None:
    """The (scale, zero point) that the output of ``function`` must have; None if it is free."""
    return definition(function).fixed_output


def table(
    function: str,
    source: QTensor,
    target: QTensor,
    clamp: tuple[int, int] = (INT8_MIN, INT8_MAX),
) -> Int8Array:
    """int8[256]: entry i is the output for the input i - 128, clamped to ``clamp``.

    Raises InvalidModel if ``target`` has not the scale and zero point that `fixed_output` asks.
    """
    entry = definition(function)
    quantization = (target.scale, target.zero_point)
    if entry.fixed_output is not None and quantization != entry.fixed_output:
        scale, zero_point = entry.fixed_output
        raise InvalidModel(
            f"Tensor {target.name}: scale {target.scale:g}, zero point {target.zero_point}.",
            f"The output of {function} has scale {scale:g} and zero point {zero_point}.",
        )
    low, high = max(clamp[0], INT8_MIN), min(clamp[1], INT8_MAX)
    clipped: Int8Array = np.clip(entry.values(source, target), low, high).astype(np.int8)
    return clipped
