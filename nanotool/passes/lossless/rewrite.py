"""Small tools that the lossless passes share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from nanotool.graphs import renaming
from nanotool.ir import Int8Array, QGraph, QOp, QTensor


def rebuilt(
    graph: QGraph,
    ops: Iterable[QOp],
    *,
    renamed: Mapping[str, str] | None = None,
    tensors: Iterable[QTensor] = (),
    constants: Mapping[str, Int8Array] | None = None,
) -> QGraph:
    """``graph`` with other ``ops``, and with ``tensors`` added or put in place of those of their
    names.

    Readers of a ``renamed`` tensor read its new name; names are followed transitively.
    ``constants`` are all that there are then; None: the same as before. Tensors that nobody writes
    any more go, and what was measured of them.
    """
    final = renaming(renamed or {})
    kept = tuple(replace(op, inputs=tuple(final(name) for name in op.inputs)) for op in ops)
    data = graph.constants if constants is None else constants
    every = {**graph.tensors, **{tensor.name: tensor for tensor in tensors}}
    written = {*graph.sources, *data, *(name for op in kept for name in op.outputs)}
    return replace(
        graph,
        ops=kept,
        tensors={name: tensor for name, tensor in every.items() if name in written},
        constants=data,
        outputs=tuple(final(name) for name in graph.outputs),
        states=tuple(replace(state, next=final(state.next)) for state in graph.states),
        quality=tuple(entry for entry in graph.quality if entry.tensor in written),
    )


def consumers(graph: QGraph) -> dict[str, tuple[QOp, ...]]:
    """The ops that read each tensor, in order; once even if one reads it twice."""
    readers: dict[str, list[QOp]] = {name: [] for name in graph.tensors}
    for op in graph.ops:
        for name in dict.fromkeys(op.inputs):
            readers[name].append(op)
    return {name: tuple(ops) for name, ops in readers.items()}


def has_one_reader(graph: QGraph, readers: Mapping[str, tuple[QOp, ...]], tensor: str) -> bool:
    """Whether one op alone depends on ``tensor``."""
    return tensor not in graph.results and len(readers[tensor]) == 1


def same_quantization(a: QTensor, b: QTensor) -> bool:
    """Whether the same bytes mean the same numbers."""
    return (a.dtype, a.scale, a.zero_point) == (b.dtype, b.scale, b.zero_point)


def answers_input(graph: QGraph) -> bool:
    """Whether every output depends on an input or a state, and is the work of an op: only such a
    graph can be lowered whatever becomes of the rest."""
    reached = set(graph.sources)
    for op in graph.ops:
        if not reached.isdisjoint(op.inputs):
            reached.update(op.outputs)
    return reached.issuperset(graph.results) and set(graph.outputs).isdisjoint(graph.sources)
