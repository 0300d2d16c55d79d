"""What a graph costs before it is lowered, and its ops in words: for the listings."""

from __future__ import annotations

from nanotool import ops
from nanotool.ir import QGraph, QOp, Shape, unclamped
from nanotool.ops import layer_of
from nanotool.ops.words import words


def macs(graph: QGraph) -> int:
    """Multiply-accumulates of one inference; what lies over the border counts."""
    return sum(ops.macs(layer_of(graph, op)) for op in graph.ops)


def weight_bytes(graph: QGraph) -> int:
    """Bytes of weights, biases and constants. Multipliers and tables come with lowering."""
    arrays = [array for op in graph.ops for array in (op.weight, op.bias) if array is not None]
    return sum(array.nbytes for array in (*arrays, *graph.constants.values()))


def describe(graph: QGraph, op: QOp) -> str:
    """``op`` in a line: "conv2d 3x3 stride 1 pad 1: 24x24x8 -> 24x24x16, 663,552 MACs"."""
    shapes = " and ".join(_shape(graph.tensors[name].shape) for name in op.inputs)
    cost = ops.macs(layer_of(graph, op))
    low, high = op.clamp
    free = op.clamp in {unclamped("int8"), unclamped("int16")}
    parts = [
        f"{words(op.op)}: {shapes} -> {_shape(graph.tensors[op.name].shape)}",
        *([] if free else [f"clamp {low}..{high}"]),
        *([f"{cost:,} MACs"] if cost else []),
    ]
    return ", ".join(parts)


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "1"
