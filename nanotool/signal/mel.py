"""Log-mel energies and MFCC: tables, the device's arithmetic in NumPy, and a float reference.

lib/nano/src/signal/mel.c computes the same; docs/signal.md has conventions and errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.sensing.description import MelSettings
from nanotool.signal.energy import LN_BITS, block_fft, log_energy, narrow
from nanotool.signal.fft import Int16Array
from nanotool.signal.fft32 import fft32_table
from nanotool.signal.micro_frontend import log_table

SAMPLE_BITS, DROPPED_BITS, LOG_BITS = 30, 14, 10
ONE = 32767  # in Q15


@dataclass(frozen=True, slots=True)
class MelTables:
    """What the device reads: const arrays, in the fields of `nano_mel_params`."""

    turns: NDArray[np.int32]
    window: Int16Array  # [window samples], Q15
    first: NDArray[np.uint16]  # [bands]: first bin
    bins: NDArray[np.uint16]  # [bands]: how many
    weights: NDArray[np.uint16]  # one band's behind the other's
    weight_bits: int
    logs: NDArray[np.uint16]
    floor: int  # log2, 16 fractional bits
    preemphasis: int  # Q15
    cosines: Int16Array | None  # [coefficients, bands], Q15


def mel_tables(settings: MelSettings) -> MelTables:
    """The tables that ``settings`` make. NanoError where a band has no bin."""
    bank = mel_filters(settings)
    empty = np.flatnonzero(bank.max(axis=1) == 0)
    if len(empty):
        raise NanoError(
            f"Band {empty[0]} of {settings.bands} is narrower than a bin of "
            f"{settings.sample_rate / settings.fft_size:g} Hz.",
            "Take fewer bands, a larger FFT, or a higher lower_hz.",
        )
    weight_bits = 16 - math.frexp(float(bank.max()) * 65536 / 65535)[1]
    whole = np.floor(bank * 2.0**weight_bits + 0.5).astype(np.uint16)
    rows = [np.flatnonzero(row) for row in whole]
    parts = [whole[band, row[0] : row[-1] + 1] for band, row in enumerate(rows)]
    return MelTables(
        turns=fft32_table(settings.fft_size),
        window=_tapered(taper(settings)),
        first=np.array([row[0] for row in rows], np.uint16),
        bins=np.array([len(part) for part in parts], np.uint16),
        weights=np.concatenate(parts),
        weight_bits=weight_bits,
        logs=log_table(),
        floor=round(math.log2(settings.floor) * 65536),
        preemphasis=min(ONE, round(settings.preemphasis * 32768)),
        cosines=None if not settings.coefficients else _q15(cosine_matrix(settings)),
    )


def hann(samples: int) -> NDArray[np.float64]:
    """Hann's window, periodic."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(samples) / samples))


def hann_table(samples: int) -> Int16Array:
    """Hann's window in Q15."""
    return _tapered(hann(samples))


def taper(settings: MelSettings) -> NDArray[np.float64]:
    """The settings' window, periodic."""
    whole = hann(settings.window)
    return whole if settings.taper == "hann" else np.asarray(0.08 + 0.92 * whole)


def _tapered(window: NDArray[np.float64]) -> Int16Array:
    table: Int16Array = np.floor(window * ONE + 0.5).astype(np.int16)
    return table


def _q15(matrix: NDArray[np.float64]) -> Int16Array:
    fixed: Int16Array = np.floor(matrix * 32768 + 0.5).clip(-32768, 32767).astype(np.int16)
    return fixed


def mel_filters(settings: MelSettings) -> NDArray[np.float64]:
    """[bands, fft_size / 2 + 1]: triangles whose corners are even on the mel scale, as librosa's
    and torchaudio's; or, with their slopes on it, too, TensorFlow's."""
    low, high = _to_mel(settings, np.array([settings.lower_hz, settings.upper_hz]))
    mels = np.linspace(low, high, settings.bands + 2)
    corners = _to_hz(settings, mels)
    hz = np.arange(settings.fft_size // 2 + 1) * settings.sample_rate / settings.fft_size
    left, right = corners[:-2, None], corners[2:, None]
    if settings.slopes == "hz":
        bank = _triangles(corners, hz)
    else:
        bank = _triangles(mels, _to_mel(settings, hz))
    widths = (right - left) / 2 if settings.slaney_norm else np.ones_like(left)
    return np.asarray(bank / widths, np.float64)


def _triangles(corners: NDArray[np.float64], bins: NDArray[np.float64]) -> NDArray[np.float64]:
    """[bands, bins], 1 at each middle corner."""
    left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return np.asarray(np.maximum(0, np.minimum(rising, falling)))


def _to_mel(settings: MelSettings, hz: NDArray[np.float64]) -> NDArray[np.float64]:
    if settings.scale == "htk":
        return np.asarray(2595 * np.log10(1 + hz / 700))
    above = 15 + np.log(np.maximum(hz, 1000) / 1000) / (np.log(6.4) / 27)
    return np.where(hz < 1000, hz * 3 / 200, above)


def _to_hz(settings: MelSettings, mel: NDArray[np.float64]) -> NDArray[np.float64]:
    if settings.scale == "htk":
        return np.asarray(700 * (10 ** (mel / 2595) - 1))
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * (np.log(6.4) / 27)))


def cosine_matrix(settings: MelSettings) -> NDArray[np.float64]:
    """[coefficients, bands]: DCT-II, orthonormal."""
    bands, c = settings.bands, np.arange(settings.coefficients)[:, None]
    matrix = np.cos(np.pi / bands * (np.arange(bands) + 0.5) * c) * math.sqrt(2 / bands)
    matrix[0] /= math.sqrt(2)
    return np.asarray(matrix)


def mel_reference(settings: MelSettings, samples: Int16Array) -> NDArray[np.float64]:
    """[frames, features] in float64: what the integers approximate."""
    x = samples / 32768
    x = x - settings.preemphasis * np.concatenate([[0], x[:-1]])
    frames = np.lib.stride_tricks.sliding_window_view(x, settings.window)[:: settings.step]
    power = np.abs(np.fft.rfft(frames * taper(settings), settings.fft_size)) ** 2
    logs: NDArray[np.float64] = np.log(np.maximum(power @ mel_filters(settings).T, settings.floor))
    return np.asarray(logs @ cosine_matrix(settings).T) if settings.coefficients else logs


class MelTwin:
    """The device's arithmetic in NumPy, on any number of samples at a time."""

    def __init__(self, settings: MelSettings) -> None:
        self.settings = settings
        self.reset()

    @cached_property
    def tables(self) -> MelTables:
        """Those of the settings."""
        return mel_tables(self.settings)

    def reset(self) -> None:
        """Forget all samples."""
        self._rest: Int16Array = np.zeros(1, np.int16)  # the one before the next window first

    def process(self, samples: Int16Array) -> Int16Array:
        """[frames, features] that ``samples`` complete."""
        s = self.settings
        whole = np.concatenate([self._rest, samples])
        count = max(0, (len(whole) - 1 - s.window) // s.step + 1)
        self._rest = whole[count * s.step :]
        if not count:
            return np.zeros((0, s.features), np.int16)
        views = np.lib.stride_tricks.sliding_window_view(whole, s.window + 1)
        logs = self._logs_of(views[:: s.step][:count].astype(np.int64))
        if self.tables.cosines is None:
            return narrow(logs, LN_BITS, s.fraction)
        products = narrow(logs, LN_BITS, LOG_BITS).astype(np.int64)[:, None] * self.tables.cosines
        return narrow(((products + (1 << 6)) >> 7).sum(axis=2), LOG_BITS + 8, s.fraction)

    def _logs_of(self, frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """ln of every band with 24 fractional bits."""
        tables, size = self.tables, self.settings.fft_size
        sharp = (frames[:, 1:] << 15) - frames[:, :-1] * tables.preemphasis
        y = np.zeros((len(frames), size), np.int64)
        y[:, : self.settings.window] = (
            sharp * (tables.window.astype(np.int64) << 16) + 2**30
        ) >> 31
        spectrum, left = block_fft(y)
        energy = (spectrum**2).sum(axis=2)
        ends = np.cumsum(tables.bins, dtype=np.intp)
        found = np.empty((len(frames), len(ends)), np.int64)
        for band, end in enumerate(ends):
            first, count = int(tables.first[band]), int(tables.bins[band])
            weights = tables.weights[end - count : end].astype(np.int64)
            found[:, band] = ((energy[:, first : first + count] >> DROPPED_BITS) * weights).sum(1)
        scale = tables.weight_bits + 2 * (SAMPLE_BITS + left) - DROPPED_BITS
        return log_energy(tables.logs, found, scale, tables.floor)
