"""Ops, tensors, constants and states on which no output depends."""

from __future__ import annotations

from dataclasses import replace

from nanotool.ir import QGraph
from nanotool.passes.lossless.rewrite import rebuilt


def drop_dead_code(graph: QGraph) -> QGraph:
    """``graph`` without them; the inputs stay. A state is needed where an output depends on what is
    read of it, in this step or in a later one."""
    live, known = set(graph.outputs), set[str]()
    while live != known:
        known = set(live)
        live.update(state.next for state in graph.states if state.read in live)
        for op in reversed(graph.ops):
            if not live.isdisjoint(op.outputs):
                live.update(op.inputs)
    ops = [op for op in graph.ops if not live.isdisjoint(op.outputs)]
    states = tuple(state for state in graph.states if state.read in live)
    if live.issuperset(graph.constants) and len(ops) == len(graph.ops) and states == graph.states:
        return graph
    constants = {name: data for name, data in graph.constants.items() if name in live}
    return rebuilt(replace(graph, states=states), ops, constants=constants)
