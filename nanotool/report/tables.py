"""Rich tables for the terminal: views of values that others computed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.table import Table
from rich.text import Text

from nanotool.bench import BenchResult, advice
from nanotool.boards import Board, Emulator, Port
from nanotool.describe import describe, label
from nanotool.doctor import Check
from nanotool.farm import Measured
from nanotool.fit import Need
from nanotool.ir import ZERO_POINTS, QGraph, QTensor
from nanotool.quantization import worst_layer
from nanotool.report.data import Budget
from nanotool.report.graph_svg import shape_text
from nanotool.report.text import bar, decibel, number, percent, size, sqnr_share, table
from nanotool.scores import Scores

SHORT_BAR = 12  # columns
MAX_CLASSES = 200  # an output with more values, and no names for them, is no classification
FIRST_VALUES = 6
MOST_CONFUSED = 12  # classes of a confusion matrix


def quality_table(graph: QGraph) -> Table:
    """What quantization did, tensor by tensor; the worst one is marked."""
    result = table(
        "Quantization",
        *(("tensor", "left"), ("shape", "right"), ("signal / noise", "right"), ("", "left")),
        ("saturated", "right"),
    )
    worst = worst_layer(graph)
    for row in graph.quality:
        result.add_row(
            Text(label(graph, row.tensor)),
            shape_text(graph.tensors[row.tensor].shape),
            decibel(row.sqnr_db),
            bar(sqnr_share(row.sqnr_db), SHORT_BAR),
            percent(row.saturation, 2),
            style="bold yellow" if row is worst else "",
        )
    return result


def trials_table(graph: QGraph) -> Table:
    """What the automatic observer tried; what it chose is marked."""
    result = table(
        "Tried on calibration data held back",
        *(("ranges", "left"), ("signal / noise", "right"), ("", "left"), ("right", "right")),
    )
    for row in graph.trials:
        result.add_row(
            row.name,
            decibel(row.sqnr_db),
            bar(sqnr_share(row.sqnr_db), SHORT_BAR),
            "" if row.accuracy is None else percent(row.accuracy, 1),
            style="bold green" if row.chosen else "",
        )
    return result


def tensors_table(graph: QGraph) -> Table:
    """Every tensor's shape and meaning."""
    result = table(
        "Tensors",
        *(("tensor", "left"), ("shape", "right"), ("bytes", "right"), ("scale", "right")),
        *(("zero point", "right"), ("range", "left")),
    )
    for tensor in graph.tensors.values():
        size = f"{tensor.nbytes:,}"
        name = Text(label(graph, tensor.name))
        result.add_row(name, shape_text(tensor.shape), size, *_meaning(tensor))
    return result


def _meaning(tensor: QTensor) -> tuple[str, str, str]:
    """Scale, zero point, range; the type where it is not int8."""
    if tensor.dtype not in ZERO_POINTS:
        return "–", "–", tensor.dtype
    low, high = (tensor.scale * (q - tensor.zero_point) for q in ZERO_POINTS[tensor.dtype])
    dtype = "" if tensor.dtype == "int8" else f", {tensor.dtype}"
    return f"{tensor.scale:.6g}", str(tensor.zero_point), f"{low:.4g} … {high:.4g}{dtype}"


def ops_table(graph: QGraph) -> Table:
    """Every op: what it computes, from what, with how many weights."""
    result = table(
        "Operations",
        *(("#", "right"), ("op", "left"), ("what", "left"), ("reads", "left")),
        *(("output", "right"), ("weights", "right")),
    )
    for index, op in enumerate(graph.ops):
        weights = 0 if op.weight is None else op.weight.nbytes
        result.add_row(
            str(index),
            Text(op.name),
            describe(op),
            Text(", ".join(label(graph, name) for name in op.inputs)),
            shape_text(graph.tensors[op.name].shape),
            size(weights or None),
        )
    return result


def answers_table(
    values: Sequence[Sequence[float]], labels: Sequence[str], limit: int = 10
) -> Table:
    """The first answers: the strongest class of each and its value, or, where there are too many
    values for classes without names, the first ones."""
    if not labels and values and len(values[0]) > MAX_CLASSES:
        return _values_table(values, limit)
    result = table("", ("sample", "right"), ("answer", "left"), ("value", "right"))
    for index, row in enumerate(values[:limit]):
        best = max(range(len(row)), key=row.__getitem__)
        name = labels[best] if len(labels) == len(row) else str(best)
        result.add_row(str(index), Text(name), f"{row[best]:.4g}")
    if len(values) > limit:
        result.add_row("…", f"and {len(values) - limit:,} more", "")
    return result


def confusion_table(scores: Scores) -> Table:
    """Who is taken for whom: a row a true class, with its F1. Of many classes those with most
    wrong answers."""
    wrong = scores.confusion.sum(axis=1) - scores.confusion.diagonal()
    shown = sorted(np.argsort(-wrong, kind="stable")[:MOST_CONFUSED].tolist())
    heads = [(scores.names[column], "right") for column in shown]
    result = table("True class (rows) and the answer", ("", "left"), *heads, ("F1", "right"))
    for row in shown:
        cells = [f"{scores.confusion[row, column] or '·'}" for column in shown]
        result.add_row(scores.names[row], *cells, f"{scores.f1[row]:.3f}")
    return result


def _values_table(values: Sequence[Sequence[float]], limit: int) -> Table:
    result = table("", ("sample", "right"), ("values", "left"), ("of", "right"))
    for index, row in enumerate(values[:limit]):
        shown = " ".join(f"{value:.4g}" for value in row[:FIRST_VALUES])
        result.add_row(str(index), f"{shown} …", f"{len(row):,}")
    if len(values) > limit:
        result.add_row("…", f"and {len(values) - limit:,} more", "")
    return result


def facts_table(facts: Sequence[tuple[str, str]]) -> Table:
    """Names and values, without headings."""
    result = Table.grid(padding=(0, 2))
    for name, value in facts:
        result.add_row(Text(name, style="dim"), Text(value))
    return result


def model_facts(facts: Sequence[tuple[str, str | int]]) -> tuple[tuple[str, str], ...]:
    """What `describe.summary` tells, for people."""
    names = {"macs": "MACs", "arena_bytes": "arena", "weight_bytes": "weights"}
    return tuple((names.get(name, name), _fact(name, value)) for name, value in facts)


def _fact(name: str, value: str | int) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,} B, portable kernels" if name.endswith("_bytes") else f"{value:,}"


def budget_table(budgets: Sequence[Budget], title: str = "Memory") -> Table:
    """Flash and RAM, part by part, against what the board has."""
    result = table(title, *(("", "left"), ("bytes", "right"), ("share", "right")))
    for budget in budgets:
        for what, used in budget.parts:
            if used:
                result.add_row(Text(f"{budget.name}: {what}"), f"{used:,}")
        if not budget.available:
            result.add_row(Text(budget.name), f"{budget.used:,}")
            continue
        whole = f"{budget.used:,} of {budget.available:,}"
        result.add_row(Text(budget.name), whole, percent(budget.used / budget.available))
    return result


def room_table(needs: Sequence[Need]) -> Table:
    """What each region of a board's memory has to hold at least."""
    budgets = [Budget(need.region.title, need.parts, need.region.size) for need in needs]
    return budget_table(budgets, "Memory, at least")


def boards_table(boards: Sequence[tuple[Board, bool]]) -> Table:
    """Boards, and whether each one's emulator is installed."""
    result = table(
        "Boards",
        *(("board", "left"), ("what", "left"), ("flash", "right"), ("RAM", "right")),
        *(("emulated here", "left"), ("real", "left")),
    )
    for board, ready in boards:
        result.add_row(
            board.name,
            board.title,
            size(board.flash_size or None),
            size(board.ram_size or None),
            "yes" if ready else f"no: {_missing(board.emulator)}",
            "yes" if board.real else "–",
        )
    return result


def _missing(emulator: Emulator) -> str:
    """What a board lacks that cannot be emulated here."""
    if emulator.variable:
        return f"{emulator.variable} names none"
    if not emulator.package:
        return "nothing emulates it"
    return f"{emulator.package} is missing"


def ports_table(ports: Sequence[Port]) -> Table:
    """Serial ports that something is plugged into."""
    result = table("Attached", ("port", "left"), ("what", "left"), ("USB", "left"))
    for port in ports:
        result.add_row(Text(port.device), Text(port.description), port.usb_id or "–")
    return result


def checks_table(checks: Sequence[Check]) -> Table:
    """What the doctor looked for."""
    result = table("", ("", "left"), ("for", "left"), ("what", "left"), ("found", "left"))
    for check in checks:
        mark = "ok" if check.ok else "missing" if check.needed else "optional"
        if mark == "optional" and not check.curable:
            mark = "–"  # how it is: nothing to be done
        style = {"ok": "green", "missing": "bold red", "optional": "yellow", "–": "dim"}[mark]
        result.add_row(Text(mark, style), check.scope, Text(check.what), Text(check.found))
    return result


def bench_facts(result: BenchResult) -> tuple[tuple[str, str], ...]:
    """A benchmark's figures, for people."""
    # Behind a backbone the head takes ticks, too, whose MACs are not counted here.
    whole = result.macs and result.training is None
    per_mac = f", {result.ticks / result.macs:.2f} a MAC" if whole else ""
    where = "emulated" if result.emulated else "real"
    micros = () if result.microseconds is None else (("time", f"{result.microseconds:,.1f} us"),)
    return (
        ("model", f"{result.model} ({result.hash})"),
        ("board", f"{result.board}, {where}"),
        (result.counted, f"{result.ticks:,}{per_mac}"),
        *_model_cycles(result),
        *micros,
        ("MACs", f"{result.macs:,}"),
        ("arena", f"{result.arena_bytes:,} B"),
        ("stack, peak", "unknown" if result.stack_bytes is None else f"{result.stack_bytes:,} B"),
        ("code", f"{result.code_bytes:,} B"),
        ("weights", f"{result.weight_bytes:,} B"),
        ("static RAM", f"{result.ram_bytes:,} B"),
        ("mismatches", f"{result.mismatches:,} bytes in {result.inputs:,} outputs"),
        *_training_facts(result),
    )


def farm_table(measured: Sequence[Measured]) -> Table:
    """A model on the boards of a farm, a board a row."""
    heads = ("one inference", "counted", "us", "arena", "stack", "code", "weights", "differing")
    result = table("", ("target", "left"), ("board", "left"), *((head, "right") for head in heads))
    for one in measured:
        names = Text(one.target.name), one.target.board.name
        if one.result is None:
            result.add_row(*names, Text("no answer", style="red"))
            continue
        found = one.result
        sizes = found.arena_bytes, found.stack_bytes, found.code_bytes, found.weight_bytes
        result.add_row(
            *names,
            f"{found.ticks:,}",
            found.counted,
            "-" if found.microseconds is None else f"{found.microseconds:,.1f}",
            *("-" if size is None else f"{size:,}" for size in sizes),
            f"{found.mismatches:,}",
            style="red" if found.mismatches else "",
        )
    return result


def _model_cycles(result: BenchResult) -> tuple[tuple[str, str], ...]:
    cycles = result.model_cycles
    return () if cycles is None else (("cycles, by a model", f"{cycles:,}"),)


def _training_facts(result: BenchResult) -> tuple[tuple[str, str], ...]:
    training = result.training
    if training is None:
        return ()
    return (
        ("head's arena", f"{training.arena_bytes:,} B"),
        (f"learning, {result.counted}", f"{training.gradient_ticks:,} a sample"),
        ("", f"{training.ticks:,} a step of {training.batch} samples"),
    )


def bench_advice(result: BenchResult) -> str:
    """Which layer is worth changing, in words; empty if none stands out."""
    found = advice(result)
    if found is None:
        return ""
    layer, best, unit = found.layer, found.best, result.tick_unit
    cost = f", {layer.ticks / layer.macs:.2f} a MAC" if layer.macs else ""
    return (
        f"Worth changing: {layer.label} ({layer.kernel}) takes {found.share:.0%} of the {unit}"
        f"{cost}. At the {best.ticks / best.macs:.2f} a MAC of {best.label} "
        f"the model would take {found.saved:.0%} less."
    )


def bench_layers(result: BenchResult) -> Table:
    """A benchmark's layers."""
    modelled = result.model_cycles is not None
    rows = table(
        "Layers",
        *(("#", "right"), ("layer", "left"), ("kernel", "left"), ("MACs", "right")),
        *((result.counted, "right"), ("a MAC", "right"), ("share", "right"), ("", "left")),
        *((("cycles, by a model", "right"),) if modelled else ()),
    )
    for index, layer in enumerate(result.layers):
        part = layer.ticks / result.ticks if result.ticks else 0.0
        rows.add_row(
            str(index),
            Text(layer.label),
            layer.kernel,
            number(layer.macs or None),
            f"{layer.ticks:,}",
            f"{layer.ticks / layer.macs:.2f}" if layer.macs else "–",
            percent(part),
            bar(part, SHORT_BAR),
            *((number(layer.model_cycles),) if modelled else ()),
        )
    return rows
