"""Real inputs through a board, every answer compared with the simulator's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanotool import compare
from nanotool.device.client import Device
from nanotool.errors import DeviceError
from nanotool.ir import Int8Array, Lowered, QGraph
from nanotool.simulate import simulate

Progress = Callable[[int, int], None]  # (inputs done, inputs there are)


@dataclass(frozen=True, slots=True)
class RunResult:
    """What the board answered, and where that is not what the simulator says."""

    outputs: Int8Array  # [n, *output shape], from the board
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
    x: Int8Array,
    progress: Progress | None = None,
) -> RunResult:
    """Run ``x`` (int8 [n, *input shape]) on the board, which must hold this very model.

    Where an output differs, the first input that has one is run once more, layer by layer.
    """
    compare.check_model(device.info(), graph, lowered)
    shape = graph.output_tensor.shape
    outputs = np.empty((len(x), graph.output_tensor.size), np.int8)
    differing, mismatches = [], 0
    for index, one in enumerate(x):
        got = device.run(np.ascontiguousarray(one))
        if got.size != outputs.shape[1]:
            raise DeviceError(
                f"The board answered {got.size} bytes, the model has {outputs.shape[1]}.",
                "Build and flash this model.",
            )
        outputs[index] = got
        wanted = simulate(graph, one[None]).reshape(-1)
        if wrong := int(np.count_nonzero(got != wanted)):
            mismatches += wrong
            differing.append(index)
        if progress is not None:
            progress(index + 1, len(x))
    first = None
    if differing:
        first = compare.first_difference(device, graph, lowered, x[differing[0]])
    return RunResult(outputs.reshape(len(x), *shape), mismatches, tuple(differing), first)


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
