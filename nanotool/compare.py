"""Board against oracle: the first layer whose bytes are not the simulator's.

The board reports a CRC of every op's output, so one inference tells where they part; that
layer's output is then fetched to count the bytes. What comes after it differs as a consequence.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import qfile, simulate
from nanotool.device.answers import Info
from nanotool.device.client import Device
from nanotool.errors import DeviceError, NanoError
from nanotool.inputs import in_order
from nanotool.ir import DTYPES, Int8Array, Lowered, QGraph
from nanotool.simulate import Inputs


@dataclass(frozen=True, slots=True)
class Difference:
    """A layer whose inputs agree and whose output does not."""

    index: int  # of the op on the device; -1 for the input buffer itself
    layer: str  # the module's name
    mismatches: int  # bytes that differ; 0 if a second run of the layer agreed
    size: int  # bytes of its output
    worst: int  # largest difference, in steps of the output's scale (float32: of its bits)

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


def choose_model(device: Device, graph: QGraph, lowered: Lowered) -> None:
    """Have the board run `graph`, lowered as `lowered`: of several models it chooses that one,
    which then begins anew. `DeviceError` if it has another."""
    info, digest = device.info(), qfile.graph_hash(graph)
    if info.hash != digest and any(model.hash == digest for model in info.models):
        info = device.choose(next(m.number for m in info.models if m.hash == digest))
    check_model(info, graph, lowered)


def one_each(x: Inputs) -> tuple[NDArray[Any], ...]:
    """One array an input; a single array is that of the only one."""
    return (x,) if isinstance(x, np.ndarray) else tuple(x)


def device_inputs(graph: QGraph, x: Inputs) -> tuple[NDArray[Any], ...]:
    """``x`` as one array an input: [n, *shape on the device], of its type, as many of each; a
    single array may come alone. `NanoError` for anything else: `nanotool.inputs.to_device` makes
    such arrays of users' data."""
    given = in_order(graph, {str(number): data for number, data in enumerate(one_each(x))})
    for tensor, data in zip(graph.input_tensors, given, strict=True):
        if data.dtype != DTYPES[tensor.dtype] or data.shape[1:] != tensor.shape or not data.ndim:
            raise NanoError(
                f"{graph.name} takes n x {list(tensor.shape)} {tensor.dtype} as {tensor.name}; "
                f"given is {list(data.shape)} {data.dtype}.",
                "nanotool.inputs.to_device(graph, x) makes it from what PyTorch's model takes.",
            )
    return given


def expected_outputs(
    graph: QGraph, lowered: Lowered, x: Inputs, before: Inputs = ()
) -> list[NDArray[Any]]:
    """The simulator's output of every op of `lowered` for one input, flat; nothing of an op that
    writes a first part only. `before`: the steps since the reset, [n, *shape] an input."""
    states = None
    steps = one_each(before)
    if graph.states and steps and len(steps[0]):
        _, states = simulate.simulate_steps(graph, steps)
    one = [
        data.reshape(1, *tensor.shape)
        for data, tensor in zip(one_each(x), graph.input_tensors, strict=True)
    ]
    tensors = simulate.simulate_all(graph, one, states=states)
    return [
        tensors[op.output].reshape(-1) if op.source else np.empty(0, np.int8) for op in lowered.ops
    ]


def first_difference(
    device: Device, graph: QGraph, lowered: Lowered, x: Inputs, before: Inputs = ()
) -> Difference | None:
    """Run `x`, of the model's input type and shape (several: one array each), on the board; where
    it first parts from the simulator, None if nowhere. A model with states begins a sequence, and
    takes the steps `before`, [n, *shape] an input."""
    if graph.states:
        device.reset_states()
        for step in zip(*one_each(before), strict=True):
            device.load([np.ascontiguousarray(data) for data in step])
            device.infer(1, 0)
    flat = [np.ascontiguousarray(data).reshape(-1) for data in one_each(x)]
    raw = device.encode(flat[0] if len(flat) == 1 else flat)
    device.load(raw)
    if device.crc().input != zlib.crc32(raw):
        return Difference(-1, graph.inputs[0], 0, len(raw), 0)
    expected = expected_outputs(graph, lowered, flat, before)
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


def _measure(index: int, name: str, wanted: NDArray[Any], got: Int8Array) -> Difference:
    if got.nbytes != wanted.nbytes:
        raise DeviceError(
            f"Layer {name} has {got.nbytes} bytes on the board, {wanted.nbytes} here.",
            "Build and flash this model.",
        )
    numbers = np.int32 if wanted.itemsize == 4 else wanted.dtype
    steps = np.abs(got.view(numbers).astype(np.int64) - wanted.view(numbers).astype(np.int64))
    differing = np.count_nonzero(got != wanted.view(np.int8))
    return Difference(index, name, int(differing), wanted.nbytes, int(steps.max()))
