"""Memory against time: which way each layer goes, all of them together in so many bytes of arena.

What is alive while a layer runs, and what its kernel works in, has to fit at once: the arena is
about the largest such need. So in a given arena each layer can go its fastest way that fits, for
itself, and every size of an arena gives one choice. Those that no other beats in both memory and
time are the curve.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nanotool.ir import QGraph
from nanotool.lower.fuse import Group, Unit, Way
from nanotool.lower.layer import Call
from nanotool.plan import align

# A per cent of time counts as much as so many of memory: what is slower has to save more than that.
_TIME = 2
_LESS_SCRATCH = 1.06  # what the same kernel takes in less scratch, about (kws: 1.054)
_MOST_POINTS = 64  # of a curve


@dataclass(frozen=True, slots=True)
class Point:
    """One choice of a way for every group."""

    need: int  # bytes; no plan's arena can be smaller
    cost: int  # instructions, about
    ways: tuple[Way, ...]

    @property
    def units(self) -> tuple[Unit, ...]:
        """What computes the layers, in order."""
        return tuple(unit for way in self.ways for unit in way)


@dataclass(frozen=True, slots=True)
class _Option:
    """A way with what it needs and takes."""

    need: int
    cost: int
    way: Way


def curve(graph: QGraph, groups: Sequence[Group]) -> tuple[Point, ...]:
    """The choices that none beats, the fastest one first. Those in between are thinned out where
    there are very many."""
    life = _Lives.of(graph, groups)
    options = [list(_options(group, life)) for group in groups]
    least = max((min(o.need for o in each) for each in options), default=0)
    sizes = sorted({o.need for each in options for o in each if o.need >= least}, reverse=True)
    step = max(1, -(-len(sizes) // _MOST_POINTS))
    points: list[Point] = []
    for size in [*sizes[::step], least]:
        fitting = ([o for o in each if o.need <= size] for each in options)
        chosen = [min(each, key=lambda o: (o.cost, o.need)) for each in fitting]
        need = max((o.need for o in chosen), default=0)
        point = Point(need, sum(o.cost for o in chosen), tuple(o.way for o in chosen))
        if not points or need < points[-1].need:
            points.append(point)
    return tuple(points)


def knee(points: Sequence[Point]) -> Point:
    """The choice behind which memory is bought too dear: of the least memory * time^2."""
    return min(points, key=lambda point: max(point.need, 1) * max(point.cost, 1) ** _TIME)


def _options(group: Group, life: _Lives) -> Iterator[_Option]:
    """The ways of ``group``. None is faster than the first one, which is that of speed."""
    ways = group.ways()
    first = sum(unit.cost for unit in ways[0])
    kernels = [call.kernel for unit in ways[0] for call in unit.calls]
    scratch = sum(call.scratch for unit in ways[0] for call in unit.calls)
    for way in ways:
        cost = max(sum(unit.cost for unit in way), first)
        calls = [call for unit in way for call in unit.calls]
        if [call.kernel for call in calls] == kernels:
            less = sum(call.scratch for call in calls) < scratch
            cost = round(first * _LESS_SCRATCH) if less else first
        yield _Option(max((life.need(unit) for unit in way), default=0), cost, way)


@dataclass(frozen=True, slots=True)
class _Lives:
    """When each buffer is alive: from the layer that writes it (-1: from the start) to the last one
    that reads it."""

    sizes: Mapping[str, int]
    first: Mapping[str, int]
    last: Mapping[str, int]
    buffer_of: Mapping[str, str]  # of a tensor
    number: Mapping[str, int]  # of a layer

    @classmethod
    def of(cls, graph: QGraph, groups: Sequence[Group]) -> _Lives:
        """As if each layer were computed by itself."""
        layers = [layer for group in groups for layer in group.layers]
        views = {group.layers[0].name for group in groups if group.moves_nothing}
        buffer_of = {name: name for name in graph.sources}
        first = dict.fromkeys(graph.sources, -1)
        last = dict.fromkeys(graph.sources, -1)
        for number, layer in enumerate(layers):
            for name in layer.qop.inputs:
                if name in buffer_of:
                    last[buffer_of[name]] = number
            for name in layer.qop.outputs:
                if layer.name in views:
                    buffer_of[name] = buffer_of[layer.qop.inputs[0]]
                    continue
                buffer_of[name] = name
                first[name] = last[name] = number
        for name in graph.results:
            if name in buffer_of:
                last[buffer_of[name]] = len(layers)
        for state in graph.states:
            last[state.read] = len(layers)
        sizes = {name: align(graph.tensors[name].nbytes) for name in first}
        numbers = {layer.name: number for number, layer in enumerate(layers)}
        return cls(sizes, first, last, buffer_of, numbers)

    def need(self, unit: Unit) -> int:
        """Bytes that are in use while ``unit`` is computed."""
        if not unit.calls:
            return 0
        numbers = [self.number[layer.name] for layer in unit.layers]
        begin, end = min(numbers), max(numbers)
        made = {name for layer in unit.layers[-1:] for name in layer.qop.outputs}
        inner = {layer.name for layer in unit.layers[:-1]}
        read = [name for layer in unit.layers for name in layer.qop.inputs]
        dying = {
            buffer
            for name in read
            if name in self.buffer_of
            and begin <= self.last[buffer := self.buffer_of[name]] <= end
            and buffer not in inner
        }
        kept = sum(
            size
            for name, size in self.sizes.items()
            if self.first[name] < begin <= self.last[name] and name not in dying
        )
        written = sum(self.sizes[name] for name in made if name in self.sizes)
        together = kept + written + sum(self.sizes[name] for name in dying)
        return max(
            together + align(call.scratch) - self._saved(unit, call, read, dying)
            for call in unit.calls
        )

    def _saved(self, unit: Unit, call: Call, read: Sequence[str], dying: set[str]) -> int:
        """Bytes that lie under the output and an input at once."""
        if len(unit.calls) > 1:
            return 0
        out = self.sizes.get(unit.layers[-1].name, 0)
        saved = [0]
        for number, gap in zip(call.reads, call.overlaps, strict=True):
            buffer = self.buffer_of.get(read[number], "")
            if gap is not None and buffer in dying:
                size = self.sizes[buffer]
                saved.append(out + size - max(out, min(align(gap), out) + size))
        return max(saved)
