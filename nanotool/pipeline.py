"""From an int8 graph to what a target runs: lossless passes, lowering, planning."""

from __future__ import annotations

from nanotool.ir import Lowered, Plan, QGraph
from nanotool.lower import lower
from nanotool.passes.lossless import simplify
from nanotool.passes.record import PassRecord
from nanotool.plan import plan


def prepare(
    graph: QGraph,
    target: str = "portable",
    optimize: str = "balanced",
    log: list[PassRecord] | None = None,
) -> tuple[Lowered, Plan]:
    """``graph`` simplified (same bytes, less work), lowered for ``target``, placed in its arena.

    The graph that is really run is ``lowered.graph``. ``log`` gets a record for each pass that
    changed something.
    """
    lowered = lower(simplify(graph, log), target, optimize)
    return lowered, plan(lowered)
