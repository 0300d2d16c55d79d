"""From a model, its plan and its measurements to the values that a report shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nanotool.bench import BenchResult
from nanotool.build import BuildResult
from nanotool.describe import describe
from nanotool.elf import section_bytes, weight_symbols
from nanotool.fit import input_buffer
from nanotool.ir import Array, Int8Array, Lowered, LoweredOp, Plan, QGraph, Struct, Value
from nanotool.passes.record import PassRecord
from nanotool.qfile import graph_hash
from nanotool.report.data import Budget, LayerRow, ReportData, Sample
from nanotool.simulate import simulate_steps
from nanotool.slow import sentences
from nanotool.version import __version__

MAX_SAMPLES = 12


def collect(
    lowered: Lowered, plan: Plan, *, memory_svg: str = "", passes: Sequence[PassRecord] = ()
) -> ReportData:
    """All that is known without a board: layers, work, places, quantization quality, samples.

    ``memory_svg``: the planner's picture (`nanotool.plan.svg`); ``passes``: what `pipeline.prepare`
    logged.
    """
    graph = lowered.graph
    return ReportData(
        title=graph.name,
        hash=graph_hash(graph),
        ends=tuple(
            (name, "input" if name in graph.inputs else "state", graph.tensors[name].shape)
            for name in graph.sources
        ),
        layers=layer_rows(lowered, plan),
        source=graph.source,
        version=__version__,
        target=lowered.target,
        arena_bytes=plan.arena_size,
        memory_svg=memory_svg,
        passes=tuple((record.name, record.listing()) for record in passes),
        samples=sample_rows(graph),
        trials=graph.trials,
        slow=tuple(sentences(lowered)),
    )


def with_ticks(data: ReportData, ticks: Sequence[int], total: int, unit: str) -> ReportData:
    """``data`` with the measured ticks of each layer, and of one whole inference."""
    if len(ticks) != len(data.layers):
        raise ValueError(f"{len(ticks)} ticks for {len(data.layers)} layers")
    layers = tuple(replace(row, ticks=count) for row, count in zip(data.layers, ticks, strict=True))
    return replace(data, layers=layers, ticks=total, tick_unit=unit)


def with_memory(data: ReportData, built: BuildResult) -> ReportData:
    """``data`` with a firmware's memory against what its board has, measured on nothing."""
    return replace(data, board=built.board.title, budgets=budgets(built))


def with_bench(data: ReportData, result: BenchResult, built: BuildResult) -> ReportData:
    """``data`` with what was measured on a board: ticks, memory against what the board has."""
    data = with_ticks(data, [row.ticks for row in result.layers], result.ticks, result.tick_unit)
    return replace(
        data,
        board=built.board.title + (", emulated" if result.emulated else ""),
        emulated=result.emulated,
        mismatches=result.mismatches,
        compared=result.inputs,
        budgets=budgets(built, result.stack_bytes),
    )


def budgets(built: BuildResult, stack_peak: int | None = None) -> tuple[Budget, ...]:
    """Flash and RAM, part by part, out of the firmware's ELF; empty for a board whose memory is no
    limit. ``stack_peak`` was measured on the board; None: what the linker reserves is told."""
    board, sizes = built.board, built.sizes
    if not board.flash_size or not board.ram_size:
        return ()
    code = section_bytes(built.elf, ".text") if board.loaded_code else 0
    symbols = weight_symbols(built.elf, built.lowered).values()
    weights = sum({s.address: s.size for s in symbols if s.writable}.values())
    arena, db = built.plan.arena_size, input_buffer(built.graph, built.task)
    reserved = section_bytes(built.elf, ".stack")
    stack = ("stack, peak", stack_peak) if stack_peak else ("stack", reserved)
    ram = (
        ("arena", arena),
        ("input buffer", db),
        ("code", code),
        ("weights", weights),
        stack,
        ("rest", max(0, sizes.ram_bytes - arena - db - weights)),
    )
    flash = (("code", sizes.code_bytes), ("weights", sizes.weight_bytes))
    return (Budget("Flash", flash, board.flash_size), Budget("RAM", ram, board.ram_size))


def layer_rows(lowered: Lowered, plan: Plan) -> tuple[LayerRow, ...]:
    """A row for each lowered op, in execution order."""
    written = {name: name for name in (*lowered.inputs, *lowered.states)}  # buffer -> its last row
    counted: set[str] = set()  # arrays: of those that layers share the first one has the bytes
    rows = []
    newest: dict[str, str] = {}  # state's room -> row that last wrote into it
    for op in lowered.ops:
        arrays = {array.name: array for array in _arrays(op.params) if array.name not in counted}
        counted |= set(arrays)
        inputs = tuple(
            written.get(name) or newest[lowered.views[name][0] if name in lowered.views else name]
            for name in op.inputs
        )
        rows.append(_row(lowered, plan, op, inputs, sum(a.nbytes for a in arrays.values())))
        for name in (op.output, *op.more):
            written[name] = op.name
            newest[lowered.views.get(name, (name, 0))[0]] = op.name
    return tuple(rows)


def _row(
    lowered: Lowered, plan: Plan, op: LoweredOp, inputs: tuple[str, ...], weight_bytes: int
) -> LayerRow:
    graph, last = lowered.graph, op.output
    quality = next((row for row in graph.quality if row.tensor == last), None)
    return LayerRow(
        name=op.name,
        kind=" + ".join(describe(graph.op(name)) for name in op.source or (last,)),
        inputs=inputs,
        shape=graph.tensors[last].shape,
        macs=op.macs,
        weight_bytes=weight_bytes,
        offset=plan.buffers[op.output].offset,
        sqnr_db=None if quality is None else quality.sqnr_db,
        saturation=None if quality is None else quality.saturation,
    )


def _arrays(value: Value) -> list[Array]:
    """The const arrays that a params struct refers to."""
    if isinstance(value, Array):
        return [value]
    if isinstance(value, Struct):
        return [array for _, inner in value.fields for array in _arrays(inner)]
    return []


def sample_rows(
    graph: QGraph,
    inputs: Int8Array | None = None,
    expected: Sequence[str] = (),
    *,
    limit: int = MAX_SAMPLES,
) -> tuple[Sample, ...]:
    """The model's answers to ``inputs`` ([n, *input shape]; None: its own samples), of several
    inputs beside the first one, of several outputs the first one.

    ``expected`` holds the true classes, if known. Empty for a model that is no classifier: its
    output has other axes than one of classes, or one value only.
    """
    every = graph.samples if inputs is None else (inputs,)
    output = graph.output_tensors[0]
    if not every or not len(every[0]) or output.size < 2 or output.size != output.shape[-1]:
        return ()
    x = every[0]
    answers, _ = simulate_steps(graph, [data[:limit] for data in every])
    values = output.dequantize(answers[0].reshape(-1, output.size))
    names = graph.labels or tuple(str(index) for index in range(output.size))
    likely = bool((values >= 0).all() and (values <= 1.01).all())
    return tuple(
        Sample(
            pixels=picture,
            answer=names[int(row.argmax())],
            score=float(np.clip(row.max(), 0, 1)) if likely else None,
            expected=expected[index] if index < len(expected) else "",
        )
        for index, (picture, row) in enumerate(zip(x, values, strict=False))
    )
