"""What the comments say: a layer's kind, shapes, scales and costs in the reader's words."""

from __future__ import annotations

from nanotool import unary
from nanotool.identifiers import c_comment
from nanotool.ir import (
    INT8_MAX,
    INT8_MIN,
    ZERO_POINTS,
    ArgMax,
    Array,
    AveragePool2D,
    Binary,
    Concat,
    Conv2D,
    ConvTranspose2D,
    Dense,
    LogSoftmax,
    Lowered,
    LoweredOp,
    MaxPool2D,
    Mean,
    Op,
    Pad,
    Placement,
    Plan,
    QGraph,
    QOp,
    QTensor,
    Resize,
    Shape,
    Slice,
    Softmax,
    Struct,
    Transpose,
    Unary,
    Value,
    Window,
)

COMMENT_WIDTH = 94  # columns of a comment's text
_FEW = 3  # of an op's inputs are described


def shape_text(shape: Shape) -> str:
    """28x28x1; 1 for a scalar."""
    return "x".join(map(str, shape)) or "1"


def numbers(tensor: QTensor) -> str:
    """Scale and zero point: 0.047244/-128; the type where it has none."""
    if tensor.dtype not in ZERO_POINTS:
        return tensor.dtype
    return f"{tensor.scale:.6g}/{tensor.zero_point}"


def kind(op: Op) -> str:
    """The operator with its geometry: conv2d 3x3 stride 1 pad 1."""
    match op:
        case Conv2D(window, groups):
            text = f"conv2d {_window(window)}" + (f" groups {groups}" if groups > 1 else "")
        case ConvTranspose2D(window):
            text = f"transposed conv2d {_window(window)}"
        case MaxPool2D(window):
            text = f"max pool {_window(window)}"
        case AveragePool2D(window):
            text = f"average pool {_window(window)}"
        case Unary(function) | Binary(function):
            text = function
        case Softmax(beta):
            text = "softmax" if beta == 1 else f"softmax beta {beta:g}"
        case LogSoftmax():
            text = "log-softmax"
        case _:
            text = _moving_kind(op)
    return text


def _moving_kind(op: Op) -> str:
    """`kind` of the operators that are told by their axes, or by their name."""
    match op:
        case Transpose(permutation):
            text = f"transpose {_list(permutation)}"
        case Mean(axes):
            text = f"mean over {'axis' if len(axes) == 1 else 'axes'} {_list(axes)}"
        case Concat(axis) | ArgMax(axis):
            text = f"{type(op).__name__.lower()} along axis {axis}"
        case Slice(begin, stride):
            steps = f" step {_list(stride)}" if set(stride) != {1} else ""
            text = f"slice from {_list(begin)}{steps}"
        case Pad(before, after):
            text = f"pad {_list(before)} before, {_list(after)} behind"
        case Resize(method):
            text = f"resize {method}"
        case _:
            text = type(op).__name__.lower()
    return text


def _list(values: tuple[int, ...]) -> str:
    return ",".join(map(str, values))


def _window(window: Window) -> str:
    def pair(values: tuple[int, int]) -> str:
        return str(values[0]) if values[0] == values[1] else f"{values[0]}x{values[1]}"

    text = f"{shape_text(window.kernel)} stride {pair(window.stride)}"
    if any(window.padding):
        same = len(set(window.padding)) == 1
        pads = window.padding[:1] if same else window.padding
        text += f" pad {','.join(map(str, pads))}"
    if window.dilation != (1, 1):
        text += f" dilation {pair(window.dilation)}"
    return text


def activation(op: QOp, output: QTensor) -> str:
    """The fused clamp in words, with a comma before it; empty if it does nothing."""
    low, high = op.clamp
    weighted = isinstance(op.op, (Conv2D, ConvTranspose2D, Dense))
    if (low, high) == (INT8_MIN, INT8_MAX) and not (weighted and output.zero_point == INT8_MIN):
        return ""
    if low == output.zero_point and high == INT8_MAX:
        return ", ReLU"
    if low == output.zero_point and high == unary.quantized_bound(6.0, output):
        return ", ReLU6"
    return f", clamp {low}..{high}"


def arrays_of(value: Value) -> tuple[Array, ...]:
    """Every array in ``value``."""
    if isinstance(value, Array):
        return (value,)
    if isinstance(value, Struct):
        return tuple(array for _, inner in value.fields for array in arrays_of(inner))
    return ()


def place(placement: Placement) -> str:
    """The bytes of the arena that ``placement`` takes: 1568..4704."""
    return f"{placement.offset}..{placement.offset + placement.size}"


def layer_comment(lowered: Lowered, plan: Plan, index: int) -> list[str]:
    """The lines above an op: where it comes from, what it is, what it costs, where it lies."""
    op, graph = lowered.ops[index], lowered.graph
    if not op.symbol:
        return _wrapped([f"{index}  {c_comment(op.name)}", "copy", _places(plan, op, index)])
    computed = op.source or (op.output,)
    read = (name for layer in computed for name in graph.op(layer).inputs if name not in computed)
    inputs, result = [graph.tensors[name] for name in read], graph.tensors[op.output]
    what = " + ".join(kind(graph.op(name).op) for name in computed)
    clamps = "".join(activation(graph.op(name), graph.tensors[name]) for name in computed)
    shapes = _some([shape_text(tensor.shape) for tensor in inputs])
    head = [
        f"{index}  {c_comment(' + '.join(op.source) or op.name)}",
        what,
        f"{shapes} -> {shape_text(result.shape)}{clamps}",
    ]
    sources = _some(list(dict.fromkeys(numbers(tensor) for tensor in inputs)))
    costs = [f"in {sources}", f"out {numbers(result)}"]
    costs += [f"{op.macs:,} MAC"] if op.macs else []
    weights = sum(array.nbytes for array in arrays_of(op.params))
    costs += [f"{weights:,} B weights"] if weights else []
    return [*_wrapped(head), *_wrapped(["", *costs, _places(plan, op, index)])]


def _some(texts: list[str]) -> str:
    """``texts``, a few of many."""
    more = f", ... ({len(texts)} in all)" if len(texts) > _FEW else ""
    return ", ".join(texts[:_FEW]) + more


def _wrapped(parts: list[str]) -> list[str]:
    """``parts`` with two blanks between them, on as few lines as hold them."""
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 2 + len(part) <= COMMENT_WIDTH:
            lines[-1] += "  " + part
        else:
            lines.append("  " + part)
    return lines


def _places(plan: Plan, op: LoweredOp, index: int) -> str:
    inputs = ", ".join(place(plan.buffers[name]) for name in op.inputs)
    text = f"arena {inputs}{' -> ' if inputs else ''}{place(plan.buffers[op.output])}"
    if op.more:
        text += f"  and {', '.join(place(plan.buffers[name]) for name in op.more)}"
    if index in plan.scratch:
        text += f"  scratch {place(plan.scratch[index])}"
    return text


def alias_comment(graph: QGraph, op: QOp) -> str:
    """One line for an op that has no kernel because it moves no byte, or is a constant."""
    source, result = graph.tensors[op.inputs[0]], graph.tensors[op.name]
    shapes = f"{shape_text(source.shape)} -> {shape_text(result.shape)}"
    what = "a constant" if is_constant(graph, op.name) else "the same bytes"
    return f"-  {c_comment(op.name)}  {kind(op.op)}  {shapes}: {what}, nothing to do"


def is_constant(graph: QGraph, tensor: str) -> bool:
    """Whether ``tensor`` does not depend on the graph's input."""
    known = set(graph.constants)
    for op in graph.ops:
        if known.issuperset(op.inputs):
            known.add(op.name)
    return tensor in known


def tensor_line(tensor: QTensor) -> str:
    """A border tensor: 28x28x1 int8, real = 0.00392157 * (q + 128)."""
    text = f"{shape_text(tensor.shape)} {tensor.dtype}"
    if tensor.dtype not in ZERO_POINTS:
        return text
    sign = "+" if tensor.zero_point <= 0 else "-"
    return f"{text}, real = {tensor.scale:.6g} * (q {sign} {abs(tensor.zero_point)})"
