"""Steps of one recurrent cell, unrolled by a loop in the user's forward, become a loop again: one
operator for all of them, of flash-constant size.

A chain of steps has the same weights, each step the h (and c) of the one before, and the rows of
one tensor in their order, or in the opposite one. Rows that are then joined again are the loop's
output. Steps between which something else is computed stay as they are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from nanotool.errors import UnsupportedOp
from nanotool.ir import Concat, Graph, Node, Reshape, Slice
from nanotool.ops import facts
from nanotool.passes.rewrite import names, rebuilt, unique

MOST_STEPS = 64  # of one cell that may stay unrolled: an op each


def roll(graph: Graph) -> Graph:
    """``graph`` with loops. UnsupportedOp where too many steps of one cell stay by themselves."""
    while (result := _rolled(graph)) is not None:
        graph = result
    graph = _joined(graph)
    steps = Counter(id(node.weight) for node in graph.nodes if facts(node.op).gates)
    for node in graph.nodes:
        if facts(node.op).gates and steps[id(node.weight)] > MOST_STEPS:
            raise UnsupportedOp(
                node.name,
                f"a cell in a loop of {steps[id(node.weight)]} steps, between which something else "
                "is computed, so that each step is an op of its own,",
                f"Give the whole sequence to nn.GRU, nn.LSTM or nn.RNN, or compute what is between "
                f"the steps before or behind the loop; at most {MOST_STEPS} steps are unrolled.",
            )
    return graph


@dataclass(frozen=True)
class _Step:
    """A layer with gates that goes one step, over a row of a tensor."""

    node: Node
    base: str
    row: int


def _origin(graph: Graph, tensor: str) -> str:
    """What ``tensor`` is the same elements of."""
    writers = {node.name: node for node in graph.nodes}
    while tensor in writers and writers[tensor].op == Reshape(writers[tensor].shape):
        tensor = writers[tensor].inputs[0]
    return tensor


def _row(graph: Graph, tensor: str) -> tuple[str, int] | None:
    """(the tensor [rows, elements], the row) that ``tensor`` is; None if it is none."""
    origin = _origin(graph, tensor)
    node = next((one for one in graph.nodes if one.name == origin), None)
    if node is None:
        return None
    base, (row, *_) = graph.shape(node.inputs[0]), getattr(node.op, "begin", (0,))
    if len(base) != 2 or node.shape != (1, base[1]) or node.op != Slice((row, 0), (1, 1)):
        return None
    return node.inputs[0], row


def _steps(graph: Graph) -> list[_Step]:
    found = []
    for node in graph.nodes:
        if facts(node.op).gates and node.shape[0] == 1:
            row = _row(graph, node.inputs[0])
            if row is not None:
                found.append(_Step(node, *row))
    return found


def _follows(graph: Graph, step: _Step, before: _Step, gap: int) -> bool:
    """Whether ``step`` goes on where ``before`` has ended, ``gap`` rows further."""
    one, other = step.node, before.node
    same = one.op == other.op and one.weight is other.weight and one.bias is other.bias
    if not same or step.base != before.base or step.row != before.row + gap:
        return False
    kept = one.inputs[1:]
    left = (other.name, *other.more)[: len(kept)]
    return all(_origin(graph, a) == b for a, b in zip(kept, left, strict=True))


def _chain(graph: Graph, steps: list[_Step]) -> list[_Step]:
    """The first chain of two steps or more."""
    for first in steps:
        for gap in (1, -1):
            chain = [first]
            for step in steps:
                last = chain[-1]
                if step is not last and _follows(graph, step, last, gap) and _free(graph, last):
                    chain.append(step)
            if len(chain) > 1:
                return chain
    return []


def _free(graph: Graph, step: _Step) -> bool:
    """Whether nobody but the next step reads what the layer remembers beside its h."""
    read = Counter(name for node in graph.nodes for name in node.inputs)
    read.update(graph.results)
    return all(read[name] <= 1 for name in step.node.more)


def _rolled(graph: Graph) -> Graph | None:
    """``graph`` with one loop more; None where there is nothing to roll."""
    chain = _chain(graph, _steps(graph))
    if not chain:
        return None
    taken = names(graph)
    first, last, count = chain[0], chain[-1], len(chain)
    reverse = last.row < first.row
    begin = min(first.row, last.row)
    features, units = graph.shape(first.base)[1], first.node.shape[1]
    rows = Node(
        unique(f"{first.node.name}.rows", taken),
        Slice((begin, 0), (1, 1)),
        (first.base,),
        (count, features),
    )
    loop = replace(
        first.node,
        name=unique(f"{first.node.name}.loop", taken),
        op=replace(first.node.op, reverse=reverse),  # type: ignore[arg-type]
        inputs=(rows.name, *first.node.inputs[1:]),
        shape=(count, units),
        more=last.node.more,
    )
    cuts = [
        Node(step.node.name, Slice((step.row - begin, 0), (1, 1)), (loop.name,), (1, units))
        for step in chain
    ]
    gone = {step.node.name for step in chain}
    nodes: list[Node] = []
    for node in graph.nodes:
        if node is first.node:
            nodes += [rows, loop, *cuts]
        elif node.name not in gone:
            nodes.append(node)
    return rebuilt(graph, nodes, {})


def _joined(graph: Graph) -> Graph:
    """Rows of one tensor that are put together in their order are a part of it."""
    return rebuilt(graph, [_as_part(graph, node) for node in graph.nodes], {})


def _as_part(graph: Graph, node: Node) -> Node:
    """``node``, or the cut that it comes to."""
    if node.op != Concat(0) or len(node.shape) != 2 or len(node.inputs) != node.shape[0]:
        return node
    first = _row(graph, node.inputs[0])
    if first is None:
        return node
    base, begin = first
    for i, name in enumerate(node.inputs):
        if _row(graph, name) != (base, begin + i):
            return node
    return replace(node, op=Slice((begin, 0), (1, 1)), inputs=(base,))
