"""Samples streamed to a board, and compared with what the same samples bring on this computer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import compare
from nanotool.device import Device
from nanotool.device.protocol import DeviceGarbled
from nanotool.errors import DeviceError
from nanotool.ir import DTYPES, Lowered, QGraph
from nanotool.sensing.description import StreamRule
from nanotool.sensing.rule import Decision, stream_of
from nanotool.sensing.stream import Stream
from nanotool.sound import Int16Array

RATES = (921600, 460800, 230400)  # bits a second, of a line that is too slow for the sound
_OVERHEAD = 1.5  # bytes on the line for one of the sound: frames, answers, steps

# Called after every step: the samples since the one before, the board's output, its decisions.
OnStep = Callable[[Int16Array, NDArray[Any], tuple[Decision, ...]], None]


@dataclass(frozen=True, slots=True)
class Listened:
    """What the board made of the sound."""

    outputs: NDArray[Any]  # [steps, *the first output's shape]: the model's integers
    decisions: tuple[Decision, ...]
    differing: tuple[int, ...]  # steps whose output or decisions are not this computer's
    samples: int  # of a sensor with several channels each value counts
    ticks: int  # of the board, for front end, model and rule, modulo 2^32

    def to_json(self) -> dict[str, Any]:
        """For `--json`: one output a step, the raw integers; a list where there are several."""
        rows = self.outputs.reshape(len(self.outputs), -1)
        return {
            "samples": self.samples,
            "steps": len(rows),
            "outputs": rows[:, 0].tolist() if rows.shape[1] == 1 else rows.tolist(),
            "decisions": [made.step for made in self.decisions],
            "decided": [
                {"step": made.step, "class": made.index, "sum": made.sum} for made in self.decisions
            ],
            "mismatches": len(self.differing),
            "differing_steps": list(self.differing),
            "ticks": self.ticks,
        }


def listen(
    device: Device,
    graph: QGraph,
    lowered: Lowered,
    sound: Iterable[Int16Array | None],
    on_step: OnStep | None = None,
) -> Listened:
    """Stream ``sound``, pieces of any size, to the board, which must hold ``lowered``. None among
    them is a gap: board and computer begin anew. Ctrl-C ends the sound, not the answer.

    `DeviceRefused` if something else runs the board's model meanwhile.
    """
    compare.choose_model(device, lowered.graph, lowered)
    run = _Run(device, graph, on_step)
    try:
        for piece in sound:
            run.begin() if piece is None else run.feed(piece)
    except KeyboardInterrupt:
        if not run.whole:
            raise
    return run.result()


class _Run:
    def __init__(self, device: Device, graph: QGraph, on_step: OnStep | None) -> None:
        self._device, self._stream = device, Stream(graph)
        self._output = graph.output_tensors[0]
        self._on_step = on_step
        self._most = _piece(stream_of(graph), device)
        self._outputs: list[NDArray[Any]] = []
        self._decisions: list[Decision] = []
        self._differing: list[int] = []
        self._samples = 0
        self._since: list[Int16Array] = []  # the newest step
        self.begin()

    def begin(self) -> None:
        self._device.stream_begin()
        self._stream.reset()
        self._steps = self._sent = 0
        self.whole = True  # no command is under way

    def feed(self, sound: Int16Array) -> None:
        for start in range(0, len(sound), self._most):
            self._feed(sound[start : start + self._most])

    def _feed(self, piece: Int16Array) -> None:
        self.whole = False
        counts = self._device.stream_feed(piece, self._sent)
        self._sent += len(piece)
        self._samples += len(piece)
        self._since.append(piece)
        wanted = self._stream.feed(piece)
        if counts.samples != self._sent % 2**32 or counts.steps - self._steps not in (0, 1):
            raise DeviceGarbled(f"The board has {counts.samples} samples of {self._sent}.")
        if counts.steps != self._steps:
            step = self._device.stream_step()
            output = np.frombuffer(step.output, DTYPES[self._output.dtype])
            if output.size != self._output.size or step.step != self._steps:
                raise DeviceGarbled(f"The board tells step {step.step}, not {self._steps}.")
            self._take(output.reshape(self._output.shape), step.decisions, wanted)
        elif len(wanted.outputs):
            raise DeviceError(
                "The board makes other steps of the samples than this computer.",
                "Build and flash this model.",
            )
        self.whole = True

    def _take(self, output: NDArray[Any], decisions: tuple[Decision, ...], wanted: Any) -> None:
        same = len(wanted.outputs) == 1 and np.array_equal(wanted.outputs[0], output)
        if not same or wanted.decisions != decisions:
            self._differing.append(len(self._outputs))
        self._steps += 1
        self._outputs.append(output)
        self._decisions += decisions
        if self._on_step is not None:
            self._on_step(np.concatenate(self._since), output, decisions)
        self._since = []

    def result(self) -> Listened:
        shape = (len(self._outputs), *self._output.shape)
        outputs = np.array(self._outputs, DTYPES[self._output.dtype]).reshape(shape)
        ticks = self._device.stream_status().ticks
        differing = tuple(self._differing)
        return Listened(outputs, tuple(self._decisions), differing, self._samples, ticks)


def hurry(device: Device, stream: StreamRule) -> int:
    """Agree on a line that carries the sound as fast as it is spoken, if this one does not and
    there is one; the rate, in bits a second."""
    ears = stream.front_end
    needed = 2 * 10 * _OVERHEAD * ears.sample_rate * ears.values
    if device.line.baud < needed:
        device.agree_baud(*RATES)
    return device.line.baud


def _piece(stream: StreamRule, device: Device) -> int:
    """Samples that are sent at once: at most one step is completed by them."""
    ears = stream.front_end
    return max(1, min(device.info().frame_bytes // 2, stream.hop * ears.step * ears.values))
