"""Transposes go behind the element-wise ops that follow them, to meet their inverse there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from nanotool.graphs import frozen, unused
from nanotool.ir import Int8Array, QGraph, QOp, QTensor, Transpose
from nanotool.ops import Layer, facts, layers_of
from nanotool.passes.lossless.rewrite import consumers, rebuilt

Permutation = tuple[int, ...]


def sink_transposes(graph: QGraph) -> QGraph:
    """``graph`` with fewer transposes.

    Where all inputs of some element-wise ops come from equal transposes and all that they yield
    goes into transposes, the former go: the ops work on the elements in their old order, and the
    latter make up for both. Tensors between them then hold the same elements in that order.
    """
    for start in layers_of(graph, Transpose):
        region = _region(graph, start)
        if region is not None and region.inner and region.sinks:
            return sink_transposes(region.rewritten(graph))
    return graph


@dataclass
class _Region:
    """Element-wise ops between transposes."""

    permutation: Permutation  # of every source
    sources: dict[str, QOp] = field(default_factory=dict)
    inner: dict[str, QOp] = field(default_factory=dict)
    sinks: dict[str, Permutation] = field(default_factory=dict)

    def rewritten(self, graph: QGraph) -> QGraph:
        """``graph`` with the sources gone."""
        tensors: dict[str, QTensor] = {}
        constants = dict(graph.constants)
        ops = []
        for op in graph.ops:
            if op.name in self.sources:
                continue
            if op.name in self.sinks:
                ops.append(replace(op, op=Transpose(self._after(self.sinks[op.name]))))
            elif op.name in self.inner:
                shape = self._unmoved(graph, op.name)
                tensors[op.name] = replace(graph.tensors[op.name], shape=shape)
                inputs = tuple(
                    self._turned(graph, name, tensors, constants)
                    if name in graph.constants
                    else name
                    for name in op.inputs
                )
                ops.append(replace(op, inputs=inputs))
            else:
                ops.append(op)
        renamed = {name: op.inputs[0] for name, op in self.sources.items()}
        return rebuilt(graph, ops, renamed=renamed, tensors=tensors.values(), constants=constants)

    def _unmoved(self, graph: QGraph, tensor: str) -> tuple[int, ...]:
        """The shape of ``tensor`` before it was transposed."""
        shape = graph.tensors[tensor].shape
        return tuple(shape[self.permutation.index(axis)] for axis in range(len(shape)))

    def _after(self, sink: Permutation) -> Permutation:
        """What a sink has to do without the sources."""
        return tuple(self.permutation[axis] for axis in sink)

    def _turned(
        self,
        graph: QGraph,
        name: str,
        tensors: dict[str, QTensor],
        constants: dict[str, Int8Array],
    ) -> str:
        """The name of a constant in the old order: a new one, unless it is a single number."""
        data = graph.constants[name]
        if data.size == 1:
            return name
        rank = len(self.permutation)
        aligned = data.reshape((1,) * (rank - data.ndim) + data.shape)
        inverse = tuple(self.permutation.index(axis) for axis in range(rank))
        turned = frozen(aligned.transpose(inverse))
        new = unused(f"{name}/transposed", {*graph.tensors, *tensors})
        tensors[new] = replace(graph.tensors[name], name=new, shape=turned.shape)
        constants[new] = turned
        return new


def _region(graph: QGraph, start: Layer[Transpose]) -> _Region | None:
    """All that must change together if the transpose ``start`` goes; None if it cannot."""
    writers = {name: op for op in graph.ops for name in op.outputs}
    readers = consumers(graph)
    region = _Region(start.op.permutation)
    pending = [start.qop]
    while pending:
        op = pending.pop()
        if op.name in region.sources or op.name in region.inner:
            continue
        if op.name in graph.results:
            return None
        if _same_transpose(op, region.permutation):
            region.sources[op.name] = op
        elif _is_elementwise(graph, op):
            region.inner[op.name] = op
            feeding = _feeding(graph, writers, op)
            if feeding is None:
                return None
            pending += feeding
        else:
            return None
        for reader in readers[op.name]:
            if isinstance(reader.op, Transpose):
                region.sinks[reader.name] = reader.op.permutation
            else:
                pending.append(reader)
    # A transpose may read another one of the region: `merge_moves` is to join the two first.
    return None if region.sources.keys() & region.sinks.keys() else region


def _same_transpose(op: QOp, permutation: Permutation) -> bool:
    return isinstance(op.op, Transpose) and op.op.permutation == permutation


def _is_elementwise(graph: QGraph, op: QOp) -> bool:
    """Whether ``op`` treats all elements alike, constants aside: it may stretch axes, but not add
    some to anything else."""
    if not facts(op.op).elementwise:
        return False
    moving = [name for name in op.inputs if name not in graph.constants]
    types = {graph.tensors[name].dtype for name in (op.name, *op.inputs)}
    ranks = {len(graph.tensors[name].shape) for name in (op.name, *moving)}
    return types == {"int8"} and len(ranks) == 1


def _feeding(graph: QGraph, writers: Mapping[str, QOp], op: QOp) -> Iterable[QOp] | None:
    """The ops that write ``op``'s inputs, constants aside; None where an input or state is one."""
    names = [name for name in op.inputs if name not in graph.constants]
    if not set(graph.sources).isdisjoint(names):
        return None
    return [writers[name] for name in names]
