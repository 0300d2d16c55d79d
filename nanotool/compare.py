"""Board against oracle: the first layer whose bytes are not the simulator's.

The board reports a CRC of every op's output, so one inference tells where they part; that
layer's output is then fetched to count the bytes. What comes after it differs as a consequence.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from nanotool import qfile, simulate
from nanotool.device.client import Device, Info
from nanotool.errors import DeviceError
from nanotool.ir import Int8Array, Lowered, QGraph


@dataclass(frozen=True, slots=True)
class Difference:
    """A layer whose inputs agree and whose output does not."""

    index: int  # of the op on the device; -1 for the input buffer itself
    layer: str  # the module's name
    mismatches: int  # bytes that differ; 0 if a second run of the layer agreed
    size: int  # bytes of its output
    worst: int  # largest difference, in steps of the output's scale

    def __str__(self) -> str:
        """One sentence for people."""
        if self.mismatches == 0:
            return f"Layer {self.layer} differed in one run and agreed in the next."
        return (
            f"The first layer that differs is {self.layer}: {self.mismatches} of {self.size} "
            f"bytes, by {self.worst} at most."
        )


def check_model(info: Info, graph: QGraph, lowered: Lowered) -> None:
    """`DeviceError` unless the board runs `graph`, lowered as `lowered`."""
    expected = qfile.graph_hash(graph)
    if info.hash != expected or info.ops != len(lowered.ops):
        raise DeviceError(
            f"The board runs {info.model} ({info.hash}, {info.ops} ops), not {graph.name} "
            f"({expected}, {len(lowered.ops)} ops).",
            "Build and flash this model.",
        )


def expected_outputs(graph: QGraph, lowered: Lowered, x: Int8Array) -> list[Int8Array]:
    """The simulator's output of every op of `lowered` for one input, flat; nothing of an op that
    writes a first part only."""
    tensors = simulate.simulate_all(graph, x.reshape(1, *graph.input_tensor.shape))
    return [
        tensors[op.output].reshape(-1) if op.source else np.empty(0, np.int8) for op in lowered.ops
    ]


def first_difference(
    device: Device, graph: QGraph, lowered: Lowered, x: Int8Array
) -> Difference | None:
    """Run `x`, int8 of the model's input shape, on the board; where it first parts from the
    simulator, None if nowhere."""
    raw = np.ascontiguousarray(x, np.int8).reshape(-1)
    device.load(raw)
    if device.crc().input != zlib.crc32(raw.tobytes()):
        return Difference(-1, graph.input, 0, raw.size, 0)
    expected = expected_outputs(graph, lowered, raw)
    layers = device.layers().layers
    if len(layers) != len(expected):
        raise DeviceError(
            f"The board ran {len(layers)} ops, the model has {len(expected)}.",
            "Build and flash this model.",
        )
    for layer, wanted, op in zip(layers, expected, lowered.ops, strict=True):
        if layer.crc != zlib.crc32(wanted.tobytes()):
            return _measure(layer.index, op.name, wanted, device.dump(layer.index))
    return None


def _measure(index: int, name: str, wanted: Int8Array, got: Int8Array) -> Difference:
    if got.shape != wanted.shape:
        raise DeviceError(
            f"Layer {name} has {got.size} bytes on the board, {wanted.size} here.",
            "Build and flash this model.",
        )
    steps = np.abs(got.astype(np.int16) - wanted.astype(np.int16))
    return Difference(index, name, int(np.count_nonzero(steps)), wanted.size, int(steps.max()))
