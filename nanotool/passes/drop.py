"""Drop what computes nothing: identities, and nodes that nobody reads."""

from __future__ import annotations

from dataclasses import replace

from nanotool.ir import (
    UNCLAMPED,
    Clamp,
    Graph,
    Mean,
    Node,
    Reshape,
    Resize,
    Transpose,
    Unary,
)
from nanotool.ops import moves_nothing, together, yields_input
from nanotool.passes.rewrite import rebuilt, sole_consumer


def drop(graph: Graph) -> Graph:
    """``graph`` without no-ops, dead nodes, and chains of reshapes, of transposes, of slices."""
    while True:
        result = _drop_dead(_merge_moves(_drop_identities(graph)))
        if len(result.nodes) == len(graph.nodes):
            return result
        graph = result


def _is_identity(graph: Graph, node: Node) -> bool:
    source = graph.shape(node.inputs[0])
    if node.clamp != UNCLAMPED:
        return False
    match node.op:
        case Clamp(low, high):
            return (low, high) == UNCLAMPED
        case Resize():
            return node.shape == source
        case Mean(axes, keep_dims):
            return keep_dims and all(source[axis] == 1 for axis in axes)
        case Unary(function):
            return function == "identity"
        case _:
            return yields_input(node.op, source, node.shape)


def _drop_identities(graph: Graph) -> Graph:
    gone = {node.name: node.inputs[0] for node in graph.nodes if _is_identity(graph, node)}
    return rebuilt(graph, (node for node in graph.nodes if node.name not in gone), gone)


def _merge_moves(graph: Graph) -> Graph:
    """Two reshapes, transposes or slices in a row; a transpose or mean that is a reshape."""
    nodes: dict[str, Node] = {}
    for old in graph.nodes:
        node = old
        if _is_reshape(graph, node):
            node = replace(node, op=Reshape(node.shape))
        before = nodes.get(node.inputs[0])
        if before is not None and sole_consumer(graph, before.name) is old:
            node = _merged(before, node) or node
            if node.inputs == before.inputs:
                del nodes[before.name]
        nodes[node.name] = node
    return rebuilt(graph, nodes.values(), {})


def _is_reshape(graph: Graph, node: Node) -> bool:
    """Whether a transpose moves nothing in memory, or a mean is over axes of one element only."""
    source = graph.shape(node.inputs[0])
    match node.op:
        case Transpose(permutation):
            return moves_nothing(source, permutation)
        case Mean(axes):
            return node.clamp == UNCLAMPED and all(source[axis] == 1 for axis in axes)
        case _:
            return False


def _merged(first: Node, second: Node) -> Node | None:
    """One node in place of two, named like the second; None where that cannot be."""
    op = together(first.op, second.op)
    return None if op is None else replace(second, op=op, inputs=first.inputs)


def _drop_dead(graph: Graph) -> Graph:
    live = set(graph.results)
    for node in reversed(graph.nodes):
        if not live.isdisjoint(node.outputs):
            live.update((*node.inputs, *node.outputs))
    return rebuilt(graph, (node for node in graph.nodes if node.name in live), {})
