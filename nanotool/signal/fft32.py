"""The real int32 FFT of lib/nano/src/signal/fft32.c: its table, and its arithmetic in NumPy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.signal.fft import SIZES

Int64Array = NDArray[np.int64]
ONE = 2**31 - 1  # 1.0 in Q31, as far as int32 goes


def fft32_table(size: int) -> NDArray[np.int32]:
    """[size / 2, 2], cos and sin of -2 pi k / size, for a real transform of ``size`` points."""
    if size not in SIZES:
        raise NanoError(f"There is no FFT of {size} points.", f"Sizes are {SIZES}.")
    turns = -2 * math.pi * np.arange(size // 2) / size
    vectors = np.stack([np.cos(turns), np.sin(turns)], axis=-1)
    table: NDArray[np.int32] = np.floor(0.5 + ONE * vectors).astype(np.int32)
    table.setflags(write=False)
    return table


def _high(a: Int64Array, b: Int64Array) -> Int64Array:
    """The doubling high product, halves up."""
    return (a * b + (1 << 30)) >> 31


def _turned(real: Int64Array, imaginary: Int64Array, turns: Int64Array) -> list[Int64Array]:
    re, im = turns[..., 0], turns[..., 1]
    return [
        _high(real, re) - _high(imaginary, im),
        _high(real, im) + _high(imaginary, re),
    ]


def real_fft32(samples: NDArray[np.int32]) -> Int64Array:
    """[n, size / 2 + 1, 2], real and imaginary parts, of ``samples`` [n, size], whose magnitudes
    are at most 2^29 / size."""
    count, size = samples.shape
    half, table = size // 2, fft32_table(size).astype(np.int64)
    bits = half.bit_length() - 1
    places = [int(f"{i:0{bits}b}"[::-1], 2) for i in range(half)]
    z = np.empty((count, half, 2), np.int64)
    z[:, places] = samples.reshape(count, half, 2)
    span = 1
    while span < half:
        legs = z.reshape(count, -1, 2, span, 2)
        turns = table[np.arange(span) * (size // (2 * span))]
        turned = np.stack(_turned(legs[:, :, 1, :, 0], legs[:, :, 1, :, 1], turns), axis=-1)
        first = legs[:, :, 0]
        z = np.stack([first + turned, first - turned], axis=2).reshape(count, half, 2)
        span *= 2
    return _unpacked(z, table)


def _unpacked(z: Int64Array, table: Int64Array) -> Int64Array:
    """The real transform of what the complex one made of the pairs."""
    half = z.shape[1]
    result = np.zeros((len(z), half + 1, 2), np.int64)
    result[:, 0, 0] = z[:, 0].sum(axis=1)
    result[:, half, 0] = z[:, 0, 0] - z[:, 0, 1]
    k = np.arange(1, half // 2 + 1)
    low, high = z[:, k], z[:, half - k]
    even = (low[..., 0] + high[..., 0]) >> 1, (low[..., 1] - high[..., 1]) >> 1
    odd = (low[..., 1] + high[..., 1]) >> 1, (high[..., 0] - low[..., 0]) >> 1
    x, y = _turned(*odd, table[k])
    result[:, half - k] = np.stack([even[0] - x, y - even[1]], axis=-1)
    # Where both are the same bin, the device writes this one first.
    own = k < half - k
    result[:, k[own]] = np.stack([even[0] + x, even[1] + y], axis=-1)[:, own]
    return result
