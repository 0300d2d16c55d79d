"""Ops that are functions of one int8: tables of 256 bytes that can be dropped, or joined.

A claim about a table is checked for every byte that its input can hold (`nanotool.intervals`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nanotool import unary
from nanotool.errors import InvalidModel
from nanotool.intervals import Range, ranges, reachable
from nanotool.ir import INT8_MAX, INT8_MIN, Int8Array, QGraph, QOp, Unary
from nanotool.ir import Table as TableOp
from nanotool.ops import facts, is_single_element, layer_of
from nanotool.passes.lossless.rewrite import (
    answers_input,
    consumers,
    has_one_reader,
    rebuilt,
    same_quantization,
)
from nanotool.simulate import run_layer

INPUTS: Int8Array = np.arange(INT8_MIN, INT8_MAX + 1).astype(np.int8)
_SHAPE = (16, 16, 1)  # any of 256 elements with three axes, as pools want them


@dataclass(frozen=True, slots=True)
class Table:
    """An op that is a function of one int8: entry i is its output for i - 128."""

    op: QOp
    source: str  # the tensor that it is a function of
    entries: Int8Array  # [256]


def as_table(graph: QGraph, op: QOp) -> Table | None:
    """``op`` as a table; None if it is none.

    Unary functions, requantizations, pools over a single element, and arithmetic with a constant
    of one value are.
    """
    source = _variable(graph, op)
    if source is None or graph.tensors[source].shape != graph.tensors[op.name].shape:
        return None
    # The same op with 256 elements for its input and a single one for its constant.
    layer = layer_of(graph, op)
    varies = [name == source for name in op.inputs]
    sides = zip(layer.inputs, varies, strict=True)
    small = replace(
        layer,
        inputs=tuple(replace(one, shape=_SHAPE if moves else (1,)) for one, moves in sides),
        output=replace(layer.output, shape=_SHAPE),
    )
    every = INPUTS.reshape(1, *_SHAPE)
    data = (every if one is None else one.reshape(-1)[None, :1] for one in layer.constants)
    entries = run_layer(small, *data)
    return Table(op, source, entries.reshape(-1))


def _variable(graph: QGraph, op: QOp) -> str | None:
    """The one tensor that ``op`` is a function of, element by element."""
    if any(graph.tensors[name].dtype != "int8" for name in (op.name, *op.inputs)):
        return None
    what = facts(op.op)
    moving = [name for name in op.inputs if name not in graph.constants]
    if is_single_element(op.op):
        return op.inputs[0]
    if not what.elementwise:
        return None
    fixed = [graph.constants[name] for name in op.inputs if name in graph.constants]
    uniform = all((data == data.flat[0]).all() for data in fixed)
    return moving[0] if len(moving) == 1 and uniform else None


def tables(graph: QGraph) -> dict[str, Table]:
    """Every op that is a table, by its name."""
    found = ((op.name, as_table(graph, op)) for op in graph.ops)
    return {name: table for name, table in found if table is not None}


def drop_identity_tables(graph: QGraph) -> QGraph:
    """``graph`` without tables that change no byte that their input can hold, and neither scale nor
    zero point: requantizations with equal parameters, a ReLU behind a ReLU."""
    found: dict[str, Range] | None = None
    renamed: dict[str, str] = {}
    for table in tables(graph).values():
        name, source = table.op.name, table.source
        if not same_quantization(graph.tensors[source], graph.tensors[name]):
            continue
        found = ranges(graph) if found is None else found
        span = reachable(found, source)
        if np.array_equal(table.entries[span], INPUTS[span]):
            trial = {**renamed, name: source}
            rest = [op for op in graph.ops if op.name not in trial]
            if answers_input(rebuilt(graph, rest, renamed=trial)):
                renamed = trial
    if not renamed:
        return graph
    return rebuilt(graph, (op for op in graph.ops if op.name not in renamed), renamed=renamed)


def join_tables(graph: QGraph) -> QGraph:
    """``graph`` with one table in place of two that follow each other, where a function with a name
    has that table. It is called like the second."""
    readers, every = consumers(graph), tables(graph)
    found: dict[str, Range] | None = None
    ops: dict[str, QOp] = {}
    for op in graph.ops:
        ops[op.name] = op
        second = every.get(op.name)
        first = None if second is None else every.get(second.source)
        # The first one must be as it was in the graph: not joined in this round.
        if second is None or first is None or ops.get(second.source) is not first.op:
            continue
        if has_one_reader(graph, readers, second.source):
            found = ranges(graph) if found is None else found
            joined = _joined(graph, found, first, second)
            if joined is not None:
                del ops[first.op.name]
                ops[op.name] = joined
    if all(ops.get(op.name) is op for op in graph.ops):
        return graph
    return rebuilt(graph, ops.values())


def _joined(graph: QGraph, found: dict[str, Range], first: Table, second: Table) -> QOp | None:
    """The op that does ``first`` and then ``second``; None if it has no name."""
    span = reachable(found, first.source)
    wanted = second.entries[first.entries[span].astype(np.intp) - INT8_MIN]
    clamp = (int(wanted.min()), int(wanted.max()))
    operators = (second.op.op, first.op.op)
    names = [op.function for op in operators if isinstance(op, Unary)]
    for function in dict.fromkeys([*names, "identity", "relu", "relu6"]):
        source, target = graph.tensors[first.source], graph.tensors[second.op.name]
        try:
            entries = unary.table(function, source, target)
        except InvalidModel:  # a scale or zero point that this function cannot have
            continue
        for limits in ((INT8_MIN, INT8_MAX), clamp):
            if np.array_equal(np.clip(entries[span], *limits), wanted):
                return QOp(second.op.name, Unary(function), (first.source,), clamp=limits)
    return _nameless(first, second)


def _nameless(first: Table, second: Table) -> QOp | None:
    """The table of both, where one of them is of a function without a name already."""
    tabled = [op.op for op in (second.op, first.op) if isinstance(op.op, TableOp)]
    if not tabled:
        return None
    entries = second.entries[first.entries.astype(np.intp) - INT8_MIN]
    op = TableOp(tabled[0].function, tuple(int(entry) for entry in entries))
    return QOp(second.op.name, op, (first.source,))
