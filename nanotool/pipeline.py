"""From an int8 graph to what a target runs: lossless passes, lowering, planning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nanotool.errors import NanoError
from nanotool.ir import Lowered, Plan, QGraph
from nanotool.lower import Choice, choices, lower
from nanotool.passes.lossless import simplify
from nanotool.passes.record import PassRecord
from nanotool.plan import plan
from nanotool.targets import check_goal, ram_of

_SHOWN = 8  # points of a curve that are planned


def prepare(
    graph: QGraph,
    target: str = "portable",
    optimize: str = "balanced",
    log: list[PassRecord] | None = None,
) -> tuple[Lowered, Plan]:
    """``graph`` simplified (same bytes, less work), lowered for ``target``, placed in its arena.

    The graph that is really run is ``lowered.graph``. ``log`` gets a record for each pass that
    changed something. With ``optimize`` a `nanotool.targets.ram_goal` it is the fastest plan, by
    estimate, that fits; `NanoError` names the smallest one where none does.
    """
    check_goal(optimize)
    simple = simplify(graph, log)
    limit = ram_of(optimize)
    if limit is not None:
        return _within(choices(simple, target, optimize), limit, target)
    lowered = lower(simple, target, optimize)
    return lowered, plan(lowered)


def _within(found: tuple[Choice, ...], limit: int, target: str) -> tuple[Lowered, Plan]:
    """The fastest of ``found`` whose arena has ``limit`` bytes at most."""
    smallest: Plan | None = None
    for choice in found:
        if choice.need > limit and choice is not found[-1]:
            continue
        lowered = choice.lowered()
        planned = plan(lowered)
        if planned.arena_size <= limit:
            return lowered, planned
        if smallest is None or planned.arena_size < smallest.arena_size:
            smallest = planned
    assert smallest is not None
    raise NanoError(
        f"No plan for {target} fits {limit:,} bytes of arena: the smallest that was found takes "
        f"{smallest.arena_size:,}.",
        f"Give --ram {smallest.arena_size}, or make the model smaller.",
    )


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A plan of a model, on the curve of memory against time."""

    arena_bytes: int
    instructions: int  # about
    chosen: bool = False  # what "balanced" takes


def curve(graph: QGraph, target: str) -> tuple[CurvePoint, ...]:
    """Plans of which none takes both less memory and less time than another, the fastest first."""
    simple = simplify(graph)
    points: list[CurvePoint] = []
    for choice in _spread(choices(simple, target, "balanced")):
        size = plan(choice.lowered()).arena_size
        if not points or size < points[-1].arena_bytes:
            points.append(CurvePoint(size, choice.cost, choice.knee))
    return tuple(points)


def _spread(found: tuple[Choice, ...]) -> Iterator[Choice]:
    """Some of ``found``, both ends and the knee among them."""
    step = max(1, -(-len(found) // _SHOWN))
    last = len(found) - 1
    return (c for i, c in enumerate(found) if i % step == 0 or i == last or c.knee)
