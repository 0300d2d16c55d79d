"""Real inputs through a board, every answer compared with the simulator's; or through the C library
on this computer, some of them compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import compare
from nanotool.device.client import Device
from nanotool.errors import DeviceError
from nanotool.ir import DTYPES, Int8Array, Lowered, QGraph
from nanotool.pipeline import prepare
from nanotool.progress import Progress, ignore_progress
from nanotool.runtime import Runtime
from nanotool.simulate import Inputs, simulate_steps

COMPARED_HERE = 32  # inputs: the simulator takes a hundred times as long as the C library


@dataclass(frozen=True, slots=True)
class RunResult:
    """What the board answered, and where that is not what the simulator says."""

    ends: tuple[NDArray[Any], ...]  # every output, [n, *shape] of its type, from the board
    mismatches: int  # bytes, over all outputs
    differing: tuple[int, ...]  # inputs, or steps, whose output has any
    first: compare.Difference | None = None  # in the first of them; None if there are none
    steps: bool = False  # the inputs were consecutive steps
    compared: int | None = None  # the first so many of them; None: all

    @property
    def outputs(self) -> NDArray[Any]:
        """The output [n, *shape] of a model with one."""
        if len(self.ends) != 1:
            raise DeviceError(f"The model has {len(self.ends)} outputs.", "`ends` has all of them.")
        return self.ends[0]

    @property
    def count(self) -> int:
        """Inputs that were run."""
        return len(self.ends[0])

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        first = self.first
        return {
            "inputs": self.count,
            "compared": self.count if self.compared is None else self.compared,
            "mismatches": self.mismatches,
            "differing_inputs": list(self.differing),
            "first_difference": None
            if first is None
            else {
                "layer": first.layer,
                "op": first.index,
                "mismatches": first.mismatches,
                "bytes": first.size,
                "worst": first.worst,
            },
        }


def run(
    device: Device,
    graph: QGraph,
    lowered: Lowered,
    x: Inputs,
    progress: Progress | None = None,
    *,
    reset_every: int = 0,
) -> RunResult:
    """Run ``x`` (as `compare.device_inputs` takes it) on the board, which must hold ``lowered``,
    and compare with ``graph``: the same model, or the one that ``lowered`` is a simpler form of.

    A model with states takes the inputs as consecutive steps from a reset; so does every
    ``reset_every``-th one (0: none).

    Where an output differs, the first input that has one is run once more, layer by layer.
    """
    compare.choose_model(device, lowered.graph, lowered)
    given = compare.device_inputs(graph, x)
    expected, _ = simulate_steps(graph, given, reset_every=reset_every)
    count = len(given[0])
    rows = [wanted.reshape(count, -1).view(np.int8) for wanted in expected]
    got = [np.empty_like(wanted) for wanted in rows]
    sizes = [wanted.shape[1] for wanted in rows]
    differing, mismatches = [], 0
    for index in range(count):
        if graph.states and (index == 0 or (reset_every and index % reset_every == 0)):
            device.reset_states()
        wrong = 0
        answers = step_bytes(device, sizes, [data[index] for data in given])
        for room, wanted, answer in zip(got, rows, answers, strict=True):
            room[index] = answer
            wrong += int(np.count_nonzero(answer != wanted[index]))
        if wrong:
            mismatches += wrong
            differing.append(index)
        if progress is not None:
            progress(index + 1, count)
    first = None
    if differing:
        at = differing[0]
        begin = at - (at % reset_every if reset_every else at) if graph.states else at
        before = [data[begin:at] for data in given]
        one = [data[at] for data in given]
        first = compare.first_difference(device, lowered.graph, lowered, one, before)
    ends = tuple(
        room.view(DTYPES[tensor.dtype]).reshape(count, *tensor.shape)
        for room, tensor in zip(got, graph.output_tensors, strict=True)
    )
    return RunResult(ends, mismatches, tuple(differing), first, steps=bool(graph.states))


def run_here(
    graph: QGraph, x: Inputs, progress: Progress = ignore_progress, *, reset_every: int = 0
) -> RunResult:
    """Run ``x`` through the C library on all cores of this computer; the first COMPARED_HERE
    answers are compared with the simulator's. Otherwise as `run`."""
    given = compare.device_inputs(graph, x)
    runtime = Runtime(*prepare(graph), fast=True)
    ends = runtime.run_steps(given, reset_every=reset_every, progress=progress)
    few = min(len(given[0]), COMPARED_HERE)
    expected, _ = simulate_steps(graph, [data[:few] for data in given], reset_every=reset_every)
    wrong = sum(
        np.count_nonzero(
            got[:few].reshape(few, -1).view(np.int8) != wanted.reshape(few, -1).view(np.int8),
            axis=1,
        )
        for got, wanted in zip(ends, expected, strict=True)
    )
    differing = tuple(np.flatnonzero(wrong).tolist())
    steps = bool(graph.states)
    return RunResult(ends, int(np.sum(wrong)), differing, None, steps, few)


def step_bytes(
    device: Device, sizes: Sequence[int], inputs: Sequence[NDArray[Any]]
) -> tuple[Int8Array, ...]:
    """Every output's bytes on the board for one input, or one step: ``sizes``, as many as the
    model's outputs have."""
    ready = [np.ascontiguousarray(x) for x in inputs]
    got: tuple[Int8Array, ...]
    if len(ready) == len(sizes) == 1:
        got = (device.run(ready[0]),)
    else:
        device.load(ready)
        device.infer(1, 0)
        got = device.outputs()
    if [answer.nbytes for answer in got] != list(sizes):
        told = " and ".join(str(answer.nbytes) for answer in got)
        raise DeviceError(
            f"The board answered {told} bytes, the model has {' and '.join(map(str, sizes))}.",
            "Build and flash this model.",
        )
    return got


def verdict(result: RunResult) -> str:
    """The comparison in a sentence or two for people."""
    kind = "step" if result.steps else "input"
    inputs = f"{result.count:,} {kind}{'' if result.count == 1 else 's'}"
    if result.compared is not None and result.compared < result.count:
        inputs += f", the first {result.compared} compared"
    if not result.mismatches:
        return f"{inputs}: 0 bytes differ from the simulator's."
    text = (
        f"{inputs}: {result.mismatches:,} bytes differ from the simulator's, in "
        f"{len(result.differing):,} outputs; the first is that of {kind} {result.differing[0]}. "
    )
    if result.compared is not None:
        return text + "That is a fault of nanotool: please report it with the model."
    if result.first is None:
        return text + "Run again layer by layer, it agreed: the line or the board is not reliable."
    return text + str(result.first)
