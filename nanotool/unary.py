"""Element-wise functions of one int8 input, as tables of 256 bytes.

A function is known by its name, a key of `FUNCTIONS`, or, where it takes a parameter, by a key of
`FAMILIES` with the parameter behind a colon: "leaky_relu:0.01". Its table follows the integer
kernel that TFLite Micro has for it, so that the bytes are the same; where TFLite Micro has none
(`UnaryFunction.in_tflm` is False) an entry is the nearest int8 to the function's real value.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool import numerics
from nanotool.errors import InvalidModel
from nanotool.ir import INT8_MAX, INT8_MIN, Int8Array, QTensor, unclamped

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
    in_tflm: bool = True  # TFLite Micro has an int8 kernel, whose formula `values` is


# Outside of these inputs the function's int8 output stays what it is at their end, so the range of
# a tensor that only such functions read need not cover more. sigmoid(-6.24) is half of 1/256 and
# sigmoid(5.14) rounds to 255/256; tanh(-3.12) rounds to -128/128 and tanh(2.57) to 127/128.
USEFUL_INPUT: Mapping[str, tuple[float, float]] = {
    "sigmoid": (-6.3, 5.2),
    "tanh": (-3.2, 2.6),
    "hard_sigmoid": (-3.0, 3.0),
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
}


# Functions that have a form for int16, beside leaky ReLUs; those whose result lies within -1..1.
IN_INT16 = ("abs", "identity", "relu", "relu6", "sigmoid", "tanh")
UNIT_IN_INT16 = ("sigmoid", "tanh")


def in_int16(function: str) -> bool:
    """Whether ``function`` has a form for int16."""
    return function in IN_INT16 or function.partition(":")[0] == "leaky_relu"


def quantized_bound(bound: float, tensor: QTensor) -> int:
    """A clamp's ``bound`` in units of ``tensor``, within its type; ±inf is the end of the range.

    zero point + round(bound / scale), the quotient in float32 as TFLite has it.
    """
    least, most = unclamped(tensor.dtype)
    if math.isinf(bound):
        return least if bound < 0 else most
    with np.errstate(over="ignore"):  # beyond float32 is beyond int16
        quotient = float(np.float32(bound) / np.float32(tensor.scale))
    limited = max(-(2.0**17), min(2.0**17, quotient))
    return max(least, min(most, tensor.zero_point + numerics.round_half_away(limited)))


def _clamp(low: float, high: float) -> TableMaker:
    """Requantize, then clamp to [low, high] in output units: TFLite's stand-alone ReLU family."""

    def values(source: QTensor, target: QTensor) -> NDArray[np.int64]:
        multiplier, shift = numerics.quantize_multiplier(source.scale / target.scale)
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


def named(family: str, parameter: float) -> str:
    """The name of the function of ``family``, a key of `FAMILIES`, with a float32 ``parameter``."""
    return f"{family}:{np.float32(parameter)!s}"


def _leaky_relu(slope: float) -> UnaryFunction:
    """x, or slope · x where x < 0: two multipliers."""

    def values(source: QTensor, target: QTensor) -> NDArray[np.int64]:
        q = INPUTS - source.zero_point
        below = source.scale * float(np.float32(slope)) / target.scale
        above = numerics.quantize_multiplier(source.scale / target.scale)
        negative = numerics.multiply_by_quantized_multiplier(
            q, *numerics.quantize_multiplier(abs(below))
        )
        positive = numerics.multiply_by_quantized_multiplier(q, *above)
        chosen = np.where(q >= 0, positive, -negative if below < 0 else negative)
        return numerics.wrap_int32(chosen + target.zero_point)

    return UnaryFunction(
        named("leaky_relu", slope),
        lambda x: np.where(x > 0, x, float(np.float32(slope)) * x),
        values,
    )


def _absolute(source: QTensor, target: QTensor) -> NDArray[np.int64]:
    """|q - zero point|, requantized."""
    multiplier = numerics.quantize_multiplier(source.scale / target.scale)
    magnitude = np.abs(INPUTS - source.zero_point)
    scaled = numerics.multiply_by_quantized_multiplier(magnitude, *multiplier)
    return numerics.wrap_int32(scaled + target.zero_point)


@functools.cache
def _inverse_roots() -> NDArray[np.int64]:
    """1 / sqrt(d) for d = 0..255, 20 bits behind the point; 0 for d = 0."""
    inverses = [numerics.inverse_square_root(d) for d in range(1, 256)]
    multiplier, shift = np.array(inverses, np.int64).T
    roots = numerics.multiply_by_quantized_multiplier(np.ones(255), multiplier, shift + 20)
    return np.concatenate(([0], roots))


def _rsqrt(source: QTensor, target: QTensor) -> NDArray[np.int64]:
    """1 / sqrt(q - zero point) with 20 bits behind the point, times 1 / (sqrt(scale) · output's).

    127 where the input is 0 or negative (TFLite Micro gives an error for negative ones).
    """
    multiplier, shift = numerics.quantize_multiplier(1 / (math.sqrt(source.scale) * target.scale))
    q = INPUTS - source.zero_point
    roots = _inverse_roots()[np.maximum(q, 0)]
    scaled = numerics.multiply_by_quantized_multiplier(roots, multiplier, shift - 20)
    return np.where(q > 0, scaled + target.zero_point, INT8_MAX)


# --- Hard-swish: TFLite Micro computes it in 16 bits ----------------------------------------------

_INT16_MIN, _INT16_MAX = -(2**15), 2**15 - 1


def _multiplier16(real: float) -> tuple[int, int]:
    """`numerics.quantize_multiplier` with a multiplier of 16 bits."""
    multiplier, shift = numerics.quantize_multiplier(real)
    return min((multiplier + (1 << 15)) >> 16, _INT16_MAX), shift


def _high_multiply16(a: NDArray[np.int64], b: int) -> NDArray[np.int64]:
    """a · b / 2^15 of two int16, to the nearest, halves toward plus infinity."""
    return (a * b + (1 << 14)) >> 15


def _shift_left16(a: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    return np.asarray(np.clip(a << bits, _INT16_MIN, _INT16_MAX), np.int64)


def _divide16(a: NDArray[np.int64], exponent: int) -> NDArray[np.int64]:
    """a / 2^exponent, halves away from zero; from 16 on, as the mask of gemmlowp's 16-bit version
    then has all bits set, 1 for a >= 0 and -1 for others."""
    mask = (1 << exponent) - 1 if exponent < 16 else -1
    return (a >> exponent) + ((a & mask) > (mask >> 1) + (a < 0))


def _hard_swish(source: QTensor, target: QTensor) -> NDArray[np.int64]:
    """x · relu6(x + 3) / 6, the second factor as a fraction of 15 bits."""
    fine = source.scale / 128
    multiplier, exponent = _multiplier16(fine / target.scale)
    if exponent > 0:
        raise InvalidModel(
            f"Tensor {target.name}: its scale {target.scale:g} is more than 128 times smaller than "
            f"{source.scale:g}, too small for the output of a hard-swish.",
            "Calibrate it on real data.",
        )
    # From 2^29 on every input but 0 saturates.
    ratio = min(fine / (3 / 32768), 2.0**29)
    gate_multiplier, gate_exponent = _multiplier16(ratio)
    x = (INPUTS - source.zero_point) << 7
    gate = x if gate_exponent <= 0 else _shift_left16(x, gate_exponent - 1)
    gate = _high_multiply16(gate, gate_multiplier)
    if gate_exponent > 0:
        gate = _shift_left16(gate, 1)
    elif gate_exponent < 0:
        gate = _divide16(gate, -gate_exponent)
    gate = (gate + (1 << 15)) >> 1
    product = numerics.divide_toward_zero(gate * _high_multiply16(x, multiplier), 1 << 15)
    return _divide16(product, -exponent) + target.zero_point


# --- Functions of real numbers --------------------------------------------------------------------


def _rounded(real: RealFunction) -> TableMaker:
    """The nearest int8 to real(x), halves away from zero; infinities saturate."""

    def values(source: QTensor, target: QTensor) -> NDArray[np.int64]:
        x = (INPUTS - source.zero_point).astype(np.float64) * source.scale
        with np.errstate(over="ignore", divide="ignore"):
            return _nearest(real(x), target)

    return values


def _nearest(y: NDArray[np.float64], target: QTensor) -> NDArray[np.int64]:
    """``y`` in units of ``target``, halves away from zero; not yet clamped to int8."""
    scaled = np.clip(y / target.scale, -1024, 1024)
    whole = np.trunc(scaled)
    nearest = whole + (scaled - whole >= 0.5) - (scaled - whole <= -0.5)
    return np.asarray(nearest, np.int64) + target.zero_point


def _elu(source: QTensor, target: QTensor) -> NDArray[np.int64]:
    """exp(x) - 1 for x < 0, else x: in float32, as TFLite Micro fills its table.

    0 stays 0 under an output scale so small that its inverse is infinite; what is beyond float32
    saturates.
    """
    with np.errstate(over="ignore"):
        x = np.float32(source.scale) * (INPUTS - source.zero_point).astype(np.float32)
        below = np.exp(np.minimum(x, 0).astype(np.float64)).astype(np.float32) - np.float32(1)
        y = np.where(x < 0, below, x)
        scaled = np.zeros_like(y)
        inverse = np.float32(1) / np.float32(target.scale)
        np.multiply(y, inverse, out=scaled, where=y != 0)
    limited = np.clip(scaled, -1024, 1024)
    whole = np.trunc(limited)
    rest = limited - whole
    nearest = whole + (rest >= np.float32(0.5)) - (rest <= np.float32(-0.5))
    return np.asarray(nearest, np.int64) + target.zero_point


def _real_elu(alpha: float) -> RealFunction:
    return lambda x: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)


def _elu_with(alpha: float) -> UnaryFunction:
    """alpha · (exp(x) - 1) for x < 0, else x."""
    real = _real_elu(float(np.float32(alpha)))
    if alpha == 1:
        return UnaryFunction("elu", real, _elu)
    return UnaryFunction(named("elu", alpha), real, _rounded(real), in_tflm=False)


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def _silu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(x * _sigmoid(x))


def _gelu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """x · (1 + erf(x / sqrt 2)) / 2; erfc keeps the digits of the tail."""
    tail = np.frompyfunc(lambda v: math.erfc(-v / math.sqrt(2)), 1, 1)(x)
    return np.asarray(0.5 * x * tail.astype(np.float64))


def _gelu_tanh(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The approximation that many networks are trained with: erf by tanh of a cubic."""
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return np.asarray(0.5 * x * (1 + np.tanh(inner)))


def steps(q: NDArray[np.int64], factor: float, scale: float) -> NDArray[np.float64]:
    """⌊q · factor · scale⌋ within -128..127: the entry of a table of 256 that ``q`` reads. The
    product of the two numbers is taken in float32, so that it can be one in 2^-n exactly."""
    entry = np.floor(q * float(np.float32(factor * scale)))
    return np.asarray(np.clip(entry, INT8_MIN, INT8_MAX), np.float64)


def _in_steps(family: str, function: RealFunction, per_one: int, factor: float) -> UnaryFunction:
    """``function`` of x · factor / per_one, that argument rounded down to 1 / per_one."""

    def values(source: QTensor, target: QTensor) -> NDArray[np.int64]:
        x = steps(INPUTS - source.zero_point, factor, source.scale) / per_one
        return _nearest(function(x), target)

    def real(x: NDArray[np.float64]) -> NDArray[np.float64]:
        entry = np.asarray(np.clip(np.floor(x * factor), INT8_MIN, INT8_MAX), np.float64)
        return function(entry / per_one)

    return UnaryFunction(named(family, factor), real, values, in_tflm=False)


def _sigmoid_steps(factor: float) -> UnaryFunction:
    return _in_steps("sigmoid_steps", _sigmoid, 16, factor)


def _tanh_steps(factor: float) -> UnaryFunction:
    return _in_steps("tanh_steps", np.tanh, 32, factor)


def _real_rsqrt(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / sqrt(x); infinite where x <= 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(1 / np.sqrt(np.maximum(x, 0)))


def _log(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The natural logarithm; minus infinity where x <= 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.maximum(x, 0)))


def _square_root(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The square root; 0 where x < 0."""
    return np.asarray(np.sqrt(np.maximum(x, 0)))


_REAL_ONLY: dict[str, RealFunction] = {
    "ceil": lambda x: np.ceil(np.float32(x)),  # in float32, as it jumps
    "cos": np.cos,
    "exp": np.exp,
    "floor": lambda x: np.floor(np.float32(x)),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "log": _log,
    "neg": np.negative,
    "relu_n1_to_1": lambda x: np.clip(x, -1, 1),
    "round": lambda x: np.rint(np.float32(x)),
    "sign": np.sign,
    "silu": _silu,
    "sin": np.sin,
    "sqrt": _square_root,
    "square": np.square,
}


# --- By name --------------------------------------------------------------------------------------

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
        UnaryFunction("abs", np.abs, _absolute),
        UnaryFunction("rsqrt", _real_rsqrt, _rsqrt),
        UnaryFunction("hard_swish", lambda x: x * np.clip(x + 3, 0, 6) / 6, _hard_swish),
        _elu_with(1),
        *(
            UnaryFunction(name, real, _rounded(real), in_tflm=False)
            for name, real in _REAL_ONLY.items()
        ),
    )
}

FAMILIES: dict[str, Callable[[float], UnaryFunction]] = {
    "elu": _elu_with,  # "elu" alone: alpha 1
    "leaky_relu": _leaky_relu,  # the slope where x < 0; may be negative or above 1
    "sigmoid_steps": _sigmoid_steps,  # entries a real 1 of its input, in a table with 16 a real 1
    "tanh_steps": _tanh_steps,  # the same, 32
}


def parameter(function: str) -> float | None:
    """The parameter in a function's name, a float32 value; None if it has none."""
    text = function.partition(":")[2]
    return float(np.float32(text)) if text else None


def definition(function: str) -> UnaryFunction:
    """The function by its name; InvalidModel if there is none."""
    if function in FUNCTIONS:
        return FUNCTIONS[function]
    family, colon, text = function.partition(":")
    if family in FAMILIES and colon:
        value = _number(text)
        if value is not None and named(family, value) == function:
            return FAMILIES[family](value)
    raise InvalidModel(
        f"There is no unary function named {function[:80]!r}.",
        f"Known are: {', '.join(sorted((*FUNCTIONS, *(f'{name}:NUMBER' for name in FAMILIES))))}.",
    )


def _number(text: str) -> float | None:
    """A finite float32; None if ``text`` is none."""
    try:
        value = float(text) if len(text) <= 24 else math.nan
    except ValueError:
        return None
    return float(np.float32(value)) if abs(value) <= np.finfo(np.float32).max else None


def is_title(function: str) -> bool:
    """Whether ``function`` can stand in comments, listings and reports as it is."""
    return re.fullmatch(r"[\w.:+-]{1,64}", function, re.ASCII) is not None


def tabulated(real: RealFunction, source: QTensor, target: QTensor) -> tuple[int, ...]:
    """The 256 entries of any function: the nearest int8, halves away from zero. Where it has no
    value, it has that of the nearest input that has one; 0 if there is none."""
    x = (INPUTS - source.zero_point).astype(np.float64) * source.scale
    with np.errstate(all="ignore"):
        y = np.asarray(real(x), np.float64)
    known = np.flatnonzero(~np.isnan(y))
    if known.size == 0:
        return (target.zero_point,) * INPUTS.size
    nearest = known[np.abs(np.arange(INPUTS.size)[:, None] - known).argmin(axis=1)]
    clipped = np.clip(_nearest(y[nearest], target), INT8_MIN, INT8_MAX)
    return tuple(int(entry) for entry in clipped)


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
