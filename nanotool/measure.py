"""Measure models on one board, kept in a file as they are done: from which tables are made.

A file is of one board, one way to optimize and one nanotool. What is in it already is not measured
again, so that after a lost line, or with more models, it goes on where it was. Figures of emulated
boards are called emulated wherever they are shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from nanotool import cycles
from nanotool.bench import BenchResult, bench, bench_steps, model_cycles, with_cycles
from nanotool.boards import Board
from nanotool.build import BuildResult, build, flash
from nanotool.device.line import SerialPort
from nanotool.errors import NanoError
from nanotool.files import write_atomic
from nanotool.models import load_model
from nanotool.power import Energy
from nanotool.qfile import graph_hash
from nanotool.sources import default_model_dir, in_checkout, project_dir
from nanotool.version import __version__

FORMAT = 1
BENCHMARKS = ("ad", "kws", "ic", "vww")  # MLPerf Tiny's; a wheel has none of them
Step: TypeAlias = Callable[[str], None]  # is told what goes on


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under what a results file's figures were measured."""

    board: str
    emulated: bool
    optimize: str
    nanotool: str = __version__

    def to_json(self) -> dict[str, Any]:
        """As the file has them."""
        return {
            "board": self.board,
            "emulated": self.emulated,
            "optimize": self.optimize,
            "nanotool": self.nanotool,
        }


def benchmark_models() -> tuple[Path, ...]:
    """What is measured where no model is named: MLPerf Tiny's four, of a checkout, and digits."""
    folder = project_dir() / "tests" / "models"
    files = tuple(folder / f"{name}.tflite" for name in BENCHMARKS) if in_checkout() else ()
    return (*files, default_model_dir())


def measure(
    models: Sequence[Path],
    board: Board,
    record: Path,
    port: SerialPort | None = None,
    *,
    optimize: str = "balanced",
    flashed: bool = False,
    marker: bool = False,
    power: Energy | None = None,
    tell: Step = lambda _: None,
) -> list[dict[str, Any]]:
    """The results of ``models`` on ``board``, each as `BenchResult.to_json`; kept in ``record``.

    ``port``: a real board, which gets each model's firmware; with ``flashed`` it has that of the
    only model already. None: the emulator. Where the board's core has a model of its cycles
    (`nanotool.cycles`) and its emulator is there, each layer has those, too.
    ``marker``: the firmware holds a pin high during every timed inference, for a power meter.
    ``power``: what came of the meter's trace (`nanotool.power`), kept with the only model.
    Raises `NanoError` where ``record`` is of other conditions or is no results file.
    """
    if flashed and len(models) > 1:
        raise NanoError("A board holds the firmware of one model.", "Name one with --no-flash.")
    if power is not None and len(models) > 1:
        raise NanoError("A trace is of one model's inferences.", "Name one with --power.")
    conditions = Conditions(board.name, port is None, optimize)
    kept = read_results(record, conditions) if record.exists() else {}
    measured = []
    for path in models:
        graph = load_model(path)
        digest = graph_hash(graph)
        if digest not in kept:
            tell(f"Building {graph.name} for {board.title}")
            firmware = build(graph, board, optimize=optimize, marker=marker)
            if port is not None and not flashed:
                tell(f"Flashing {graph.name}")
                flash(firmware, port.name if board.esp_chip else "")
            tell(f"Measuring {graph.name}")
            result = _modelled(bench(firmware, port=port), firmware, tell)
            kept[digest] = result.to_json() | {"given": digest}
            _keep(record, conditions, kept)
        if power is not None:
            kept[digest]["energy"] = power.to_json()
            _keep(record, conditions, kept)
        measured.append(kept[digest] | {"model": graph.name})  # of the same net by another name
    return measured


def _modelled(result: BenchResult, firmware: BuildResult, tell: Step) -> BenchResult:
    """With the cycles of a model of the core beside the count, where there is one."""
    if not cycles.model_of(firmware.board):
        return result
    tell(f"Modelling the cycles of {result.model}")
    try:
        return with_cycles(result, model_cycles(firmware, bench_steps(firmware.graph)))
    except NanoError as error:  # the board's own figures do not hang on an emulator
        tell(f"No model of {result.model}'s cycles: {error}")
        return result


def _keep(record: Path, conditions: Conditions, kept: Mapping[str, Any]) -> None:
    content = {"format": FORMAT, **conditions.to_json(), "results": list(kept.values())}
    write_atomic(record, json.dumps(content, indent=1) + "\n")


def read_results(record: Path, conditions: Conditions) -> dict[str, dict[str, Any]]:
    """The results in ``record`` by the hash of the model that was given; `NanoError` where it is
    no results file, or of other ``conditions``."""
    hint = "Name another file with --output."
    try:
        content = json.loads(record.read_bytes())
        found = {result["given"]: result for result in content["results"]}
        was = Conditions(*(content[name] for name in conditions.to_json()))
    except OSError as error:
        raise NanoError(f"Cannot read {record}: {error.strerror or error}.", hint) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NanoError(f"{record} holds no results of `nanotool measure`.", hint) from error
    if content.get("format") != FORMAT:
        raise NanoError(f"{record} has format {content.get('format')!r}, not {FORMAT}.", hint)
    differing = [
        name for name, value in was.to_json().items() if value != conditions.to_json()[name]
    ]
    if differing:
        told = ", ".join(f"{name} {was.to_json()[name]}" for name in differing)
        raise NanoError(f"{record} was measured with other conditions: {told}.", hint)
    return found


# --- Tables ---------------------------------------------------------------------------------------


def unit(result: Mapping[str, Any]) -> str:
    """What the count of a result is, for people: an emulator's is called emulated."""
    emulated = result["emulated"] and result["tick_unit"] != "nanoseconds"  # this computer's own
    return f"{'emulated ' if emulated else ''}{result['tick_unit']}"


def _count(result: Mapping[str, Any]) -> int:
    return sum(layer[result["tick_unit"]] for layer in result["layers"])


def models_table(results: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """(heads, rows), a model a row: work, count, cycles by the model and how the board's own
    compare, time, and bytes."""
    heads = ["model", "MACs", unit(results[0]), "a MAC"]
    modelled = any(result["model_cycles"] for result in results)
    timed = any(result["microseconds"] for result in results)
    powered = any(result.get("energy") for result in results)
    compared = modelled and results[0]["tick_unit"] == "cycles"
    heads += ["cycles, modelled"] * modelled + ["measured / modelled"] * compared
    heads += (
        ["us"] * timed
        + ["uJ", "uJ above idle"] * powered
        + ["arena", "stack", "code", "weights", "bytes that differ"]
    )
    rows = []
    for result in results:
        count, macs, model = _count(result), result["macs"], result["model_cycles"]
        row = [result["model"], f"{macs:,}", f"{count:,}", f"{count / macs:.2f}" if macs else "-"]
        row += [f"{model:,}" if model else "-"] * modelled
        row += [f"{count / model:.2f}" if model else "-"] * compared
        row += [f"{result['microseconds']:,.0f}" if result["microseconds"] else "-"] * timed
        used = result.get("energy") or {}
        for name in ("microjoules", "extra_microjoules") if powered else ():
            row.append(f"{used[name]:,.2f}" if used else "-")
        sizes = ("arena_bytes", "stack_bytes", "code_bytes", "weight_bytes", "mismatches")
        rows.append(row + ["-" if result[name] is None else f"{result[name]:,}" for name in sizes])
    return heads, rows


def layers_table(results: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """(heads, rows), a layer a row."""
    modelled = any(result["model_cycles"] for result in results)
    heads = ["model", "layer", "kernel", "MACs", unit(results[0]), "a MAC"]
    heads += ["cycles, modelled"] * modelled
    rows = []
    for result in results:
        for layer in result["layers"]:
            count, macs, model = layer[result["tick_unit"]], layer["macs"], layer["model_cycles"]
            row = [result["model"], layer["name"], layer["kernel"], f"{macs:,}", f"{count:,}"]
            row.append(f"{count / macs:.2f}" if macs else "-")
            rows.append(row + [f"{model:,}" if model else "-"] * modelled)
    return heads, rows


def markdown(results: Sequence[Mapping[str, Any]]) -> str:
    """Both tables, as docs/performance.md has such."""
    parts = []
    for heads, rows in (models_table(results), layers_table(results)):
        lines = [heads, ["---"] * len(heads), *rows]
        parts.append("".join(f"| {' | '.join(line)} |\n" for line in lines))
    return "\n".join(parts)
