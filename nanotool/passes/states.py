"""States as recurrent layers keep them: in 16 bits, each layer's in a place of its own.

`narrow`: what a GRU keeps from step to step is h, too. Who does not remember it reads h as the
layer gives it, in 8 bits, which is the same rounded.

`split`: PyTorch stacks what layers remember, h of shape (layers, batch, units), and users join
states of several cells. Such a state becomes one state a part, if each part of what it becomes is
a tensor of its own: each layer then has its own scale and width, and a step copies nothing. What
reads the state as a whole reads the parts joined.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool.ir import Concat, Gather, Graph, Gru, Node, Reshape, Shape, State
from nanotool.ops import facts, float_layers_of
from nanotool.ops.moves import moved, only_moves
from nanotool.passes.rewrite import names, rebuilt, unique

MOST_PARTS = 64  # of one state

# Element by element: the number of the tensor that it comes from, then its place there.
Elements: TypeAlias = NDArray[np.int64]
_SHIFT = 32


@dataclass(frozen=True)
class _Origins:
    """Where every element of a graph comes from, moved as it may be since."""

    elements: dict[str, Elements]  # by tensor, in its shape
    bases: tuple[str, ...]  # the tensors that something computes, by number

    def comes(self, tensor: str) -> str:
        """The tensor whose elements, all and in order, those of ``tensor`` are; "" for none."""
        flat = self.elements[tensor].reshape(-1)
        base = self.bases[int(flat[0]) >> _SHIFT]
        return base if np.array_equal(flat, self.elements[base].reshape(-1)) else ""

    def within(self, tensor: str, base: str) -> Elements | None:
        """The places in ``base`` of the elements of ``tensor``; None if any is not from there."""
        flat = self.elements[tensor].reshape(-1)
        if (flat >> _SHIFT != self.bases.index(base)).any():
            return None
        places: Elements = flat & (2**_SHIFT - 1)
        return places

    def touches(self, tensor: str, base: str) -> bool:
        """Whether any element of ``tensor`` is from ``base``."""
        return bool((self.elements[tensor] >> _SHIFT == self.bases.index(base)).any())


def _origins(graph: Graph) -> _Origins:
    found, bases = dict[str, Elements](), list[str]()

    def add(tensor: str, shape: Shape) -> None:
        places = np.arange(int(np.prod(shape)), dtype=np.int64) | (len(bases) << _SHIFT)
        bases.append(tensor)
        found[tensor] = places.reshape(shape)

    for tensor in (*graph.sources, *graph.constants):
        add(tensor, graph.shape(tensor))
    for node in graph.nodes:
        turned = moved(node.op, [found[name] for name in node.inputs], node.shape)
        if turned is None:
            add(node.name, node.shape)
        else:
            found[node.name] = turned
        for name in node.more:
            add(name, node.shape[-1:])
    return _Origins(found, tuple(bases))


def _readers(graph: Graph) -> Iterator[tuple[Node, int]]:
    """Nodes that do more than to move elements, each with the number of an input."""
    for node in graph.nodes:
        if not only_moves(node.op):
            for number in range(len(node.inputs)):
                yield node, number


def _with_inputs(graph: Graph, changed: dict[tuple[str, int], Node]) -> Graph:
    """``graph`` in which input number i of node n is the new node ``changed[n, i]``."""
    nodes = list[Node]()
    for node in graph.nodes:
        inputs = list(node.inputs)
        for number in range(len(inputs)):
            new = changed.get((node.name, number))
            if new is not None:
                nodes.append(new)
                inputs[number] = new.name
        nodes.append(replace(node, inputs=tuple(inputs)))
    return rebuilt(graph, nodes, {})


# --- Narrow ---------------------------------------------------------------------------------------


def narrow(graph: Graph) -> Graph:
    """``graph`` in which only what remembers a GRU's h reads it in 16 bits."""
    layers = (layer.node for layer in float_layers_of(graph, Gru))
    wide = {node.more[0]: node for node in layers if node.more}
    if not wide or not graph.states:
        return graph
    origins, taken = _origins(graph), names(graph)
    changed = dict[tuple[str, int], Node]()
    for node, number in _readers(graph):
        layer = wide.get(origins.comes(node.inputs[number]))
        kept = isinstance(node.op, Gru) and number > 0
        if layer is not None and layer.shape[0] == 1 and not kept:
            name = unique(f"{layer.name}.narrow", taken)
            shape = graph.shape(node.inputs[number])
            changed[node.name, number] = Node(name, Reshape(shape), (layer.name,), shape)
    return _with_inputs(graph, changed)


# --- Split ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """Elements of a state, and the tensor that takes their place."""

    places: Elements  # in the state, rising
    next: str


def split(graph: Graph) -> Graph:
    """``graph`` with a state for each part of those that are put together."""
    for state in graph.states:
        origins = _origins(graph)
        parts = _parts(graph, state, origins)
        if parts and _pays(graph, state, parts, origins):
            graph = _split(graph, state, parts, origins)
    return graph


def _parts(graph: Graph, state: State, origins: _Origins) -> list[_Part]:
    """Two or more, each of which becomes another tensor; none where anything of the state moves on
    within it, as in a ring, or where a part of it is no tensor by itself."""
    if origins.touches(state.next, state.read):
        return []
    flat = origins.elements[state.next].reshape(-1)
    bases = flat >> _SHIFT
    numbers = list(dict.fromkeys(bases.tolist()))  # in their order
    if not 1 < len(numbers) <= MOST_PARTS:
        return []
    tensors = dict[bytes, str]()
    for tensor, elements in origins.elements.items():
        if tensor not in graph.constants:
            tensors.setdefault(elements.tobytes(), tensor)
    for base in origins.bases:  # rather than one that is the same elements in another shape
        if base not in graph.constants:
            tensors[origins.elements[base].tobytes()] = base
    parts = [np.flatnonzero(bases == number) for number in numbers]
    found = [tensors.get(flat[places].tobytes(), "") for places in parts]
    if not all(found) or any(one in graph.sources for one in found):
        return []
    return [_Part(places, one) for places, one in zip(parts, found, strict=True)]


def _pays(graph: Graph, state: State, parts: Sequence[_Part], origins: _Origins) -> bool:
    """Whether a part is worth 16 bits, or nobody reads more than one part at a time."""
    wide = {name for node in graph.nodes if facts(node.op).gates for name in node.more}
    if any(origins.comes(part.next) in wide for part in parts):
        return True
    read = [node.inputs[number] for node, number in _readers(graph)]
    read += [*graph.outputs, *(other.next for other in graph.states)]
    touching = [tensor for tensor in read if origins.touches(tensor, state.read)]
    return all(_part_of(tensor, state, parts, origins) is not None for tensor in touching)


def _part_of(tensor: str, state: State, parts: Sequence[_Part], origins: _Origins) -> int | None:
    """The number of the part that ``tensor`` is, perhaps in another shape; None if it is none."""
    places = origins.within(tensor, state.read)
    if places is None:
        return None
    for number, part in enumerate(parts):
        if np.array_equal(places, part.places):
            return number
    return None


def _split(graph: Graph, state: State, parts: Sequence[_Part], origins: _Origins) -> Graph:
    taken = names(graph) | {other.name for other in graph.states}
    flat, found, joined = state.initial.reshape(-1), list[State](), list[Node]()
    for i, part in enumerate(parts):
        name = unique(f"{state.name}.{i}", taken)
        initial = flat[part.places].reshape(graph.shape(part.next))
        found.append(State(name, name, part.next, initial))
        size = (part.places.size,)
        joined.append(Node(unique(f"{name}.flat", taken), Reshape(size), (name,), size))
    # The whole, for who wants it; by its old name.
    line = unique(f"{state.name}.line", taken)
    inputs = tuple(node.name for node in joined)
    joined.append(Node(line, Concat(0), inputs, (flat.size,)))
    order = np.argsort(np.concatenate([part.places for part in parts]))
    if not np.array_equal(order, np.arange(flat.size)):
        inorder = unique(f"{state.name}.sorted", taken)
        joined.append(Node(inorder, Gather(0, tuple(order.tolist())), (line,), (flat.size,)))
        line = inorder
    shape = state.initial.shape
    joined.append(Node(state.read, Reshape(shape), (line,), shape))
    changed = dict[tuple[str, int], Node]()
    for node, number in _readers(graph):
        tensor = node.inputs[number]
        place = _part_of(tensor, state, parts, origins)
        if place is not None:
            read, shape = found[place].read, graph.shape(tensor)
            name = unique(f"{read}.read", taken)
            changed[node.name, number] = Node(name, Reshape(shape), (read,), shape)
    every: list[State] = []
    for other in graph.states:
        every += found if other is state else [other]
    result = _with_inputs(graph, changed)
    return replace(result, states=tuple(every), nodes=(*joined, *result.nodes))
