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
from nanotool.ir import (
    AveragePool2D,
    Binary,
    Conv2D,
    ConvTranspose2D,
    Dense,
    MaxPool2D,
    Mean,
    PRelu,
    QGraph,
    QOp,
)
from nanotool.passes.lossless.rewrite import consumers, has_one_reader, rebuilt, same_quantization
from nanotool.passes.lossless.stores import same_pairs, same_store
from nanotool.passes.lossless.tables import INPUTS, Table, tables

STORING = (Conv2D, ConvTranspose2D, Dense, Mean, Binary, PRelu, MaxPool2D, AveragePool2D)


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
        if table is None or producer is None or not isinstance(producer.op, STORING):
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
    rises = bool((wanted[1:] >= wanted[:-1]).all())
    try:
        match producer.op:
            case Conv2D() | ConvTranspose2D() | Dense() | Mean() if rises:
                same = same_store(graph, found, producer, fused, table.entries)
            case Binary("add" | "sub" | "mul") | PRelu():
                same = same_pairs(graph, found, producer, fused, table.entries)
            case _:  # keeps scale and zero point
                same = False
    except InvalidModel:  # there is no such op with these scales
        same = False
    return fused if same else None
