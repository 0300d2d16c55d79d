"""What `auto` chooses among: ways from a tensor's statistics to its range. The list may grow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nanotool.quantization.auto.statistics import Statistics
from nanotool.quantization.calibrate import Range


@dataclass(frozen=True)
class Way:
    """One way to choose a range."""

    name: str
    range: Callable[[Statistics], Range]


WAYS: tuple[Way, ...] = (
    Way("min-max", lambda seen: (seen.low, seen.high)),
    Way("99.99 % of the values", lambda seen: seen.percentile(99.99)),
    Way("99.9 % of the values", lambda seen: seen.percentile(99.9)),
    Way("least squared error", lambda seen: seen.least_noise(seen.counts)),
    Way("least noise at the output", lambda seen: seen.least_noise(seen.weights)),
)
MINMAX = WAYS[0]
