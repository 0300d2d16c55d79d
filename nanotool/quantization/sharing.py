"""Which tensors share scale and zero point.

Pools, moves and resizing keep them; a concatenation, a maximum and a minimum want all their inputs
alike. Such tensors form groups with one range, that of all members together. Where an input would
lose more than a bit by that although others read it too, or where its scale is prescribed (a
sigmoid's), it keeps its own and is requantized for the reader that wants another.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from nanotool.errors import NanoError
from nanotool.ir import INT8_MAX, INT8_MIN, Graph, Node
from nanotool.ops import facts
from nanotool.passes.rewrite import producer
from nanotool.quantization.calibrate import Range
from nanotool.quantization.quality import UNBOUNDED
from nanotool.quantization.ranges import with_headroom

# So many times its own range a tensor with other readers may take to join a group.
WIDENING = 2.0


@dataclass
class Group:
    """Tensors of one quantization."""

    members: list[str]
    bounds: Range  # to cover
    fixed: tuple[float, int] | None = None  # scale and zero point, if prescribed
    wide: bool = False  # int16: what recurrent layers remember, seen in other shapes perhaps
    int16: bool = False  # activations of 16 bits, with the zero point 0


@dataclass
class Sharing:
    """The groups of a graph."""

    groups: dict[str, Group] = field(default_factory=dict)  # by tensor
    requantized: set[tuple[str, str]] = field(default_factory=set)  # (node, its input)

    def is_int16(self, tensor: str) -> bool:
        """Whether ``tensor`` is an activation of 16 bits."""
        return tensor in self.groups and self.groups[tensor].int16

    def add(self, tensor: str, group: Group) -> None:
        """``tensor`` becomes a member."""
        group.members.append(tensor)
        self.groups[tensor] = group

    def merge(self, group: Group, other: Group) -> None:
        """Members of ``other`` become members of ``group``."""
        if group is other:
            return
        group.bounds = union(group.bounds, other.bounds)
        for tensor in other.members:
            self.add(tensor, group)


def union(one: Range, other: Range) -> Range:
    """The range that covers both."""
    return min(one[0], other[0]), max(one[1], other[1])


def span(bounds: Range) -> float:
    """The width of what has to be covered: ``bounds`` and 0."""
    return max(bounds[1], 0.0) - min(bounds[0], 0.0)


def share(
    graph: Graph, ranges: Mapping[str, Range], useful: Mapping[str, Range], *, headroom: bool
) -> Sharing:
    """The groups of ``graph``, with the ranges that they have to cover: the observed ``ranges``, as
    far as they are ``useful``. ``headroom``: more than observed for outputs and states."""

    def own(tensor: str) -> Range:
        low, high = useful.get(tensor, UNBOUNDED)
        seen = ranges[tensor]
        return min(max(seen[0], low), high), max(min(seen[1], high), low)

    sharing = Sharing()
    for source in graph.inputs:
        sharing.add(source, Group([], own(source), graph.scales.get(source)))
    remembered = _wide_states(graph)
    for state in graph.states:
        bounds, fixed = own(state.read), _prescribed(graph, state.next)
        fits = fixed is not None and _fits(bounds, fixed)
        group = Group([], bounds, fixed if fits else None, wide=state.read in remembered)
        sharing.add(state.read, group)
    _close(graph, sharing, graph.sources)  # what becomes an input, or what another state was
    for node in graph.nodes:
        what = facts(node.op)
        if what.indices:
            continue  # they have no scale
        for name in node.more:
            low, high = (what.rises * end for end in own(name))
            sharing.add(name, Group([], (low, high), wide=True))
        given = graph.scales.get(node.name)
        if given is not None and what.shares_quantization:
            _given(graph, sharing, node, Group([], own(node.name), given))
        elif what.joins_quantizations:
            _join(graph, sharing, node, own(node.name))
        elif what.keeps_quantization:
            _keep(graph, sharing, node, own(node.name))
        else:
            sharing.add(node.name, Group([], own(node.name), what.prescribed_output or given))
        _close(graph, sharing, node.outputs)
    if headroom:
        ends = (sharing.groups[name] for name in graph.results if name in sharing.groups)
        for group in {id(group): group for group in ends}.values():
            _give_headroom(graph, group)
    return sharing


def widen(graph: Graph, sharing: Sharing, tensors: Collection[str] | None) -> None:
    """Give ``tensors`` (None: all that can) 16 bits, and with each the results of its readers, as
    an operator's activations are of one type; what has no form for int16 reads int8 instead.
    Tensors of one quantization go together. NanoError for a tensor that is not there or cannot; and
    of a graph with states."""
    if graph.states or any(node.more for node in graph.nodes):
        raise NanoError(
            f"{graph.name} has states or recurrent layers.",
            "Activations in int16 are for models without: leave int16 away.",
        )
    named = tuple(sharing.groups) if tensors is None else tuple(tensors)
    for name in named:
        group = sharing.groups.get(name)
        if group is None:
            known = ", ".join(list(sharing.groups)[:8])
            raise NanoError(f"{graph.name} has no tensor {name!r}.", f"It has {known}, ...")
        group.int16 = _can_widen(graph, group)
        if tensors is not None and not group.int16:
            raise NanoError(
                f"{name} cannot be int16: what writes it, or shares its scale, has no form for it.",
                "docs/operators.md says which operators have.",
            )
    chosen = {name for name in sharing.groups if sharing.is_int16(name)}
    for node in graph.nodes:
        if chosen & set(node.inputs) and node.name in sharing.groups:
            group = sharing.groups[node.name]
            group.int16 = group.int16 or _can_widen(graph, group)


def widenable(graph: Graph, sharing: Sharing) -> dict[str, frozenset[str]]:
    """By each tensor that `widen` takes, one of a quantization, all that then has 16 bits."""
    groups = {id(group): group for group in sharing.groups.values()}
    able = {key: frozenset(g.members) for key, g in groups.items() if _can_widen(graph, g)}
    found = {}
    for key, members in able.items():
        readers = (node.name for node in graph.nodes if members & set(node.inputs))
        behind = {id(sharing.groups.get(name)) for name in readers} & set(able)
        found[groups[key].members[0]] = members.union(*(able[one] for one in behind))
    return found


def _can_widen(graph: Graph, group: Group) -> bool:
    """Whether all that writes a member has a form for int16."""
    writers = [graph.node(name).op for name in group.members if name not in graph.inputs]
    fixed = group.fixed is None or any(facts(op).prescribed_int16 for op in writers)
    return fixed and all(facts(op).int16 for op in writers)


def _prescribed(graph: Graph, tensor: str) -> tuple[float, int] | None:
    """The scale and zero point that the operator prescribes from which ``tensor`` comes unchanged,
    if any: a state that it becomes has them from the start."""
    node = producer(graph, tensor)
    while node is not None and facts(node.op).keeps_quantization and len(node.inputs) == 1:
        node = producer(graph, node.inputs[0])
    return None if node is None else facts(node.op).prescribed_output


def _close(graph: Graph, sharing: Sharing, tensors: Sequence[str]) -> None:
    """What a state becomes, if it is one of ``tensors``, gets its quantization. Where one of them
    is prescribed and the other is another it stays, and what the state becomes is requantized."""
    for state in graph.states:
        if state.next in tensors:
            read, following = sharing.groups[state.read], sharing.groups[state.next]
            if read.fixed is None and following.fixed is None:
                sharing.merge(following, read)


def _wide_states(graph: Graph) -> set[str]:
    """What is read of the states that are int16: of those that become what recurrent layers
    remember, in another shape perhaps, or what another such state was."""
    wide = {name for node in graph.nodes for name in node.more}
    origins: dict[str, str] = {}
    for node in graph.nodes:
        if facts(node.op).moves and facts(node.op).types:
            origins[node.name] = origins.get(node.inputs[0], node.inputs[0])
    found: set[str] = set()
    while True:
        held = {s.read for s in graph.states if origins.get(s.next, s.next) in wide | found}
        if held == found:
            return found
        found = held


def _fits(bounds: Range, fixed: tuple[float, int]) -> bool:
    """Whether a prescribed quantization covers ``bounds``, but for half a step."""
    scale, zero_point = fixed
    low, high = ((end - zero_point) * scale for end in (INT8_MIN, INT8_MAX))
    # Softmax and sigmoid end at 255/256, though they can reach 1.
    return bounds[0] >= low - scale and bounds[1] <= high + scale


def _given(graph: Graph, sharing: Sharing, node: Node, group: Group) -> None:
    """Its quantization was ``group``'s before it came here: inputs that are free take it, others
    are requantized."""
    sharing.add(node.name, group)
    for source in dict.fromkeys(node.inputs):
        if source in graph.constants:
            continue
        theirs = sharing.groups[source]
        if theirs is group:
            continue
        if not theirs.wide and theirs.fixed in {None, group.fixed}:
            sharing.merge(group, theirs)
        else:
            sharing.requantized.add((node.name, source))


def _keep(graph: Graph, sharing: Sharing, node: Node, bounds: Range) -> None:
    """One input; a Pad may bring a value of its own."""
    source = node.inputs[0]
    group = sharing.groups[source]
    if group.wide and not facts(node.op).types:
        sharing.requantized.add((node.name, source))
        sharing.add(node.name, Group([], bounds))
        return
    if len(node.inputs) > 1:
        if group.fixed is not None and not _fits(bounds, group.fixed):
            sharing.requantized.add((node.name, source))
            sharing.add(node.name, Group([], bounds))
            return
        group.bounds = union(group.bounds, bounds)
    sharing.add(node.name, group)


def _join(graph: Graph, sharing: Sharing, node: Node, bounds: Range) -> None:
    """Several inputs, some of them constants."""
    sources = [tensor for tensor in node.inputs if tensor not in graph.constants]
    groups = {id(sharing.groups[s]): sharing.groups[s] for s in sources}
    first = next(iter(groups.values()))
    alike = all(group.fixed == first.fixed for group in groups.values())
    if first.fixed is not None and alike and _fits(bounds, first.fixed):
        for group in groups.values():
            sharing.merge(first, group)
        sharing.add(node.name, first)
        return
    free = [group for group in groups.values() if group.fixed is None and not group.wide]
    joint = bounds
    for group in free:
        joint = union(joint, group.bounds)
    result = Group([], bounds)
    for group in free:
        widened = span(joint) > WIDENING * span(group.bounds)
        if not (widened and _read_elsewhere(graph, group, node)):
            sharing.merge(result, group)
    for source in sources:
        if sharing.groups[source] is not result:
            sharing.requantized.add((node.name, source))
    sharing.add(node.name, result)


def _read_elsewhere(graph: Graph, group: Group, node: Node) -> bool:
    """Whether somebody but ``node`` makes use of how fine the group's scale is."""
    members = set(group.members)
    if members & {*graph.results, *(state.read for state in graph.states)}:
        return True  # an output, or a state: what it is made of goes on in the next step
    readers = (one for one in graph.nodes if one is not node and members & set(one.inputs))
    kinds = ((reader, facts(reader.op)) for reader in readers)
    return any(
        not what.joins_quantizations and not (what.keeps_quantization and reader.name in members)
        for reader, what in kinds
    )


def _give_headroom(graph: Graph, group: Group) -> None:
    """To the group of an output or a state, as far as its layers' clamps let them go beyond what
    was seen."""
    nodes = [graph.node(name) for name in group.members if name not in graph.sources]
    makers = [node for node in nodes if not facts(node.op).shares_quantization]
    if group.fixed is not None or not any(facts(node.op).scales_output for node in makers):
        return
    clamp = makers[0].clamp
    for node in makers:
        clamp = union(clamp, node.clamp)
    group.bounds = with_headroom(group.bounds, clamp)
