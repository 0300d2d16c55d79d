"""Everything a report says about a model: alone, or with a firmware and the board that runs it."""

from __future__ import annotations

from dataclasses import replace

from nanotool.bench import bench
from nanotool.boards import Board
from nanotool.build import BuildError, BuildResult, build
from nanotool.device.line import SerialPort
from nanotool.doctor import can_emulate
from nanotool.fit import DoesNotFit
from nanotool.ir import QGraph
from nanotool.passes.record import PassRecord
from nanotool.pipeline import curve, prepare
from nanotool.plan import svg
from nanotool.progress import Progress
from nanotool.report.collect import collect, with_bench, with_memory
from nanotool.report.data import Budget, GoalRow, ReportData
from nanotool.report.peers import figures, peers_of
from nanotool.targets import GOALS, TARGETS


def about_model(graph: QGraph, optimize: str = "balanced", target: str = "portable") -> ReportData:
    """What is known without a board, of the kernels of ``target``; what each goal costs, of all."""
    log: list[PassRecord] = []
    lowered, plan = prepare(graph, target, optimize, log)
    data = collect(lowered, plan, memory_svg=svg(lowered, plan), passes=log)
    data = _with_curve(data, graph)
    return replace(data, goals=_planned_goals(graph), peers=peers_of(graph))


def about_misfit(graph: QGraph, board: Board, error: DoesNotFit, optimize: str) -> ReportData:
    """``graph``, which ``board`` has no room for: what it would take there, and why it does not
    fit."""
    data = about_model(graph, optimize, board.target)
    budgets = tuple(
        Budget(f"{need.region.title}, at least", need.parts, need.region.size)
        for need in error.needs
    )
    return replace(data, board=board.title, budgets=budgets, trouble=str(error))


def about_firmware(
    graph: QGraph,
    built: BuildResult,
    port: str | SerialPort | None = None,
    *,
    progress: Progress | None = None,
) -> ReportData:
    """``graph`` as ``built`` for its board: measured where the board is attached to
    ``port`` or emulated here, else with its memory only. The goals that it was not built for are
    measured as well where the board is emulated."""
    board = built.board
    picture = svg(built.lowered, built.plan)
    data = collect(built.lowered, built.plan, memory_svg=picture, passes=built.passes)
    if port or can_emulate(board):
        result = bench(built, None, port, progress=progress)
        data = with_bench(data, result, built)
    else:
        data = with_memory(data, built)
    data = _with_curve(data, graph)
    return replace(
        data,
        goals=_built_goals(data, built, measured=not port and can_emulate(board)),
        peers=peers_of(graph) if board.name == figures().board else (),
    )


def _with_curve(data: ReportData, graph: QGraph) -> ReportData:
    """``data`` with the curve of the target's kernels; where that has none of its own, of those of
    Cortex-M4."""
    target = data.target if _has_goals(data.target) else "armv7em"
    return replace(data, curve=curve(graph, target), curve_target=target)


def _planned_goals(graph: QGraph) -> tuple[GoalRow, ...]:
    """Arena and weights for every target and goal; a target whose goals take the same has one
    row."""
    rows: list[GoalRow] = []
    for target in TARGETS:
        planned = [(goal, *prepare(graph, target, goal)) for goal in GOALS]
        costs = [(plan.arena_size, lowered.weight_bytes) for _, lowered, plan in planned]
        named = [goal for goal, *_ in planned] if len(set(costs)) > 1 else ["all goals"]
        rows += [
            GoalRow(goal, target, arena, weights)
            for goal, (arena, weights) in zip(named, costs, strict=False)
        ]
    return tuple(rows)


def _built_goals(data: ReportData, built: BuildResult, *, measured: bool) -> tuple[GoalRow, ...]:
    """What each goal takes on the board; empty where they do not differ."""
    target = built.lowered.target
    if not _has_goals(target):
        return ()
    rows = []
    for goal in GOALS:
        if goal == built.lowered.optimize:
            rows.append(replace(_built_row(goal, built), ticks=data.ticks, chosen=True))
            continue
        try:
            other = build(built.graph, built.board, optimize=goal, weights=built.weights)
        except (BuildError, DoesNotFit):  # it need not fit
            lowered, plan = prepare(built.graph, target, goal)
            rows.append(GoalRow(goal, target, plan.arena_size, lowered.weight_bytes))
            continue
        row = _built_row(goal, other)
        if measured:
            samples = built.graph.samples
            one = samples[0][:1] if samples else None
            ticks = bench(other, one).ticks
            row = replace(row, ticks=ticks)
        rows.append(row)
    return tuple(rows)


def _built_row(goal: str, built: BuildResult) -> GoalRow:
    return GoalRow(
        goal,
        target=built.lowered.target,
        arena_bytes=built.plan.arena_size,
        weight_bytes=built.sizes.weight_bytes,
        code_bytes=built.sizes.code_bytes,
    )


def _has_goals(target: str) -> bool:
    """Whether goals differ: where there is one kernel an operator they do not."""
    return bool(TARGETS[target].guard)
