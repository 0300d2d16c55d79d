"""Small tools that the passes share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import graphs
from nanotool.graphs import renaming, unused
from nanotool.ir import FloatArray, Graph, Node


def frozen(array: NDArray[Any]) -> FloatArray:
    """A float32 copy of ``array`` that cannot be written."""
    return graphs.frozen(array.astype(np.float32))


def rebuilt(graph: Graph, nodes: Iterable[Node], renamed: Mapping[str, str]) -> Graph:
    """``graph`` with other nodes, in which readers of a ``renamed`` tensor read its new name.

    Names are followed transitively: {"a": "b", "b": "c"} makes readers of "a" read "c". Constants
    that nobody reads any more are gone.
    """
    final = renaming(renamed)
    kept = tuple(
        replace(node, inputs=tuple(final(tensor) for tensor in node.inputs)) for node in nodes
    )
    read = {tensor for node in kept for tensor in node.inputs}
    constants = {name: data for name, data in graph.constants.items() if name in read}
    # What took a tensor's place has its scale; a fused activation's is that of the pair.
    scales = {name: scale for name, scale in graph.scales.items() if name not in renamed}
    scales |= {final(name): graph.scales[name] for name in renamed if name in graph.scales}
    return replace(
        graph,
        scales=scales,
        nodes=kept,
        outputs=tuple(final(name) for name in graph.outputs),
        states=tuple(replace(state, next=final(state.next)) for state in graph.states),
        constants=constants,
    )


def sole_consumer(graph: Graph, tensor: str) -> Node | None:
    """The one node that reads ``tensor``; None if several do, none does, or it is a result."""
    consumers = graph.consumers(tensor)
    if len(consumers) != 1 or tensor in graph.results:
        return None
    return consumers[0]


def producer(graph: Graph, tensor: str) -> Node | None:
    """The node that writes ``tensor``; None for inputs, states and constants."""
    written = tensor not in graph.sources and tensor not in graph.constants
    return graph.node(tensor) if written else None


def unique(name: str, taken: set[str]) -> str:
    """``name``, or with a number behind it; it is then taken."""
    result = unused(name, taken)
    taken.add(result)
    return result


def names(graph: Graph) -> set[str]:
    """Every tensor name in use."""
    return {
        *graph.sources,
        *graph.constants,
        *(name for node in graph.nodes for name in node.outputs),
    }
