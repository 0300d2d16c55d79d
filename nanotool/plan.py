"""The memory planner: where in the arena every tensor and every op's scratch lies.

Two blocks that are alive during the same op must not share bytes, with one exception: an op may
write its output over an input that dies with it, as long as the output stays far enough behind
(`LoweredOp.overlaps`). Every pair is thus a choice of two: X lies at least `distance(Y, X)` above
Y, or the other way round. The planner tries greedy orders. If they leave room for doubt, a branch
and bound search over all choices follows, which is exact if it ends within its budget: a short one
for small graphs, then, behind an improvement of the best order by moving single blocks, a long one.
The best plan wins. Everything is deterministic.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import add
from types import MappingProxyType

from nanotool.errors import NanoError
from nanotool.ir import Lowered, LoweredOp, Placement, Plan
from nanotool.memory_picture import draw, summary, svg, widest

__all__ = [
    "Block",
    "Problem",
    "align",
    "draw",
    "input_offsets",
    "lower_bound",
    "overlaps",
    "plan",
    "problem_of",
    "scratch_offset",
    "solve",
    "summary",
    "svg",
    "widest",
]

TENSOR_ALIGN = 4  # NANO_TENSOR_ALIGN
CLIMB_WORK = 200_000  # blocks that are placed to improve the best greedy plan: about a second
SHORT_SEARCH = 2_000  # nodes of the exact search that comes before the improvement
SEARCH_BUDGET = 50_000  # ... and of the one behind it: about a second
SEARCH_BLOCKS = 100  # beyond that many blocks there is no exact search
UINT32_MAX = 2**32 - 1


def align(size: int) -> int:
    """``size`` rounded up to a multiple of NANO_TENSOR_ALIGN."""
    return -(-size // TENSOR_ALIGN) * TENSOR_ALIGN


@dataclass(frozen=True, slots=True)
class Block:
    """Something that needs room: a buffer, or the scratch of op ``first`` = ``last``."""

    name: str
    size: int  # bytes, as asked for
    first: int
    last: int
    scratch: bool = False

    @property
    def room(self) -> int:
        """Bytes that it takes in the arena."""
        return align(self.size)


@dataclass(frozen=True, slots=True)
class Problem:
    """Blocks and, for pairs (output, input) that may overlap, by how much less than the
    output's size the input must lie above the output."""

    blocks: tuple[Block, ...]
    gaps: Mapping[tuple[int, int], int]  # (below, above) -> bytes; indices of blocks
    neighbours: tuple[frozenset[int], ...] = field(init=False)  # alive at the same time
    savings: Mapping[int, tuple[tuple[int, int], ...]] = field(init=False)
    """below -> (above, bytes that the two take less than apart), of the pairs in ``gaps``"""
    rooms: tuple[int, ...] = field(init=False)  # of the blocks
    distances: tuple[tuple[tuple[int, int, int], ...], ...] = field(init=False)
    """of each block: (neighbour, `distance` up to it, `distance` from it)"""

    def __post_init__(self) -> None:
        count = len(self.blocks)
        alive = [frozenset(j for j in range(count) if self._meet(i, j)) for i in range(count)]
        object.__setattr__(self, "neighbours", tuple(alive))
        savings: dict[int, list[tuple[int, int]]] = {}
        for below, above in self.gaps:
            apart = self.blocks[below].room + self.blocks[above].room
            saved = apart - self.together(below, above)
            savings.setdefault(below, []).append((above, saved))
        frozen = {below: tuple(pairs) for below, pairs in savings.items()}
        object.__setattr__(self, "savings", MappingProxyType(frozen))
        object.__setattr__(self, "rooms", tuple(block.room for block in self.blocks))
        pairs = tuple(
            tuple((j, self.distance(i, j), self.distance(j, i)) for j in sorted(alive[i]))
            for i in range(count)
        )
        object.__setattr__(self, "distances", pairs)

    def _meet(self, i: int, j: int) -> bool:
        a, b = self.blocks[i], self.blocks[j]
        return i != j and a.first <= b.last and b.first <= a.last

    def distance(self, below: int, above: int) -> int:
        """The least offset(above) - offset(below) of two neighbours in this order."""
        room = self.blocks[below].room
        return min(self.gaps.get((below, above), room), room)

    def together(self, below: int, above: int) -> int:
        """Bytes that two neighbours take, packed in this order."""
        return max(self.blocks[below].room, self.distance(below, above) + self.blocks[above].room)

    def need(self, blocks: Iterable[int]) -> int:
        """Bytes that ``blocks``, alive at one moment, take at least: stacked, less what an output
        can lie over inputs. (Those are apart from each other, so it saves at most its own size.)
        """
        present = set(blocks)
        total = sum(self.rooms[i] for i in present)
        for below in self.savings.keys() & present:
            saved = sum(bytes_ for above, bytes_ in self.savings[below] if above in present)
            total -= min(saved, self.rooms[below])
        return total


def plan(lowered: Lowered) -> Plan:
    """Place every buffer and scratch of ``lowered`` in the smallest arena that can be found.

    The plan's ``method`` is "exact" where no smaller arena exists, else the greedy order's name.
    """
    rooms = _state_rooms(lowered)
    base = sum(align(block.size) for block in rooms)
    problem = problem_of(lowered)
    offsets, method, bound = solve(problem)
    size = base + _arena_size(problem, offsets)
    if size > UINT32_MAX:
        raise NanoError(f"The model needs {size:,} bytes of arena.", "At most 4 GiB fit.")
    buffers: dict[str, Placement] = {}
    scratch: dict[int, Placement] = {}
    offset = 0
    for block in rooms:
        buffers[block.name] = Placement(block.name, offset, block.size, block.first, block.last)
        offset += align(block.size)
    for block, offset in zip(problem.blocks, offsets, strict=True):
        placement = Placement(block.name, base + offset, block.size, block.first, block.last)
        if block.scratch:
            scratch[block.first] = placement
        else:
            buffers[block.name] = placement
    for name, (whole, begin) in lowered.views.items():
        room = buffers[whole]
        offset = room.offset + begin
        buffers[name] = Placement(name, offset, lowered.buffers[name], room.first, room.last)
    return Plan(
        size,
        MappingProxyType(buffers),
        MappingProxyType(scratch),
        method,
        base + bound,
        base,
    )


def input_offsets(plan: Plan, op: LoweredOp) -> list[int]:
    """Where a kernel finds what it reads: its inputs, and behind them what it updates."""
    return [plan.buffers[name].offset for name in (*op.inputs, *op.more)]


def scratch_offset(plan: Plan, index: int) -> int | None:
    """Where the scratch of op ``index`` begins; None: it has none."""
    return plan.scratch[index].offset if index in plan.scratch else None


def _state_rooms(lowered: Lowered) -> list[Block]:
    """What states lie in, in their order: always alive. They lie at the bottom, which costs
    nothing: no plan has anything across such a room, so it can change places with all below."""
    names = dict.fromkeys(lowered.views.get(name, (name, 0))[0] for name in lowered.states)
    return [Block(name, lowered.buffers[name], -1, len(lowered.ops)) for name in names]


def problem_of(lowered: Lowered) -> Problem:
    """Lifetimes and overlaps of ``lowered`` but for what lies in states' rooms: what `plan` has to
    solve."""
    end = len(lowered.ops)
    first = dict.fromkeys(lowered.inputs, -1)
    last = dict.fromkeys(lowered.inputs, -1)
    for index, op in enumerate(lowered.ops):
        for name in (op.output, *op.more):
            first.setdefault(name, index)
        for name in (*op.inputs, op.output, *op.more):
            last[name] = index
    last.update(dict.fromkeys(lowered.outputs, end))
    fixed = {*lowered.views, *(block.name for block in _state_rooms(lowered))}
    blocks = [
        Block(name, size, first[name], last[name])
        for name, size in lowered.buffers.items()
        if name not in fixed
    ]
    number = {block.name: i for i, block in enumerate(blocks)}
    gaps: dict[tuple[int, int], int] = {}
    for index, op in enumerate(lowered.ops):
        if op.scratch:
            blocks.append(Block(f"scratch of {op.name}", op.scratch, index, index, scratch=True))
        for source, gap in overlaps(op).items():
            if last[source] == index and not fixed & {source, op.output}:
                gaps[number[op.output], number[source]] = align(gap)
    return Problem(tuple(blocks), MappingProxyType(gaps))


def overlaps(op: LoweredOp) -> dict[str, int]:
    """How far above the output each buffer that ``op`` reads has to lie where the two overlap;
    buffers that the output must not touch are left out. One that is read twice obeys both."""
    refused = {name for name, gap in zip(op.inputs, op.overlaps, strict=True) if gap is None}
    result: dict[str, int] = {}
    for name, gap in zip(op.inputs, op.overlaps, strict=True):
        if gap is not None and name not in refused:
            result[name] = max(gap, result.get(name, 0))
    return result


def solve(problem: Problem) -> tuple[list[int], str, int]:
    """(offsets, method, lower bound) for ``problem``: greedy orders, a short exact search, the best
    order improved, a long search."""
    bound = lower_bound(problem)
    best = _greedy(problem)
    if best.size > bound and len(problem.blocks) <= SEARCH_BLOCKS:
        search = _Search(problem, best.offsets, best.size, bound)
        if search.run(SHORT_SEARCH):
            return search.best, "exact", search.best_size
    if best.size > bound:
        best = _climb(problem, best, bound)
    if best.size == bound or len(problem.blocks) > SEARCH_BLOCKS:
        return best.offsets, "exact" if best.size == bound else best.method, bound
    search = _Search(problem, best.offsets, best.size, bound)
    if search.run(SEARCH_BUDGET):
        return search.best, "exact", search.best_size
    return search.best, "search" if search.best_size < best.size else best.method, bound


def _arena_size(problem: Problem, offsets: Sequence[int]) -> int:
    return max(map(add, offsets, problem.rooms), default=0)


# --- Lower bound ----------------------------------------------------------------------------------


def lower_bound(problem: Problem) -> int:
    """The largest need of any one moment."""
    return max((problem.need(alive) for alive in _moments(problem)), default=0)


def _moments(problem: Problem) -> list[frozenset[int]]:
    """The sets of blocks that are alive together, those within another left out."""
    blocks = problem.blocks
    alive = {
        frozenset(i for i, block in enumerate(blocks) if block.first <= moment <= block.last)
        for moment in {block.first for block in blocks}
    }
    largest = [one for one in alive if not any(one < other for other in alive)]
    return sorted(largest, key=sorted)


# --- Greedy ---------------------------------------------------------------------------------------


def _duration(block: Block) -> int:
    return block.last - block.first + 1


_ORDERS: Mapping[str, Callable[[Block], tuple[int, ...]]] = MappingProxyType(
    {
        "largest first": lambda block: (-block.room, block.first),
        "longest first": lambda block: (-_duration(block), -block.room),
        "largest area first": lambda block: (-block.room * _duration(block), block.first),
        "in order": lambda block: (block.first, -block.room),
        "in reverse order": lambda block: (-block.last, -block.room),
    }
)


@dataclass(frozen=True, slots=True)
class _Packing:
    """A plan and how it came about: ``order`` is the one in which `_first_fit` took the blocks."""

    order: list[int]
    offsets: list[int]
    size: int
    method: str


def _packing(problem: Problem, order: list[int], method: str) -> _Packing:
    offsets = _first_fit(problem, order)
    return _Packing(order, offsets, _arena_size(problem, offsets), method)


def _greedy(problem: Problem) -> _Packing:
    """The best of `_ORDERS`."""
    blocks = problem.blocks
    packings = [
        _packing(problem, sorted(range(len(blocks)), key=lambda i: (key(blocks[i]), i)), name)
        for name, key in _ORDERS.items()
    ]
    return min(packings, key=lambda packing: packing.size)


def _first_fit(problem: Problem, order: Sequence[int]) -> list[int]:
    """Place the blocks one by one, each at the lowest offset that those before it leave free."""
    offsets = [-1] * len(problem.blocks)
    for block in order:
        forbidden = [
            (offsets[other] - up, offsets[other] + down)
            for other, up, down in problem.distances[block]
            if offsets[other] >= 0
        ]
        forbidden.sort()
        offset = 0
        for low, high in forbidden:  # open intervals
            if low < offset < high:
                offset = high
        offsets[block] = offset
    return offsets


def _climb(problem: Problem, start: _Packing, bound: int) -> _Packing:
    """Improve ``start`` by taking single blocks out of the order and putting them in elsewhere:
    mostly the topmost ones, and those beside which they lie."""
    rng = random.Random(1)  # nosec B311 # the same plan every time, and no secret
    count = len(problem.blocks)
    here = start
    for _ in range(CLIMB_WORK // count):
        if here.size == bound:
            break
        tops = [i for i in range(count) if here.offsets[i] + problem.rooms[i] == here.size]
        chosen = rng.choice(tops)
        beside = sorted(problem.neighbours[chosen])
        if beside and rng.random() < 0.5:
            chosen = rng.choice(beside)
        order = [i for i in here.order if i != chosen]
        order.insert(rng.randrange(count), chosen)
        there = _packing(problem, order, "improved order")
        if there.size <= here.size:
            here = there
    return here if here.size < start.size else start


# --- Exact ----------------------------------------------------------------------------------------


class _Search:
    """Branch and bound over the orders in which blocks lie above each other.

    In a plan that cannot be pushed down any further every block lies at 0 or at its distance
    above another one. Taking the blocks of the best such plan by rising offset and putting each
    at the lowest place above those taken before gives that plan back; so it is enough to try
    orders in which the offsets do not fall, and every branch that cannot end below the best size
    is cut.
    """

    def __init__(self, problem: Problem, best: list[int], best_size: int, bound: int) -> None:
        self.problem = problem
        self.best = best
        self.best_size = best_size
        self.bound = bound
        self.nodes, self.budget = 0, 0
        self.offsets = [-1] * len(problem.blocks)
        self.moments = _moments(problem)

    def run(self, budget: int) -> bool:
        """Search; False if the ``budget`` of nodes ended it. `best` then holds the best plan found
        so far."""
        self.budget = budget
        floors = [0] * len(self.problem.blocks)
        return self._descend(frozenset(range(len(self.problem.blocks))), floors, 0, -1)

    def _descend(
        self, open_blocks: frozenset[int], floors: list[int], level: int, newest: int
    ) -> bool:
        """Place one of ``open_blocks``, in every promising way. ``floors`` are the least offsets
        that the placed blocks leave, ``level`` is the offset of the ``newest`` one."""
        if not open_blocks:
            self.best = list(self.offsets)
            self.best_size = _arena_size(self.problem, self.offsets)
            return True
        for block in sorted(open_blocks, key=lambda i: (floors[i], -self.problem.rooms[i])):
            self.nodes += 1
            if self.nodes > self.budget:
                return False
            offset = floors[block]
            if offset < level or self._mirrored(block, newest, offset == level):
                continue
            rest = open_blocks - {block}
            raised = self._raise(rest, floors, block, offset)
            if self._hopeless(rest, raised, offset, block):
                continue
            self.offsets[block] = offset
            complete = self._descend(rest, raised, offset, block)
            self.offsets[block] = -1
            if not complete:
                return False
            if self.best_size == self.bound:
                return True
        return True

    def _mirrored(self, block: int, newest: int, same_offset: bool) -> bool:
        """Whether the other order of these two, at the same offset, is tried as well."""
        return same_offset and block < newest and newest not in self.problem.neighbours[block]

    def _raise(self, rest: frozenset[int], floors: list[int], block: int, offset: int) -> list[int]:
        """``floors`` after ``block`` went to ``offset``."""
        raised = list(floors)
        for other, up, _ in self.problem.distances[block]:
            if other in rest and raised[other] < offset + up:
                raised[other] = offset + up
        return raised

    def _hopeless(self, rest: frozenset[int], floors: list[int], level: int, block: int) -> bool:
        """Whether no way to place ``rest``, all at ``level`` or above, can beat the best."""
        if level + self.problem.rooms[block] >= self.best_size:
            return True
        for other in rest:
            # A floor below the level is out of order: it would have had to come earlier, unless
            # another block still raises it.
            if floors[other] < level and not self.problem.neighbours[other] & rest:
                return True
        return any(
            self._moment_need(alive, rest, floors, level) >= self.best_size
            for alive in self.moments
        )

    def _moment_need(
        self, alive: frozenset[int], rest: frozenset[int], floors: list[int], level: int
    ) -> int:
        """The least top of the blocks of ``rest`` that are alive at one moment."""
        waiting = alive & rest
        if not waiting:
            return 0
        return max(level, min(floors[i] for i in waiting)) + self.problem.need(waiting)
