"""Observers: from the values that a tensor takes to the range that int8 shall cover.

The min-max observer needs one pass over the data. The two others need a second one, which counts
the values in a histogram over the first one's range: memory does not grow with the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

BINS = 4096
PERCENTILE = 99.99  # share of the values that the percentile observer keeps, in percent


@dataclass
class MinMax:
    """The least and the greatest value seen."""

    low: float = np.inf
    high: float = -np.inf
    finite: bool = True

    def update(self, values: NDArray[Any]) -> None:
        """See some more values."""
        if values.size:
            self.low = min(self.low, float(values.min()))
            self.high = max(self.high, float(values.max()))
            self.finite = self.finite and bool(np.isfinite([self.low, self.high]).all())


@dataclass
class Histogram:
    """Counts of the values in BINS bins of equal width from ``low`` to ``high``."""

    low: float
    high: float
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def update(self, values: NDArray[Any]) -> None:
        """See some more values, all within the range."""
        if self.high > self.low:
            counts, _ = np.histogram(values, BINS, (self.low, self.high))
            self.counts += counts

    @property
    def centers(self) -> NDArray[np.float64]:
        """The value that stands for each bin."""
        edges = np.linspace(self.low, self.high, BINS + 1)
        return np.asarray((edges[:-1] + edges[1:]) / 2, np.float64)


Bounds: TypeAlias = tuple[float, float]
Choice: TypeAlias = Callable[[Histogram], Bounds]


def percentile(histogram: Histogram, share: float = PERCENTILE) -> Bounds:
    """The range that leaves out (100 - ``share``) / 2 percent of the values at either end."""
    total = int(histogram.counts.sum())
    if total == 0:
        return histogram.low, histogram.high
    tail = (1 - share / 100) / 2 * total
    edges = np.linspace(histogram.low, histogram.high, BINS + 1)
    cumulated = np.concatenate([[0], np.cumsum(histogram.counts)])
    low, high = np.interp([tail, total - tail], cumulated, edges)
    return float(low), float(high)


def mean_squared_error(histogram: Histogram) -> Bounds:
    """The range whose int8 grid has the least mean squared error over the histogram.

    Both ends are tried at a grid of fractions of the full range, in every combination.
    """
    if histogram.counts.sum() == 0:
        return histogram.low, histogram.high
    used = histogram.counts > 0
    values, weights = histogram.centers[used], histogram.counts[used].astype(np.float64)
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    fractions = np.linspace(1.0, 0.2, 33)
    best, least = (low, high), np.inf
    for lower in fractions if low < 0 else (1.0,):
        for upper in fractions if high > 0 else (1.0,):
            bounds = (float(lower * low), float(upper * high))
            error = float((weights * (values - _on_grid(values, *bounds)) ** 2).sum())
            if error < least * (1 - 1e-9):
                best, least = bounds, error
    return best


def _on_grid(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    scale = (high - low) / 255
    zero = np.rint(-low / scale)
    return np.asarray((np.clip(np.rint(values / scale) + zero, 0, 255) - zero) * scale)


# Observer by name; None: the least and the greatest value as they are.
OBSERVERS: Mapping[str, Choice | None] = MappingProxyType(
    {"minmax": None, "percentile": percentile, "mse": mean_squared_error}
)
