"""Watching for anomalies: recordings of what is normal go to a board, others are scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.device.training import AlarmState, Score
from nanotool.errors import NanoError
from nanotool.files import read_array
from nanotool.inputs import to_device
from nanotool.ir import Int8Array, QGraph
from nanotool.pipeline import prepare
from nanotool.progress import Progress
from nanotool.recordings import SUFFIXES, read_recording
from nanotool.runtime import Runtime
from nanotool.sensing.rule import frames_of
from nanotool.sensing.stream import quantize
from nanotool.signal.frontend import front_end
from nanotool.training.config import NO_THRESHOLD
from nanotool.training.cut import Trainable
from nanotool.training.session import AnyTrainer


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A file's samples as the device wants them, in their order."""

    name: str
    x: NDArray[Any]  # [n, *input shape]


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """When a score is an alarm, and the scores of recordings."""

    alarm: AlarmState
    learned: int
    scores: tuple[tuple[str, tuple[Score, ...]], ...]  # of each recording, by its name

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        told = [
            {
                "recording": name,
                "scores": [score.score for score in scores],
                "anomalous": [score.anomalous for score in scores],
                "alarms": [score.alarm for score in scores],
            }
            for name, scores in self.scores
        ]
        threshold = self.alarm.threshold
        return {
            "learned": self.learned,
            "threshold": None if threshold == NO_THRESHOLD else threshold,
            "scored": told,
        }

    def facts(self) -> list[tuple[str, str]]:
        """For people: a row for what is normal, and one a recording."""
        alarm = self.alarm
        above = "no threshold" if alarm.threshold == NO_THRESHOLD else f"above {alarm.threshold:,}"
        told = [
            (
                "normal",
                f"{self.learned:,} samples; an alarm: {alarm.needed} of {alarm.window} {above}",
            )
        ]
        for name, scores in self.scores:
            values = [score.score for score in scores]
            alarms = sum(score.alarm for score in scores)
            told.append(
                (name, f"{alarms} alarms in {len(values)} scores, median {np.median(values):,.0f}")
            )
        return told


def check_scores(trainable: Trainable) -> None:
    """`NanoError` unless the head has scores."""
    if trainable.config.anomaly == "none":
        raise NanoError(
            "The head has no scores, so nothing is normal to it.",
            "Add --head anomaly=nearest (over the replay buffer) or anomaly=gaussian.",
        )


# --- Recordings -----------------------------------------------------------------------------------


def read_inputs(graph: QGraph, place: Path) -> list[Recording]:
    """Every recording in a folder and its folders, by name; or the one file.

    Of a model that listens, sound or sensor recordings (`nanotool.recordings`), cut into its steps;
    of another one .npy files [samples, *input shape]. `NanoError` if there is none, or one has no
    whole sample.
    """
    suffixes = (".npy",) if graph.stream is None else SUFFIXES
    found = sorted(path for path in place.rglob("*") if path.suffix in suffixes)
    paths = [place] if place.is_file() else found
    if not paths:
        raise NanoError(f"{place} holds no recording ({', '.join(suffixes)}).", "Name a folder.")
    recordings = []
    for path in paths:
        x = to_device(graph, read_array(path)) if graph.stream is None else _steps(graph, path)
        if len(x) == 0:
            raise NanoError(f"{path} is shorter than a sample of the model.", "Leave it out.")
        name = path.name if path == place else str(path.relative_to(place))
        recordings.append(Recording(name, x))
    return recordings


def _steps(graph: QGraph, path: Path) -> NDArray[Any]:
    """What the model is given at each of its steps of a recording."""
    assert graph.stream is not None
    if graph.states:
        raise NanoError(
            f"{graph.name} remembers from step to step; a head learns behind a model that does "
            "not.",
            "Quantize it with whole windows as its input.",
        )
    settings, hop, frames = graph.stream.front_end, graph.stream.hop, frames_of(graph)
    heard = front_end(settings).process(read_recording(path, settings))
    steps = max(0, (len(heard) - frames) // hop + 1)
    shape = graph.input_tensor.shape
    windows = [
        quantize(graph, graph.stream.scaling, heard[i * hop :][:frames]) for i in range(steps)
    ]
    return np.array(windows).reshape(steps, *shape)


def read_features(graph: QGraph, trainable: Trainable, place: Path) -> list[Int8Array]:
    """The features [n, features] of every recording: `read_inputs`."""
    runtime = Runtime(*prepare(trainable.backbone))
    return [features(runtime, recording.x) for recording in read_inputs(graph, place)]


def features(runtime: Runtime, x: NDArray[Any]) -> Int8Array:
    """What the backbone makes of samples: [n, features]."""
    return np.asarray(runtime.run(x), np.int8).reshape(len(x), -1)


# --- A board --------------------------------------------------------------------------------------


def learn(
    trainer: AnyTrainer,
    trainable: Trainable,
    recordings: Sequence[Recording],
    progress: Progress | None = None,
) -> None:
    """Have ``trainer`` learn what is normal, recording by recording.

    Then it takes the threshold from them, unless the head's options give one; a Gaussian cannot.
    """
    total, done = sum(len(recording.x) for recording in recordings), 0
    first = trainer.status().learned  # a board may have learned before: these are other recordings
    for number, recording in enumerate(recordings, start=1):
        for one in recording.x:
            trainer.learn(one, (first + number) % 65536)
            done += 1
            if progress is not None:
                progress(done, total)
    given = trainable.config.alarm.threshold != NO_THRESHOLD
    if recordings and trainable.config.anomaly == "nearest" and not given:
        try:
            trainer.threshold("auto")
        except NanoError as error:
            raise NanoError(
                "The threshold comes from distances between recordings, and the replay buffer "
                "holds one.",
                "Give --normal two or more, more --head slots=, or --head threshold=N.",
            ) from error


def score(
    trainer: AnyTrainer, recordings: Sequence[Recording], progress: Progress | None = None
) -> Watched:
    """Score recordings; the votes of each begin anew."""
    total, done, told = sum(len(recording.x) for recording in recordings), 0, []
    if recordings and trainer.status().learned == 0:
        raise NanoError("There is nothing to score by.", "Learn what is normal first: --normal.")
    for recording in recordings:
        trainer.begin()
        scores = []
        for one in recording.x:
            scores.append(trainer.score(one))
            done += 1
            if progress is not None:
                progress(done, total)
        told.append((recording.name, tuple(scores)))
    return Watched(trainer.threshold(), trainer.status().learned, tuple(told))
