"""Count every model on the emulated boards; compare with the record, or make it anew.

    nox -s bench                    measure all boards, compare with bench/results.json
    nox -s bench -- --record        measure, and keep: results.json, results.md, results.svg
    nox -s bench -- --gate          the quick part: Cortex-M4, M3 and M55 only

Fails where instructions, code or arena have risen by more than 1 %. Under another compiler or
other flags than the record's there is nothing to compare with, and it says so. Instructions are
executed instructions: neither cycles nor time.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from bench import picture, suite
from nanotool.bench import BenchResult, bench
from nanotool.boards import find_board
from nanotool.build import build
from nanotool.errors import NanoError
from nanotool.files import write_atomic
from nanotool.report.peers import figures as peer_figures

RESULTS = Path(__file__).parent / "results.json"
TOLERANCE = 0.01
WATCHED = ("instructions", "code_bytes", "arena_bytes")

Results = dict[str, Any]  # board -> {"compiler", "flags", "models": {model: figures}}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one board's figures compare with the record."""

    worse: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def figures(result: BenchResult) -> dict[str, Any]:
    """What is kept of one model on one board."""
    return {
        "hash": result.hash,
        "macs": result.macs,
        "instructions": result.instructions,
        "arena_bytes": result.arena_bytes,
        "code_bytes": result.code_bytes,
        "weight_bytes": result.weight_bytes,
        "stack_bytes": result.stack_bytes,
        "layers": [
            {"name": row.name, "kernel": row.kernel, "macs": row.macs, "instructions": row.ticks}
            for row in result.layers
        ],
    }


def measure(name: str, progress: Progress) -> dict[str, Any]:
    """All models on one board. Raises NanoError where a byte differs from the simulator's."""
    board = find_board(name)
    task = progress.add_task(board.title, total=len(suite.MODELS))
    entry: dict[str, Any] = {"models": {}}
    for model, load in suite.MODELS.items():
        graph = load()
        firmware = build(graph, board, optimize=suite.GOAL)
        result = bench(firmware)
        if result.mismatches:
            raise NanoError(f"{model} on {name}: {result.mismatches} bytes differ.", "")
        entry["compiler"], entry["flags"] = firmware.compiler, firmware.flags.splitlines()
        entry["models"][model] = figures(result)
        progress.advance(task)
    return entry


def measure_all(names: list[str], console: Console) -> Results:
    """Every board, two at a time."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
        ThreadPoolExecutor(2) as pool,
    ):
        return dict(zip(names, pool.map(lambda name: measure(name, progress), names), strict=True))


def compare(board: str, measured: dict[str, Any], recorded: dict[str, Any] | None) -> Verdict:
    """What has risen since the record, and what else to say."""
    if recorded is None:
        return Verdict(notes=(f"{board}: no record yet.",))
    for condition in ("compiler", "flags"):
        if measured[condition] != recorded[condition]:
            told = f"{measured[condition]!r}, recorded {recorded[condition]!r}"
            return Verdict(notes=(f"{board}: not compared, other {condition}: {told}",))
    worse, notes = [], []
    for model, now in measured["models"].items():
        before = recorded["models"].get(model)
        if before is None or before["hash"] != now["hash"]:
            notes.append(f"{board}, {model}: another model than recorded.")
            continue
        for what in WATCHED:
            change = (now[what] - before[what]) / before[what]
            line = f"{board}, {model}: {what} {before[what]:,} -> {now[what]:,} ({change:+.1%})"
            if change > TOLERANCE:
                worse.append(line)
            elif change < -TOLERANCE:
                notes.append(f"{line}: better; record it.")
    return Verdict(tuple(worse), tuple(notes))


def markdown(results: Results) -> str:
    """The tables of docs: one of the Cortex-M4 with the peers, one of all boards."""
    lines = ["<!-- made by nox -s bench -- --record -->", "", "### Cortex-M4, with others", ""]
    peers = peer_figures()
    engines = list(peers.instructions)
    lines.append(f"| | MACs | **nano** | {' | '.join(engines)} | arena | code |")
    lines.append("|---|" + "---:|" * (len(engines) + 4))
    for model, now in results["stm32"]["models"].items():
        cells = [f"{peers.instructions[name].get(model, 0):,}" for name in engines]
        cells = [f"{now['macs']:,}", f"**{now['instructions']:,}**", *cells]
        cells += [f"{now['arena_bytes']:,}", f"{now['code_bytes']:,}"]
        told = " | ".join("–" if cell == "0" else cell for cell in cells)
        lines.append(f"| {suite.TITLES[model]} | {told} |")
    lines += ["", "### Cortex-M4, in cycles: a model of ours beside what was published", ""]
    lines += ["| | **nano**, modelled | published | ratio |", "|---|---:|---:|---:|"]
    for model, published in peers.published_cycles.items():
        ours = peers.model_cycles[model]
        row = f"**{ours:,}** | {published:,} | {published / ours:.1f}"
        lines.append(f"| {suite.TITLES[model]} | {row} |")
    lines += ["", "### All boards: instructions (a MAC)", ""]
    lines.append(f"| | {' | '.join(find_board(name).title for name in results)} |")
    lines.append("|---|" + "---:|" * len(results))
    for model in suite.MODELS:
        rows = [entry["models"][model] for entry in results.values()]
        counts = [f"{r['instructions']:,} ({r['instructions'] / r['macs']:.2f})" for r in rows]
        lines.append(f"| {suite.TITLES[model]} | {' | '.join(counts)} |")
    return "\n".join(lines) + "\n"


def keep(results: Results) -> None:
    """Write results.json, results.md and results.svg."""
    write_atomic(RESULTS, json.dumps(results, indent=1) + "\n")
    write_atomic(RESULTS.with_suffix(".md"), markdown(results))
    write_atomic(RESULTS.with_suffix(".svg"), picture.per_layer(results["stm32"]["models"]))


def main(arguments: list[str] | None = None) -> int:
    """Measure and compare, or record; 1 if something has risen."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("bench.record", description=__doc__, formatter_class=plain)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--gate", action="store_true", help="the boards of the gate only")
    which.add_argument("--record", action="store_true", help="keep what is measured")
    chosen = parser.parse_args(arguments)
    console = Console(emoji=False)
    try:
        measured = measure_all(list(suite.GATE if chosen.gate else suite.BOARDS), console)
    except NanoError as error:
        console.print(f"BENCH FAILED: {error}", markup=False, highlight=False)
        return 1
    recorded = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    verdicts = [compare(name, now, recorded.get(name)) for name, now in measured.items()]
    if chosen.record:
        keep(measured)
    for line in (line for verdict in verdicts for line in (*verdict.notes, *verdict.worse)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for name, entry in measured.items():
        counts = ", ".join(f"{m} {row['instructions']:,}" for m, row in entry["models"].items())
        console.print(f"{name}: {counts}", markup=False, highlight=False, soft_wrap=True)
    if any(verdict.worse for verdict in verdicts) and not chosen.record:
        console.print("BENCH FAILED: find out why, or record it with a reason.", markup=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
