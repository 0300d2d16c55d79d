"""Several element-wise functions of one tensor become one: x tanh(softplus(x)) is a function of x.

Only where one of them has no int8 form in TensorFlow Lite anyway, so that each would be a table of
its own, with a rounding of its own. Constants of one number, batch norms of one number and clamps
are parts; what others read is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import UNCLAMPED, FloatArray, Function, Graph, Node
from nanotool.ops import facts, float_layer_of
from nanotool.ops.words import title
from nanotool.passes.rewrite import rebuilt
from nanotool.quantization.float_ops import computes


def tabulate(graph: Graph) -> Graph:
    """``graph`` with a `Function` in place of every such group of nodes, named as its last one."""
    groups = [group for group in _groups(graph) if len(group) > 1 and any(map(_rounds, group))]
    replaced = {group[-1].name: _joined(graph, group) for group in groups}
    gone = {node.name for group in groups for node in group[:-1]}
    nodes = (replaced.get(node.name, node) for node in graph.nodes if node.name not in gone)
    return rebuilt(graph, nodes, {}) if groups else graph


def _rounds(node: Node) -> bool:
    """Whether it is a table rounded from real numbers in any case."""
    return facts(node.op).rounded


def _groups(graph: Graph) -> Iterator[list[Node]]:
    """Nodes that are functions of one tensor together, in order; the last one alone is read by
    others."""
    roots: dict[str, str] = {}  # a node -> the tensor that it is a function of
    for node in graph.nodes:
        source = _variable(graph, node)
        if source is not None:
            roots[node.name] = source
    # From the end: a group is its last node and all that only leads there.
    taken: set[str] = set()
    for last in reversed(graph.nodes):
        if last.name in roots and last.name not in taken:
            group = _leading_to(graph, last, roots)
            taken |= group
            yield [node for node in graph.nodes if node.name in group]


def _variable(graph: Graph, node: Node) -> str | None:
    """A tensor that ``node`` is an element-wise function of, of the same shape: beside numbers, or
    beside other tensors that may turn out to be functions of the same one."""
    what = facts(node.op)
    alike = what.elementwise or (not what.int8 and _is_number(node.weight))
    moving = [name for name in node.inputs if not _is_number(graph.constants.get(name))]
    if not alike or any(name in graph.constants for name in moving) or not moving:
        return None
    if any(graph.shape(name) != node.shape for name in moving):
        return None
    return moving[0]


def _is_number(data: FloatArray | None) -> bool:
    return data is not None and data.size > 0 and bool((data == data.flat[0]).all())


def _leading_to(graph: Graph, last: Node, roots: dict[str, str]) -> set[str]:
    """The largest group that ends with ``last`` and is a function of one tensor."""
    best, group = {last.name}, {last.name}
    if len(_sources(graph, group)) > 1:
        group = set()  # of two tensors, unless they are functions of one
    grown = {last.name}
    while True:
        ready = [
            name
            for name in _sources(graph, grown)
            if name in roots
            and name not in graph.results
            and all(reader.name in grown for reader in graph.consumers(name))
        ]
        if not ready:
            return best
        # The one that is computed last first: it may be a function of the others.
        order = {node.name: place for place, node in enumerate(graph.nodes)}
        grown = grown | {max(ready, key=order.__getitem__)}
        if len(_sources(graph, grown)) == 1:
            best = grown


def _sources(graph: Graph, group: set[str]) -> set[str]:
    """The tensors that nodes of ``group`` read from outside, numbers aside."""
    return {
        name
        for node in graph.nodes
        if node.name in group
        for name in node.inputs
        if name not in group and name not in graph.constants
    }


@dataclass(frozen=True)
class _Chain:
    """The function that a group computes."""

    graph: Graph
    nodes: tuple[Node, ...]
    source: str

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Its values."""
        values: dict[str, NDArray[np.float64]] = {self.source: x.reshape(-1, 1)}
        for node in self.nodes:
            single = (
                values[name] if name in values else self._number(name) for name in node.inputs
            )
            layer = float_layer_of(self.graph, replace(node, shape=(1,)))
            y = np.asarray(computes.of(layer.op)(layer, *single), np.float64)
            values[node.name] = y if node.clamp == UNCLAMPED else np.clip(y, *node.clamp)
        return values[self.nodes[-1].name].reshape(x.shape)

    def _number(self, name: str) -> NDArray[np.float64]:
        return self.graph.constants[name].reshape(-1)[:1].astype(np.float64)[None]


def _joined(graph: Graph, group: list[Node]) -> Node:
    """The one node in place of ``group``."""
    (source,) = _sources(graph, {node.name for node in group})
    names = [title(node.op) for node in group if facts(node.op).int8 or _rounds(node)]
    called = "+".join(dict.fromkeys(names))
    nodes = tuple(
        replace(node, weight=_first(node.weight), bias=_first(node.bias)) for node in group
    )
    op = Function(called[:64], _Chain(graph, nodes, source))
    return Node(group[-1].name, op, (source,), group[-1].shape)


def _first(data: FloatArray | None) -> FloatArray | None:
    return None if data is None else data.reshape(-1)[:1]
