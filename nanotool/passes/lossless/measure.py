"""What a graph costs before it is lowered, and its ops in words: for the listings."""

from __future__ import annotations

from nanotool import ops
from nanotool.ir import (
    INT8_MAX,
    INT8_MIN,
    Binary,
    Conv2D,
    Op,
    Pad,
    QGraph,
    QOp,
    Shape,
    Transpose,
    Unary,
    Window,
)
from nanotool.ops import layer_of


def macs(graph: QGraph) -> int:
    """Multiply-accumulates of one inference; what lies over the border counts."""
    return sum(ops.macs(layer_of(graph, op)) for op in graph.ops)


def weight_bytes(graph: QGraph) -> int:
    """Bytes of weights, biases and constants. Multipliers and tables come with lowering."""
    arrays = [array for op in graph.ops for array in (op.weight, op.bias) if array is not None]
    return sum(array.nbytes for array in (*arrays, *graph.constants.values()))


def describe(graph: QGraph, op: QOp) -> str:
    """``op`` in a line: "Conv2D 3x3 pad 1,1,1,1: 24x24x8 -> 24x24x16, 663,552 MACs"."""
    shapes = " and ".join(_shape(graph.tensors[name].shape) for name in op.inputs)
    cost = ops.macs(layer_of(graph, op))
    parts = [
        f"{_operator(op.op)}: {shapes} -> {_shape(graph.tensors[op.name].shape)}",
        *([f"clamp {op.clamp[0]}..{op.clamp[1]}"] if op.clamp != (INT8_MIN, INT8_MAX) else []),
        *([f"{cost:,} MACs"] if cost else []),
    ]
    return ", ".join(parts)


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "1"


def _operator(op: Op) -> str:
    words = [type(op).__name__]
    match op:
        case Unary(function) | Binary(function):
            words.append(function)
        case Transpose(permutation):
            words.append(",".join(map(str, permutation)))
        case Pad(before, after, _):
            words.append(f"{','.join(map(str, before))} and {','.join(map(str, after))}")
        case _:
            window = getattr(op, "window", None)
            words += _window(window) if isinstance(window, Window) else []
    if isinstance(op, Conv2D) and op.groups > 1:
        words.append(f"groups {op.groups}")
    return " ".join(words)


def _window(window: Window) -> list[str]:
    words = [_shape(window.kernel)]
    for name, values, usual in (
        ("stride", window.stride, (1, 1)),
        ("pad", window.padding, (0, 0, 0, 0)),
        ("dilation", window.dilation, (1, 1)),
    ):
        if values != usual:
            words.append(f"{name} {','.join(map(str, values))}")
    return words
