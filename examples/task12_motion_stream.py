"""Shoulder exercises, as they are done: a watch's samples go to the board, and it says which one.

    python -m examples.task12_motion_stream            all recordings, native and emulated stm32
    python -m examples.task12_motion_stream --short    little training, two recordings
    python -m examples.task12_motion_stream --record   the figures go to bench/motion_stream.json

Example 08's network and recordings, but nobody cuts windows: accelerometer and gyroscope come in
whole numbers, 50 times a second, six channels in turn. The front end scales them, the model looks
at 4 s every 2 s, and five windows vote. For every recording of the two people who are held out

    outputs     are those of the offline way: PyTorch's features of the recording, cut into windows,
                each quantized and computed by itself on this computer
    decisions   are the majority of the last five windows, counted here by hand
    exercise    is what most windows say, which is compared with what was done

Ends with ``MOTION_STREAM OK ...`` or ``MOTION_STREAM FAILED: why``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import nanotool
from examples.fit import fit
from examples.flow import Steps, classes
from examples.streaming import BOARD_NAMES, Cost, Failed, Streamed, cost_cells
from examples.task08_motion import TASK, network
from nanotool.api import QuantizedModel
from nanotool.bench import connect
from nanotool.boards import BOARDS, Board
from nanotool.build import build
from nanotool.datasets import Dataset
from nanotool.datasets.motion import (
    LABELS,
    SENSOR_SCALE,
    TRAIN_STRIDE,
    UNITS,
    WINDOW,
    MotionRecordings,
    motion_recordings,
)
from nanotool.inputs import to_device
from nanotool.ir import Int8Array, QGraph
from nanotool.listen import listen
from nanotool.pipeline import prepare
from nanotool.sensing.description import ClassRule, Rule, Scaling, SensorSettings, StreamRule
from nanotool.signal.frontend import unit_of
from nanotool.signal.transform import FrontEndTransform

RATE, CHANNELS = 50, 6
HOP, VOTES, QUIET = 100, 5, 10.0  # samples a step, windows that vote, seconds between decisions
SENSES = SensorSettings(
    sample_rate=RATE,
    channels=CHANNELS,
    scale=tuple(one / float(unit) for one, unit in zip(SENSOR_SCALE, UNITS, strict=True)),
    limit=32.0,
)
GOAL = 0.75  # of the recordings, of people whom the network has never seen
SHORT_TRAIN, SHORT_RECORDINGS = 1000, 2
RECORD = Path(__file__).resolve().parents[1] / "bench" / "motion_stream.json"


@dataclass(frozen=True, slots=True)
class Expected:
    """What is right of a recording, by the offline way."""

    samples: NDArray[np.int16]  # [n, 6]
    outputs: Int8Array  # [windows, 7]
    decisions: list[tuple[int, int]]  # (step, exercise)
    exercise: int  # what was done


@dataclass(frozen=True, slots=True)
class Told:
    """What one board made of all recordings."""

    board: str
    recordings: int
    right: float  # share of recordings whose windows say mostly what was done
    steps: int
    decisions: int
    seconds: float  # of motion
    instructions: int | None  # of a second of motion, where they are counted
    ram: int  # static and the most of the stack, where the board knows


# --- The model, and the offline way ---------------------------------------------------------------


def features(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """[6, n], as PyTorch trains on them: the device's numbers."""
    frames = FrontEndTransform(SENSES)(torch.from_numpy(samples.T.copy()))
    return np.ascontiguousarray(frames.numpy().T)


def windows(of: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    """[windows, 6, WINDOW]."""
    views = np.lib.stride_tricks.sliding_window_view(of, WINDOW, axis=1)[:, ::stride]
    return np.ascontiguousarray(views.transpose(1, 0, 2))


def dataset(recordings: MotionRecordings) -> Dataset:
    """Windows of everybody who is not held out."""
    chosen = np.flatnonzero(~recordings.held_out)
    parts = [windows(features(recordings.samples[i]), TRAIN_STRIDE) for i in chosen]
    y = np.repeat(recordings.exercises[chosen], [len(part) for part in parts])
    x, nothing = np.concatenate(parts), np.zeros(0, np.int64)
    return Dataset("motion", x, y, x[:0], nothing, LABELS, "", "")


def listening(model: QuantizedModel) -> QGraph:
    """The model with what is around it."""
    graph = model.graph
    scaling = Scaling.of(unit_of(SENSES), graph.input_tensor.scale)
    majority = tuple(ClassRule(i, 0.5, refractory=QUIET) for i in range(len(LABELS)))
    rule = Rule(majority, window=VOTES, vote=True)
    return replace(graph, stream=StreamRule(SENSES, scaling, rule, HOP))


def majorities(answers: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """(step, exercise) where more than half of the last `VOTES` windows agree, and did not decide
    so in the last `QUIET` seconds."""
    quiet, free = round(QUIET * RATE / HOP), dict.fromkeys(range(len(LABELS)), 0)
    for step in range(VOTES - 1, len(answers)):
        counts = np.bincount(answers[step - VOTES + 1 : step + 1], minlength=len(LABELS))
        best = int(counts.argmax())
        if 2 * counts[best] > VOTES and step >= free[best]:
            free[best] = step + quiet
            yield step, best


def expected(model: QuantizedModel, samples: NDArray[np.int16], exercise: int) -> Expected:
    """The offline way."""
    x = to_device(model.graph, windows(features(samples), HOP))
    outputs = model.run(x)
    found = list(majorities(classes(outputs)))
    return Expected(samples, outputs.reshape(len(outputs), -1), found, int(exercise))


# --- What the board says --------------------------------------------------------------------------


def on_board(board: Board, graph: QGraph, asked: list[Expected], steps: Steps) -> Told:
    """Every recording over the line."""
    with steps.step(f"Build the firmware: {board.title}"):
        firmware = build(graph, board)
    lowered, _ = prepare(graph, board.target)
    right = taken = made = ticks = samples = 0
    title = f"{len(asked)} recordings over the line: {board.title}"
    with steps.step(title) as show, connect(board, firmware.elf, None) as device:
        for number, wanted in enumerate(asked):
            told = listen(device, graph, lowered, [wanted.samples.reshape(-1)])
            outputs = told.outputs.reshape(len(told.outputs), -1)
            if told.differing or not np.array_equal(outputs, wanted.outputs):
                raise Failed(f"{board.title}, recording {number}: outputs are not the offline ones")
            decisions = [(one.step, one.index) for one in told.decisions]
            if decisions != wanted.decisions:
                raise Failed(f"{board.title}, recording {number}: {decisions}, not the majority")
            right += np.bincount(classes(told.outputs)).argmax() == wanted.exercise
            taken, made = taken + len(outputs), made + len(decisions)
            ticks, samples = ticks + told.ticks, samples + told.samples
            show(number + 1, len(asked))
        seconds = samples / CHANNELS / RATE
        cost = Cost.of(board, device, ticks, seconds)
    known = (board.name, len(asked), int(right) / len(asked), taken, made, seconds)
    return Told(*known, cost.instructions, cost.ram)


def perform(short: bool, steps: Steps) -> list[Told]:
    """Everything, in order."""
    with steps.step("Recordings") as show:
        recordings = motion_recordings(show)
        data = dataset(recordings)
    recipe = TASK.recipe
    if short:
        data, recipe = data.first(SHORT_TRAIN, 0), replace(recipe, epochs=TASK.short_epochs)
    with steps.step("Train the float network on the front end's numbers") as show:
        trained = fit(network, data, recipe, show)
    with steps.step("Quantize, and the offline way"):
        sample = data.train_x[:: max(1, len(data.train_x) // 1000)]
        model = nanotool.quantize(trained, sample, name="motion_stream", labels=LABELS)
        chosen = np.flatnonzero(recordings.held_out)[: SHORT_RECORDINGS if short else None]
        exercises = recordings.exercises
        asked = [expected(model, recordings.samples[i], exercises[i]) for i in chosen]
    results = [on_board(BOARDS[name], listening(model), asked, steps) for name in BOARD_NAMES]
    if not short and results[0].right < GOAL:
        raise Failed(f"{results[0].right:.1%} of the recordings are told, not {GOAL:.0%}")
    return results


# --- The command ----------------------------------------------------------------------------------


def show_results(console: Console, results: list[Told]) -> None:
    """A table."""
    table = Table(
        "board", "recordings", "told", "steps", "decisions", "instructions a second", "RAM"
    )
    for told in results:
        table.add_row(
            told.board, str(told.recordings), f"{told.right:.0%}", f"{told.steps:,}",
            f"{told.decisions:,}", *cost_cells(told),
        )  # fmt: skip
    console.print(table)


COMMAND = Streamed(
    module="task12_motion_stream",
    title="MOTION_STREAM",
    description=__doc__,
    short="little training, two recordings",
    fresh="it trains",
    record=RECORD,
    perform=perform,
    show=show_results,
)


if __name__ == "__main__":
    sys.exit(COMMAND.main())
