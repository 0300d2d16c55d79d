"""What the comments say: a layer's kind, shapes, scales and costs in the reader's words."""

from __future__ import annotations

from nanotool import unary
from nanotool.identifiers import c_comment
from nanotool.ir import (
    INT8_MAX,
    INT8_MIN,
    ZERO_POINTS,
    Array,
    Lowered,
    LoweredOp,
    Placement,
    Plan,
    QGraph,
    QOp,
    QTensor,
    Shape,
    Struct,
    Value,
    unclamped,
)
from nanotool.ops import facts
from nanotool.ops.words import words

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


def activation(op: QOp, output: QTensor) -> str:
    """The fused clamp in words, with a comma before it; empty if it does nothing."""
    low, high = op.clamp
    weighted = facts(op.op).weighted
    least, most = unclamped(output.dtype)
    plain = op.clamp in {(least, most), (INT8_MIN, INT8_MAX)}
    if plain and not (weighted and output.zero_point == INT8_MIN):
        return ""
    if low == output.zero_point and high == most:
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
    what = " + ".join(words(graph.op(name).op) for name in computed)
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
    return f"-  {c_comment(op.name)}  {words(op.op)}  {shapes}: {what}, nothing to do"


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
