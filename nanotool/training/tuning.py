"""When a score is an alarm, chosen by recordings: false alarms against faults that are found.

Recordings are left out in turn; what is learned from the others scores them. So no sample is judged
by what was learned from its own recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.ir import Int8Array
from nanotool.progress import Progress
from nanotool.training.anomaly import (
    Scores,
    between_recordings,
    gaussian_scores,
    nearest_scores,
    threshold_of,
    voted,
)
from nanotool.training.config import Alarm, HeadConfig
from nanotool.training.head import Head

QUANTILES = (900, 950, 980, 990, 1000)  # per mille, that are tried
MARGINS = (500, 600, 700, 800, 1000, 1250, 1500, 2000, 2500, 3000, 4000)
WINDOWS = (1, 3, 5)  # scores of a vote, of which more than half are needed
MOST_FOLDS = 10
LEAST = 3  # recordings: one is left out, two are learned


@dataclass(frozen=True, slots=True)
class AlarmPoint:
    """One setting, and how it does on recordings that were left out."""

    alarm: Alarm
    false_alarms: float  # share of the normal scores that ended in an alarm, from the first vote
    detected: float | None  # the same of the faults'; None: there are no recordings of faults


@dataclass(frozen=True, slots=True, eq=False)
class TunedAlarm:
    """All settings that were tried, and the best one, with the threshold of all that is normal."""

    points: tuple[AlarmPoint, ...]
    best: AlarmPoint
    normal: Scores  # of all normal samples, each by what the other recordings taught
    faults: Scores  # of all samples of faults, by all that is normal
    recordings: int  # normal ones

    @property
    def auc(self) -> float | None:
        """The probability that a fault's score is above a normal one's, an equal one being half."""
        return None if not len(self.faults) else area_under_curve(self.normal, self.faults)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "recordings": self.recordings,
            "auc": self.auc,
            "best": asdict(self.best),
            "points": [asdict(point) for point in self.points],
        }


def area_under_curve(normal: Scores, faults: Scores) -> float:
    """Of the receiver operating characteristic, by ranks (Mann and Whitney)."""
    ordered = np.sort(normal)
    below = np.searchsorted(ordered, faults, "left") + np.searchsorted(ordered, faults, "right")
    return float(below.mean() / 2 / len(normal))


def tune_alarm(
    config: HeadConfig,
    normal: Sequence[Int8Array],
    faults: Sequence[Int8Array] = (),
    *,
    windows: Sequence[int] = (),
    most: float = 0.05,
    progress: Progress | None = None,
) -> TunedAlarm:
    """Try quantiles, margins and votes of ``windows`` scores (none: `WINDOWS`) for ``config``.

    ``normal`` and ``faults``: the features of each recording, int8 [n, features]. The best setting
    has at most ``most`` false alarms, and of these the most faults found; without ``faults``, the
    lowest threshold. `NanoError` if there is none, or there are fewer than `LEAST` recordings.
    """
    if config.anomaly == "none":
        raise NanoError(
            "A head without scores has no threshold.", "Add --head anomaly=nearest or gaussian."
        )
    if len(normal) < LEAST or min(map(len, normal)) == 0:
        raise NanoError(
            f"There are {sum(len(part) > 0 for part in normal)} normal recordings; a threshold "
            f"needs {LEAST}.",
            "Each is a file of its own: samples of one recording are more alike than others are.",
        )
    folds = min(MOST_FOLDS, len(normal))
    trials: list[Taught] = []
    for number in range(folds):
        kept = [part for index, part in enumerate(normal) if index % folds != number]
        trials.append(Taught(config, kept, list(normal[number::folds]), faults))
        if progress is not None:
            progress(number + 1, folds)
    points = [
        _point(trials, Alarm(0, quantile, margin, window // 2 + 1, window), bool(len(faults)))
        for window in sorted(set(windows or WINDOWS))
        for quantile in QUANTILES
        for margin in MARGINS
    ]
    allowed = [point for point in points if point.false_alarms <= most]
    if not allowed:
        least = min(point.false_alarms for point in points)
        raise NanoError(
            f"No setting has at most {most:.1%} of false alarms; the fewest are {least:.1%}.",
            "Record more of what is normal, allow more (--most), or vote longer (--window).",
        )
    whole = Taught(config, list(normal), [], faults)
    chosen = min(allowed, key=lambda point: _rank(point, whole.between))
    threshold = threshold_of(whole.between, chosen.alarm.quantile, chosen.alarm.margin)
    best = replace(chosen, alarm=replace(chosen.alarm, threshold=threshold))
    own = np.concatenate([part for trial in trials for part in trial.normal])
    return TunedAlarm(
        tuple(points), best, own, np.concatenate([*whole.faults, own[:0]]), len(normal)
    )


def _rank(point: AlarmPoint, between: Scores) -> tuple[float, ...]:
    """The least is the best."""
    alarm = point.alarm
    threshold = threshold_of(between, alarm.quantile, alarm.margin)
    if point.detected is None:
        return threshold, alarm.window, point.false_alarms
    return -point.detected, point.false_alarms, alarm.window, -threshold


class Taught:
    """What some normal recordings teach: distances between them, scores of others."""

    def __init__(
        self,
        config: HeadConfig,
        learned: Sequence[Int8Array],
        normal: Sequence[Int8Array],
        faults: Sequence[Int8Array],
    ) -> None:
        known = np.concatenate(learned)
        recordings: NDArray[np.integer] = np.repeat(
            np.arange(len(learned)), [len(part) for part in learned]
        )
        if config.anomaly == "nearest":
            known, recordings = _remembered(config, known, recordings)
            self.between = between_recordings(known, recordings)
            score = nearest_scores
        else:
            score = gaussian_scores
            self.between = np.concatenate(
                [score(known[recordings == n], known[recordings != n]) for n in set(recordings)]
            )
        self.normal = [score(part, known) for part in normal]
        self.faults = [score(part, known) for part in faults]


def _remembered(
    config: HeadConfig, known: Int8Array, recordings: NDArray[np.integer]
) -> tuple[Int8Array, NDArray[np.uint16]]:
    """What the replay buffer holds when all of it was learned."""
    head = Head(config)
    for row, recording in zip(known, recordings, strict=True):
        head.learn(row, int(recording))
    kept = head.recordings()
    if len(set(kept.tolist())) < 2:
        raise NanoError(
            f"{config.replay_slots} slots keep one recording only.", "Give --head slots= more."
        )
    return head.replay()[0], kept


def _point(trials: Sequence[Taught], alarm: Alarm, faulty: bool) -> AlarmPoint:
    """How this setting does in all of the folds."""
    normal: list[NDArray[np.bool_]] = []
    faults: list[NDArray[np.bool_]] = []
    for trial in trials:
        threshold = threshold_of(trial.between, alarm.quantile, alarm.margin)
        normal += [alarms_of(scores, threshold, alarm) for scores in trial.normal]
        faults += [alarms_of(scores, threshold, alarm) for scores in trial.faults]
    share, found = (np.concatenate([*part, np.zeros(0, bool)]) for part in (normal, faults))
    if not len(share):
        return AlarmPoint(alarm, 1.0, 0.0 if faulty else None)
    return AlarmPoint(
        alarm, float(share.mean()), float(found.mean()) if len(found) else 0.0 if faulty else None
    )


def alarms_of(scores: Scores, threshold: int, alarm: Alarm) -> NDArray[np.bool_]:
    """Whether each score of a recording ends in an alarm, from the first whole vote on; of one that
    is shorter than a vote, its last score."""
    first = min(alarm.window, len(scores)) - 1
    return voted(scores > threshold, alarm.needed, alarm.window)[max(first, 0) :]
