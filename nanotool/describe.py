"""What an op is, in a few words for people."""

from __future__ import annotations

import re

from nanotool.ir import (
    INT8_MAX,
    INT8_MIN,
    AveragePool2D,
    Binary,
    Concat,
    Conv2D,
    ConvTranspose2D,
    Lowered,
    MaxPool2D,
    Mean,
    Op,
    Plan,
    QGraph,
    QOp,
    Resize,
    Transpose,
    Unary,
    Window,
)


def describe(op: QOp) -> str:
    """``op`` in a few words: "Conv2D 3×3 stride 2, clamp"."""
    clamped = op.clamp != (INT8_MIN, INT8_MAX)
    return (_depthwise(op) or _operator(op.op)) + (", clamp" if clamped else "")


def label(graph: QGraph, name: str) -> str:
    """``name`` of a tensor of ``graph`` as people are shown it: with what makes it behind it where
    the name is but a number, as those of a Sequential's layers are."""
    if not re.fullmatch(r"\d+(_\d+)?", name.rpartition(".")[2]):
        return name
    made = next((op for op in graph.ops if op.name == name), None)
    return name if made is None else f"{name} {describe(made).split()[0]}"


def _depthwise(op: QOp) -> str:
    """A convolution with a group for each input channel; "" if it is none."""
    conv = op.op
    if not isinstance(conv, Conv2D) or op.weight is None:
        return ""
    if conv.groups == 1 or op.weight.shape[-1] > 1:
        return ""
    times = len(op.weight) // conv.groups
    return f"Depthwise {_window(conv.window, (1, 1))}" + (f" times {times}" if times > 1 else "")


def summary(lowered: Lowered, plan: Plan, digest: str) -> tuple[tuple[str, str | int], ...]:
    """(name, value) pairs that tell one model from another, and how large it is: ``lowered`` in its
    ``plan``. ``digest`` is the hash of the model's graph, which may not be the simplified one."""
    graph = lowered.graph
    shapes = [tensor.shape for tensor in (graph.input_tensor, graph.output_tensor)]
    texts = ["x".join(map(str, shape)) for shape in shapes]
    return (
        ("name", graph.name),
        ("hash", digest),
        ("source", graph.source),
        ("input", texts[0]),
        ("output", texts[1]),
        ("samples", 0 if graph.samples is None else len(graph.samples)),
        ("macs", lowered.macs),
        ("arena_bytes", plan.arena_size),
        ("weight_bytes", lowered.weight_bytes),
    )


def _operator(op: Op) -> str:
    name = type(op).__name__
    detail: object = ""
    match op:
        case Unary(function) | Binary(function):
            name = function
        case Conv2D(window, groups):
            detail = _window(window, (1, 1)) + (f" groups {groups}" if groups > 1 else "")
        case ConvTranspose2D(window):
            detail = _window(window, (1, 1))
        case MaxPool2D(window) | AveragePool2D(window):
            detail = _window(window, window.kernel)
        case Transpose(permutation):
            detail = permutation
        case Mean(axes):
            detail = f"over {'axis' if len(axes) == 1 else 'axes'} {', '.join(map(str, axes))}"
        case Concat(axis):
            detail = f"along axis {axis}"
        case Resize(method):
            detail = method
    return f"{name} {detail}".rstrip()


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
