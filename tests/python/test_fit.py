"""Too large for a board: told before the compiler runs, with every way out; the table of boards
says what the linker scripts say."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path

import pytest
from handmade import GraphBuilder

from nanotool import fit, qfile
from nanotool.boards import BOARDS, Board, find_board
from nanotool.build import build
from nanotool.cli import main
from nanotool.ir import QGraph
from nanotool.pipeline import prepare
from nanotool.report.collect import budgets

ROOT = Path(__file__).parents[2]
FIRMWARE = ROOT / "firmware" / "boards"
SCRIPTS = {"stm32": "stm32f405", "esp32": "esp32_bare"}  # where the folder has another name
UNITS = {"": 1, "K": 1024, "M": 1024 * 1024}


def model(graph: QGraph, board: Board, goal: str = "balanced") -> fit.Model:
    lowered, plan = prepare(graph, board.target, goal)
    return fit.Model(lowered, plan, fit.input_buffer(graph))


def wide() -> QGraph:
    """Much arena, few weights."""
    builder = GraphBuilder("wide", (96, 96, 3))
    builder.conv2d("body.conv", 32)
    builder.max_pool("pool")
    builder.flatten("flat")
    builder.dense("fc", 3)
    return builder.graph()


def heavy() -> QGraph:
    """Many weights, little arena."""
    builder = GraphBuilder("heavy", (1024,))
    builder.dense("fc", 1100)
    builder.dense("fc2", 4)
    return builder.graph()


OWN = [board for board in BOARDS.values() if board.regions() and not board.registry]


# --- One truth ------------------------------------------------------------------------------------


@pytest.mark.parametrize("board", OWN, ids=lambda board: board.name)
def test_regions_are_those_of_the_linker_script(board: Board) -> None:
    script = (FIRMWARE / SCRIPTS.get(board.name, board.name) / "link.ld").read_text()
    memory = re.search(r"^MEMORY\n\{(.*?)^\}", script, re.M | re.S)
    assert memory is not None
    found = re.findall(r"(\w+)\s+\(\w+\)\s*:.*LENGTH = (\w+)", memory[1])
    sizes = {
        name: int(number, 0) * UNITS[unit]
        for name, text in found
        for number, unit in re.findall(r"^(0x[0-9A-Fa-f]+|\d+)([KM]?)$", text)
    }
    assert {region.name: region.size for region in board.regions()} == sizes
    text = script + (FIRMWARE / "cortex_m" / "sections.ld").read_text()
    assert f"__stack_size = {fit.STACK})" in text


def test_the_partition_is_that_of_the_table() -> None:
    rows = csv.reader((ROOT / "partitions.csv").read_text().splitlines())
    sizes = {row[0]: int(row[4], 0) for row in rows if not row[0].startswith("#")}
    for name in ("esp32", "esp32s3", "esp32c3"):
        regions = find_board(name).regions(registry=True)
        assert regions[0].name == "factory" and regions[0].size == sizes["factory"]


def test_the_least_is_less_than_a_firmware_takes_and_not_much() -> None:
    builder = GraphBuilder("least", (4,))
    builder.dense("fc", 3)
    board = find_board("stm32")
    built = build(builder.graph(), board)
    flash, ram = (dict(budget.parts) for budget in budgets(built))
    assert 0 <= flash["code"] - fit.LEAST_CODE < 6000
    assert 0 <= ram["rest"] - fit.LEAST_DATA < 100
    needs = [dict(need.parts) for need in fit.needs(model(builder.graph(), board), board)]
    assert needs[0]["weights"] == flash["weights"]
    assert all(needs[1][what] == ram[what] for what in ("arena", "input buffer", "stack"))
    assert not fit.trouble(model(builder.graph(), board), board)


# --- What is said ---------------------------------------------------------------------------------


def test_ram(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanotool.build._platformio", None)  # no compiler runs
    with pytest.raises(fit.DoesNotFit) as caught:
        build(wide(), find_board("stm32"), optimize="speed")
    told = str(caught.value)
    assert "RAM has 131,072 bytes" in told and "widest at body.conv (conv2d 3x3" in told
    arena = model(wide(), find_board("stm32"), "balanced").plan.arena_size
    assert f"It fits with --optimize balanced (arena {arena:,}" in told
    assert "mps2_an385," in told and "esp32 --weights flash" in told and "native" not in told


def test_flash_and_the_place_of_the_weights() -> None:
    stm32, esp32 = find_board("stm32"), find_board("esp32_bare")
    told = str(fit.trouble(model(heavy(), stm32), stm32))
    assert "flash has 1,048,576" in told and "fc_weights" in told and "still too much" in told
    assert "esp32 --weights flash" in told and "arena is widest" not in told
    assert "It fits with --weights flash." in str(fit.trouble(model(heavy(), esp32), esp32, "dram"))
    assert fit.trouble(model(heavy(), esp32), esp32, "flash") is None


@pytest.mark.parametrize("board", OWN, ids=lambda board: board.name)
def test_a_board_that_is_named_holds_it(board: Board) -> None:
    """What is offered passes with the same options."""
    builder = GraphBuilder("large", (64, 64, 8))
    builder.conv2d("conv", 256)
    found = fit.trouble(model(builder.graph(), board), board)
    offered = re.search(r"Boards that hold it: (.*)\.", str(found))
    for entry in offered[1].split(", ") if offered else ():
        name, *options = entry.split()
        values = dict(zip(options[::2], options[1::2], strict=True))
        other = find_board(name)
        again = model(builder.graph(), other, values.get("--optimize", "balanced"))
        assert fit.trouble(again, other, values.get("--weights", "")) is None


def test_what_the_linker_finds_is_told_in_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the least would fit, and the whole does not."""
    for name in ("LEAST_CODE", "LEAST_DATA", "STACK"):
        monkeypatch.setattr(fit, name, 0)
    builder = GraphBuilder("brim", (250, 260, 1))  # twice: the arena and the input buffer
    builder.max_pool("pool")
    board = find_board("stm32")
    need = fit.needs(model(builder.graph(), board), board)[1]
    assert need.over == 0 and need.used > need.region.size - 2048
    with pytest.raises(fit.DoesNotFit) as caught:
        build(builder.graph(), board)
    told = str(caught.value)
    assert "RAM has 131,072 bytes, it takes 13" in told and "more code and data" in told
    assert "overflowed" not in told and "ld:" not in told


# --- The commands ---------------------------------------------------------------------------------


def test_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`plan` draws and says so; `report` writes its page, with the reason in it."""
    monkeypatch.setattr("nanotool.build._platformio", None)
    path, page = tmp_path / "wide.nano", tmp_path / "wide.html"
    qfile.save(wide(), path)

    fast = ("--optimize", "speed")  # less memory is what `balanced` would find by itself

    def call(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["nanotool", *arguments])
        with pytest.raises(SystemExit) as leaving:
            main()
        return (leaving.value.code, *capsys.readouterr())

    code, out, err = call("plan", str(path), "--board", "stm32", *fast)
    assert code == 1 and "body.conv" in out and "does not fit stm32" in err
    code, out, err = call("plan", str(path), "--board", "stm32", "--json", *fast)
    assert code == 1 and json.loads(out)["fits"] is False
    code, out, err = call("plan", str(path), "--board", "mps2_an385", "--json", *fast)
    assert code == 0 and json.loads(out)["fits"] is True and json.loads(out)["target"] == "scalar"
    code, out, err = call("report", str(path), "--board", "stm32", "-o", str(page), *fast)
    assert not code and "of 131,072" in out and "does not fit stm32" in err
    assert "does not fit stm32" in page.read_text() and "body.conv" in page.read_text()
    code, out, err = call("info", str(path), "--json")
    facts = json.loads(out)
    assert facts["macs"] == prepare(wide())[0].macs and isinstance(facts["samples"], int)
