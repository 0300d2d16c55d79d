"""Fuse clamps (ReLU, ReLU6, Hardtanh, ...) into the layers that produce their input."""

from __future__ import annotations

import math
from dataclasses import replace

from nanotool.ir import UNCLAMPED, Clamp, Graph, Node, Unary
from nanotool.ops import FloatLayer, facts, float_layers_of
from nanotool.passes.rewrite import producer, rebuilt, sole_consumer

# Clamps that are unary functions by name; each then has an output scale of its own.
NAMED = {(0.0, math.inf): "relu", (0.0, 6.0): "relu6"}


def fuse(graph: Graph) -> Graph:
    """``graph`` without Clamp nodes.

    A clamp goes into the nearest layer before it that has a clamp of its own to give; it may pass
    max pools and what only moves elements on the way, as it is monotone. Only along tensors that
    nobody else reads. What cannot be fused becomes a Unary: by its name if it has one, else the
    identity with that clamp.
    """
    while True:
        clamp = next(float_layers_of(graph, Clamp), None)
        if clamp is None:
            return graph
        graph = _fused(graph, clamp) or _stand_alone(graph, clamp)


def compose(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """The one clamp that equals ``first`` and then ``second``."""
    low, high = second
    return min(max(first[0], low), high), max(min(first[1], high), low)


def _target(graph: Graph, clamp: FloatLayer[Clamp]) -> Node | None:
    """The layer that takes ``clamp``: one with an output scale of its own if it can be reached
    through max pools and moves (its range then shrinks), else the nearest that can clamp."""
    bounds = (clamp.op.low, clamp.op.high)
    nearest: Node | None = None
    reader, layer = clamp.node, producer(graph, clamp.node.inputs[0])
    while layer is not None and sole_consumer(graph, layer.name) is reader:
        what = facts(layer.op)
        if what.scales_output:
            return layer
        if what.clamps:
            nearest = nearest or layer
        if not _passes(layer, bounds) or layer.clamp != UNCLAMPED:
            break
        reader, layer = layer, producer(graph, layer.inputs[0])
    return nearest


def _passes(node: Node, bounds: tuple[float, float]) -> bool:
    """Whether clamping the one input of ``node`` to ``bounds`` is clamping its output."""
    what = facts(node.op)
    fills = what.fills and bounds[0] <= 0 <= bounds[1]
    return len(node.inputs) == 1 and not what.joins_quantizations and (what.chooses or fills)


def _fused(graph: Graph, clamp: FloatLayer[Clamp]) -> Graph | None:
    layer = _target(graph, clamp)
    if layer is None:
        return None
    fused = replace(layer, clamp=compose(layer.clamp, (clamp.op.low, clamp.op.high)))
    nodes = [fused if node is layer else node for node in graph.nodes if node is not clamp.node]
    return rebuilt(graph, nodes, {clamp.name: clamp.node.inputs[0]})


def _stand_alone(graph: Graph, clamp: FloatLayer[Clamp]) -> Graph:
    bounds = (clamp.op.low, clamp.op.high)
    if bounds in NAMED:
        alone = replace(clamp.node, op=Unary(NAMED[bounds]))
    else:
        alone = replace(clamp.node, op=Unary("identity"), clamp=bounds)
    return rebuilt(graph, (alone if node is clamp.node else node for node in graph.nodes), {})
