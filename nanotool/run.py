"""Real inputs through a board, every answer compared with the simulator's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import compare
from nanotool.device.client import Device
from nanotool.errors import DeviceError
from nanotool.ir import DTYPES, Int8Array, Lowered, QGraph
from nanotool.progress import Progress
from nanotool.simulate import simulate


@dataclass(frozen=True, slots=True)
class RunResult:
    """What the board answered, and where that is not what the simulator says."""

    outputs: NDArray[Any]  # [n, *output shape], of the output's type, from the board
    mismatches: int  # bytes, over all outputs
    differing: tuple[int, ...]  # inputs whose output has any
    first: compare.Difference | None = None  # in the first of them; None if there are none

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        first = self.first
        return {
            "inputs": len(self.outputs),
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
    x: NDArray[Any],
    progress: Progress | None = None,
    *,
    reset_every: int = 0,
) -> RunResult:
    """Run ``x`` ([n, *input shape] of the input's type) on the board, which must hold ``lowered``,
    and compare with ``graph``: the same model, or the one that ``lowered`` is a simpler form of.

    A model with states takes the inputs as consecutive steps from a reset; so does every
    ``reset_every``-th one (0: none).

    Where an output differs, the first input that has one is run once more, layer by layer.
    """
    compare.check_model(device.info(), lowered.graph, lowered)
    tensor = graph.output_tensor
    outputs = np.empty((len(x), tensor.nbytes), np.int8)
    expected = simulate(graph, x, reset_every=reset_every).reshape(len(x), -1).view(np.int8)
    differing, mismatches = [], 0
    for index, one in enumerate(x):
        if graph.states and (index == 0 or (reset_every and index % reset_every == 0)):
            device.reset()
        outputs[index] = output_bytes(device, tensor.nbytes, one)
        if wrong := int(np.count_nonzero(outputs[index] != expected[index])):
            mismatches += wrong
            differing.append(index)
        if progress is not None:
            progress(index + 1, len(x))
    first = None
    if differing:
        steps = differing[0] % reset_every if reset_every else differing[0]
        before = x[differing[0] - steps : differing[0]] if graph.states else x[:0]
        first = compare.first_difference(device, lowered.graph, lowered, x[differing[0]], before)
    answers = outputs.view(DTYPES[tensor.dtype]).reshape(len(x), *tensor.shape)
    return RunResult(answers, mismatches, tuple(differing), first)


def output_bytes(device: Device, size: int, x: NDArray[Any]) -> Int8Array:
    """One input's output on the board: ``size`` bytes, as many as the model's output has."""
    got = device.run(np.ascontiguousarray(x))
    if got.nbytes != size:
        raise DeviceError(
            f"The board answered {got.nbytes} bytes, the model has {size}.",
            "Build and flash this model.",
        )
    return got


def verdict(result: RunResult) -> str:
    """The comparison in a sentence or two for people."""
    inputs = f"{len(result.outputs):,} input{'' if len(result.outputs) == 1 else 's'}"
    if not result.mismatches:
        return f"{inputs}: 0 bytes differ from the simulator's."
    text = (
        f"{inputs}: {result.mismatches:,} bytes differ from the simulator's, in "
        f"{len(result.differing):,} outputs; the first is that of input {result.differing[0]}. "
    )
    if result.first is None:
        return text + "Run again layer by layer, it agreed: the line or the board is not reliable."
    return text + str(result.first)
