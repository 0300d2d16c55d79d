"""Which tensors are worth 16 bits: the noisiest, as many as it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nanotool.errors import NanoError
from nanotool.ir import QGraph, Trial, Widened
from nanotool.ops import facts
from nanotool.pipeline import prepare
from nanotool.quantization.auto.search import Plan, Score, Search
from nanotool.quantization.sharing import share, widenable

FIRST = 6  # tensors whose gain is measured one by one; the others' is estimated
COUNTS = (1, 2, 4, 8, 16)  # of tensors, that are tried together
WORTH_DB = 1.0  # that 16 bits have to bring
NEAR_DB = 3.0  # so little less than the best is as good, if fewer tensors do
GOOD_DB = 40.0  # at the output: noise of 1 %; nothing is looked for beyond
TICKS = FIRST + len(COUNTS) + 1  # at most


@dataclass(frozen=True)
class Choice:
    """A plan with tensors of 16 bits, and its row of the table."""

    plan: Plan
    score: Score


def widest(search: Search, plan: Plan, score: Score, base: QGraph) -> Choice | None:
    """``plan``, which has ``score`` and becomes ``base``, with the fewest tensors of 16 bits that
    make its output good; None where nothing helps or nothing is lacking."""
    if score.sqnr_db >= GOOD_DB:
        return None
    start = replace(plan, correct=True)
    order = _ordered(search, start)
    choices: list[Choice] = []
    for count in sorted({min(count, len(order)) for count in COUNTS} - {0}):
        choices += _judged(search, replace(start, int16=tuple(order[:count])), base)
        if choices and choices[-1].score.sqnr_db >= GOOD_DB:
            break
    else:
        choices += _judged(search, replace(start, int16=None), base)
    able = [one for one in choices if not _less(one.score, score)]
    most = max((one.score.sqnr_db for one in able), default=score.sqnr_db)
    if most < score.sqnr_db + WORTH_DB:
        return None
    wanted = max(min(most - NEAR_DB, GOOD_DB), score.sqnr_db + WORTH_DB)
    return next(one for one in able if one.score.sqnr_db >= wanted)


def _ordered(search: Search, plan: Plan) -> list[str]:
    """Tensors that may have 16 bits, those that bring most first."""
    graph = plan.form.graph
    known = widenable(graph, share(graph, plan.ranges(), {}, headroom=False))
    # Inputs stay as they are: what fills them knows int8.
    reached = {name: one for name, one in known.items() if not one & set(graph.inputs)}
    promising = _promising(plan, reached)
    measured = []
    for name in promising[:FIRST]:
        measured.append(search.on_fit(replace(plan, int16=(name,))).sqnr_db)
        search.tick()
    first = sorted(zip(measured, promising, strict=False), key=lambda one: -one[0])
    return [*(name for _, name in first), *promising[FIRST:]]


def _less(one: Score, other: Score) -> bool:
    """Whether ``one`` is less accurate."""
    return one.accuracy is not None and one.accuracy < (other.accuracy or 0.0)


def _judged(search: Search, plan: Plan, base: QGraph) -> list[Choice]:
    """``plan`` on the data held back, as a row with what it costs compared with ``base``; none
    where no target can run it."""
    score, graph = search.on_held_back(plan)
    try:
        costs = _costs(graph, base, plan.int16 or ())
    except NanoError:
        return []
    many = len(costs.tensors)
    which = f"{many} tensors" if many > 1 else "1 tensor"
    name = f"{which} in 16 bits" if many else "16 bits wherever they can be"
    search.trials.append(Trial(name, score.sqnr_db, score.accuracy, int16=costs))
    return [Choice(replace(plan, name=name), score)]


def _costs(graph: QGraph, base: QGraph, names: tuple[str, ...]) -> Widened:
    """Of ``graph``, with portable kernels, beyond those of ``base``."""
    (lowered, placed), (before, below) = prepare(graph), prepare(base)
    wide = {op.name for op in graph.ops if graph.tensors[op.name].dtype == "int16"}
    macs = sum(op.macs for op in lowered.ops if wide & set(op.source))
    return Widened(
        tensors=names,
        flash=lowered.weight_bytes - before.weight_bytes,
        arena=placed.arena_size - below.arena_size,
        macs=macs / max(lowered.macs, 1),
    )


def _promising(plan: Plan, reached: Mapping[str, frozenset[str]]) -> list[str]:
    """Tensors by the noise at the output, in first order, that 16 bits for each take away, beyond
    those in front of it; ``reached`` has by each all that then has 16 bits."""
    graph, seen, ranges = plan.form.graph, plan.form.seen, plan.ranges()
    noise = {
        node.name: seen[node.name].noise(ranges[node.name])
        for node in graph.nodes
        if node.name in seen and not facts(node.op).shares_quantization
    }
    found: list[str] = []
    left = dict(reached)
    while left:
        gains = {name: sum(noise.get(one, 0.0) for one in those) for name, those in left.items()}
        best = max(gains, key=lambda name: gains[name])
        if gains[best] <= 0:
            break
        found.append(best)
        noise = {name: value for name, value in noise.items() if name not in left[best]}
        del left[best]
    return found
