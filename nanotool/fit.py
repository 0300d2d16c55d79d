"""Whether a model fits a board: what its memory has to hold, told before anything is compiled.

The model's own bytes are known exactly; of the program around it only the least that it can be.
So what is refused here surely does not fit, and what passes may still be too much by some kilobytes
of code: then the linker tells how much, and the same words are made of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from nanotool.boards import BOARDS, Board, Content, Region
from nanotool.describe import describe
from nanotool.errors import NanoError
from nanotool.ir import DTYPES, Lowered, Plan, QGraph
from nanotool.mlperf import Task
from nanotool.pipeline import prepare
from nanotool.plan import widest

# The least of a firmware without its model, in bytes. Measured with one dense layer: code 10,584
# (mps3_an547) to 15,756 (esp32_bare), RAM 504 to 516; the stack is what the linker scripts reserve.
LEAST_CODE = 8 * 1024
LEAST_DATA = 480
STACK = 2048
STATE_HEADER = 12  # NANO_STATE_HEADER

_GOALS = ("balanced", "size")  # that are tried, in this order
# More than the least that a firmware may take, where a board is said to hold it. The largest code
# of bench/results.json is 22,801 bytes, a head that learns is some 10 KB.
_MARGIN = {"code": 40 * 1024, "the firmware's own": 1024}


class DoesNotFit(NanoError):
    """A model that is too large for the board: what each of its regions would have to hold."""

    def __init__(self, message: str, hint: str, needs: tuple[Need, ...]) -> None:
        super().__init__(message, hint)
        self.needs = needs


@dataclass(frozen=True, slots=True)
class Model:
    """A model as it would be built for a board, and what else it takes there."""

    lowered: Lowered
    plan: Plan
    input_bytes: int  # of the input buffer
    head_bytes: int = 0  # of a head that learns
    others: tuple[tuple[Lowered, Plan], ...] = ()  # that take turns with it in one arena

    @property
    def every(self) -> tuple[tuple[Lowered, Plan], ...]:
        """All models that the firmware holds."""
        return ((self.lowered, self.plan), *self.others)

    @property
    def widest(self) -> tuple[Lowered, Plan]:
        """The one that needs most of the arena."""
        return max(self.every, key=lambda pair: pair[1].arena_size)

    def parts(self, content: Content) -> tuple[tuple[str, int], ...]:
        """(what, bytes) of ``content``."""
        match content:
            case "code":
                return (("code", LEAST_CODE),)
            case "weights":
                return (("weights", self.weight_bytes),)
            case "stack":
                return (("stack", STACK),)
            case "data":
                return (
                    ("arena", self.widest[1].arena_size),
                    ("input buffer", self.input_bytes),
                    *self._copy_of_states(),
                    ("trainable head", self.head_bytes),
                    ("the firmware's own", LEAST_DATA),
                )

    def _copy_of_states(self) -> tuple[tuple[str, int], ...]:
        """What a step that is only tried is taken back from; a model without states has none."""
        stateful = [lowered.graph.states for lowered, _ in self.every if lowered.graph.states]
        if not stateful:
            return ()
        most = max(sum(state.initial.nbytes for state in states) for states in stateful)
        return (("copy of the states", STATE_HEADER + most),)

    @property
    def weight_bytes(self) -> int:
        """Of all models."""
        return sum(lowered.weight_bytes for lowered, _ in self.every)

    @property
    def name(self) -> str:
        """For people."""
        return " with ".join(lowered.graph.name for lowered, _ in self.every)


@dataclass(frozen=True, slots=True)
class Need:
    """What a region has to hold, at least."""

    region: Region
    parts: tuple[tuple[str, int], ...]  # (what, bytes)

    @property
    def used(self) -> int:
        """Bytes of all parts."""
        return sum(size for _, size in self.parts)

    @property
    def over(self) -> int:
        """Bytes that it is too small by; 0: it holds them."""
        return max(0, self.used - self.region.size)


def input_buffer(graph: QGraph, task: Task | None = None) -> int:
    """Bytes of the firmware's input buffer: the model's inputs, or what a benchmark's runner sends
    for its one."""
    if task is None:
        return sum(tensor.nbytes for tensor in graph.input_tensors)
    return graph.input_tensor.size * DTYPES[task.db].itemsize


def needs(
    model: Model, board: Board, weights: str = "", *, registry: bool = False
) -> tuple[Need, ...]:
    """What each region of ``board`` has to hold of ``model``; () where memory is no limit.

    ``weights``: where they are, one of ``board.weights``. ``registry``: as of `Board.regions`.
    """
    return tuple(
        Need(region, tuple(part for content in contents for part in model.parts(content)))
        for region in board.regions(registry=registry)
        if (contents := region.contents(weights or next(iter(board.weights), "")))
    )


def trouble(
    model: Model, board: Board, weights: str = "", *, registry: bool = False
) -> DoesNotFit | None:
    """Why ``board`` surely has no room for ``model``; None if it may have."""
    every = needs(model, board, weights, registry=registry)
    return refusal(model, board, every, weights) if any(need.over for need in every) else None


def overflow(
    model: Model, board: Board, missing: Mapping[str, int], weights: str = "", *, registry: bool
) -> DoesNotFit:
    """What the linker found, as `trouble` says it. ``missing``: region -> bytes that it lacks."""
    every = {need.region.name: need for need in needs(model, board, weights, registry=registry)}
    for name, size in missing.items():
        need = every.get(name) or Need(Region(name, 0, ()), ())
        rest = need.region.size + size - need.used  # above the least that was reckoned with
        every[name] = replace(need, parts=(*need.parts, ("more code and data", rest)))
    return refusal(model, board, tuple(every.values()), weights)


def refusal(model: Model, board: Board, every: tuple[Need, ...], weights: str = "") -> DoesNotFit:
    """Why, which layer, and every way out, where the regions of some of ``every`` are too small."""
    over = [need for need in every if need.over]
    told = f"{model.name} does not fit {board.name}: "
    told += "; ".join(_sentence(need) for need in over) + "."
    held = {what for need in over for what, _ in need.parts}
    lowered, plan = model.widest
    if "arena" in held and lowered.ops:
        index, live = widest(lowered, plan)
        op, whose = lowered.ops[index], f" of {lowered.graph.name}" if model.others else ""
        kind = _kind(lowered.graph, op.source)
        told += f" The arena is widest at {op.name}{whose} ({kind}), {live:,} bytes."
    if "weights" in held:
        told += _heaviest(model)
    return DoesNotFit(told, " ".join(_ways_out(model, board, weights)), every)


def _sentence(need: Need) -> str:
    parts = ", ".join(f"{what} {size:,}" for what, size in need.parts if size)
    if not need.region.size:
        return f"{need.region.title} lacks {need.used:,} bytes"
    return f"{need.region.title} has {need.region.size:,} bytes, it takes {need.used:,} ({parts})"


def _kind(graph: QGraph, source: Iterable[str]) -> str:
    """What a lowered op does; the first part of a layer that was split completes none."""
    kinds = [describe(graph.op(name)) for name in source]
    return " + ".join(kinds) or "part of a layer"


def _heaviest(model: Model) -> str:
    sized = [(a.nbytes, a.name) for lowered, _ in model.every for a in lowered.arrays()]
    if not sized:
        return ""
    size, name = max(sized)
    return f" The largest array of weights is {name}, {size:,} of {model.weight_bytes:,} bytes."


def _ways_out(model: Model, board: Board, weights: str) -> Iterator[str]:
    """Sentences: options on this board, other boards, the model itself."""
    lowered, variants = model.lowered, _Variants(model)
    here = (lowered.optimize, weights or next(iter(board.weights), ""))
    if (found := _fitting(variants, board, here)) is not None:
        sizes = ""
        if found[0] != here[0]:
            other = variants.get(board.target, found[0])
            sizes = f" (arena {other.widest[1].arena_size:,}, weights {other.weight_bytes:,} bytes)"
        yield f"It fits with {_options(board, found, here[0])}{sizes}."
    elif lowered.optimize != "size":
        smaller = variants.get(board.target, "size")
        yield (
            f"With --optimize size it would take {smaller.widest[1].arena_size:,} of arena and "
            f"{smaller.weight_bytes:,} of weights: still too much."
        )
    held = []
    for one in BOARDS.values():
        if one.name != board.name and one.regions():
            found = _fitting(variants, one)
            if found is not None:
                held.append(f"{one.name} {_options(one, found, _GOALS[0])}".rstrip())
    if held:
        yield f"Boards that hold it: {', '.join(held)}."
    else:
        yield "No board that nanotool knows would hold it: make the model smaller."


def _fitting(
    variants: _Variants, board: Board, tried: tuple[str, str] = ("", "")
) -> tuple[str, str] | None:
    """The first goal and place of the weights with which ``board`` holds the model for sure; None
    if nothing helps. ``tried``: those that do not."""
    for goal in _GOALS:
        for place in board.weights or ("",):
            again = variants.get(board.target, goal)
            if (goal, place) != tried and _holds(again, board, place):
                return goal, place
    return None


def _options(board: Board, way: tuple[str, str], goal: str) -> str:
    """What says ``way``, goal and place, on the command line where ``goal`` is asked for anyway."""
    options = [] if way[0] == goal else ["--optimize", way[0]]
    if board.weights and way[1] != board.weights[0]:
        options += ["--weights", way[1]]
    return " ".join(options)


class _Variants:
    """A model as other targets and goals would have it, each made once."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._made = {(model.lowered.target, model.lowered.optimize): model}

    def get(self, target: str, goal: str) -> Model:
        if (target, goal) not in self._made:
            first, *others = [
                prepare(lowered.graph, target, goal) for lowered, _ in self.model.every
            ]
            self._made[target, goal] = replace(
                self.model, lowered=first[0], plan=first[1], others=tuple(others)
            )
        return self._made[target, goal]


def _holds(model: Model, board: Board, weights: str) -> bool:
    """Whether there is room for ``model`` and for a large program around it."""
    return all(
        need.used + need.region.system + sum(_MARGIN.get(what, 0) for what, _ in need.parts)
        <= need.region.size
        for need in needs(model, board, weights)
    )
