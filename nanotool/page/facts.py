"""What a page says about its model: plain values, which become JSON."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.backends.c.emit import golden_inputs
from nanotool.device import frames, protocol
from nanotool.ir import Lowered, Plan, QGraph, QTensor, Shape
from nanotool.plan import svg
from nanotool.qfile import graph_hash
from nanotool.report import layer_rows
from nanotool.sensing.description import SensorSettings, StreamRule
from nanotool.sensing.rule import class_integers, frames_of, step_seconds
from nanotool.signal.frontend import kind_of
from nanotool.simulate import simulate_steps
from nanotool.version import __version__

MAX_SAMPLES = 12
SAMPLE_BYTES = 64 * 1024  # of all samples' inputs together: a page stays small
_MOST_CURVES = 8  # sensors of a window
_MOST_SLIDERS = 32  # values of a vector
_SMALLEST_PICTURE = 12  # pixels of a side


def facts(lowered: Lowered, plan: Plan) -> dict[str, Any]:
    """Everything about the model ``lowered`` that the page's script knows."""
    graph = lowered.graph
    rows = layer_rows(lowered, plan)
    return {
        "name": graph.name,
        "hash": graph_hash(graph),
        "source": graph.source,
        "version": __version__,
        "labels": list(graph.labels),
        "inputs": [
            {**_tensor(tensor), "kind": input_kind(tensor.shape), "order": list(order)}
            for tensor, order in zip(graph.input_tensors, graph.permutations, strict=True)
        ],
        "outputs": [_tensor(tensor) for tensor in graph.output_tensors],
        "states": [{"name": state.name, "bytes": state.initial.nbytes} for state in graph.states],
        "layers": [
            {
                **_tensor(graph.tensors[op.output]),
                "name": op.name,
                "kind": row.kind,
                "macs": row.macs,
                "weights": row.weight_bytes,
                "whole": bool(op.source) and not op.more,
            }
            for op, row in zip(lowered.ops, rows, strict=True)
        ],
        "samples": _samples(graph),
        "macs": lowered.macs,
        "weights": lowered.weight_bytes,
        "arena": plan.arena_size,
        "memory": svg(lowered, plan),
        "stream": None if graph.stream is None else _stream(graph, graph.stream),
        "wire": WIRE,
    }


WIRE = {
    "agreement": protocol.VERSION,
    "command": frames.COMMAND,
    "input": frames.INPUT,
    "tensor": frames.TENSOR,
    "maxData": frames.MAX_DATA,
    "maxTitle": frames.MAX_TITLE,
    "tries": protocol.TRIES,
    "silentTries": protocol.SILENT_TRIES,
}
"""docs/console.md in numbers: the script has no other ones."""


def input_kind(shape: Shape) -> str:
    """How a person gives an input of this shape (H, W, C): "picture", "curves" (a few sensors over
    time), "values" (as many as sliders can show), "table" (any other numbers)."""
    plain = [extent for extent in shape if extent != 1]
    if len(shape) == 3 and shape[2] in {1, 3} and min(shape[:2]) >= _SMALLEST_PICTURE:
        return "picture"
    if len(plain) == 2 and min(plain) <= _MOST_CURVES and max(plain) >= 2 * min(plain):
        return "curves"
    return "values" if int(np.prod(shape, dtype=int)) <= _MOST_SLIDERS else "table"


def _tensor(tensor: QTensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "type": tensor.dtype,
        "scale": tensor.scale,
        "zero": tensor.zero_point,
    }


def _samples(graph: QGraph) -> list[dict[str, Any]]:
    """The model's own inputs, as many as have room, with the simulator's outputs' CRC: from a
    reset one after the other, where it has states. None if it brings none."""
    if not graph.samples:
        return []
    size = sum(tensor.nbytes for tensor in graph.input_tensors)
    count = max(1, min(MAX_SAMPLES, SAMPLE_BYTES // size, len(graph.samples[0])))
    inputs, _ = golden_inputs(graph, count)
    outputs, _ = simulate_steps(graph, inputs)
    return [
        {
            "inputs": [base64.b64encode(part).decode("ascii") for part in parts],
            "crc": zlib.crc32(b"".join(_row(outputs, index))),
        }
        for index, parts in enumerate(_row(inputs, index) for index in range(count))
    ]


def _row(arrays: Sequence[NDArray[Any]], index: int) -> list[bytes]:
    return [np.ascontiguousarray(array[index]).tobytes() for array in arrays]


def _stream(graph: QGraph, stream: StreamRule) -> dict[str, Any]:
    ears = stream.front_end
    return {
        "rate": ears.sample_rate,
        "channels": ears.values if isinstance(ears, SensorSettings) else 0,  # 0: sound
        "step": ears.step,  # samples from one frame of features to the next
        "features": ears.features,
        "signed": kind_of(ears).features is np.int16,
        "frames": frames_of(graph),
        "seconds": float(step_seconds(stream)),  # from one step of the model to the next
        "window": stream.rule.window,
        "classes": [
            {"index": rule.index, "threshold": rule.threshold, "sum": whole.threshold}
            for rule, whole in zip(stream.rule.classes, class_integers(graph), strict=True)
        ],
    }
