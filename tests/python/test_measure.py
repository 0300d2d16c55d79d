"""`nanotool measure`: results kept as they are made, what they are called, where it goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from handmade import GraphBuilder

from nanotool import measure as module
from nanotool import qfile
from nanotool.bench import bench
from nanotool.boards import NATIVE, STM32
from nanotool.device.line import SerialPort
from nanotool.errors import NanoError
from nanotool.measure import benchmark_models, layers_table, markdown, measure, models_table


def model(folder: Path, name: str, size: int) -> Path:
    builder = GraphBuilder(name, (size,))
    builder.dense("fc", 3)
    path = folder / f"{name}.nano"
    qfile.save(builder.graph(), path)
    return path


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(a model, its results on this computer)."""
    folder = tmp_path_factory.mktemp("measure")
    path = model(folder, "one", 4)
    measure([path], NATIVE, folder / "native.json")
    return path, folder / "native.json"


def test_what_is_kept_is_not_measured_again(
    measured: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, record = measured
    (kept,) = json.loads(record.read_text())["results"]
    assert kept["model"] == "one" and kept["emulated"] and kept["mismatches"] == 0
    monkeypatch.setattr(module, "build", None)  # would fail if called
    assert measure([path], NATIVE, record) == [kept]


def test_other_conditions_and_other_files_are_refused(
    measured: tuple[Path, Path], tmp_path: Path
) -> None:
    path, record = measured
    before = record.read_bytes()
    with pytest.raises(NanoError, match=r"other conditions: board native.*--output"):
        measure([path], STM32, record)
    with pytest.raises(NanoError, match=r"other conditions: optimize balanced"):
        measure([path], NATIVE, record, optimize="size")
    assert record.read_bytes() == before
    for content in (b"", b"{}", b"[1]", b'{"results": [3]}', b"[" * 100_000, b"\xff"):
        (tmp_path / "x.json").write_bytes(content)
        with pytest.raises(NanoError, match="holds no results of `nanotool measure`"):
            measure([path], NATIVE, tmp_path / "x.json")


def result(**other: Any) -> dict[str, Any]:
    layer = {"name": "fc", "kernel": "nano_dense", "macs": 100, "model_cycles": 160}
    facts = {"model": "one", "emulated": False, "tick_unit": "cycles", "macs": 100}
    sizes = {"arena_bytes": 64, "stack_bytes": None, "code_bytes": 5000, "weight_bytes": 1200}
    counted = layer | {"cycles": 200, "instructions": 120}
    more = {"model_cycles": 160, "microseconds": 1.2, "mismatches": 0, "layers": [counted]}
    return facts | sizes | more | other


def test_a_boards_cycles_stand_beside_the_models() -> None:
    heads, (row,) = models_table([result()])
    shown = dict(zip(heads, row, strict=True))
    assert shown["cycles"] == "200" and shown["a MAC"] == "2.00" and shown["us"] == "1"
    assert shown["cycles, modelled"] == "160" and shown["measured / modelled"] == "1.25"
    assert shown["stack"] == "-" and shown["code"] == "5,000"


def test_emulated_figures_are_called_emulated_in_every_table() -> None:
    emulated = result(emulated=True, tick_unit="instructions", microseconds=None)
    for heads, (row,) in (models_table([emulated]), layers_table([emulated])):
        shown = dict(zip(heads, row, strict=True))
        assert shown["emulated instructions"] == "120" and shown["cycles, modelled"] == "160"
        assert "cycles" not in heads and "measured / modelled" not in heads
    lines = markdown([emulated]).splitlines()
    assert lines[0].startswith("| model | MACs | emulated instructions |") and len(lines) == 7


def test_a_real_board_is_flashed_with_each_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the line, the whole way: native firmware is measured in the board's place."""
    asked: list[str] = []
    monkeypatch.setattr(module, "flash", lambda firmware, port: asked.append(firmware.graph.name))
    monkeypatch.setattr(module, "bench", lambda firmware, port: bench(firmware))
    paths = [model(tmp_path, "one", 4), model(tmp_path, "two", 5)]
    port = SerialPort("/dev/ttyUSB0")
    record = tmp_path / "r.json"
    results = measure(paths, NATIVE, record, port)
    assert asked == ["one", "two"] and [one["model"] for one in results] == asked
    assert not json.loads(record.read_text())["emulated"]
    with pytest.raises(NanoError, match="firmware of one model"):
        measure(paths, NATIVE, tmp_path / "s.json", port, flashed=True)


def test_the_benchmarks_models_are_there() -> None:
    assert [path.stem for path in benchmark_models()] == ["ad", "kws", "ic", "vww", "default"]
    assert all(path.exists() for path in benchmark_models())
