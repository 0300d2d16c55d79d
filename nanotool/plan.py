"""The memory planner: where in the arena every tensor and every op's scratch lies.

Two blocks that are alive during the same op must not share bytes, with one exception: an op whose
input dies with it may write its output over it, as long as the output stays far enough behind
(`LoweredOp.overlap`). Every pair is thus a choice of two: X lies at least `distance(Y, X)` above
Y, or the other way round. The planner tries greedy orders, which are good, and then a branch and
bound search over all choices, which is exact if it ends within its budget; the best plan wins.
Everything is deterministic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from nanotool.errors import NanoError
from nanotool.ir import Lowered, Placement, Plan
from nanotool.memory_picture import draw, summary, svg

__all__ = [
    "Block",
    "Problem",
    "align",
    "draw",
    "lower_bound",
    "plan",
    "problem_of",
    "solve",
    "summary",
    "svg",
]

TENSOR_ALIGN = 4  # NANO_TENSOR_ALIGN
SEARCH_BUDGET = 100_000  # nodes of the exact search: about a second
SEARCH_BLOCKS = 100  # beyond that many blocks only the greedy orders are tried
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

    def __post_init__(self) -> None:
        count = len(self.blocks)
        alive = [frozenset(j for j in range(count) if self._meet(i, j)) for i in range(count)]
        object.__setattr__(self, "neighbours", tuple(alive))

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


def plan(lowered: Lowered) -> Plan:
    """Place every buffer and scratch of ``lowered`` in the smallest arena that can be found.

    The plan's ``method`` is "exact" where no smaller arena exists, else the greedy order's name.
    """
    problem = problem_of(lowered)
    offsets, method, bound = solve(problem)
    size = _arena_size(problem, offsets)
    if size > UINT32_MAX:
        raise NanoError(f"The model needs {size:,} bytes of arena.", "At most 4 GiB fit.")
    buffers: dict[str, Placement] = {}
    scratch: dict[int, Placement] = {}
    for block, offset in zip(problem.blocks, offsets, strict=True):
        placement = Placement(block.name, offset, block.size, block.first, block.last)
        if block.scratch:
            scratch[block.first] = placement
        else:
            buffers[block.name] = placement
    return Plan(size, MappingProxyType(buffers), MappingProxyType(scratch), method, bound)


def problem_of(lowered: Lowered) -> Problem:
    """Lifetimes and overlaps of ``lowered``: what `plan` has to solve."""
    end = len(lowered.ops)
    first = {lowered.input: -1}
    last = {lowered.input: -1}
    for index, op in enumerate(lowered.ops):
        first.setdefault(op.output, index)
        for name in (*op.inputs, op.output):
            last[name] = index
    last[lowered.output] = end
    blocks = [Block(name, size, first[name], last[name]) for name, size in lowered.buffers.items()]
    number = {block.name: i for i, block in enumerate(blocks)}
    gaps: dict[tuple[int, int], int] = {}
    for index, op in enumerate(lowered.ops):
        if op.scratch:
            blocks.append(Block(f"scratch of {op.name}", op.scratch, index, index, scratch=True))
        source = op.inputs[0]
        if op.overlap is not None and last[source] == index and op.inputs.count(source) == 1:
            gaps[number[op.output], number[source]] = align(op.overlap)
    return Problem(tuple(blocks), MappingProxyType(gaps))


def solve(problem: Problem) -> tuple[list[int], str, int]:
    """(offsets, method, lower bound) for ``problem``: greedy orders, then the exact search."""
    bound = lower_bound(problem)
    best: list[int] = [0] * len(problem.blocks)
    best_size, method = -1, "exact"
    for name, key in _ORDERS.items():
        order = sorted(range(len(problem.blocks)), key=lambda i: (key(problem.blocks[i]), i))
        offsets = _first_fit(problem, order)
        size = _arena_size(problem, offsets)
        if best_size < 0 or size < best_size:
            best, best_size, method = offsets, size, name
    if best_size == bound:
        return best, "exact", bound
    if len(problem.blocks) > SEARCH_BLOCKS:
        return best, method, bound
    search = _Search(problem, best, best_size, bound)
    complete = search.run()
    if search.best_size < best_size:
        method = "search"
    if complete:
        return search.best, "exact", search.best_size
    return search.best, method, bound


def _arena_size(problem: Problem, offsets: Sequence[int]) -> int:
    return max(
        (offset + block.room for offset, block in zip(offsets, problem.blocks, strict=True)),
        default=0,
    )


# --- Lower bound ----------------------------------------------------------------------------------


def lower_bound(problem: Problem) -> int:
    """The largest need of any one moment: all that is alive then, with one overlap at most."""
    moments = {block.first for block in problem.blocks} | {block.last for block in problem.blocks}
    return max((_need(problem, moment) for moment in moments), default=0)


def _need(problem: Problem, moment: int) -> int:
    """Bytes that the blocks alive at ``moment`` take at least: stacked, less what overlapping
    pairs save. At one moment only the op's own (output, input) pair can overlap."""
    alive = [i for i, b in enumerate(problem.blocks) if b.first <= moment <= b.last]
    total = sum(problem.blocks[i].room for i in alive)
    for below, above in problem.gaps:
        if below in alive and above in alive:
            apart = problem.blocks[below].room + problem.blocks[above].room
            total -= apart - problem.together(below, above)
    return total


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


def _first_fit(problem: Problem, order: Sequence[int]) -> list[int]:
    """Place the blocks one by one, each at the lowest offset that those before it leave free."""
    offsets = [-1] * len(problem.blocks)
    for block in order:
        forbidden = sorted(
            (
                offsets[other] - problem.distance(block, other),
                offsets[other] + problem.distance(other, block),
            )
            for other in problem.neighbours[block]
            if offsets[other] >= 0
        )
        offset = 0
        for low, high in forbidden:  # open intervals
            if low < offset < high:
                offset = high
        offsets[block] = offset
    return offsets


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
        self.nodes = 0
        self.offsets = [-1] * len(problem.blocks)
        first = min((block.first for block in problem.blocks), default=0)
        last = max((block.last for block in problem.blocks), default=0)
        self.moments = [
            [i for i, block in enumerate(problem.blocks) if block.first <= moment <= block.last]
            for moment in range(first, last + 1)
        ]

    def run(self) -> bool:
        """Search; False if the budget ended it. `best` then holds the best plan found so far."""
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
        for block in sorted(open_blocks, key=lambda i: (floors[i], -self.problem.blocks[i].room)):
            self.nodes += 1
            if self.nodes > SEARCH_BUDGET:
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
        for other in self.problem.neighbours[block] & rest:
            raised[other] = max(raised[other], offset + self.problem.distance(block, other))
        return raised

    def _hopeless(self, rest: frozenset[int], floors: list[int], level: int, block: int) -> bool:
        """Whether no way to place ``rest``, all at ``level`` or above, can beat the best."""
        if level + self.problem.blocks[block].room >= self.best_size:
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
        self, alive: list[int], rest: frozenset[int], floors: list[int], level: int
    ) -> int:
        """The least top of the blocks of ``rest`` that are alive at one moment."""
        waiting = [i for i in alive if i in rest]
        if not waiting:
            return 0
        total = sum(self.problem.blocks[i].room for i in waiting)
        for below, above in self.problem.gaps:
            if below in waiting and above in waiting:
                apart = self.problem.blocks[below].room + self.problem.blocks[above].room
                total -= apart - self.problem.together(below, above)
        return max(level, min(floors[i] for i in waiting)) + total
