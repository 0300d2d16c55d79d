"""Several models in one firmware: one listens, one has states and several ends, one is plain."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from app_in_process import App, SimulatedLine
from handmade import GraphBuilder
from listening import listener, loud, one_class
from rich.console import Console
from step_model import random_steps, step_model

from nanotool import fit, models, terminal
from nanotool.backends import c
from nanotool.boards import find_board
from nanotool.build import build
from nanotool.cli import app as command_line
from nanotool.device import Device, DeviceRefused
from nanotool.device.commands import MODEL_COMMANDS
from nanotool.errors import DeviceError, InvalidModel, NanoError
from nanotool.ir import Lowered, Plan, QGraph
from nanotool.listen import listen
from nanotool.pipeline import prepare
from nanotool.qfile import graph_hash, save
from nanotool.run import run
from nanotool.sensing.description import Rule
from nanotool.simulate import simulate

SOUND = loud(3000)


def plain(name: str = "plain", rows: int = 5) -> QGraph:
    builder = GraphBuilder(name, (rows, 5, 2))
    builder.flatten("flat")
    builder.dense("fc", 3)
    return replace(builder.graph(), labels=("one", "two", "three"))


GRAPHS = (listener(Rule((one_class(5.0),), window=2)), step_model(), plain())


def pairs(*graphs: QGraph) -> list[list[tuple[Lowered, Plan]]]:
    return [[prepare(graph)] for graph in graphs]


needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    folder = tmp_path_factory.mktemp("several")
    c.export_several(pairs(*GRAPHS), folder / "model")
    return App(folder, folder / "model")


@pytest.fixture
def device(app: App) -> Iterator[Device]:
    with Device(SimulatedLine(app)) as device:
        device.reset()
        yield device


@needs_gcc
def test_each_is_chosen_by_whoever_runs_it(device: Device) -> None:
    """In any order, twice; the answers are those of a firmware of its own."""
    listening, steps, still = (prepare(graph)[0] for graph in GRAPHS)
    x = np.random.default_rng(0).integers(-128, 128, (3, 5, 5, 2)).astype(np.int8)
    for _ in range(2):
        told = listen(device, GRAPHS[0], listening, [SOUND])
        assert told.differing == () and len(told.outputs) > 20
        assert run(device, GRAPHS[2], still, x).mismatches == 0
        assert run(device, GRAPHS[1], steps, random_steps(GRAPHS[1], 4)).mismatches == 0
    with pytest.raises(DeviceError, match="not other"):
        run(device, plain("other", 6), prepare(plain("other", 6))[0], x)


@needs_gcc
def test_a_choice_begins_anew(device: Device) -> None:
    assert [m.hash for m in device.info().models] == [graph_hash(graph) for graph in GRAPHS]
    assert device.info().model == "listener"
    frame, gain = random_steps(GRAPHS[1], 2)
    info = device.choose("steps")
    assert info.model == "steps" and len(info.inputs) == 2 and info.states
    initial = device.save_states()
    device.step(frame[0], gain[0])
    assert device.save_states() != initial
    for again in ("steps", 1):
        device.choose(again)
        assert device.save_states() == initial
        with pytest.raises(DeviceRefused, match="No results"):
            device.outputs()
        with pytest.raises(DeviceRefused, match="No input: 0 of"):
            device.infer()
    with pytest.raises(DeviceRefused, match="does not listen"):
        device.stream_begin()
    device.command(f"state put {len(initial)}")
    device.choose("plain")
    for command in ("state", "state reset", "stream begin"):
        with pytest.raises(DeviceRefused, match=r"no states|does not listen"):
            device.command(command)
    for wrong in ("3", "-1", "other", "Plain"):
        with pytest.raises(DeviceRefused, match=f"no such model: {wrong}"):
            device.choose(wrong)
    with pytest.raises(DeviceRefused, match="Usage"):
        device.command("model 1 2")
    assert device.info().model == "plain"  # a refused choice changes nothing
    x = GRAPHS[2].samples[0][0] if GRAPHS[2].samples else np.ones((5, 5, 2), np.int8)
    device.load(x)
    device.layers()  # it has no states: what was tried is its output
    wanted = simulate(GRAPHS[2], x[None])[0]
    np.testing.assert_array_equal(device.output(), wanted.ravel())
    device.reset()
    assert device.info().model == "listener"


@needs_gcc
def test_one_room_for_all(device: Device) -> None:
    rooms = []
    for name in ("listener", "steps", "plain"):
        device.choose(name)
        memory = device.mem()
        rooms.append((memory.arena, memory.db))
        assert bool(memory.states) == (name == "steps")
    lowered = [prepare(graph)[1].arena_size for graph in GRAPHS]
    assert len(set(rooms)) == 1 and rooms[0][0] >= max(lowered)
    assert rooms[0][1] == max(sum(t.nbytes for t in graph.input_tensors) for graph in GRAPHS)


@needs_gcc
def test_the_console(device: Device) -> None:
    """`model` lists and chooses; labels and inputs go with it."""
    text = io.StringIO()
    user = terminal.Session(
        device, Console(file=text, width=100), graphs={g.name: g for g in GRAPHS}, model="listener"
    )
    assert tuple(user.labels) == ()
    script = ["model", "info", "model 2"]
    assert terminal.replay(user, script) == 0 and tuple(user.labels) == ("one", "two", "three")
    shown = text.getvalue()
    assert "0 listener" in shown and ", chosen" in shown and "also" in shown
    assert "chosen  2 plain" in shown
    assert terminal.replay(user, ["model 9"]) == 1 and tuple(user.labels) == ("one", "two", "three")
    usage = next(line for line in device.command("help") if line.startswith("model"))
    assert all(name in usage for name in MODEL_COMMANDS)


def test_what_one_folder_cannot_hold(tmp_path: Path) -> None:
    small = plain()
    other = GraphBuilder("Plain", (4,))
    other.dense("fc", 2)
    for second, why in ((small, "named twice"), (other.graph(), "called Plain")):
        with pytest.raises(InvalidModel, match=why):
            c.export_several(pairs(small, second), tmp_path / "m")
    with pytest.raises(InvalidModel, match="a file"):
        c.export_several(pairs(plain("a"), plain("a_weights", 6)), tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_folder_of_several(tmp_path: Path) -> None:
    """Read whole or by its parts, built as it was exported, replaced as a whole."""
    folder, files = tmp_path / "m", []
    for graph in GRAPHS[1:]:
        files.append(tmp_path / f"{graph.name}.nano")
        save(graph, files[-1])
    command_line(["export", *map(str, files), "-o", str(folder)], standalone_mode=False)
    assert [graph.name for graph in models.load_models(folder)] == ["steps", "plain"]
    assert models.load_model(folder / "model_1.nano").name == "plain"
    with pytest.raises(NanoError, match="holds 2 models"):
        models.load_model(folder)
    command_line(["export", str(files[1]), "-o", str(folder)], standalone_mode=False)
    assert models.load_model(folder).name == "plain" and not (folder / "model_1.nano").exists()


def test_what_they_take_together() -> None:
    board = find_board("stm32")
    (lowered, plan), *others = (prepare(graph, board.target) for graph in GRAPHS)
    alone = [fit.Model(low, p, 0) for low, p in ((lowered, plan), *others)]
    both = fit.Model(lowered, plan, 0, others=tuple(others))
    assert both.weight_bytes == sum(one.weight_bytes for one in alone)
    arenas = [dict(one.parts("data"))["arena"] for one in (*alone, both)]
    assert arenas[-1] == max(arenas[:-1])
    assert "listener with steps with plain" in str(fit.refusal(both, board, fit.needs(both, board)))
    with pytest.raises(NanoError, match="no model"):
        build([], board)
