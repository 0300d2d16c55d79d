"""Tables behind an op that can do their work itself: activations, requantizations.

A table goes into the op before it if that op can store at once what both do together, for every
value that can occur:

- a table that is a clamp, and keeps scale and zero point, limits the op's clamp;
- sums of products and means: both ways are monotone step functions of the accumulator, so they are
  the same if their steps are, which bisection finds over the accumulator's whole range;
- arithmetic on two tensors: all pairs of bytes are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nanotool.errors import InvalidModel
from nanotool.intervals import Range, ranges, reachable
from nanotool.ir import Op, QGraph, QOp
from nanotool.ops import facts, layer_of
from nanotool.passes.lossless.requantization import same_pairs, same_store
from nanotool.passes.lossless.rewrite import consumers, has_one_reader, rebuilt, same_quantization
from nanotool.passes.lossless.tables import INPUTS, Table, tables


def fuse_activations(graph: QGraph) -> QGraph:
    """``graph`` without tables that the op before them can do. That op then writes the table's
    tensor, and is called like it."""
    readers, every = consumers(graph), tables(graph)
    found: dict[str, Range] | None = None
    ops: dict[str, QOp] = {}
    for op in graph.ops:
        ops[op.name] = op
        table = every.get(op.name)
        producer = None if table is None else ops.get(table.source)
        if table is None or producer is None or not _stores(producer.op):
            continue
        if has_one_reader(graph, readers, table.source):
            found = ranges(graph) if found is None else found
            fused = _as_clamp(graph, found, producer, table)
            fused = fused or _as_store(graph, found, producer, table)
            if fused is not None:
                del ops[producer.name]
                ops[op.name] = fused
    if len(ops) == len(graph.ops):
        return graph
    return rebuilt(graph, ops.values())


def _stores(op: Op) -> bool:
    """Whether ``op`` ends in a store: it clamps, and is no table itself."""
    what = facts(op)
    return what.clamps and not what.is_table


def _as_clamp(graph: QGraph, found: Mapping[str, Range], producer: QOp, table: Table) -> QOp | None:
    """``producer`` with ``table`` in its clamp; None if the table does more than that."""
    if not same_quantization(graph.tensors[producer.name], graph.tensors[table.op.name]):
        return None
    span = reachable(found, producer.name)
    wanted = table.entries[span]
    clamp = (int(wanted.min()), int(wanted.max()))
    if not np.array_equal(np.clip(INPUTS[span], *clamp), wanted):
        return None
    low, high = np.clip(producer.clamp, *clamp).tolist()
    return replace(producer, name=table.op.name, clamp=(low, high))


def _as_store(graph: QGraph, found: Mapping[str, Range], producer: QOp, table: Table) -> QOp | None:
    """``producer`` with the table's scale and zero point; None if that is not the same."""
    wanted = table.entries[reachable(found, producer.name)]
    clamp = (int(wanted.min()), int(wanted.max()))
    fused = replace(producer, name=table.op.name, clamp=clamp)
    layers = layer_of(graph, producer), layer_of(graph, fused)
    rises = bool((wanted[1:] >= wanted[:-1]).all())
    what = facts(producer.op)
    try:
        if not what.scales_output:  # it keeps scale and zero point
            same = False
        elif what.elementwise:
            same = same_pairs(found, *layers, table.entries)
        else:
            same = rises and same_store(found, *layers, table.entries)
    except InvalidModel:  # there is no such op with these scales
        same = False
    return fused if same else None
