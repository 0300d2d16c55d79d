"""Where states live, so that a step costs no copy of what stays.

Each state has a buffer that is always alive. What takes its place is written straight over it where
that is proved to be harmless: after the last op that read the old one, which is why ops may change
places here. Three forms, tried in turn; where none fits, a copy ends the step.

    window   s ++ x is read as a whole, and its end is the next state. The state's room is then that
             of the whole: x is written behind s, and one copy within the room moves the end to the
             front.
    roll     the next state is the end of s, then x. One copy within the room, x is written behind.
    over     the next state is written over the old one by the op that computes it.

In `LoweredOp`s, buffers are then parts of others: `Placed.views`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from nanotool.ir import LoweredOp, State
from nanotool.lower.layer import whole_copy
from nanotool.plan import TENSOR_ALIGN

Edge = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Placed:
    """Ops in their new order, and where states lie."""

    ops: tuple[LoweredOp, ...]
    buffers: dict[str, int]  # name -> bytes
    views: dict[str, tuple[str, int]]  # buffer -> (the buffer that it is a part of, first byte)
    outputs: tuple[str, ...]  # buffers


def place_states(
    ops: Sequence[LoweredOp],
    buffers: dict[str, int],
    states: Sequence[tuple[State, str]],
    outputs: Sequence[str],
) -> Placed:
    """Give each of ``states``, which comes with the buffer of its next value, a room that lasts.

    ``ops`` write every buffer but the model's inputs and those named after a state's ``read``.
    ``outputs`` are the buffers that must hold their values when all has run.
    """
    if not states:
        return Placed(tuple(ops), buffers, {}, tuple(outputs))
    reads, nexts = {state.read for state, _ in states}, {following for _, following in states}
    work = _Work(list(ops), dict(buffers), list(outputs), reads, nexts)
    work.free_outputs({state.read for state, following in states if state.read != following})
    for state, following in states:
        if state.read != following:
            work.place(state, following)
    return work.result()


def contiguous_copy(op: LoweredOp) -> tuple[int, int, int] | None:
    """(first byte in the input, first byte in the output, bytes) of an op that copies one stretch;
    None of another op."""
    if op.kernel != "nano_copy" or len(op.inputs) != 1:
        return None
    fields = dict(op.params.fields)
    shape, source, target = fields["shape"], fields["in_stride"], fields["out_stride"]
    assert isinstance(shape, tuple)
    assert isinstance(source, tuple)
    assert isinstance(target, tuple)
    one = shape[3] == 1 or (source[3], target[3]) == (1, 1)
    if shape[:3] != (1, 1, 1) or not one:
        return None
    begin, end = fields["in_offset"], fields["out_offset"]
    assert isinstance(begin, int)
    assert isinstance(end, int)
    return begin, end, shape[3]


def _copy(name: str, source: str, target: str, size: int) -> LoweredOp:
    """The whole of one buffer into another."""
    return LoweredOp(name, (), "nano_copy", whole_copy(size), (source,), target, (None,))


def written_by(op: LoweredOp) -> tuple[str, ...]:
    """The buffers that ``op`` writes."""
    return (op.output, *op.more)


@dataclass
class _Work:
    """Ops as nodes, what must run before what, and what was decided so far."""

    ops: list[LoweredOp]
    buffers: dict[str, int]
    outputs: list[str]
    reads: set[str]  # the states' buffers
    nexts: set[str]  # the buffers of what states become
    views: dict[str, tuple[str, int]] = field(default_factory=dict)
    before: dict[int, set[int]] = field(default_factory=dict)  # op -> those that follow it
    dropped: set[int] = field(default_factory=set)  # copies of what lies in its place already
    overwriting: dict[str, list[int]] = field(default_factory=dict)  # state -> ops that end it

    def __post_init__(self) -> None:
        edges: list[Edge] = []
        for name in self.buffers:
            writers = self.writers(name)
            edges += pairwise(writers)
            edges += [(writers[-1], reader) for reader in self.readers(name) if writers]
        self._add(edges)

    # --- The order --------------------------------------------------------------------------------

    def writers(self, buffer: str) -> list[int]:
        """The ops that write ``buffer``, in order."""
        return [i for i, op in enumerate(self.ops) if buffer in written_by(op)]

    def readers(self, buffer: str) -> list[int]:
        """The ops that read ``buffer``."""
        return [i for i, op in enumerate(self.ops) if buffer in op.inputs]

    def _add(self, edges: Iterable[Edge]) -> None:
        for first, second in edges:
            if first != second:
                self.before.setdefault(first, set()).add(second)

    def _allow(self, edges: Sequence[Edge]) -> bool:
        """Add ``edges`` if there is still an order that obeys all."""
        known = {first: set(second) for first, second in self.before.items()}
        self._add(edges)
        if self._order() is not None:
            return True
        self.before = known
        return False

    def _order(self) -> list[int] | None:
        """The ops in an order that obeys all edges, as near to the given one as can be."""
        waiting = dict.fromkeys(range(len(self.ops)), 0)
        for second in (op for followers in self.before.values() for op in followers):
            waiting[second] += 1
        ready = [op for op, count in waiting.items() if count == 0]
        heapq.heapify(ready)
        order = []
        while ready:
            op = heapq.heappop(ready)
            order.append(op)
            for follower in self.before.get(op, ()):
                waiting[follower] -= 1
                if waiting[follower] == 0:
                    heapq.heappush(ready, follower)
        return order if len(order) == len(self.ops) else None

    # --- States -----------------------------------------------------------------------------------

    def free_outputs(self, reads: set[str]) -> None:
        """An output that is a state as it was gets a copy: the state itself will be another one."""
        for number, buffer in enumerate(self.outputs):
            if buffer in reads:
                name = self._fresh(f"{buffer} (output)")
                self.buffers[name] = self.buffers[buffer]
                self.ops.append(_copy(name, buffer, name, self.buffers[buffer]))
                self.outputs[number] = name

    def _fresh(self, name: str) -> str:
        number, result = 1, name
        while result in self.buffers:
            number += 1
            result = f"{name} {number}"
        return result

    def place(self, state: State, following: str) -> None:
        """Let ``following`` take the place of the state's buffer."""
        read = state.read
        taken = following in self.views or following in self.reads
        free = not taken and self.writers(following)
        if free and self._is_plain(following) and read not in self.views:
            for form in (self._window, self._roll, self._over):
                if form(read, following):
                    return
        self._copied(state.name, read, following)

    def _is_plain(self, buffer: str) -> bool:
        """Whether nothing is a part of ``buffer``."""
        return all(base != buffer for base, _ in self.views.values())

    def _settle(self, read: str, edges: Sequence[Edge], overwriting: list[int]) -> bool:
        """Add ``edges`` and note which ops end the state, if that can be."""
        last = [(reader, op) for reader in self.readers(read) for op in overwriting]
        kept = [(a, b) for a, b in (*edges, *last) if a not in self.dropped]
        if not self._allow([(a, b) for a, b in kept if a != b]):
            return False
        self.overwriting[read] = overwriting
        return True

    def _window(self, read: str, following: str) -> bool:
        """See the module."""
        shift = self.writers(following)
        size = self.buffers[read]
        run = contiguous_copy(self.ops[shift[0]]) if len(shift) == 1 else None
        if run is None or run[1:] != (0, size):
            return False
        whole = self.ops[shift[0]].inputs[0]
        parts = self.writers(whole)
        if not parts or whole in self.views or not self._is_plain(whole):
            return False
        if whole in self.outputs or whole in self.nexts:  # it has to last as a whole
            return False
        front = self.ops[parts[0]]
        if front.inputs != (read,) or contiguous_copy(front) != (0, 0, size):
            return False
        dropped, views, edges = self._behind(whole, parts[1:], {whole, read, following})
        edges += [(reader, shift[0]) for reader in self.readers(whole)]
        if not self._settle_dropping(read, edges, shift, {parts[0], *dropped}):
            return False
        self.views |= {read: (whole, 0), following: (whole, 0), **views}
        return True

    def _roll(self, read: str, following: str) -> bool:
        """See the module."""
        parts = self.writers(following)
        front = self.ops[parts[0]]
        run = contiguous_copy(front)
        if run is None or run[:2] != (0, 0) or len(parts) < 2:
            return False
        end = front.inputs[0]
        shift = self.writers(end)
        held = end in self.outputs or end in self.views or self.buffers[end] != run[2]
        if len(shift) != 1 or held or self.ops[shift[0]].inputs != (read,):
            return False
        moved = contiguous_copy(self.ops[shift[0]])
        if moved is None or moved[1:] != (0, run[2]):
            return False
        dropped, views, edges = self._behind(following, parts[1:], {read, following, end})
        late = [op for name in views for op in self.writers(name)]
        edges += [(shift[0], op) for op in late]
        ending = [*shift, *late, *(op for op in parts[1:] if op not in dropped)]
        if not self._settle_dropping(read, edges, ending, {parts[0], *dropped}):
            return False
        place = {name: (read, offset) for name, (_, offset) in views.items()}
        self.views |= {following: (read, 0), end: (read, 0), **place}
        return True

    def _over(self, read: str, following: str) -> bool:
        """See the module."""
        group = self.writers(following)
        size = self.buffers[read]
        whole = [op for op in group if self._copies(op, read, size)]
        rest = [op for op in group if op not in whole]
        for op in rest:
            if read in self.ops[op].inputs and (len(rest) > 1 or not self._in_place(op, read)):
                return False
        if not self._settle_dropping(read, [], rest or group, set(whole) if rest else set()):
            return False
        self.views[following] = (read, 0)
        return True

    def _copies(self, op: int, read: str, size: int) -> bool:
        return self.ops[op].inputs == (read,) and contiguous_copy(self.ops[op]) == (0, 0, size)

    def _in_place(self, op: int, read: str) -> bool:
        """Whether ``op`` may write where its input ``read`` begins."""
        one = self.ops[op]
        gaps = [gap for name, gap in zip(one.inputs, one.overlaps, strict=True) if name == read]
        return all(gap is not None and gap <= 0 for gap in gaps) and one.output not in one.more

    def _settle_dropping(
        self, read: str, edges: Sequence[Edge], overwriting: list[int], dropped: set[int]
    ) -> bool:
        """`_settle` without the copies ``dropped``, which stand for themselves no more."""
        before = set(self.dropped)
        self.dropped |= dropped
        if self._settle(read, edges, overwriting):
            return True
        self.dropped = before
        return False

    def _behind(
        self, whole: str, parts: Sequence[int], unread: set[str]
    ) -> tuple[set[int], dict[str, tuple[str, int]], list[Edge]]:
        """Which of ``parts``, copies into ``whole``, need not run because what they copy can be
        written in its place; those places, and what must then run before what."""
        dropped: set[int] = set()
        views: dict[str, tuple[str, int]] = {}
        for part in parts:
            op, run = self.ops[part], contiguous_copy(self.ops[part])
            if run is None:
                continue
            name = op.inputs[0]
            writers = self.writers(name)
            fits = run[0] == 0 and run[2] == self.buffers[name] and run[1] % TENSOR_ALIGN == 0
            taken = name in self.views or name in views or not self._is_plain(name)
            clash = any(not unread.isdisjoint(self.ops[w].inputs) for w in writers)
            if fits and writers and not taken and not clash and name not in self.outputs:
                dropped.add(part)
                views[name] = (whole, run[1])
        kept = [part for part in parts if part not in dropped]
        edges = [(w, part) for name in views for w in self.writers(name) for part in kept]
        return dropped, views, edges

    def _copied(self, name: str, read: str, following: str) -> None:
        """Copy ``following`` into the state's buffer once nobody reads the old one any more; by way
        of a third buffer where states change places."""
        size = self.buffers[read]
        for detour in (False, True):
            ops, buffers = len(self.ops), dict(self.buffers)
            source = following
            if detour:
                source = self._fresh(f"{name} (next)")
                self.buffers[source] = size
                self.ops.append(_copy(source, following, source, size))
            self.ops.append(_copy(f"{name} (state)", source, read, size))
            last = len(self.ops) - 1
            made = [] if following in self.reads else self.writers(following)
            edges = [(writer, ops) for writer in made]
            edges += [(ops, op) for op in self.overwriting.get(following, ())]
            edges += [(ops, last)] if detour else []
            if self._settle(read, edges, [last]):
                return
            self.ops, self.buffers = self.ops[:ops], buffers
        raise AssertionError(f"state {name}: no order was found")  # a detour always leaves one

    # --- The end ----------------------------------------------------------------------------------

    def result(self) -> Placed:
        """The ops that are left, in order; the last one that completes a layer is marked so."""
        order = self._order()
        assert order is not None
        ops = {i: self.ops[i] for i in order if i not in self.dropped}
        for i in self.dropped:
            gone = self.ops[i]
            left = [j for j in ops if self.ops[j].output == gone.output]
            if gone.source and left:
                ops[left[-1]] = replace(ops[left[-1]], source=gone.source, name=gone.name)
        return Placed(tuple(ops.values()), self.buffers, self.views, tuple(self.outputs))
