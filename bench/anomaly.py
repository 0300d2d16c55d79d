"""How well anomalies are told: one person's one exercise is normal, the other six are not.

    python -m bench.anomaly             the figures
    python -m bench.anomaly --record    and keep them in bench/anomaly.json

The network and the recordings are those of examples/task08_motion: 48 int8 features of 4 s of a
watch's motion, every half second. Two people are held out of the network's training: 14 tasks, a
person's exercise each. Both recordings of an exercise (a side each) are cut into `PIECES` parts,
which count as recordings; the even ones are learned, the odd ones are held out, the two at a cut
sharing no sample. The same half of the other exercises is what has to be found.

Quantile, margin and votes are the ones that do best on two *other* people, with a network that was
trained without these (fold 5 of the example): of all settings with at most 5 % of false alarms over
their 14 tasks the one that finds most. The board then takes each task's threshold from what it
learned (`train threshold auto`). Nothing was chosen on the people who are reported.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from examples import flow
from examples.task08_motion import TASK
from nanotool.datasets import load_motion, motion
from nanotool.files import write_atomic
from nanotool.inputs import to_device
from nanotool.ir import Dense, Int8Array
from nanotool.ops import layers_of
from nanotool.pipeline import prepare
from nanotool.runtime import Runtime
from nanotool.training import Alarm, HeadConfig, HeadOptions, Layer, cut, tuning, watching
from nanotool.training.anomaly import threshold_of

RECORD = Path(__file__).resolve().parent / "anomaly.json"
REPORTED, CHOSEN_ON = 0, 4  # folds
STRIDE, PIECES, MOST, SLOTS = 25, 6, 0.05, 100
KINDS = ("nearest", "gaussian")


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What is normal, learned and held out, and what is not: features [n, 48] of each recording."""

    name: str
    learned: list[Int8Array]
    normal: list[Int8Array]
    faults: list[Int8Array]


def tasks(fold: int) -> list[Task]:
    """The 14 of the fold's two people."""
    data = load_motion()[fold]
    flow.folder(TASK).mkdir(parents=True, exist_ok=True)
    model = flow.trained(TASK, data, fold, False, lambda done, total: None)
    graph = flow.quantized(TASK, model, data).graph
    trainable = cut(graph, [layer.name for layer in layers_of(graph, Dense)][-1:], HeadOptions())
    runtime = Runtime(*prepare(trainable.backbone))
    recordings = motion.motion_recordings()
    scale = np.array(motion.SENSOR_SCALE) / motion.UNITS
    parts: dict[tuple[int, int], tuple[list[Int8Array], list[Int8Array]]] = {}
    for whole, exercise, person in zip(
        recordings.samples, recordings.exercises, recordings.people, strict=True
    ):
        if person * motion.FOLDS // motion.SUBJECTS != fold:
            continue
        samples = (whole * scale).astype(np.float32)
        learned, held = parts.setdefault((int(person), int(exercise)), ([], []))
        for number, piece in enumerate(np.array_split(samples, PIECES)):
            starts = range(0, len(piece) - motion.WINDOW + 1, STRIDE)
            windows = np.stack([piece[at : at + motion.WINDOW].T for at in starts])
            features = watching.features(runtime, to_device(graph, windows))
            (held if number % 2 else learned).append(features)
    return [
        Task(
            f"person {person + 1}, {motion.LABELS[exercise]}",
            learned,
            held,
            [part for (who, what), (_, other) in parts.items() for part in other
             if who == person and what != exercise],
        )
        for (person, exercise), (learned, held) in sorted(parts.items())
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Judged:
    """One task."""

    name: str
    auc: float
    threshold: int
    false_alarms: float  # share of the votes in what is normal and was held out
    detected: float  # of those in what is not


def taught(kind: Any, task: Task) -> tuning.Taught:
    """Of a head with `SLOTS`."""
    config = HeadConfig(
        task.learned[0].shape[1],
        1.0,
        (Layer(7),),
        arithmetic="int16",
        replay_slots=SLOTS,
        anomaly=kind,
    )
    return tuning.Taught(config, task.learned, task.normal, task.faults)


def judge(name: str, known: tuning.Taught, alarm: Alarm) -> Judged:
    """By what the learned recordings teach."""
    threshold = threshold_of(known.between, alarm.quantile, alarm.margin)
    false, found = (
        np.concatenate([tuning.alarms_of(scores, threshold, alarm) for scores in parts])
        for parts in (known.normal, known.faults)
    )
    auc = tuning.area_under_curve(np.concatenate(known.normal), np.concatenate(known.faults))
    return Judged(name, auc, threshold, float(false.mean()), float(found.mean()))


def mean(judged: list[Judged], what: str) -> float:
    """Of all tasks."""
    return float(np.mean([getattr(one, what) for one in judged]))


def choose(known: list[tuning.Taught]) -> Alarm:
    """The setting that finds most, of those with few false alarms, over all of these tasks."""
    best: tuple[float, float, Alarm] | None = None
    for window in tuning.WINDOWS:
        for quantile in tuning.QUANTILES:
            for margin in tuning.MARGINS:
                alarm = Alarm(0, quantile, margin, window // 2 + 1, window)
                judged = [judge("", one, alarm) for one in known]
                false, found = mean(judged, "false_alarms"), mean(judged, "detected")
                if false <= MOST and (best is None or (found, -false) > best[:2]):
                    best = found, -false, alarm
    if best is None:
        raise SystemExit(f"no setting has at most {MOST:.0%} of false alarms")
    return best[2]


def measure() -> dict[str, Any]:
    """Both kinds."""
    chosen_on, reported = tasks(CHOSEN_ON), tasks(REPORTED)
    found: dict[str, Any] = {}
    for kind in KINDS:
        alarm = choose([taught(kind, task) for task in chosen_on])
        judged = [judge(task.name, taught(kind, task), alarm) for task in reported]
        found[kind] = {
            "alarm": {name: value for name, value in asdict(alarm).items() if name != "threshold"},
            **{what: mean(judged, what) for what in ("auc", "false_alarms", "detected")},
            "tasks": [asdict(one) for one in judged],
        }
    return found


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name} anew")
    arguments = parser.parse_args()
    found = measure()
    for kind, told in found.items():
        for one in told["tasks"]:
            print(
                f"{kind:9} {one['name']:32} AUC {one['auc']:.4f}  false {one['false_alarms']:6.1%}"
                f"  found {one['detected']:6.1%}"
            )
        print(
            f"{kind:9} {'mean, ' + str(told['alarm']):32}\n{'':9} AUC {told['auc']:.4f}  "
            f"false {told['false_alarms']:6.1%}  found {told['detected']:6.1%}"
        )
    if arguments.record:
        write_atomic(RECORD, json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
