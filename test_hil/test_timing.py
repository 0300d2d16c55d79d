"""Per-layer ticks against bench/reference/<board>.json: exactly where they can be exact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nanotool import bench
from nanotool.boards import Board
from nanotool.build import BuildResult
from nanotool.device import Device, Layers

REFERENCE = Path(__file__).parent.parent / "bench" / "reference"
REAL_TOLERANCE = 0.02
# Another compiler makes other code: this much only says that nothing is badly wrong.
OTHER_COMPILER_TOLERANCE = 0.5


def measure(device: Device, firmware: BuildResult) -> Layers:
    device.load(bench.bench_inputs(firmware.graph)[0])
    return device.layers()


def conditions(firmware: BuildResult) -> dict[str, Any]:
    """What ticks depend on, besides our sources."""
    return {"compiler": firmware.compiler, "flags": firmware.flags.splitlines()}


def record(path: Path, kind: str, entry: dict[str, Any]) -> None:
    known = json.loads(path.read_text()) if path.exists() else {}
    known[kind] = entry
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=2) + "\n")


def tolerance(entry: dict[str, Any], firmware: BuildResult, *, exact: bool) -> tuple[float, str]:
    """The share by which ticks may differ, and why if it is not as strict as it could be."""
    changed = [name for name, value in conditions(firmware).items() if entry[name] != value]
    if changed:
        told = "; ".join(f"{n} {conditions(firmware)[n]!r}, recorded {entry[n]!r}" for n in changed)
        return OTHER_COMPILER_TOLERANCE, told
    return (0.0 if exact else REAL_TOLERANCE), ""


def test_ticks_are_those_of_the_record(
    device: Device,
    firmware: BuildResult,
    emulated: bool,
    notes: list[str],
    pytestconfig: pytest.Config,
) -> None:
    board = firmware.board
    layers = measure(device, firmware)
    unit = board.tick_unit(device.info().tick_source, emulated=emulated)
    if emulated and not board.emulator.exact_ticks:
        assert layers.total > 0
        notes.append(
            f"{board.name}: {layers.total} {unit} an inference; host time is not reproducible, so "
            "there is no reference to compare it with."
        )
        return
    kind = "emulated" if emulated else "real"
    path = REFERENCE / f"{board.name}.json"
    measured = {layer.name: layer.ticks for layer in layers.layers}
    entry: dict[str, Any] = {
        **conditions(firmware),
        "model": device.info().hash,
        "unit": unit,
        "layers": measured,
        "total": layers.total,
    }
    if pytestconfig.getoption("--record"):
        record(path, kind, entry)
        notes.append(f"{board.name}: recorded {layers.total} {unit} in {path.name}.")
    known = json.loads(path.read_text()).get(kind) if path.exists() else None
    if known is None and not emulated:
        assert layers.total > 0
        notes.append(
            f"{board.name}: {layers.total} {unit} an inference, compared with nothing: {path.name} "
            "has no record of a real board yet. Make one with --record."
        )
        return
    assert known is not None, f"{path} has no record of the emulated board: make one with --record"
    assert (known["model"], known["unit"]) == (entry["model"], unit), "record again: other model"
    share, why = tolerance(known, firmware, exact=emulated)
    if why:
        notes.append(f"{board.name}: ticks compared within {share:.0%} only: {why}")
    assert list(measured) == list(known["layers"])
    wanted = {**known["layers"], "total": known["total"]}
    wrong = {
        name: (ticks, wanted[name])
        for name, ticks in {**measured, "total": layers.total}.items()
        if abs(ticks - wanted[name]) > share * wanted[name]
    }
    assert not wrong, f"{unit}, measured and recorded: {wrong}"


def test_counted_ticks_repeat(
    device: Device, board: Board, firmware: BuildResult, emulated: bool
) -> None:
    """The same input takes the same number of instructions, every time."""
    first, second = measure(device, firmware), device.layers()
    assert sum(layer.ticks for layer in first.layers) > 0
    if emulated and board.emulator.exact_ticks:
        assert first == second
        # What the runner adds between the layers is little.
        inside = sum(layer.ticks for layer in first.layers)
        assert abs(first.total - inside) < 0.05 * first.total + 100 * len(first.layers)
