"""The micro frontend: 16-bit samples in, logarithmic mel energies out, in integers alone.

What TensorFlow Lite Micro's and ESPHome's wake words listen through: a Hann window, the FFT, a mel
filter bank, noise reduction, per-channel automatic gain (PCAN), a logarithm. With the default
settings every value is that of TensorFlow's implementation. lib/nano/src/signal/micro_frontend.c
computes the same; docs/signal.md has the formulas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nanotool.sensing.description import MicroFrontendSettings
from nanotool.signal.fft import FftTables, Int16Array, fft_tables, real_fft

WINDOW_BITS, FILTER_BITS = 12, 12  # of the fractions of window coefficients and of band weights
SMOOTHING_BITS, RATIO_BITS = 10, 14  # of the noise estimate, and of the factors that make it
GAIN_BITS, SNR_BITS = 21, 12
LOG_SCALE = 65536
LN_2 = 45426  # ln 2 at LOG_SCALE
_LOG_SEGMENTS = 128
_PCAN_OCTAVES = range(2, 33)


@dataclass(frozen=True, slots=True)
class MicroFrontendTables:
    """What the device reads: const arrays, in the fields of `nano_micro_frontend`."""

    window: Int16Array  # [window samples], 12 fractional bits
    fft: FftTables
    first_bin: int  # of the FFT that belongs to a band
    bands: NDArray[np.uint16]  # [channels + 1]: bins of each band
    weights: Int16Array  # [bins][2]: what a bin gives to its own channel, and to the one before
    gains: Int16Array | None  # [2 + 3 * 31]: gain of 0, of 1, then (y0, a1, a2) an octave
    logs: NDArray[np.uint16] | None  # [129]: log2(1 + k/128) - k/128 at LOG_SCALE
    even: int  # smoothing factors, RATIO_BITS fractional bits
    odd: int
    min_signal: int
    correction_bits: int  # by which the root of an energy exceeds a sample of the FFT's input


def micro_frontend_tables(settings: MicroFrontendSettings) -> MicroFrontendTables:
    """The tables that ``settings`` make."""
    size = settings.fft_size
    first, bands, weights = _filter_bank(settings)
    correction = size.bit_length() - 1 - FILTER_BITS // 2
    return MicroFrontendTables(
        window=_window(settings.window),
        fft=fft_tables(size),
        first_bin=first,
        bands=bands,
        weights=weights,
        gains=_gains(settings, correction) if settings.pcan else None,
        logs=log_table() if settings.log else None,
        even=int(settings.even_smoothing * (1 << RATIO_BITS)),
        odd=int(settings.odd_smoothing * (1 << RATIO_BITS)),
        min_signal=int(settings.min_signal * (1 << RATIO_BITS)),
        correction_bits=correction,
    )


def _window(samples: int) -> Int16Array:
    """Hann, computed in float32 as TensorFlow does."""
    turn = np.float32(math.pi * 2.0) / np.float32(samples)
    half = np.float32(0.5)
    angles = turn * (np.arange(samples, dtype=np.float32) + half)
    cosines = np.array([math.cos(float(angle)) for angle in angles], np.float32)
    hann = (half - half * cosines) * np.float32(1 << WINDOW_BITS) + half
    window: Int16Array = np.floor(hann).astype(np.int16)
    return window


def _mel(hz: np.float32) -> np.float32:
    mel: np.float32 = np.float32(1127.0) * np.log1p(hz / np.float32(700.0), dtype=np.float32)
    return mel


def _filter_bank(
    s: MicroFrontendSettings,
) -> tuple[int, NDArray[np.uint16], Int16Array]:
    """(first bin, bins a band, weights). A bin belongs to the first band whose centre is not below
    it; it gives ``weight`` to the channel of that name and the rest to the one before."""
    low, high = _mel(np.float32(s.lower_hz)), _mel(np.float32(s.upper_hz))
    spacing = (high - low) / np.float32(s.channels + 1)
    numbers = np.arange(1, s.channels + 2, dtype=np.float32)
    centres = (low + spacing * numbers).astype(np.float32)
    hz_a_bin = np.float32(0.5) * np.float32(s.sample_rate) / np.float32(s.fft_size // 2)
    first = int(np.float32(1.5) + np.float32(s.lower_hz) / hz_a_bin)
    counts, weights = [], []
    number, previous = first, low
    for centre in centres:
        begin = number
        while number <= s.fft_size // 2 and _mel(np.float32(number) * hz_a_bin) <= centre:
            share = (centre - _mel(np.float32(number) * hz_a_bin)) / (centre - previous)
            one = np.float32(1 << FILTER_BITS)
            own = math.floor(float(share * one) + 0.5)
            other = math.floor(float((np.float32(1) - share) * one) + 0.5)
            weights.append((own, other))
            number += 1
        counts.append(number - begin)
        previous = centre
    return first, np.array(counts, np.uint16), np.array(weights, np.int16).reshape(-1, 2)


def _gains(s: MicroFrontendSettings, correction: int) -> Int16Array:
    """PCAN's gain by the noise estimate: (x / 2^n + offset)^-strength, in quadratics, one an
    octave."""
    bits = SMOOTHING_BITS - correction

    def gain(x: int) -> int:
        real = (x / (1 << bits) + s.pcan_offset) ** -s.pcan_strength
        return min(32767, int((1 << GAIN_BITS) * real + 0.5))

    table = [gain(0), gain(1)]
    for octave in _PCAN_OCTAVES:
        x0 = 1 << (octave - 1)
        x2 = 2 * x0 if octave < 32 else (1 << 32) - 1
        y0, y1, y2 = gain(x0), gain(x0 + (x0 >> 1)), gain(x2)
        a1 = 4 * (y1 - y0) - (y2 - y0)
        table += [y0, a1, y2 - y0 - a1]
    return np.array(table, np.int64).astype(np.int16)


def log_table() -> NDArray[np.uint16]:
    """What a logarithm to base 2 bends above its chords, [129]."""
    k = np.arange(_LOG_SEGMENTS + 1) / _LOG_SEGMENTS
    return np.floor(LOG_SCALE * (np.log2(1 + k) - k) + 0.5).astype(np.uint16)


class MicroFrontendTwin:
    """The device's arithmetic in NumPy, on any number of samples at a time."""

    def __init__(self, settings: MicroFrontendSettings) -> None:
        self.settings = settings
        self.reset()

    @cached_property
    def tables(self) -> MicroFrontendTables:
        """Those of the settings."""
        return micro_frontend_tables(self.settings)

    def reset(self) -> None:
        """Forget all samples and the noise estimate."""
        self._rest: Int16Array = np.zeros(0, np.int16)
        self._estimate = np.zeros(self.settings.channels, np.int64)

    def process(self, samples: Int16Array) -> NDArray[np.uint16]:
        """[frames, channels] that ``samples`` complete."""
        s = self.settings
        whole = np.concatenate([self._rest, samples])
        count = max(0, (len(whole) - s.window) // s.step + 1)
        self._rest = whole[count * s.step :]
        if not count:
            return np.zeros((0, s.channels), np.uint16)
        frames = np.lib.stride_tricks.sliding_window_view(whole, s.window)[:: s.step][:count]
        return self._gained(self._reduced(self._energies(frames)))

    def _energies(self, frames: Int16Array) -> NDArray[np.int64]:
        """The root of every channel's energy, [frames, channels]."""
        tables = self.tables
        y = (frames.astype(np.int64) * tables.window) >> WINDOW_BITS
        # |-32768| stays negative in int16, and so is not counted.
        largest = np.abs(y).astype(np.int16).max(axis=1).clip(0)
        shift = 15 - bit_length(largest.astype(np.int64))
        padded = np.zeros((len(y), tables.fft.size), np.int16)
        padded[:, : y.shape[1]] = (y << shift[:, None]).astype(np.int16)
        spectrum = real_fft(tables.fft, padded).astype(np.int64)
        power = (spectrum**2).sum(axis=2)
        bins = power[:, tables.first_bin :][:, : len(tables.weights)]
        ends = np.cumsum(tables.bands, dtype=np.intp)
        own, other = (_sums(bins * tables.weights[:, i].astype(np.int64), ends) for i in (0, 1))
        total = own[:, 1:] + other[:, :-1]
        return root(total) >> shift[:, None]

    def _reduced(self, signal: NDArray[np.int64]) -> NDArray[np.int64]:
        """Less the noise, and beside it the estimate after each frame: [frames, 2, channels]."""
        tables = self.tables
        even = np.arange(self.settings.channels) % 2 == 0
        alpha = np.where(even, tables.even, tables.odd)
        result = np.empty((len(signal), 2, signal.shape[1]), np.int64)
        for frame, values in enumerate(signal):
            up = (values << SMOOTHING_BITS) & 0xFFFFFFFF
            one = 1 << RATIO_BITS
            self._estimate = (up * alpha + self._estimate * (one - alpha)) >> RATIO_BITS
            rest = (up - np.minimum(self._estimate, up)) >> SMOOTHING_BITS
            floor = (values * tables.min_signal) >> RATIO_BITS
            result[frame] = np.maximum(rest, floor), self._estimate
        return result

    def _gained(self, reduced: NDArray[np.int64]) -> NDArray[np.uint16]:
        signal, estimate = reduced[:, 0], reduced[:, 1]
        tables = self.tables
        if tables.gains is not None:
            snr_shift = GAIN_BITS - tables.correction_bits - SNR_BITS
            snr = ((signal * _gain(tables.gains, estimate)) >> snr_shift) & 0xFFFFFFFF
            small = ((snr * snr) & 0xFFFFFFFF) >> 20
            signal = np.where(snr < 2 << SNR_BITS, small, (snr >> 6) - 64)
        if tables.logs is not None:
            signal = _log(tables.logs, signal << tables.correction_bits, self.settings.log_shift)
        return np.minimum(signal, 0xFFFF).astype(np.uint16)


def _sums(values: NDArray[np.int64], ends: NDArray[np.intp]) -> NDArray[np.int64]:
    """Sums of the columns before each of ``ends``, from the end before."""
    running = np.concatenate([np.zeros((len(values), 1), np.int64), values.cumsum(axis=1)], axis=1)
    sums: NDArray[np.int64] = np.diff(running[:, [0, *ends]], axis=1)
    return sums


def bit_length(x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bits of x in 0..2^52."""
    return np.frexp(x.astype(np.float64))[1].astype(np.int64)


def root(x: NDArray[np.int64]) -> NDArray[np.int64]:
    """The square root, rounded; of a number below 2^32 at most 0xFFFF."""
    root = np.sqrt(x.astype(np.float64)).astype(np.int64)
    root -= root * root > x
    root += (root + 1) * (root + 1) <= x
    root += x - root * root > root
    return np.minimum(root, np.where(x < 1 << 32, 0xFFFF, 0xFFFFFFFF))


def _gain(gains: Int16Array, x: NDArray[np.int64]) -> NDArray[np.int64]:
    table = gains.astype(np.int64)
    octave = np.maximum(bit_length(x), 2)
    y0, a1, a2 = (table[2 + 3 * (octave - 2) + i] for i in range(3))
    below = np.maximum(octave - 1 - 10, 0)
    above = np.maximum(10 - (octave - 1), 0)
    fraction = ((x >> below) << above) & 0x3FF
    curve = (((a2 * fraction) >> 5) + (a1 << 5)) * fraction
    gain = y0 + ((curve + (1 << 14)) >> 15)
    return np.asarray(np.where(x < 2, table[x.clip(0, 1)], gain))


def _log(table: NDArray[np.uint16], x: NDArray[np.int64], shift: int) -> NDArray[np.int64]:
    """ln x with ``shift`` fractional bits, in 16 bits; 0 for x <= 1."""
    exponent = np.maximum(bit_length(x) - 1, 0)
    fraction = np.where(
        exponent <= 16, x << (16 - exponent).clip(0), x >> (exponent - 16).clip(0)
    ) & (LOG_SCALE - 1)
    segment = fraction >> 9
    lower, upper = (table.astype(np.int64)[segment + i] for i in (0, 1))
    bend = lower + (((upper - lower) * (fraction - (segment << 9))) >> 16)
    log2 = (exponent << 16) + fraction + bend
    ln = (LN_2 * log2 + (LOG_SCALE >> 1)) >> 16
    scaled = ((ln << shift) + (LOG_SCALE >> 1)) >> 16
    return np.where(x <= 1, 0, scaled)
