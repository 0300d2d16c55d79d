"""Ops that only move elements: fewer of them."""

from __future__ import annotations

from dataclasses import replace

from nanotool.ir import (
    Pad,
    QGraph,
    QOp,
    Reshape,
    Transpose,
    unclamped,
)
from nanotool.ops import facts, moves_nothing, together, yields_input
from nanotool.passes.lossless.rewrite import answers_input, rebuilt


def drop_identities(graph: QGraph) -> QGraph:
    """``graph`` without moves that yield their input as it is. Of several outputs each keeps a
    tensor, and the name, of its own."""
    kept = graph.outputs if len(graph.outputs) > 1 else ()
    for op in graph.ops:
        if op.name not in kept and _is_identity(graph, op):
            rest = (other for other in graph.ops if other is not op)
            result = rebuilt(graph, rest, renamed={op.name: op.inputs[0]})
            if answers_input(result):
                return drop_identities(result)
    return graph


def _is_identity(graph: QGraph, op: QOp) -> bool:
    source, target = graph.tensors[op.inputs[0]].shape, graph.tensors[op.name]
    clamps = facts(op.op).clamps and op.clamp != unclamped(target.dtype)
    return not clamps and yields_input(op.op, source, target.shape)


def merge_moves(graph: QGraph) -> QGraph:
    """``graph`` with one reshape instead of several, one transpose instead of several, one pad
    instead of several, and a reshape instead of a transpose that moves no byte.

    The last one of several stays. The others may be dead then.
    """
    ops: dict[str, QOp] = {}
    for old in graph.ops:
        op = old
        if isinstance(op.op, Transpose) and moves_nothing(
            graph.tensors[op.inputs[0]].shape, op.op.permutation
        ):
            op = replace(op, op=Reshape(graph.tensors[op.name].shape))
        while (before := ops.get(op.inputs[0])) is not None:
            merged = _merged(graph, before, op)
            if merged is None:
                break
            op = merged
        ops[op.name] = op
    if all(ops[op.name] is op for op in graph.ops):
        return graph
    return rebuilt(graph, ops.values())


def _merged(graph: QGraph, first: QOp, second: QOp) -> QOp | None:
    """One op that does what two do; None where that cannot be."""
    op = together(first.op, second.op)
    if op is not None:
        return replace(second, op=op, inputs=first.inputs)
    match first.op, second.op:
        case Pad(before, after, value), Pad(before_2, after_2, value_2):
            zero_point = graph.tensors[second.name].zero_point
            fill = zero_point if value is None else value
            if fill != (zero_point if value_2 is None else value_2):
                return None
            more = Pad(
                tuple(a + b for a, b in zip(before, before_2, strict=True)),
                tuple(a + b for a, b in zip(after, after_2, strict=True)),
                value_2,
            )
            return replace(second, op=more, inputs=first.inputs)
        case _:
            return None
