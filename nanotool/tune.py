"""A rule's threshold and window, chosen by recordings: false accepts an hour against false rejects.

Every recording is heard once; then each rule is tried on the model's outputs, by the library's own
arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.ir import QGraph
from nanotool.progress import Progress
from nanotool.sensing.rule import stream_of
from nanotool.sensing.stream import Stream, decide_all
from nanotool.sound import Int16Array

THRESHOLDS = 100  # that are tried for each window
DIGITS = 4  # significant ones, of a threshold


@dataclass(frozen=True, slots=True)
class Point:
    """One rule, and how it does."""

    window: int  # steps of the mean
    threshold: float
    false_accepts: int  # decisions in recordings that do not hold the word
    false_accepts_an_hour: float
    false_rejects: int  # recordings with the word and without a decision
    false_reject_share: float  # of those, 0..1


@dataclass(frozen=True, slots=True)
class Tuned:
    """All rules that were tried, and the best one."""

    points: tuple[Point, ...]  # by window, then threshold
    best: Point
    positives: int  # recordings
    negative_hours: float

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "positives": self.positives,
            "negative_hours": self.negative_hours,
            "best": asdict(self.best),
            "points": [asdict(point) for point in self.points],
        }


def tune(
    graph: QGraph,
    positives: Sequence[Int16Array],
    negatives: Sequence[Int16Array],
    *,
    windows: Sequence[int] = (),
    most: float = 0.5,
    place: int = 0,
    progress: Progress | None = None,
) -> Tuned:
    """Try thresholds and ``windows`` (none: the rule's own) for the class at ``place`` of the rule;
    everything else of the rule stays.

    ``positives``: recordings with the word; ``negatives``: without. The best rule is the one with
    the fewest false rejects among those with at most ``most`` false accepts an hour; then the one
    with the fewest false accepts, then the highest threshold. `NanoError` if there is none, or a
    recording is shorter than a step.
    """
    stream = stream_of(graph)
    if not positives or not negatives:
        raise NanoError("There are no recordings of one kind.", "Give some with, some without.")
    if not 0 <= place < len(stream.rule.classes):
        raise NanoError(f"The rule has {len(stream.rule.classes)} classes, none {place}.")
    sounds = [*positives, *negatives]
    heard = []
    for number, sound in enumerate(sounds):
        heard.append(Stream(graph).feed(sound).outputs)
        if progress is not None:
            progress(number + 1, len(sounds))
    if min(len(outputs) for outputs in heard) == 0:
        raise NanoError("A recording is shorter than a step of the model.", "Leave it out.")
    ears = stream.front_end
    hours = sum(len(sound) for sound in negatives) / ears.values / ears.sample_rate / 3600
    trial = _Trial(graph, heard[: len(positives)], heard[len(positives) :], hours, place)
    chosen = sorted(set(windows)) or [stream.rule.window]
    points = tuple(
        trial.point(window, threshold)
        for window in chosen
        for threshold in trial.thresholds(window)
    )
    allowed = [point for point in points if point.false_accepts_an_hour <= most]
    if not allowed:
        least = min(point.false_accepts_an_hour for point in points)
        raise NanoError(
            f"No threshold has at most {most:g} false accepts an hour; the fewest are {least:.3g}.",
            "Allow more (--most), or try other windows (--window).",
        )
    best = min(allowed, key=lambda p: (p.false_rejects, p.false_accepts, -p.threshold))
    return Tuned(points, best, len(positives), hours)


def with_point(graph: QGraph, point: Point, place: int = 0) -> QGraph:
    """``graph`` with this rule. A release above the threshold is lowered to it."""
    stream = stream_of(graph)
    classes = list(stream.rule.classes)
    release = classes[place].release
    kept = None if release is None else min(release, point.threshold)
    classes[place] = replace(classes[place], threshold=point.threshold, release=kept)
    rule = replace(stream.rule, classes=tuple(classes), window=point.window)
    return replace(graph, stream=replace(stream, rule=rule))


class _Trial:
    def __init__(
        self,
        graph: QGraph,
        positives: list[NDArray[Any]],
        negatives: list[NDArray[Any]],
        hours: float,
        place: int,
    ) -> None:
        self._graph, self._place, self._hours = graph, place, hours
        self._positives, self._negatives = positives, negatives
        self._index = stream_of(graph).rule.classes[place].index

    def thresholds(self, window: int) -> list[float]:
        """Evenly over the means that the recordings have."""
        if stream_of(self._graph).rule.vote:
            return [votes / window for votes in range(window)]
        tensor, means = self._graph.output_tensors[0], [0.0]
        for outputs in (*self._positives, *self._negatives):
            real = tensor.dequantize(outputs).reshape(len(outputs), -1)[:, self._index]
            if len(real) >= window:
                means += np.convolve(real, np.ones(window) / window, "valid").tolist()
        low, high = min(means), max(means)
        span = np.linspace(low, high, THRESHOLDS + 1).tolist()
        return sorted({float(f"{value:.{DIGITS}g}") for value in span})

    def point(self, window: int, threshold: float) -> Point:
        """How this rule does."""
        graph = with_point(self._graph, Point(window, threshold, 0, 0, 0, 0), self._place)
        accepts = sum(self._count(graph, outputs) for outputs in self._negatives)
        rejects = sum(self._count(graph, outputs) == 0 for outputs in self._positives)
        share = rejects / len(self._positives)
        return Point(window, threshold, accepts, accepts / self._hours, rejects, share)

    def _count(self, graph: QGraph, outputs: NDArray[Any]) -> int:
        return sum(made.index == self._index for made in decide_all(graph, outputs))
