"""Windows of a sensor: tables, the device's arithmetic in NumPy, and a float reference.

lib/nano/src/signal/sensor.c computes the same; docs/signal.md has conventions and errors.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.numerics.rounding import (
    Int64Array,
    doubling_high_multiply,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
)
from nanotool.sensing.description import SensorSettings
from nanotool.signal.energy import LN_BITS, block_fft, log_energy, narrow
from nanotool.signal.fft import Int16Array
from nanotool.signal.fft32 import fft32_table
from nanotool.signal.mel import hann, hann_table
from nanotool.signal.micro_frontend import log_table, root

RAW_BITS, MORE_BITS, SLOPE_BITS, ROOM_BITS = 16, 8, 14, 6
LOG_BITS = 8  # fractional bits of a logarithm that comes out
DETRENDS = ("none", "constant", "linear")  # NANO_DETREND_...


@dataclass(frozen=True, slots=True)
class SensorTables:
    """What the device reads: const arrays, in the fields of `nano_sensor_params`."""

    multipliers: NDArray[np.int32]  # [channels]
    shifts: NDArray[np.int8]  # [channels]
    groups: NDArray[np.uint32] | None  # [magnitudes]: bits of channels
    mean: tuple[int, int]  # multiplier, shift
    slope: tuple[int, int]
    slope_drop: int
    turns: NDArray[np.int32] | None
    window: Int16Array | None  # [window samples], Q15
    edges: NDArray[np.uint16] | None  # [bands + 1] bins
    logs: NDArray[np.uint16] | None
    floor: int  # log2, 16 fractional bits


def sensor_tables(settings: SensorSettings) -> SensorTables:
    """The tables that ``settings`` make. NanoError where a band has no bin."""
    factors = [
        quantize_multiplier(one * 2.0 ** (settings.fraction - RAW_BITS)) for one in settings.scales
    ]
    n, power = settings.window, settings.fft_size
    drop = max(0, (2**15 * n * n // 2).bit_length() - 31)
    slope = Fraction(3 << (SLOPE_BITS + drop), n**3 - n) if n > 1 else Fraction(0)
    groups = [sum(1 << channel for channel in group) for group in settings.magnitudes]
    return SensorTables(
        multipliers=np.array([multiplier for multiplier, _ in factors], np.int32),
        shifts=np.array([shift for _, shift in factors], np.int8),
        groups=np.array(groups, np.uint32) if groups else None,
        mean=quantize_multiplier(2**MORE_BITS / n),
        slope=quantize_multiplier(float(slope)),
        slope_drop=drop,
        turns=fft32_table(power) if power else None,
        window=hann_table(n) if power else None,
        edges=_edges(settings) if power else None,
        logs=log_table() if power else None,
        floor=round(math.log2(settings.floor) * 65536),
    )


def _edges(settings: SensorSettings) -> NDArray[np.uint16]:
    """Each band's first bin, and the one behind the last: a bin is of the band that its frequency
    is in, the highest edge's of the last band."""
    if not settings.bands:  # each bin above 0 Hz
        return np.arange(1, settings.fft_size // 2 + 2, dtype=np.uint16)
    width = Fraction(settings.sample_rate, settings.fft_size)
    first = [math.ceil(Fraction(edge) / width) for edge in settings.bands]
    first[-1] = math.floor(Fraction(settings.bands[-1]) / width) + 1
    for band, (low, high) in enumerate(itertools.pairwise(first)):
        if low >= high:
            raise NanoError(
                f"Band {band}, {settings.bands[band]:g} to {settings.bands[band + 1]:g} Hz, has "
                f"no bin: they are {float(width):g} Hz apart.",
                "Take wider bands, or a larger FFT.",
            )
    return np.array(first, np.uint16)


def sensor_reference(
    settings: SensorSettings, samples: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """[windows, features] in float64: what the integers approximate. ``samples``: [n, channels].
    Nothing is clipped."""
    real = samples.astype(np.float64) * settings.scales
    lengths = [np.sqrt((real[:, list(group)] ** 2).sum(axis=1)) for group in settings.magnitudes]
    kept = [] if settings.magnitudes_only else list(real.T)
    rows = np.stack([*kept, *lengths], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(rows, settings.window, axis=0)
    x = windows[:: settings.step].transpose(0, 2, 1)  # n, window, width
    if settings.detrend != "none":
        x = x - x.mean(axis=1, keepdims=True)
    if settings.detrend == "linear":
        u = np.arange(settings.window) - (settings.window - 1) / 2
        slopes = np.einsum("i,nic->nc", u, x) / (u**2).sum()
        x = x - u[None, :, None] * slopes[:, None]
    if settings.fft_size:
        spectrum = np.fft.rfft(x * hann(settings.window)[:, None], settings.fft_size, axis=1)
        edges = _edges(settings).astype(np.intp)
        energy = np.abs(spectrum) ** 2
        pairs = itertools.pairwise(edges)
        bands = np.stack([energy[:, low:high].sum(axis=1) for low, high in pairs], axis=1)
        x = np.log(np.maximum(bands, settings.floor))
    return np.asarray(x.reshape(len(x), -1))


class SensorTwin:
    """The device's arithmetic in NumPy, on any number of values at a time."""

    def __init__(self, settings: SensorSettings) -> None:
        self.settings = settings
        self.reset()

    @cached_property
    def tables(self) -> SensorTables:
        """Those of the settings."""
        return sensor_tables(self.settings)

    def reset(self) -> None:
        """Forget all samples, a half one included."""
        self._half = np.zeros(0, np.int16)
        self._rest = np.zeros((0, self.settings.width), np.int64)

    def process(self, values: Int16Array) -> Int16Array:
        """[windows, features] that ``values``, the channels in turn, complete."""
        s = self.settings
        told = np.concatenate([self._half, values])
        whole = len(told) // s.channels * s.channels
        self._half = told[whole:]
        rows = np.concatenate([self._rest, self._kept(told[:whole].reshape(-1, s.channels))])
        count = max(0, (len(rows) - s.window) // s.step + 1)
        self._rest = rows[count * s.step :]
        if not count:
            return np.zeros((0, s.features), np.int16)
        views = np.lib.stride_tricks.sliding_window_view(rows, s.window, axis=0)
        plain = self._plain(views[:: s.step][:count])  # count, width, window
        made = self._energies(plain) if s.fft_size else narrow(plain, MORE_BITS, 0)
        return np.ascontiguousarray(made.transpose(0, 2, 1)).reshape(count, -1)

    def _kept(self, samples: Int16Array) -> Int64Array:
        """[n, width] of [n, channels]: scaled, and the lengths."""
        s, tables = self.settings, self.tables
        raw = samples.astype(np.int64) << RAW_BITS
        scaled = multiply_by_quantized_multiplier(raw, tables.multipliers, tables.shifts)
        y = scaled.clip(-32768, 32767)
        squares = [(y[:, list(group)] ** 2).sum(axis=1) for group in s.magnitudes]
        lengths = [root(one).clip(None, 32767) for one in squares]
        return np.stack([*([] if s.magnitudes_only else y.T), *lengths], axis=1)

    def _plain(self, windows: Int64Array) -> Int64Array:
        """``windows`` [n, width, window] without their trends, `MORE_BITS` more."""
        s, tables = self.settings, self.tables
        y = windows << MORE_BITS
        if s.detrend == "none":
            return y
        mean = multiply_by_quantized_multiplier(windows.sum(axis=2), *tables.mean)
        if s.detrend == "constant":
            return y - mean[..., None]
        u = 2 * np.arange(s.window) + 1 - s.window
        moment = (windows * u).sum(axis=2) >> tables.slope_drop
        slope = multiply_by_quantized_multiplier(moment, *tables.slope)[..., None]
        left = SLOPE_BITS - MORE_BITS
        return y - (mean[..., None] + ((slope * u + (1 << (left - 1))) >> left))

    def _energies(self, plain: Int64Array) -> Int16Array:
        """[n, width, bands]."""
        s, tables = self.settings, self.tables
        assert tables.window is not None and tables.edges is not None and tables.logs is not None
        y = np.zeros((plain.shape[0] * s.width, s.fft_size), np.int64)
        window = tables.window.astype(np.int64) << 16
        y[:, : s.window] = doubling_high_multiply(
            plain.reshape(-1, s.window) << ROOM_BITS, window[None]
        )
        spectrum, left = block_fft(y)
        energy = (spectrum**2).sum(axis=2)
        edges = tables.edges.astype(np.intp)
        pairs = itertools.pairwise(edges)
        bands = np.stack([energy[:, low:high].sum(axis=1) for low, high in pairs], axis=1)
        scale = 2 * (MORE_BITS + ROOM_BITS + s.fraction + left)
        logs = log_energy(tables.logs, bands, scale, tables.floor)
        return narrow(logs, LN_BITS, LOG_BITS).reshape(plain.shape[0], s.width, -1)
