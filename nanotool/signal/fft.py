"""The real int16 FFT of lib/nano/src/signal/fft.c: its tables, and the same arithmetic in NumPy.

A real transform of ``size`` points is a complex one of half as many (pairs of samples are its real
and imaginary parts) and a last step that takes them apart. Every stage divides by its radix, so
that nothing overflows: the result is the transform divided by ``size``, but for rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError

Int16Array = NDArray[np.int16]
SIZES = tuple(2**n for n in range(6, 11))  # of the real transform: 64 to 1024 points
ONE = 32767  # 1.0 in Q15, as far as int16 goes
_HALF, _QUARTER = ONE // 2, ONE // 4


@dataclass(frozen=True, slots=True)
class FftTables:
    """What `nano_fft` reads: unit vectors in Q15, floor(0.5 + 32767 x)."""

    size: int  # real points
    twiddles: Int16Array  # [size / 2][cos, sin] of -2 pi k / (size / 2)
    unpacking: Int16Array  # [size / 4][cos, sin] of -pi ((k + 1) / (size / 2) + 1/2)


def fft_tables(size: int) -> FftTables:
    """The tables of a real transform of ``size`` points, one of `SIZES`."""
    if size not in SIZES:
        raise NanoError(f"There is no FFT of {size} points.", f"Sizes are {SIZES}.")
    half = size // 2
    turns = -2 * math.pi * np.arange(half) / half
    last = -math.pi * ((np.arange(half // 2) + 1) / half + 0.5)
    return FftTables(size, _unit(turns), _unit(last))


def _unit(phases: NDArray[np.float64]) -> Int16Array:
    vectors = np.stack([np.cos(phases), np.sin(phases)], axis=-1)
    table: Int16Array = np.floor(0.5 + ONE * vectors).astype(np.int16)
    table.setflags(write=False)
    return table


def radices(points: int) -> list[int]:
    """The radix of each stage of a complex transform, the outermost first: fours, at the end
    perhaps a two."""
    stages = []
    while points > 1:
        stages.append(4 if points % 4 == 0 else 2)
        points //= stages[-1]
    return stages


def input_order(points: int) -> NDArray[np.intp]:
    """The place of complex input i before the first stage: its digits, one a stage, reversed."""
    index = np.arange(points)
    place = np.zeros(points, np.intp)
    for radix in radices(points):
        place = place * radix + index % radix
        index //= radix
    return place


def real_fft(tables: FftTables, samples: Int16Array) -> NDArray[np.int16]:
    """[n, size / 2 + 1, 2], real and imaginary parts, of ``samples`` [n, size]."""
    half = tables.size // 2
    pairs = samples.reshape(len(samples), half, 2).astype(np.int64)
    z = np.empty_like(pairs)
    z[:, input_order(half)] = pairs
    span = 1
    for radix in reversed(radices(half)):
        stage = z.reshape(len(z), -1, radix, span, 2)  # n, blocks, legs, places, parts
        z = (_two if radix == 2 else _four)(tables, stage, half // (radix * span))
        span *= radix
    return _unpacked(tables, z.reshape(len(z), half, 2))


def _wrap(x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Modulo 2^16, as int16 arithmetic on the device."""
    return x.astype(np.int16).astype(np.int64)


def _round(x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Q30 to Q15, halves up."""
    return _wrap((x + (1 << 14)) >> 15)


def _product(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """Complex products; the last axis has the parts."""
    real = a[..., 0] * b[..., 0] - a[..., 1] * b[..., 1]
    imaginary = a[..., 0] * b[..., 1] + a[..., 1] * b[..., 0]
    return _round(np.stack([real, imaginary], axis=-1))


def _legs(tables: FftTables, stage: NDArray[np.int64], step: int) -> list[NDArray[np.int64]]:
    """The scaled legs of each butterfly [n, blocks, places, 2], all but the first turned."""
    radix, span = stage.shape[2:4]
    scaled = _round(stage * (_HALF if radix == 2 else _QUARTER))
    turns = tables.twiddles.astype(np.int64)
    places = step * np.arange(span)
    turned = [_product(scaled[:, :, leg], turns[leg * places]) for leg in range(1, radix)]
    return [scaled[:, :, 0], *turned]


def _two(tables: FftTables, stage: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    a, b = _legs(tables, stage, step)
    return np.stack([_wrap(a + b), _wrap(a - b)], axis=2)


def _four(tables: FftTables, stage: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    a, b, c, d = _legs(tables, stage, step)
    even, difference = _wrap(a + c), _wrap(a - c)
    odd, turned = _wrap(b + d), _wrap(b - d)
    turned = np.stack([turned[..., 1], -turned[..., 0]], axis=-1)  # times -i
    results = (even + odd, difference + turned, even - odd, difference - turned)
    return np.stack([_wrap(one) for one in results], axis=2)


def _unpacked(tables: FftTables, z: NDArray[np.int64]) -> NDArray[np.int16]:
    """The real transform of what the complex one made of the pairs."""
    half = z.shape[1]
    result = np.zeros((len(z), half + 1, 2), np.int64)
    first = _round(z[:, 0] * _HALF)
    result[:, 0, 0] = first[:, 0] + first[:, 1]
    result[:, half, 0] = first[:, 0] - first[:, 1]
    low = np.arange(1, half // 2 + 1)
    mirrored = _wrap(z[:, half - low] * np.array([1, -1]))
    p, q = _round(z[:, low] * _HALF), _round(mirrored * _HALF)
    even, odd = p + q, _wrap(p - q)
    turned = _product(odd, tables.unpacking.astype(np.int64))
    result[:, low] = (even + turned) >> 1
    upper = np.stack([even[..., 0] - turned[..., 0], turned[..., 1] - even[..., 1]], axis=-1)
    result[:, half - low] = upper >> 1
    return result.astype(np.int16)
