"""Ops, tensors and constants on which the output does not depend."""

from __future__ import annotations

from nanotool.ir import QGraph
from nanotool.passes.lossless.rewrite import rebuilt


def drop_dead_code(graph: QGraph) -> QGraph:
    """``graph`` without them; the input stays."""
    live = {graph.output}
    for op in reversed(graph.ops):
        if op.name in live:
            live.update(op.inputs)
    if live.issuperset(graph.constants) and live.issuperset(op.name for op in graph.ops):
        return graph
    constants = {name: data for name, data in graph.constants.items() if name in live}
    return rebuilt(graph, (op for op in graph.ops if op.name in live), constants=constants)
