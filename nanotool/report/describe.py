"""What an op is, in a few words for people."""

from __future__ import annotations

from nanotool.ir import (
    INT8_MAX,
    INT8_MIN,
    AveragePool2D,
    Conv2D,
    MaxPool2D,
    Op,
    QGraph,
    QOp,
    Transpose,
    Unary,
    Window,
)


def describe(op: QOp) -> str:
    """``op`` in a few words: "Conv2D 3×3 stride 2, clamp"."""
    clamped = op.clamp != (INT8_MIN, INT8_MAX)
    return _operator(op.op) + (", clamp" if clamped else "")


def summary(graph: QGraph, digest: str) -> tuple[tuple[str, str], ...]:
    """(name, value) pairs that tell one model from another; ``digest`` is its hash."""
    shapes = [tensor.shape for tensor in (graph.input_tensor, graph.output_tensor)]
    texts = ["x".join(map(str, shape)) for shape in shapes]
    samples = 0 if graph.samples is None else len(graph.samples)
    return (
        ("name", graph.name),
        ("hash", digest),
        ("source", graph.source),
        ("input", texts[0]),
        ("output", texts[1]),
        ("samples", str(samples)),
    )


def _operator(op: Op) -> str:
    if isinstance(op, Conv2D):
        groups = f" groups {op.groups}" if op.groups > 1 else ""
        return f"Conv2D {_window(op.window, (1, 1))}{groups}"
    if isinstance(op, (MaxPool2D, AveragePool2D)):
        return f"{type(op).__name__} {_window(op.window, op.window.kernel)}"
    if isinstance(op, Unary):
        return op.function
    if isinstance(op, Transpose):
        return f"Transpose {op.permutation}"
    return type(op).__name__


def _window(window: Window, usual_stride: tuple[int, int]) -> str:
    """3×3, and what is not usual: stride, padding, dilation."""
    parts = ["×".join(map(str, window.kernel))]
    if window.stride != usual_stride:
        parts.append(f"stride {_pair(window.stride)}")
    if any(window.padding):
        sides = set(window.padding)
        one = sides.pop() if len(sides) == 1 else window.padding
        parts.append(f"pad {one if isinstance(one, int) else ','.join(map(str, one))}")
    if window.dilation != (1, 1):
        parts.append(f"dilation {_pair(window.dilation)}")
    return " ".join(parts)


def _pair(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}×{pair[1]}"
