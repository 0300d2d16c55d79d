"""Spectra in block floating point and the logarithms of energies: lib/nano/src/signal/energy.c."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nanotool.signal.fft import Int16Array
from nanotool.signal.fft32 import real_fft32
from nanotool.signal.micro_frontend import bit_length

ROOM_BITS = 29
LN_BITS = 24  # of the fraction of a logarithm
LN_2 = 1488522236  # at 2^31
Int64Array = NDArray[np.int64]


def block_fft(y: Int64Array) -> tuple[Int64Array, Int64Array]:
    """([n, size / 2 + 1, 2] bins, [n, 1] powers of two by which ``y`` [n, size] was scaled)."""
    size = y.shape[1]
    bits = bit_length(np.bitwise_or.reduce(np.abs(y), axis=1))
    left: Int64Array = ROOM_BITS - (size.bit_length() - 1) - bits[:, None]
    half = (1 << (-left).clip(0)) >> 1
    v = np.where(left >= 0, y << left.clip(0), (y + half) >> (-left).clip(0))
    return real_fft32(v.astype(np.int32)), left


def log_energy(
    logs: NDArray[np.uint16], energy: Int64Array, scale: Int64Array, floor: int
) -> Int64Array:
    """ln of ``energy`` / 2^``scale`` with `LN_BITS` fractional bits, at least that of ``floor``, a
    log2 with 16."""
    log2 = np.where(energy > 0, _log2(logs, energy) - (scale << 16), floor)
    return np.asarray((np.maximum(log2, floor) * 256 * LN_2 + (1 << 30)) >> 31)


def narrow(x: Int64Array, before: int, after: int) -> Int16Array:
    """From ``before`` fractional bits to ``after``, rounded, halves up, and clamped."""
    rounded = (x + (1 << (before - after - 1))) >> (before - after)
    result: Int16Array = rounded.clip(-32768, 32767).astype(np.int16)
    return result


def _log2(table: NDArray[np.uint16], x: Int64Array) -> Int64Array:
    """log2 x with 16 fractional bits; of 0 nothing that counts."""
    high = x >> 31  # in two parts: a float64 holds 53 bits
    length = np.where(high > 0, 31 + bit_length(high), bit_length(x & 0x7FFFFFFF))
    exponent = (length - 1).clip(0)
    fraction = (x << (16 - exponent).clip(0)) >> (exponent - 16).clip(0) & 0xFFFF
    segment = fraction >> 9
    lower, upper = (table.astype(np.int64)[segment + i] for i in (0, 1))
    bend = ((upper - lower) * (fraction & 511)) >> 16
    return np.asarray((exponent << 16) + fraction + lower + bend)
