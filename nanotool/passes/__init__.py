"""Passes: pure functions from a float `Graph` to another one that computes the same.

`canonicalize` runs them all: loops rolled, states in parts, no-ops dropped, functions joined, batch
norm folded, clamps fused, C, H, W turned to H, W, C.
Those from a `QGraph` to another one are in `nanotool.passes.lossless`.
"""

from __future__ import annotations

from nanotool.ir import Graph
from nanotool.passes.drop import drop
from nanotool.passes.fold import fold
from nanotool.passes.fuse import fuse
from nanotool.passes.layout import layout
from nanotool.passes.record import Change, PassRecord
from nanotool.passes.roll import roll
from nanotool.passes.states import narrow, split
from nanotool.passes.tabulate import tabulate

__all__ = [
    "Change",
    "PassRecord",
    "canonicalize",
    "drop",
    "fold",
    "fuse",
    "layout",
    "narrow",
    "roll",
    "split",
    "tabulate",
]


def canonicalize(graph: Graph, log: list[PassRecord] | None = None) -> Graph:
    """``graph`` ready for the quantizer: H, W, C, every clamp and batch norm in a neighbour.

    ``log``, where given, gets one record a pass. Nodes keep their names; a fused pair keeps the
    producer's. The tensors of rank 3, and so the graph's input and output, are H, W, C afterwards.
    """
    steps = [
        *(("narrow", narrow), ("roll", roll), ("split", split), ("drop", drop)),
        *(("tabulate", tabulate), ("fold", fold), ("fuse", fuse), ("layout", layout)),
        ("tidy", drop),
    ]
    for name, step in steps:
        result = step(graph)
        if log is not None:
            old, new = [n.name for n in graph.nodes], [n.name for n in result.nodes]
            removed = tuple(n for n in old if n not in set(new))
            added = tuple(n for n in new if n not in set(old))
            log.append(PassRecord(name, len(old), len(new), removed, added))
        graph = result
    return graph
