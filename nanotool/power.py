"""Energy of an inference, from what a power meter recorded while a marked firmware ran.

The firmware (`build(marker=True)`) holds a pin high during every timed inference; the meter records
that pin beside the current. A trace is a CSV file with a heading: a column of time, one of current
or power, one of the marker, and perhaps one of voltage. Units stand in the heading, in brackets:
`Timestamp(ms),Current(uA),D0`; without one they are s, A, W and V.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError

_PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "n": 1e-9}
_HEADING = re.compile(r"(?P<name>[^(\[]*)([(\[]\s*(?P<prefix>[mnuµμ]?)(?P<unit>[sAVW])\s*[)\]])?")
_NAMES = {"time": "s", "timestamp": "s", "current": "A", "power": "W", "voltage": "V"}
_MARKERS = ("marker", "d0", "gpi0", "in0")
_HINT = "A trace has a heading such as `Time(ms),Current(uA),Marker`."

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trace:
    """What a meter recorded, sample by sample."""

    seconds: Floats  # rising
    watts: Floats
    marker: NDArray[np.bool_]  # an inference is under way


@dataclass(frozen=True, slots=True)
class Energy:
    """Of one inference, on average over those whose beginning and end were recorded."""

    inferences: int
    joules: float  # all that the supply gave meanwhile
    seconds: float  # that the marker was high
    idle_watts: float  # the median while it was low

    @property
    def extra_joules(self) -> float:
        """More than idling for the same time takes."""
        return self.joules - self.idle_watts * self.seconds

    def to_json(self) -> dict[str, Any]:
        """As a results file has it."""
        return {
            "inferences": self.inferences,
            "microjoules": 1e6 * self.joules,
            "extra_microjoules": 1e6 * self.extra_joules,
            "microseconds": 1e6 * self.seconds,
            "idle_milliwatts": 1e3 * self.idle_watts,
        }


def read_trace(path: Path, volts: float | None = None, marker: str = "") -> Trace:
    """The trace in the file ``path``. ``volts``: of the supply, where the file has no power and no
    voltage; ``marker``: the name of its column, if it is none of marker, D0, GPI0 and IN0.
    `NanoError` says what is missing or wrong, and in which line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise NanoError(f"Cannot read {path}: {reason}.", _HINT) from error
    if len(rows) < 3:
        raise NanoError(f"{path} holds no trace: it has {len(rows)} lines.", _HINT)
    columns = _columns(path, rows[0], marker.lower())
    table = _numbers(path, rows, sorted({index for index, _ in columns.values()}))
    found = {unit: scale * table[index] for unit, (index, scale) in columns.items()}
    seconds = found["s"]
    if not (np.diff(seconds) > 0).all():
        line = int(np.argmin(np.diff(seconds) > 0)) + 3
        raise NanoError(f"{path}, line {line}: the time does not rise.")
    return Trace(seconds, _watts(path, found, volts), found["marker"] > 0.5)


def _columns(path: Path, heads: Sequence[str], marker: str) -> dict[str, tuple[int, float]]:
    """Unit, or "marker": (column, what its numbers are multiplied by)."""
    columns: dict[str, tuple[int, float]] = {}
    for index, head in enumerate(heads):
        parts = _HEADING.fullmatch(head.strip())
        name = (parts["name"] if parts else head).strip().lower()
        if head.strip().lower() == marker or (not marker and name in _MARKERS):
            columns.setdefault("marker", (index, 1.0))
        elif parts and (unit := _NAMES.get(name.split(" ")[-1])):
            if parts["unit"] not in (None, unit):
                raise NanoError(f"{path}: {head.strip()} is no {name}.", _HINT)
            columns.setdefault(unit, (index, _PREFIXES[parts["prefix"] or ""]))
    for unit, what in (("s", "time"), ("marker", marker or "the marker")):
        if unit not in columns:
            raise NanoError(f"{path} has no column of {what}.", _HINT)
    return columns


def _numbers(path: Path, rows: Sequence[Sequence[str]], wanted: Sequence[int]) -> dict[int, Floats]:
    values = np.empty((len(wanted), len(rows) - 1))
    for line, row in enumerate(rows[1:]):
        try:
            values[:, line] = [float(row[index]) for index in wanted]
        except (ValueError, IndexError):
            raise NanoError(
                f"{path}, line {line + 2}: {','.join(row)[:60]!r} is no sample."
            ) from None
    if not np.isfinite(values).all():
        line = int(np.argmin(np.isfinite(values).all(axis=0))) + 2
        raise NanoError(f"{path}, line {line}: a number is not finite.")
    return dict(zip(wanted, values, strict=True))


def _watts(path: Path, found: dict[str, Floats], volts: float | None) -> Floats:
    if "W" in found:
        return found["W"]
    if "A" not in found:
        raise NanoError(f"{path} has no column of current or power.", _HINT)
    if "V" in found:
        return found["A"] * found["V"]
    if volts is None:
        raise NanoError(f"{path} has no voltage.", "Give that of the supply: --volts 3.3.")
    return found["A"] * volts


def energy(trace: Trace) -> Energy:
    """Of one inference. A sample holds until the next one; an inference that is under way at the
    trace's beginning or end is left out. `NanoError` if none is whole, or nothing was recorded
    between them."""
    edges = np.flatnonzero(np.diff(trace.marker))
    rises = edges[~trace.marker[edges]] + 1
    falls = edges[trace.marker[edges]] + 1
    falls = falls[falls > rises[0]] if len(rises) else falls[:0]
    rises = rises[: len(falls)]
    if not len(falls):
        raise NanoError(
            "The trace has no whole inference: its marker does not rise and fall.",
            "Record the marker's pin from before the first inference to behind the last one.",
        )
    step = np.diff(trace.seconds)
    total = np.concatenate([[0.0], np.cumsum(trace.watts[:-1] * step)])
    count = len(falls)
    return Energy(
        inferences=count,
        joules=float((total[falls] - total[rises]).sum()) / count,
        seconds=float((trace.seconds[falls] - trace.seconds[rises]).sum()) / count,
        idle_watts=float(np.median(trace.watts[~trace.marker])),
    )
