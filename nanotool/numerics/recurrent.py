"""The gates of recurrent layers in 16 bits: TensorFlow Lite Micro's arithmetic, and in the same
pieces our own of a GRU and of Elman's layer, which TensorFlow Lite has not.

A gate's argument has 12 bits behind the point, or comes as "thirds": 3 · 2^12 a real 1, in which
sigmoid and tanh are interpolated from one table of sigmoid(i / 24).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel
from nanotool.numerics.rounding import Int64Array, Multiplier, quantize_multiplier

INT16_MIN, INT16_MAX = -(2**15), 2**15 - 1
GATE_SCALE = 2.0**-12  # of a gate's argument
UNIT_SCALE = 2.0**-15  # of what a sigmoid or a tanh yields
_CELL_POWERS = (-43, 2)  # of the power of two that is nearest to a cell state's scale
_WIDE_POWERS = (-15, -1)  # of a GRU's h in 16 bits
# Steps of a relu's argument in one of its output: sums of x and of h that are far apart still fit.
RELU_STEPS = 16

# Where TensorFlow Lite's table of sigmoid has one more than the nearest number.
_ONE_MORE = (
    *(4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40),
    *(41, 43, 44, 45, 46, 49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255),
)
# sigmoid(i / 24) with 16 bits behind the point, i = 0..255.
SIGMOIDS: NDArray[np.int64] = np.floor(
    65536 / (1 + np.exp(-np.arange(256, dtype=np.float64) / 24)) + 0.5
).astype(np.int64)
SIGMOIDS[list(_ONE_MORE)] += 1
SIGMOIDS.setflags(write=False)


def saturate_int16(value: NDArray[Any]) -> Int64Array:
    """``value`` within int16."""
    return np.asarray(np.clip(value, INT16_MIN, INT16_MAX), np.int64)


def _interpolated(magnitude: Int64Array, bits: int, most: int) -> Int64Array:
    """SIGMOIDS at ``magnitude`` / 2^bits, times 2^bits; ``most`` from its last entry on."""
    place = np.minimum(magnitude >> bits, 254)
    below, above = SIGMOIDS[place], SIGMOIDS[place + 1]
    inside = (below << bits) + (magnitude & ((1 << bits) - 1)) * (above - below)
    return np.asarray(np.where(magnitude >> bits >= 255, most, inside), np.int64)


def sigmoid_of_thirds(x: NDArray[Any]) -> Int64Array:
    """sigmoid with 15 bits behind the point, of ``x`` in units of 1 / (3 · 2^12)."""
    x = np.asarray(x, np.int64)
    result = _interpolated(np.abs(x), 9, 0x7FFF << 10)
    half = 1 << 9
    return np.asarray(np.where(x >= 0, result + half, (1 << 25) - result + half - 1) >> 10)


def tanh_of_thirds(x: NDArray[Any]) -> Int64Array:
    """tanh, 2 sigmoid(2 x) - 1, with 15 bits behind the point; ``x`` as for the sigmoid."""
    x = np.asarray(x, np.int64)
    result = _interpolated(np.abs(x), 8, 0xFFFF << 8)
    half, one = 1 << 7, 1 << 23
    return np.asarray(np.where(x >= 0, result - one + half, one - result + half - 1) >> 8)


def shifted_thirds(x: NDArray[Any], shift: int) -> Int64Array:
    """3 ``x`` · 2^shift, rounded, halves up."""
    if shift >= 0:
        return np.asarray(x, np.int64) * (3 << shift)
    return (np.asarray(x, np.int64) * 3 + (1 << (-shift - 1))) >> -shift


def svdf_multipliers(
    input_scale: float, weight_scale: float, memory_scale: float, time_scale: float, scale: float
) -> tuple[Multiplier, Multiplier]:
    """(sum over the input -> memory, sum over time -> output), both ratios in float32 as TensorFlow
    Lite has them."""
    source, weight, memory, time, target = (
        np.float32(one) for one in (input_scale, weight_scale, memory_scale, time_scale, scale)
    )
    with np.errstate(over="ignore", under="ignore"):
        first, second = source * weight / memory, memory * time / target
    return quantize_multiplier(float(first)), quantize_multiplier(float(second))


@dataclass(frozen=True, slots=True)
class GateParameters:
    """What the integers of a layer with gates are made with; gates in the operator's order."""

    input: tuple[Multiplier, ...]  # a sum over x, times this, is a gate's argument
    recurrent: tuple[Multiplier, ...]  # likewise over h
    hidden: Multiplier  # what comes out of a step, in h's units


@dataclass(frozen=True, slots=True)
class GruParameters(GateParameters):
    """Likewise of a GRU."""

    shift: int  # n / 2^shift is in units of the wide h


@dataclass(frozen=True, slots=True)
class LstmParameters(GateParameters):
    """Likewise of an LSTM; ``hidden`` is for o · tanh(c)."""

    keep: Multiplier  # f · c, in c's units
    write: Multiplier  # i · g, in c's units
    cell_shift: int  # c · 2^cell_shift has 12 bits behind the point
    cell_limits: tuple[int, int]  # within which c stays


def _of_sums(
    input_scale: float, hidden_scale: float, weight_scales: Sequence[float], unit: float
) -> dict[str, Any]:
    """`GateParameters.input` and ``recurrent``; ``weight_scales``: of x's weights, then of h's."""
    gates = len(weight_scales) // 2
    return {
        "input": tuple(quantize_multiplier(input_scale * s / unit) for s in weight_scales[:gates]),
        "recurrent": tuple(
            quantize_multiplier(hidden_scale * s / unit) for s in weight_scales[gates:]
        ),
    }


def gru_parameters(
    input_scale: float, hidden_scale: float, wide_scale: float, weight_scales: Sequence[float]
) -> GruParameters:
    """``hidden_scale``: of h in int8; ``wide_scale``: in 16 bits; ``weight_scales``: those of x's
    weights for the gates r, z, n, then those of h's. InvalidModel where there is no such form."""
    power = math.log2(wide_scale)
    if not (power.is_integer() and _WIDE_POWERS[0] <= power <= _WIDE_POWERS[1]):
        raise InvalidModel(
            f"A GRU's state of scale {wide_scale:g} has no int16 form.",
            f"Its scale is a power of two, 2^{_WIDE_POWERS[0]} to 2^{_WIDE_POWERS[1]}.",
        )
    return GruParameters(
        **_of_sums(input_scale, hidden_scale, weight_scales, GATE_SCALE),
        hidden=quantize_multiplier(wide_scale / hidden_scale),
        shift=int(power) - _WIDE_POWERS[0],
    )


def rnn_parameters(
    input_scale: float, hidden_scale: float, weight_scales: Sequence[float], function: str
) -> GateParameters:
    """``weight_scales``: of x's weights, of h's. An argument of tanh has 12 bits behind the point,
    that of a relu `RELU_STEPS` in one step of h."""
    squashes = function == "tanh"
    unit = GATE_SCALE if squashes else hidden_scale / RELU_STEPS
    return GateParameters(
        **_of_sums(input_scale, hidden_scale, weight_scales, unit),
        hidden=quantize_multiplier((UNIT_SCALE if squashes else unit) / hidden_scale),
    )


def blend(z: NDArray[Any], h: NDArray[Any], n: NDArray[Any]) -> Int64Array:
    """z h + (1 - z) n; ``z`` with 15 bits behind the point, 0..32767, ``h`` and ``n`` in int16:
    n + z (h - n), rounded, halves up."""
    return np.asarray(n + ((z * (np.asarray(h, np.int64) - n) + 2**14) >> 15), np.int64)


def lstm_parameters(
    input_scale: float,
    hidden_scale: float,
    cell_scale: float,
    weight_scales: Sequence[float],
    cell_clip: float,
) -> LstmParameters:
    """``weight_scales``: those of x's weights for the gates i, f, g, o, then those of h's.

    InvalidModel where there is no such arithmetic.
    """
    power = round(math.log2(cell_scale))
    if not _CELL_POWERS[0] <= power <= _CELL_POWERS[1]:
        raise InvalidModel(
            f"A cell state of scale {cell_scale:g} has no int16 form.",
            f"Its scale is 2^{_CELL_POWERS[0]} to 2^{_CELL_POWERS[1]}.",
        )
    scales = [float(scale) for scale in weight_scales]
    limits = (INT16_MIN, INT16_MAX)
    if cell_clip > 0:
        clip = int(min(cell_clip / cell_scale, float(INT16_MAX)))
        limits = (-clip, clip)
    return LstmParameters(
        **_of_sums(input_scale, hidden_scale, scales, GATE_SCALE),
        keep=quantize_multiplier(UNIT_SCALE * cell_scale / cell_scale),
        write=quantize_multiplier(UNIT_SCALE * UNIT_SCALE / cell_scale),
        hidden=quantize_multiplier(UNIT_SCALE * UNIT_SCALE / hidden_scale),
        cell_shift=power + 12,
        cell_limits=limits,
    )
